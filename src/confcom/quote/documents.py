"""Quotes and verifications as plain values for JSON: the form that `confcom quote --output json` prints.

PPID and platform instance id identify a machine and appear nowhere here.
"""

from typing import Any

from confcom import codes
from confcom.codes import TCBStatus
from confcom.quote.advice import advise
from confcom.quote.certificates import Certificate, CertificateError, split_chain
from confcom.quote.pck import SGX_TYPES, PCKExtension
from confcom.quote.policy import Policy, advisory_code
from confcom.quote.qe_identity import QELevel
from confcom.quote.reading import quote_warnings
from confcom.quote.result import Verification
from confcom.quote.tcb import TCBLevel
from confcom.quote.times import Window, format_time, span
from confcom.sgx import Quote, QuoteHeader, ReportBody, quote_kind
from confcom.sgx.quote import CERT_TYPE_NAMES, CERT_TYPE_PCK_CHAIN


def verification_document(verification: Verification, policy: Policy) -> dict[str, Any]:
    """A verification and its appraisal; the verdict is yes only where both agree."""
    reasons = policy.appraise(verification)
    holds = verification.holds
    return {
        "verdict": "no" if reasons else "yes",
        "tcb_status": verification.tcb_status,
        "advisories": list(verification.advisories),
        "identity": identity_document(verification.identity) if verification.identity else {},
        "steps": [
            {"number": step.number, "name": step.name, "ok": step.ok, "detail": step.detail}
            for step in verification.steps
        ],
        "reasons": list(reasons),
        "next_steps": [
            {
                "code": advice.code.label,
                "name": advice.code.name,
                "who": advice.code.who,
                "next_step": advice.code.next_step,
                "reasons": list(advice.reasons),
            }
            for advice in advise(verification, policy)
        ],
        "warnings": [*verification.warnings, *_soon_over(verification)],
        "genuine": verification.verdict,
        "simulated": verification.simulated,
        "root": verification.root_name,
        "at": format_time(verification.at),
        "platform": platform_document(verification.pck, verification.pck_ca) if verification.pck else None,
        "tcb": _tcb_document(verification),
        "windows": [_window_document(window, verification) for window in verification.windows],
        "holds": {"from": format_time(holds[0]), "until": format_time(holds[1])} if holds else None,
        "allowance": {
            "clock_slack_seconds": int(verification.allowance.clock_slack.total_seconds()),
            "grace_days": verification.allowance.grace.days,
        },
    }


def identity_document(report: ReportBody) -> dict[str, Any]:
    """The enclave's identity: bytes as lower-case hex in memory order, numbers as numbers."""
    return {
        "mr_enclave": report.mr_enclave.hex(),
        "mr_signer": report.mr_signer.hex(),
        "isv_prod_id": report.isv_prod_id,
        "isv_svn": report.isv_svn,
        "debug": report.attributes.debug,
        "report_data": report.report_data.hex(),
        "attributes": report.attributes.to_bytes().hex(),
        "attribute_flags": report.attributes.flag_names(),
        "cpu_svn": report.cpu_svn.hex(),
        "misc_select": report.misc_select,
        "config_id": report.config_id.hex(),
        "config_svn": report.config_svn,
        "isv_ext_prod_id": report.isv_ext_prod_id.hex(),
        "isv_family_id": report.isv_family_id.hex(),
    }


def platform_document(pck: PCKExtension, ca_name: str | None) -> dict[str, Any]:
    """What the PCK certificate says of the platform's kind and TCB."""
    configuration = pck.configuration
    return {
        "fmspc": pck.fmspc.hex(),
        "pce_id": pck.pce_id.hex(),
        "pck_ca": ca_name,
        "sgx_type": SGX_TYPES[pck.sgx_type],
        "components": list(pck.components),
        "pce_svn": pck.pce_svn,
        "configuration": {
            "dynamic_platform": configuration.dynamic_platform,
            "cached_keys": configuration.cached_keys,
            "smt_enabled": configuration.smt_enabled,
        }
        if configuration
        else None,
    }


def quote_document(data: bytes, quote: Quote, problems: list[str]) -> dict[str, Any]:
    """What a quote says of itself, nothing of it verified."""
    return {
        "kind": quote_kind(data) or "damaged SGX quote",
        "size": len(data) - len(quote.trailing),
        "trailing_bytes": len(quote.trailing),
        "problems": problems,
        "warnings": quote_warnings(quote),
        "header": header_document(quote.header),
        "identity": identity_document(quote.report),
        "qe": identity_document(quote.qe_report),
        "certification_data": _certification_document(quote),
    }


def header_document(header: QuoteHeader) -> dict[str, Any]:
    """The quote's header, field by field."""
    return {
        "version": header.version,
        "att_key_type": header.att_key_type,
        "tee_type": header.tee_type,
        "qe_svn": header.qe_svn,
        "pce_svn": header.pce_svn,
        "vendor_id": header.vendor_id.hex(),
    }


def _tcb_document(verification: Verification) -> dict[str, Any]:
    tcb_info, qe_identity = verification.tcb_info, verification.qe_identity
    platform, qe = verification.platform_level, verification.qe_level
    return {
        "meaning": codes.tcb_status(verification.tcb_status).meaning if verification.tcb_status else None,
        "held_back_by": _held_back_by(verification),
        "tcb_info_evaluation_number": tcb_info.evaluation_number if tcb_info else None,
        "tcb_info_issued": format_time(tcb_info.window.start) if tcb_info else None,
        "qe_identity_evaluation_number": qe_identity.evaluation_number if qe_identity else None,
        "qe_identity_issued": format_time(qe_identity.window.start) if qe_identity else None,
        "platform": _level_document(platform) if platform else None,
        "qe": _level_document(qe) | {"isv_svn": qe.isv_svn} if qe else None,
        "better_level": _shortfall_document(verification),
        "qe_isv_svn": verification.quote.qe_report.isv_svn if verification.quote else None,
        "qe_newest_isv_svn": qe_identity.levels[0].isv_svn if qe_identity else None,
        "advisories": {name: _advisory_word(name) for name in verification.advisories},
    }


def _held_back_by(verification: Verification) -> list[str]:
    """Whose level keeps the status from being UpToDate: platform, qe, both or neither."""
    levels = {"platform": verification.platform_level, "qe": verification.qe_level}
    return [name for name, level in levels.items() if level and level.status is not TCBStatus.UP_TO_DATE]


def _shortfall_document(verification: Verification) -> dict[str, Any] | None:
    """The better level that is nearest, and which parts are behind it."""
    found = verification.shortfall
    if found is None or verification.pck is None:
        return None
    return _level_document(found.level) | {
        "components_behind": [
            {"number": part.number, "label": part.label, "svn": part.svn, "needed": part.needed}
            for part in found.components
        ],
        "pce_svn": verification.pck.pce_svn,
        "pce_svn_needed": found.pce_svn,
    }


def _advisory_word(name: str) -> str:
    return advisory_code(name).next_step


def _level_document(level: TCBLevel | QELevel) -> dict[str, Any]:
    return {"status": level.status, "date": format_time(level.date), "advisories": list(level.advisories)}


def _window_document(window: Window, verification: Verification) -> dict[str, Any]:
    """`days_left` counts whole days, downwards where the window is over; `renewable` parts end at a nextUpdate."""
    return {
        "name": window.name,
        "from": format_time(window.start),
        "until": format_time(window.end),
        "ok": verification.allowance.problem(window, verification.at) is None,
        "days_left": window.left(verification.at).days,
        "renewable": window.renewable,
    }


def _soon_over(verification: Verification) -> list[str]:
    """A warning for each window that still holds, but not for long."""
    return [
        f"{window.name} ends in {span(window.left(verification.at))}, at {format_time(window.end)}: see to a newer one"
        for window in verification.windows
        if window.ends_soon(verification.at)
    ]


def _certification_document(quote: Quote) -> dict[str, Any]:
    kind = quote.certification_data_type
    document: dict[str, Any] = {"type": kind, "name": CERT_TYPE_NAMES.get(kind, "unknown")}
    if kind != CERT_TYPE_PCK_CHAIN:
        return document
    try:
        chain = [Certificate.from_der(encoded) for encoded in split_chain(quote.certification_data)]
        document["certificates"] = [_certificate_document(certificate) for certificate in chain]
        extensions = [PCKExtension.from_der(part.sgx_extension) for part in chain[:1] if part.sgx_extension]
        ca_name = chain[1].common_name if len(chain) > 1 else None
        document["platform"] = platform_document(extensions[0], ca_name) if extensions else None
    except CertificateError as error:
        document["problem"] = f"certification data {error}"
    return document


def _certificate_document(certificate: Certificate) -> dict[str, Any]:
    window = certificate.window
    return {"subject": certificate.common_name, "from": format_time(window.start), "until": format_time(window.end)}
