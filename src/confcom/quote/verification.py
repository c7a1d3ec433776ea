"""Verification: is a quote genuine? What the enclave in it must be is a question for `confcom.quote.policy`."""

from datetime import datetime

from confcom.errors import QuoteVerificationError
from confcom.quote.allowance import EXACT, Allowance
from confcom.quote.collateral import Collateral
from confcom.quote.endorsements import Endorsements
from confcom.quote.procedure import Examination
from confcom.quote.result import Verification
from confcom.quote.roots import TrustRoot


class Verifier:
    """Examines quotes with one collateral under one named root; the collateral is read and checked only once.

    It may be used from several threads, and at any time: windows are judged anew for each quote, with the allowance
    that is given here.
    """

    def __init__(self, collateral: Collateral, root: TrustRoot, allowance: Allowance = EXACT) -> None:
        self._endorsements = Endorsements(collateral, root)
        self._allowance = allowance

    def examine(self, quote: bytes, at: datetime) -> Verification:
        """Every step of the verification of `quote` at the time `at`; never raises for what the quote holds.

        Raises:
            ValueError: `at` has no time zone.
        """
        if at.tzinfo is None:
            raise ValueError("the time of a verification needs a time zone")
        return Examination(bytes(quote), self._endorsements, at, self._allowance).run()

    def verify(self, quote: bytes, at: datetime) -> Verification:
        """The verification of a genuine quote.

        Raises:
            QuoteVerificationError: the quote is not genuine; the sentence names the steps that did not hold.
            ValueError: `at` has no time zone.
        """
        verification = self.examine(quote, at)
        if not verification.verdict:
            raise QuoteVerificationError("the quote is not genuine: " + "; ".join(verification.reasons))
        return verification


def examine(quote: bytes, collateral: Collateral, root: TrustRoot, at: datetime) -> Verification:
    """One quote's verification, step by step; see `Verifier.examine`."""
    return Verifier(collateral, root).examine(quote, at)


def verify(quote: bytes, collateral: Collateral, root: TrustRoot, at: datetime) -> Verification:
    """One genuine quote's verification, or an error; see `Verifier.verify`."""
    return Verifier(collateral, root).verify(quote, at)
