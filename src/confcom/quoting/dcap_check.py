"""What can be said of a quote of hardware without collateral: everything but revocation and the TCB.

Imported by a worker for its first check only: certificates cost megabytes.
"""

from datetime import datetime

import msgspec

from confcom.errors import SGXFormatError
from confcom.quote.collateral import NO_COLLATERAL
from confcom.quote.roots import TrustRoot, intel_root
from confcom.quote.verification import Verifier
from confcom.quoting.check import broken_steps, judge
from confcom.quoting.outcome import CheckOutcome
from confcom.sgx import Quote
from confcom.sgx.quote import CERT_TYPE_NAMES, CERT_TYPE_PCK_CHAIN

# Steps that judge the quote by itself: format, key binding, quote signature (docs/reference/verification.md).
_OWN_STEPS = frozenset((1, 11, 12))
# Steps that lead from the quote's certificates to the root: trusted root, PCK certificate chain.
_CHAIN_STEPS = frozenset((3, 4))


def check_quote(quote: bytes, at: datetime, root: TrustRoot | None = None) -> CheckOutcome:
    """Judges a quote of this helper's, without padding, under Intel's root (or another, in tests).

    A broken quote is a fault of quoting. A chain that does not lead to the root, or is out of its time, is a condition
    only: another certificate may come at any moment, and the signatures are good.
    """
    found = Verifier(NO_COLLATERAL, root or intel_root()).examine(quote, at)
    outcome = judge(found)
    kind = _other_certification(quote)
    if kind is not None:
        message = (
            f"the quotes carry no certificates but type {kind}, {CERT_TYPE_NAMES.get(kind, 'unknown')}: the QE found "
            "no quote provider library; install one, or name it with --quote-provider-library"
        )
        return msgspec.structs.replace(outcome, quoting=broken_steps(found, _OWN_STEPS), message=message)
    if outcome.quoting is not None:
        return msgspec.structs.replace(outcome, message=outcome.quoting)
    if chain := broken_steps(found, _CHAIN_STEPS):
        return msgspec.structs.replace(outcome, message=chain)
    message = (
        f"no collateral source: signatures lead from the quote to '{found.root_name}', but whether they are revoked, "
        "and the TCB, were not looked at"
    )
    return msgspec.structs.replace(outcome, reason="NoCollateral", message=message)


def _other_certification(quote: bytes) -> int | None:
    """The type of the certification data, if the quote can be read and it is not a certificate chain."""
    try:
        kind = Quote.from_bytes(quote).certification_data_type
    except SGXFormatError:
        return None
    return None if kind == CERT_TYPE_PCK_CHAIN else kind
