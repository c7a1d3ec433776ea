"""The way to certificate services, as a value: bounds, CAs and proxy."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from confcom.collateral.limits import Limits

if TYPE_CHECKING:
    from confcom.collateral.session import Session


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

    def session(self, url: str) -> "Session":
        """A session with the host of `url`, whose total deadline begins now.

        Raises:
            InputError: the CA file or the proxy cannot be used.
        """
        # The HTTP client takes a tenth of a second to load, which no verb that fetches nothing should pay.
        from confcom.collateral.session import Session  # noqa: PLC0415

        return Session(self, url)
