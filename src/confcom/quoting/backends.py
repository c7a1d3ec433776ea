"""Which backend a worker opens, and how. Only workers import this: it leads to all the cryptography."""

from collections.abc import Callable, Mapping
from pathlib import Path

from confcom.errors import SettingsError
from confcom.quoting.backend import BackendSettings, QuotingBackend
from confcom.quoting.hop import Operation

# What a worker can do besides quoting: an operation, from its payload to the payload of the answer.
Services = Mapping[int, Callable[[bytes], bytes]]


def open_backend(settings: BackendSettings) -> tuple[QuotingBackend, Services]:
    """The backend of these settings, and its services.

    Raises:
        ConfcomError: it cannot be had on this machine; the sentence says why.
    """
    # A worker needs one backend and should not carry the others.
    from confcom.quoting.simulation import SimulationBackend  # noqa: PLC0415

    if not settings.simulated_platform:
        raise SettingsError("--simulated-platform: the simulation needs a folder")
    backend = SimulationBackend(
        Path(settings.simulated_platform), cost_ms=settings.quote_cost, wait_ms=settings.quote_wait
    )
    return backend, {Operation.CHECK: backend.check, Operation.SIMULATION: backend.endorsement}
