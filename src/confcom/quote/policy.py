"""Appraisal: is a genuine quote the wanted one? Genuine first, wanted second: no policy makes a forgery pass."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from confcom import codes
from confcom.codes import Code, TCBStatus
from confcom.codes.verdicts import ADVISORY_CODE
from confcom.errors import AppraisalError, InputError, QuoteVerificationError
from confcom.quote import report_data
from confcom.quote.result import Verification
from confcom.sgx import ReportBody

# For the CPU families of both AKS node sizes Intel's TCB info has no UpToDate level: SWHardeningNeeded is the best
# status that a healthy node there can reach.
DEFAULT_STATUSES = frozenset({TCBStatus.UP_TO_DATE, TCBStatus.SW_HARDENING_NEEDED})
MEASUREMENT_SIZE = 32
# An advisory as Intel and its collateral name it; the number has five digits.
ADVISORY = re.compile(r"INTEL-SA-([0-9]{5})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why a quote is refused, in a sentence, and the entry of the table of codes that says whose move it is."""

    sentence: str
    code: Code


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What the enclave and its platform must be; a field that is None is not looked at.

    Attributes:
        mr_enclave: the exact code and data, 32 bytes; one value, or several of which one must be found, never none.
        mr_signer: SHA-256 of the signer's modulus, 32 bytes; one value or several, never none.
        isv_prod_id: the signer's product.
        min_isv_svn: the least security version.
        report_data: 64 bytes, exact; `confcom.quote.report_data` makes them in the usual forms.
        allow_debug: whether an enclave may be one whose memory the host can read.
        accepted_statuses: the TCB statuses that are good enough; Revoked never is.
        accepted_advisories: the advisories, like INTEL-SA-00615, that may concern the platform; any other refuses it.
        rejected_advisories: the advisories that must not concern it.
        min_tcb_evaluation_data_number: the least tcbEvaluationDataNumber of TCB info and QE identity.
    """

    mr_enclave: bytes | frozenset[bytes] | None = None
    mr_signer: bytes | frozenset[bytes] | None = None
    isv_prod_id: int | None = None
    min_isv_svn: int | None = None
    report_data: bytes | None = None
    allow_debug: bool = False
    accepted_statuses: frozenset[TCBStatus] = DEFAULT_STATUSES
    accepted_advisories: frozenset[str] | None = None
    rejected_advisories: frozenset[str] = frozenset()
    min_tcb_evaluation_data_number: int | None = None

    def __post_init__(self) -> None:
        """Refuses values that no report could have.

        Raises:
            InputError: a wrong size or range, no advisory's name, a set of measurements without any, or Revoked among
                the accepted statuses.
        """
        for field in ("mr_enclave", "mr_signer"):
            _require_measurements(field, getattr(self, field))
        if self.report_data is not None:
            _require_size("report_data", self.report_data, report_data.REPORT_DATA_SIZE)
        for field, most in (
            ("isv_prod_id", 0xFFFF),
            ("min_isv_svn", 0xFFFF),
            ("min_tcb_evaluation_data_number", 0xFFFF_FFFF),
        ):
            number = getattr(self, field)
            if number is not None and not 0 <= number <= most:
                raise InputError(f"policy: {field} must be 0 to {most}, is {number}")
        if TCBStatus.REVOKED in self.accepted_statuses:
            raise InputError("policy: Revoked cannot be accepted: keys of such a platform are known to have leaked")
        for name in self.rejected_advisories | (self.accepted_advisories or frozenset()):
            if not ADVISORY.fullmatch(name):
                raise InputError(f"policy: {name!r} is no advisory; write it like INTEL-SA-00615")

    def appraise(self, verification: Verification) -> tuple[str, ...]:
        """Why the quote is refused, a sentence each; empty where it is genuine and wanted.

        The failed steps of a quote that is not genuine come first.
        """
        return (*verification.reasons, *(reason.sentence for reason in self.reasons(verification)))

    def reasons(self, verification: Verification) -> tuple[Reason, ...]:
        """What speaks against the enclave and its platform, genuine or not, each with its code."""
        found = [*self._identity_reasons(verification.identity)] if verification.identity else []
        return (*found, *self._platform_reasons(verification))

    def require(self, verification: Verification) -> None:
        """Returns only for a genuine quote that this policy wants.

        Raises:
            QuoteVerificationError: it is not genuine.
            AppraisalError: it is genuine, but not what the policy wants.
        """
        if reasons := self.appraise(verification):
            error = AppraisalError if verification.verdict else QuoteVerificationError
            raise error("the quote is refused: " + "; ".join(reasons))

    def _identity_reasons(self, report: ReportBody) -> Iterator[Reason]:
        for sentence in self._other_enclave(report):
            yield Reason(sentence=sentence, code=codes.symptom("another enclave"))
        if self.report_data is not None and report.report_data != self.report_data:
            sentence = report_data.difference(report.report_data, self.report_data)
            yield Reason(sentence=sentence, code=codes.symptom("report data mismatch"))
        if report.attributes.debug and not self.allow_debug:
            sentence = "it is a DEBUG enclave, whose memory the host can read; the policy does not allow debug"
            yield Reason(sentence=sentence, code=codes.symptom("debug enclave"))

    def _other_enclave(self, report: ReportBody) -> Iterator[str]:
        for field in ("mr_enclave", "mr_signer"):
            found, wanted = getattr(report, field), _values(getattr(self, field))
            if wanted and found not in wanted:
                yield f"{field} is {found.hex()}, expected {' or '.join(sorted(value.hex() for value in wanted))}"
        if self.isv_prod_id is not None and report.isv_prod_id != self.isv_prod_id:
            yield f"isv_prod_id is {report.isv_prod_id}, expected {self.isv_prod_id}"
        if self.min_isv_svn is not None and report.isv_svn < self.min_isv_svn:
            yield f"isv_svn is {report.isv_svn}, expected at least {self.min_isv_svn}"

    def _platform_reasons(self, verification: Verification) -> Iterator[Reason]:
        status = verification.tcb_status
        # Revoked is a failed step already.
        if status is not None and status not in {TCBStatus.REVOKED, *self.accepted_statuses}:
            accepted = ", ".join(status for status in TCBStatus if status in self.accepted_statuses) or "none"
            yield Reason(sentence=f"TCB status is {status}; accepted: {accepted}", code=codes.tcb_status(status))
        for name in verification.advisories:
            if name in self.rejected_advisories:
                yield Reason(
                    sentence=f"{name} concerns the platform, and the policy rejects it", code=advisory_code(name)
                )
            elif self.accepted_advisories is not None and name not in self.accepted_advisories:
                sentence = f"{name} concerns the platform, and is not among the accepted advisories"
                yield Reason(sentence=sentence, code=advisory_code(name))
        for sentence in self._old_collateral(verification):
            yield Reason(sentence=sentence, code=codes.symptom("worked yesterday, fails today"))

    def _old_collateral(self, verification: Verification) -> Iterator[str]:
        least = self.min_tcb_evaluation_data_number
        for name, part in (("TCB info", verification.tcb_info), ("QE identity", verification.qe_identity)):
            if least is not None and part is not None and part.evaluation_number < least:
                yield f"tcbEvaluationDataNumber of the {name} is {part.evaluation_number}, expected at least {least}"


def _values(wanted: bytes | frozenset[bytes] | None) -> frozenset[bytes]:
    if wanted is None:
        return frozenset()
    return frozenset({wanted}) if isinstance(wanted, bytes) else wanted


def _require_measurements(field: str, wanted: bytes | frozenset[bytes] | None) -> None:
    # Taken as "not looked at", the empty list of a program that found nothing to trust would trust every enclave.
    if wanted is not None and not _values(wanted):
        raise InputError(f"policy: {field} is an empty set: nothing could be accepted; leave it out to accept any")
    for value in _values(wanted):
        _require_size(field, value, MEASUREMENT_SIZE)


def _require_size(field: str, value: bytes, size: int) -> None:
    if len(value) != size:
        raise InputError(f"policy: {field} needs {size} bytes, not {len(value)}")


def advisory_code(name: str) -> Code:
    """The entry of an advisory by the name that collateral gives it; of advisories in general where it is another's."""
    found = ADVISORY.fullmatch(name)
    return codes.advisory(int(found[1])) if found else ADVISORY_CODE
