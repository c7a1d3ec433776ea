"""How long and how much a certificate service is trusted to answer: every bound in one value."""

import time
from collections.abc import Callable
from dataclasses import dataclass

# The largest real part, the platform CA's PCK CRL, has about 3 kB; with an entry of 50 bytes each there is room for
# 20,000 revocations.
MAX_BODY_BYTES = 1024 * 1024
# A redirect within one host is a service's own business; a chain of them is a loop.
MAX_REDIRECTS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Deadlines in seconds. `total` covers one collateral with all its parts, retries and pauses."""

    connect: float = 5.0
    # A PCCS in lazy mode asks Intel before it answers.
    read: float = 15.0
    total: float = 60.0
    attempts: int = 4
    # Doubles after each attempt.
    first_pause: float = 0.5
    body_bytes: int = MAX_BODY_BYTES


class Deadline:
    """A point of a monotonic clock that no wait goes beyond."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._ends = clock() + seconds

    @property
    def left(self) -> float:
        """The seconds that are left, never under zero."""
        return max(0.0, self._ends - self._clock())
