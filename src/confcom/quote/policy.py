"""Appraisal: is a genuine quote the wanted one? Genuine first, wanted second: no policy makes a forgery pass."""

from collections.abc import Iterator
from dataclasses import dataclass

from confcom.codes import TCBStatus
from confcom.errors import AppraisalError, InputError, QuoteVerificationError
from confcom.quote.result import Verification
from confcom.sgx import ReportBody

# For the CPU families of both AKS node sizes Intel's TCB info has no UpToDate level: SWHardeningNeeded is the best
# status that a healthy node there can reach.
DEFAULT_STATUSES = frozenset({TCBStatus.UP_TO_DATE, TCBStatus.SW_HARDENING_NEEDED})
_SIZES = {"mr_enclave": 32, "mr_signer": 32, "report_data": 64}


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What the enclave and its platform must be; a field that is None is not looked at.

    Attributes:
        mr_enclave: 32 bytes, the exact code and data.
        mr_signer: 32 bytes, SHA-256 of the signer's modulus.
        isv_prod_id: the signer's product.
        min_isv_svn: the least security version.
        report_data: 64 bytes, exact.
        allow_debug: whether an enclave may be one whose memory the host can read.
        accepted_statuses: the TCB statuses that are good enough; Revoked never is.
    """

    mr_enclave: bytes | None = None
    mr_signer: bytes | None = None
    isv_prod_id: int | None = None
    min_isv_svn: int | None = None
    report_data: bytes | None = None
    allow_debug: bool = False
    accepted_statuses: frozenset[TCBStatus] = DEFAULT_STATUSES

    def __post_init__(self) -> None:
        """Refuses values that no report could have.

        Raises:
            InputError: a wrong size or range, or Revoked among the accepted statuses.
        """
        for field, size in _SIZES.items():
            value = getattr(self, field)
            if value is not None and len(value) != size:
                raise InputError(f"policy: {field} needs {size} bytes, not {len(value)}")
        for field in ("isv_prod_id", "min_isv_svn"):
            value = getattr(self, field)
            if value is not None and not 0 <= value <= 0xFFFF:
                raise InputError(f"policy: {field} must be 0 to 65535, is {value}")
        if TCBStatus.REVOKED in self.accepted_statuses:
            raise InputError("policy: Revoked cannot be accepted: keys of such a platform are known to have leaked")

    def appraise(self, verification: Verification) -> tuple[str, ...]:
        """Why the quote is refused, a sentence each; empty where it is genuine and wanted.

        The failed steps of a quote that is not genuine come first.
        """
        reasons = list(verification.reasons)
        if verification.identity:
            reasons += self._identity_reasons(verification.identity)
        status = verification.tcb_status
        # Revoked is a failed step already.
        if status not in {None, TCBStatus.REVOKED, *self.accepted_statuses}:
            accepted = ", ".join(status for status in TCBStatus if status in self.accepted_statuses) or "none"
            reasons.append(f"TCB status is {status}; accepted: {accepted}")
        return tuple(reasons)

    def require(self, verification: Verification) -> None:
        """Returns only for a genuine quote that this policy wants.

        Raises:
            QuoteVerificationError: it is not genuine.
            AppraisalError: it is genuine, but not what the policy wants.
        """
        if reasons := self.appraise(verification):
            error = AppraisalError if verification.verdict else QuoteVerificationError
            raise error("the quote is refused: " + "; ".join(reasons))

    def _identity_reasons(self, report: ReportBody) -> Iterator[str]:
        for field in ("mr_enclave", "mr_signer", "report_data"):
            found, wanted = getattr(report, field), getattr(self, field)
            if wanted is not None and found != wanted:
                yield f"{field} is {found.hex()}, expected {wanted.hex()}"
        if self.isv_prod_id is not None and report.isv_prod_id != self.isv_prod_id:
            yield f"isv_prod_id is {report.isv_prod_id}, expected {self.isv_prod_id}"
        if self.min_isv_svn is not None and report.isv_svn < self.min_isv_svn:
            yield f"isv_svn is {report.isv_svn}, expected at least {self.min_isv_svn}"
        if report.attributes.debug and not self.allow_debug:
            yield "it is a DEBUG enclave, whose memory the host can read; the policy does not allow debug"
