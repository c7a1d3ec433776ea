"""The way to certificate services, as a value: bounds, CAs and proxy. `session` goes it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from confcom.collateral.limits import Limits


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """The way to a service. `proxy` is a URL; without it the environment's proxies count, save for hosts nearby.

    `ca_file` holds the PEM of CAs that are trusted beside the system's. Clock and pause are for tests.
    """

    limits: Limits = field(default_factory=Limits)
    ca_file: Path | None = None
    proxy: str | None = None
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
