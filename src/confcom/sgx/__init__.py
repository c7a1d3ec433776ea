"""The byte layouts of SGX attestation as frozen values with exact `from_bytes` and `to_bytes`; pure, no I/O."""

from confcom.sgx.attestation_key import DEFAULT_KEY_ID, PUB_KEY_ID_SIZE, AttestationKeyID, AttestationKeyIDList
from confcom.sgx.quote import Quote, QuoteHeader, quote_kind
from confcom.sgx.report import Attributes, QEReportInfo, Report, ReportBody, TargetInfo

__all__ = [
    "DEFAULT_KEY_ID",
    "PUB_KEY_ID_SIZE",
    "AttestationKeyID",
    "AttestationKeyIDList",
    "Attributes",
    "QEReportInfo",
    "Quote",
    "QuoteHeader",
    "Report",
    "ReportBody",
    "TargetInfo",
    "quote_kind",
]
