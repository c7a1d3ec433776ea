"""What a self-check of the helper found; told by a worker, read by the front."""

from typing import Literal

import msgspec

Reason = Literal["Verified", "NotVerified", "NoCollateral", "CollateralUnavailable", "NoProbe"]


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
        quote: the quote that was judged, for a verification against collateral; None where there was none.
        qe_status: TCB status of the QE by the QE identity, where it was verified.
        forecast: what becomes of the TCB status, in a sentence, where collateral of a service tells.
    """

    quoting: str | None
    verified: bool
    reason: Reason
    message: str
    tcb_status: str | None = None
    qe_svn: int | None = None
    pce_svn: int | None = None
    certificates: dict[str, str] = {}
    quote: bytes | None = None
    qe_status: str | None = None
    forecast: str | None = None


class CollateralCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A quote to verify, and where collateral comes from: `intel`, `thim`, a PCCS's URL, or a path.

    An empty `trusted_root` is Intel's root, an empty `cache` keeps nothing.
    """

    quote: bytes
    service: str
    trusted_root: str = ""
    ca_file: str = ""
    proxy: str = ""
    cache: str = ""


class CollateralVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What collateral says of a quote; the members are those of `CheckOutcome`."""

    verified: bool
    reason: Reason
    message: str
    tcb_status: str | None = None
    qe_status: str | None = None
    forecast: str | None = None
    certificates: dict[str, str] = {}
