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
    return _open_dcap(settings) if settings.kind == "dcap" else _open_simulation(settings)


# A worker needs one backend and should not carry the others.


def _open_simulation(settings: BackendSettings) -> tuple[QuotingBackend, Services]:
    from confcom.quoting.simulation import SimulationBackend  # noqa: PLC0415

    if not settings.simulated_platform:
        raise SettingsError("--simulated-platform: the simulation needs a folder")
    backend = SimulationBackend(
        Path(settings.simulated_platform), cost_ms=settings.quote_cost, wait_ms=settings.quote_wait
    )
    return backend, {Operation.CHECK: backend.check, Operation.SIMULATION: backend.endorsement}


def _open_dcap(settings: BackendSettings) -> tuple[QuotingBackend, Services]:
    from confcom.quoting.dcap import DcapBackend  # noqa: PLC0415
    from confcom.quoting.dcap_library import LibraryPaths  # noqa: PLC0415

    paths = LibraryPaths(qe=settings.qe_path, pce=settings.pce_path, quote_provider=settings.quote_provider_library)
    backend = DcapBackend(
        paths,
        dev_root=Path(settings.dev_root),
        probe_enclave=Path(settings.probe_enclave) if settings.probe_enclave else None,
    )
    return backend, {Operation.CHECK: backend.check}
