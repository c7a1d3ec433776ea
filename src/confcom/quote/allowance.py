"""What a verification lets pass beside the exact windows: clocks that differ, and collateral past its nextUpdate.

Neither touches what is revoked: a certificate that an expired CRL lists stays revoked.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from confcom.errors import InputError
from confcom.quote.times import Window, format_time, span

# Clocks of verifiers and certificate services differ by seconds where NTP runs; five minutes is what Kerberos
# allows too.
DEFAULT_CLOCK_SLACK = timedelta(minutes=5)
# More than a day is no clock that differs, but a wrong one.
MAX_CLOCK_SLACK = timedelta(days=1)
# Root CA CRLs live a year; what is older says nothing any more.
MAX_GRACE = timedelta(days=366)
# Behind it there is no date, and collateral may end as late.
_LAST_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """How far outside of a window a time may lie; by default not at all.

    Attributes:
        clock_slack: how long before its start anything may be used, since the verifier's clock may be behind.
        grace: how long beyond its nextUpdate collateral may be used (CRLs, TCB info, QE identity; never a certificate).
    """

    clock_slack: timedelta = timedelta()
    grace: timedelta = timedelta()

    def __post_init__(self) -> None:
        """Refuses spans that are no allowance.

        Raises:
            InputError: a span is negative, or too long.
        """
        for name, found, most in (
            ("clock_slack", self.clock_slack, MAX_CLOCK_SLACK),
            ("grace", self.grace, MAX_GRACE),
        ):
            if not timedelta() <= found <= most:
                raise InputError(f"policy: {name} must be 0 to {span(most)}")

    def problem(self, window: Window, at: datetime) -> str | None:
        """Why `window` does not hold at `at` even so, in words, or None."""
        return window.problem(at) if not self._covers(window, at) else None

    def warning(self, window: Window, at: datetime) -> str | None:
        """What a person should know where `window` holds only by this allowance, or None."""
        problem = window.problem(at)
        if problem is None or not self._covers(window, at):
            return None
        if at < window.start:
            return f"{problem}; accepted by the clock slack of {span(self.clock_slack)}"
        until = format_time(window.end + min(self.grace, _LAST_TIME - window.end))
        return f"{problem}; accepted by the grace of {span(self.grace)}, which ends at {until}"

    def _covers(self, window: Window, at: datetime) -> bool:
        grace = self.grace if window.renewable else timedelta()
        return window.start - at <= self.clock_slack and at - window.end <= grace


# Windows are taken exactly.
EXACT = Allowance()
