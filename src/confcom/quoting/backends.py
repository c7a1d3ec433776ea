"""Which backend a worker opens, and how."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from confcom.errors import SettingsError
from confcom.quoting.backend import QuotingBackend
from confcom.quoting.hop import Operation

# What a worker can do besides quoting: an operation, from its payload to the payload of the answer.
Services = Mapping[int, Callable[[bytes], bytes]]


class BackendSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told at its start, as JSON on its command line; costs in milliseconds."""

    kind: Literal["simulation"]
    simulated_platform: str
    quote_cost: float = 0.0
    quote_wait: float = 0.0
    log_format: str = "text"


def open_backend(settings: BackendSettings) -> tuple[QuotingBackend, Services]:
    """The backend of these settings, and its services.

    Raises:
        ConfcomError: it cannot be had on this machine; the sentence says why.
    """
    # Only a worker needs a backend, and each of them one: the front, which imports this module, stays small.
    from confcom.quoting.simulation import SimulationBackend  # noqa: PLC0415

    if not settings.simulated_platform:
        raise SettingsError("--simulated-platform: the simulation needs a folder")
    backend = SimulationBackend(
        Path(settings.simulated_platform), cost_ms=settings.quote_cost, wait_ms=settings.quote_wait
    )
    return backend, {Operation.CHECK: backend.check, Operation.SIMULATION: backend.endorsement}
