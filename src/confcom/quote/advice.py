"""From what a verification found to whose move it is: the entry of the table of codes behind each reason.

Facts of the verification decide (windows, levels, identities). The words of a step are looked at for two things only:
whether it says anything besides a window that is over, and whether it begins with the path of a malformed member.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from confcom import codes
from confcom.codes import Code, TCBStatus
from confcom.codes.entry import Family
from confcom.quote.policy import Policy
from confcom.quote.result import Step, Verification
from confcom.quote.times import Window
from confcom.sgx.quote import CERT_TYPE_PCK_CHAIN

# quote3_error_t of `sgx_ql_lib_common.h`, as Intel's verifier answers for the same finding.
_CERTIFICATION_DATA_UNSUPPORTED = 0xE01C
_FORMAT_UNSUPPORTED = 0xE01D
_QE_REPORT_INVALID_SIGNATURE = 0xE01F
_PCK_CERT_UNSUPPORTED_FORMAT = 0xE021
_PCK_CERT_CHAIN_ERROR = 0xE022
_TCB_INFO_UNSUPPORTED_FORMAT = 0xE023
_TCB_INFO_MISMATCH = 0xE024
_QE_IDENTITY_UNSUPPORTED_FORMAT = 0xE025
_QE_IDENTITY_MISMATCH = 0xE026
_TCB_INFO_EXPIRED = 0xE02C
_PCK_CHAIN_EXPIRED = 0xE02D
_CRL_EXPIRED = 0xE02E
_SIGNING_CHAIN_EXPIRED = 0xE02F
_QE_IDENTITY_EXPIRED = 0xE030
_PCK_REVOKED = 0xE031
_TCB_REVOKED = 0xE032
_QE_IDENTITY_CHAIN_ERROR = 0xE039
_TCB_INFO_CHAIN_ERROR = 0xE03A
_TCB_NOT_SUPPORTED = 0xE066
# sgx_ql_qv_result_t
_INVALID_SIGNATURE = 0xA004

# The step of the root, and the last one whose chains must lead to it.
_ROOT_STEP, _LAST_ON_ROOT = 3, 8
_MALFORMED = {"tcb_info": _TCB_INFO_UNSUPPORTED_FORMAT, "qe_identity": _QE_IDENTITY_UNSUPPORTED_FORMAT}
_EXPIRED = {"TCB info": _TCB_INFO_EXPIRED, "QE identity": _QE_IDENTITY_EXPIRED}


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """A next step, and the reasons that it answers."""

    code: Code
    reasons: tuple[str, ...]


def advise(verification: Verification, policy: Policy) -> tuple[Advice, ...]:
    """The next steps for a quote that is refused, in the order of its reasons and each once; empty where it is not."""
    found: dict[Code, dict[str, None]] = {}
    for step in verification.steps:
        if step.judged and not step.ok:
            sentence = f"step {step.number} ({step.name}): {step.detail}"
            for code in _step_codes(verification, step):
                found.setdefault(code, {})[sentence] = None
    for reason in policy.reasons(verification):
        found.setdefault(reason.code, {})[reason.sentence] = None
    return tuple(Advice(code=code, reasons=tuple(sentences)) for code, sentences in found.items())


def _step_codes(verification: Verification, step: Step) -> Iterator[Code]:
    over = [(window, problem) for window, problem in _problems(verification) if problem in step.detail]
    for window, _ in over:
        yield _window_code(verification, window)
    rest = step.detail
    for _, problem in over:
        rest = rest.replace(problem, "")
    if rest.strip("; "):
        yield _malformed(step) or _consequence(verification, step) or _OF_STEP[step.name](verification)


def _problems(verification: Verification) -> Iterator[tuple[Window, str]]:
    for window in verification.windows:
        if problem := verification.allowance.problem(window, verification.at):
            yield window, problem


def _window_code(verification: Verification, window: Window) -> Code:
    if verification.at < window.start:
        return codes.symptom("issue date in the future")
    if window.renewable:
        return codes.quote3(_EXPIRED.get(window.name, _CRL_EXPIRED))
    # The root's window stands first, then those of the PCK chain, where it could be read.
    chain = verification.windows[: 3 if verification.pck_ca else 1]
    return codes.quote3(_PCK_CHAIN_EXPIRED if window in chain else _SIGNING_CHAIN_EXPIRED)


def _consequence(verification: Verification, step: Step) -> Code | None:
    """Where the quote's root is not the trusted one, what rests on it fails with it, and asks for no more."""
    root = verification.steps[_ROOT_STEP - 1]
    rests_on_root = _ROOT_STEP < step.number <= _LAST_ON_ROOT
    return codes.symptom("untrusted root") if rests_on_root and root.judged and not root.ok else None


def _malformed(step: Step) -> Code | None:
    """The code of signed JSON that cannot be read: its problem begins with the path of the member."""
    number = next((number for path, number in _MALFORMED.items() if step.detail.startswith(path)), None)
    return codes.quote3(number) if number else None


def _certification_data(verification: Verification) -> Code:
    quote = verification.quote
    readable = quote is None or quote.certification_data_type == CERT_TYPE_PCK_CHAIN
    return codes.quote3(_PCK_CERT_UNSUPPORTED_FORMAT if readable else _CERTIFICATION_DATA_UNSUPPORTED)


def _crl(verification: Verification) -> Code:
    revoked = verification.tcb_status is TCBStatus.REVOKED and verification.platform_level is not None
    return codes.quote3(_PCK_REVOKED if revoked else _PCK_CERT_CHAIN_ERROR)


def _tcb_info(verification: Verification) -> Code:
    return codes.quote3(_TCB_INFO_MISMATCH if verification.tcb_info else _TCB_INFO_CHAIN_ERROR)


def _status(verification: Verification) -> Code:
    levels = (verification.platform_level, verification.qe_level)
    by_level = any(level is not None and level.status is TCBStatus.REVOKED for level in levels)
    return codes.quote3(_TCB_REVOKED if by_level or verification.qe_level is None else _PCK_REVOKED)


def _invalid_signature(_: Verification) -> Code:
    return codes.lookup(Family.VERIFICATION, _INVALID_SIGNATURE) or codes.quote3(_QE_REPORT_INVALID_SIGNATURE)


def _always(number: int) -> Callable[[Verification], Code]:
    return lambda _: codes.quote3(number)


_OF_STEP: dict[str, Callable[[Verification], Code]] = {
    "quote format": _always(_FORMAT_UNSUPPORTED),
    "certification data": _certification_data,
    "trusted root": lambda _: codes.symptom("untrusted root"),
    "PCK certificate chain": _always(_PCK_CERT_CHAIN_ERROR),
    "root CA CRL": _crl,
    "PCK CRL": _crl,
    "TCB info": _tcb_info,
    "QE identity": _always(_QE_IDENTITY_CHAIN_ERROR),
    "QE report signature": _always(_QE_REPORT_INVALID_SIGNATURE),
    "QE report": _always(_QE_IDENTITY_MISMATCH),
    "attestation key binding": _invalid_signature,
    "quote signature": _invalid_signature,
    "platform TCB level": _always(_TCB_NOT_SUPPORTED),
    "QE TCB level": _always(_TCB_REVOKED),
    "TCB status": _status,
}
