"""The simulated certificate service on a loopback port, with dcap-qvl's own client as the judge."""

import asyncio
import socket
import ssl
import time
import urllib.request

import dcap_qvl
import pytest
from pccs_thread import PCCSThread

from confcom.errors import PlatformError
from confcom.simulation.pccs import SimulatedPCCS
from confcom.simulation.pccs_server import PCCSServer
from confcom.simulation.pccs_tls import make_tls
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report


@pytest.fixture(scope="module", params=["processor", "platform"])
def todays(request, tmp_path_factory):
    """A machine of the present: dcap-qvl's client has a clock of its own."""
    return SimulatedPlatform.create(tmp_path_factory.mktemp("todays") / request.param, ca=request.param)


@pytest.fixture
def service(todays):
    running = PCCSThread(todays)
    yield running
    running.stop()


def test_dcap_qvls_client_gets_collateral_that_verifies(service, todays):
    from confcom.sgx import DEFAULT_KEY_ID

    quote, _ = todays.get_quote(make_report(todays.target_info()).to_bytes(), DEFAULT_KEY_ID.to_bytes())

    async def fetched():
        return await dcap_qvl.get_collateral(service.url, quote)

    collateral = asyncio.run(asyncio.wait_for(fetched(), 60))
    report = dcap_qvl.verify_with_root_ca(quote, collateral, todays.root_der, int(time.time()))
    assert (report.status, report.advisory_ids) == ("UpToDate", [])
    asked = [(path.rpartition("/v4/")[2], query) for path, query in service.requests]
    assert asked[0] == ("pckcrl", {"ca": todays.identity.ca, "encoding": "der"})
    assert ("rootcacrl", {}) in asked


def test_tls_with_a_ca_of_its_own(todays, now):
    from datetime import UTC, datetime

    running = PCCSThread(todays, tls=make_tls(datetime.now(UTC)))
    try:
        trusting = ssl.create_default_context(cadata=running.tls.ca_pem.decode())
        trusting.verify_flags |= ssl.VERIFY_X509_STRICT
        with urllib.request.urlopen(f"{running.url}/rootcacrl", timeout=30, context=trusting) as answer:
            assert answer.read()[:2] == b"30"
        with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
            urllib.request.urlopen(f"{running.url}/rootcacrl", timeout=30, context=ssl.create_default_context())
    finally:
        running.stop()


def test_a_port_that_is_taken(todays, now):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PlatformError) as failed:
            PCCSServer(SimulatedPCCS(todays), lambda: now, port=port)
    assert str(failed.value) == (
        f"--port: 127.0.0.1 port {port} cannot be opened: Address already in use; name another, or 0 for any free one"
    )


def test_it_stops_while_a_client_waits_for_an_answer_that_never_comes(todays):
    running = PCCSThread(todays)
    running.misbehave("silent")
    with socket.create_connection(("127.0.0.1", int(running.origin.rpartition(":")[2])), timeout=30) as waiting:
        waiting.sendall(b"GET /sgx/certification/v4/rootcacrl HTTP/1.1\r\nHost: x\r\n\r\n")
        end = time.monotonic() + 30
        while not running.requests:
            assert time.monotonic() < end
            time.sleep(0.01)
        running.stop()
