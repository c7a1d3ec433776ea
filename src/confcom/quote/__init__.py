"""Verification of SGX quotes as a library: no I/O, time as an input, safe against hostile bytes.

    collateral = Collateral.from_json(Path("collateral.json").read_bytes())
    verification = verify(quote, collateral, intel_root(), datetime.now(UTC))
    Policy(mr_enclave=wanted).require(verification)

`verify` returns only for a genuine quote, `require` only for the wanted one; `examine` and `appraise` answer the same
questions with every step and reason instead of an error.
"""

from confcom.quote.advice import Advice, advise
from confcom.quote.allowance import DEFAULT_CLOCK_SLACK, Allowance
from confcom.quote.certificates import CertificateError
from confcom.quote.collateral import Collateral
from confcom.quote.documents import identity_document, quote_document, verification_document
from confcom.quote.encodings import FoundQuote, find_quote
from confcom.quote.policy import DEFAULT_STATUSES, Policy, Reason
from confcom.quote.policy_file import check_values, make_allowance, make_policy, override, read_policy
from confcom.quote.result import Step, Verification
from confcom.quote.roots import TrustRoot, intel_root
from confcom.quote.shortfall import BehindComponent, Shortfall
from confcom.quote.times import Window, format_time, parse_time
from confcom.quote.verification import Verifier, examine, verify

__all__ = [
    "DEFAULT_CLOCK_SLACK",
    "DEFAULT_STATUSES",
    "Advice",
    "Allowance",
    "BehindComponent",
    "CertificateError",
    "Collateral",
    "FoundQuote",
    "Policy",
    "Reason",
    "Shortfall",
    "Step",
    "TrustRoot",
    "Verification",
    "Verifier",
    "Window",
    "advise",
    "check_values",
    "examine",
    "find_quote",
    "format_time",
    "identity_document",
    "intel_root",
    "make_allowance",
    "make_policy",
    "override",
    "parse_time",
    "quote_document",
    "read_policy",
    "verification_document",
    "verify",
]
