"""What a self-check of the helper found; told by a worker, read by the front."""

from typing import Literal, Self

import msgspec

Reason = Literal["Verified", "NotVerified", "NoCollateral", "CollateralUnavailable", "NoProbe"]


class CollateralVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification against collateral says of a quote.

    Attributes:
        verified: whether the quote verified down to the root, against collateral.
        reason: why, in one word for a condition.
        message: the same in a sentence.
        tcb_status: TCB status of platform and QE, where it was verified.
        qe_status: TCB status of the QE by the QE identity, where it was verified.
        forecast: what becomes of the TCB status, in a sentence, where collateral of a service tells.
        certificates: ends of validity by what they belong to, RFC 3339.
    """

    verified: bool
    reason: Reason
    message: str
    tcb_status: str | None = None
    qe_status: str | None = None
    forecast: str | None = None
    certificates: dict[str, str] = {}


class CheckOutcome(CollateralVerdict, frozen=True, kw_only=True):
    """The outcome of one self-check, the last verdict of a verification included.

    Attributes:
        quoting: None if a quote could be made and its signatures hold, else why not.
        qe_svn: ISVSVN of the QE, from the quote.
        pce_svn: the platform's PCESVN, from the quote.
        quote: the quote that was judged, for a verification against collateral; None where there was none.
    """

    quoting: str | None
    qe_svn: int | None = None
    pce_svn: int | None = None
    quote: bytes | None = None

    def with_verdict(self, verdict: CollateralVerdict) -> Self:
        """This outcome with another verdict."""
        members = {name: getattr(verdict, name) for name in CollateralVerdict.__struct_fields__}
        return msgspec.structs.replace(self, **members)


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
