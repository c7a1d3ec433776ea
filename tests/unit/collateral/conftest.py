"""One simulated machine, its quote, its certificate service and a pause that takes no time."""

from datetime import UTC, datetime

import pytest
from pccs_thread import PCCSThread
from scripted_server import ScriptedServer

from confcom.collateral import Limits, Network, Wanted
from confcom.quote import Collateral
from confcom.sgx import DEFAULT_KEY_ID
from confcom.simulation.pccs_tls import make_tls
from confcom.simulation.reports import make_report


class Pauses(list):
    """Stands for sleep: keeps the pauses and takes none."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture(scope="session")
def quote(platform) -> bytes:
    data, _ = platform.get_quote(make_report(platform.target_info()).to_bytes(), DEFAULT_KEY_ID.to_bytes())
    return data


@pytest.fixture(scope="session")
def wanted(quote) -> Wanted:
    return Wanted.for_quote(quote)


@pytest.fixture(scope="session")
def now():
    """The present, since the service signs with the machine's clock."""
    return datetime.now(UTC)


@pytest.fixture(scope="session")
def collateral(platform, now) -> Collateral:
    import msgspec

    return Collateral.from_json(msgspec.json.encode(platform.collateral(now)))


@pytest.fixture(scope="session")
def _pccs(platform):
    service = PCCSThread(platform)
    yield service
    service.stop()


@pytest.fixture
def pccs(_pccs):
    """A healthy service, until the test makes it misbehave."""
    _pccs.misbehave()
    _pccs.requests.clear()
    return _pccs


@pytest.fixture(scope="session")
def _tls_pccs(platform):
    service = PCCSThread(platform, tls=make_tls(datetime.now(UTC)))
    yield service
    service.stop()


@pytest.fixture
def tls_pccs(_tls_pccs):
    _tls_pccs.misbehave()
    return _tls_pccs


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def network(pauses) -> Network:
    """Pauses that are only noted, on a clock that stands: the time that is left is always the whole."""
    return Network(limits=Limits(connect=30, read=30, total=60), pause=pauses, clock=lambda: 0.0)


@pytest.fixture
def scripted():
    """Starts scripted servers, and stops them at the end."""
    servers = []

    def start(*answers):
        servers.append(ScriptedServer(*answers))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
