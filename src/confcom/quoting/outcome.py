"""What a self-check of the helper found; told by a worker, read by the front."""

from typing import Literal

import msgspec


class CheckOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one self-check.

    Attributes:
        quoting: None if the probe's quote holds (signature, key, QE report), else why not. This decides readiness.
        verified: whether the quote was verified down to the root against collateral.
        reason: one word for the condition.
        message: the same in a sentence.
        tcb_status: the platform's TCB status, where it was verified.
        qe_svn: ISVSVN of the QE, from the quote.
        pce_svn: the platform's PCESVN, from the quote.
        certificates: ends of validity by what they belong to, RFC 3339.
    """

    quoting: str | None
    verified: bool
    reason: Literal["Verified", "NotVerified", "NoCollateral", "NoProbe"]
    message: str
    tcb_status: str | None = None
    qe_svn: int | None = None
    pce_svn: int | None = None
    certificates: dict[str, str] = {}
