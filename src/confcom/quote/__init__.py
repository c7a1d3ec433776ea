"""Verification of SGX quotes as a library: no I/O, time as an input, safe against hostile bytes.

    collateral = Collateral.from_json(Path("collateral.json").read_bytes())
    verification = verify(quote, collateral, intel_root(), datetime.now(UTC))
    Policy(mr_enclave=wanted).require(verification)

`verify` returns only for a genuine quote, `require` only for the wanted one; `examine` and `appraise` answer the same
questions with every step and reason instead of an error.
"""

from confcom.quote.certificates import CertificateError
from confcom.quote.collateral import Collateral
from confcom.quote.documents import identity_document, quote_document, verification_document
from confcom.quote.encodings import FoundQuote, find_quote
from confcom.quote.policy import DEFAULT_STATUSES, Policy
from confcom.quote.result import Step, Verification
from confcom.quote.roots import TrustRoot, intel_root
from confcom.quote.times import Window, format_time, parse_time
from confcom.quote.verification import Verifier, examine, verify

__all__ = [
    "DEFAULT_STATUSES",
    "CertificateError",
    "Collateral",
    "FoundQuote",
    "Policy",
    "Step",
    "TrustRoot",
    "Verification",
    "Verifier",
    "Window",
    "examine",
    "find_quote",
    "format_time",
    "identity_document",
    "intel_root",
    "parse_time",
    "quote_document",
    "verification_document",
    "verify",
]
