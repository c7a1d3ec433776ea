"""Where a daemon's HTTP port can be reached: at one address, or at every one of both families."""

import asyncio
import errno
import socket

import pytest

from confcom.errors import PlatformError
from confcom.runtime.http import EVERY_ADDRESS, Answer, HTTPPort

ROUTES = {"/livez": lambda: Answer.verdict(None)}


async def get(host, port):
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answer


async def reached(address, hosts):
    """Which of the hosts answer."""
    port = HTTPPort(ROUTES, address)
    serving = asyncio.create_task(port.serve())
    found = []
    for host in hosts:
        try:
            answer = await get(host, port.port)
        except OSError:
            continue
        assert answer.startswith(b"HTTP/1.1 200")
        found.append(host)
    port.stop()
    await asyncio.wait_for(serving, 30)
    return found


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


NEEDS_IPV6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
HOSTS = ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("0.0.0.0", ["127.0.0.1"]),
        pytest.param("::1", ["::1"], marks=NEEDS_IPV6),
        pytest.param(EVERY_ADDRESS, ["127.0.0.1", "::1"], marks=NEEDS_IPV6),
    ],
)
def test_who_reaches_which_address(address, wanted):
    assert asyncio.run(reached(address, HOSTS)) == wanted


def without_ipv6(monkeypatch):
    """As on a kernel that was started with ipv6.disable=1."""
    real = socket.socket

    class NoIPv6(real):
        def __init__(self, family=-1, *rest, **more):
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *rest, **more)

    monkeypatch.setattr("confcom.runtime.http.socket.socket", NoIPv6)


def test_every_address_is_all_of_ipv4_where_the_kernel_has_no_ipv6(monkeypatch):
    without_ipv6(monkeypatch)
    assert asyncio.run(reached(EVERY_ADDRESS, ["127.0.0.1"])) == ["127.0.0.1"]


def test_an_address_of_ipv6_is_refused_where_the_kernel_has_none(monkeypatch):
    without_ipv6(monkeypatch)
    with pytest.raises(
        PlatformError, match=r"^--http-port: ::1 port 0 cannot be opened: Address family not supported by protocol; "
    ):
        HTTPPort(ROUTES, "::1")


@NEEDS_IPV6
def test_a_port_that_is_taken_in_one_family_is_taken():
    """Two helpers of one node, of which the older listens on IPv4 alone, must not share a port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(
            PlatformError, match=rf"^--http-port: :: port {number} cannot be opened: Address already in use"
        ):
            HTTPPort(ROUTES, EVERY_ADDRESS, (number,))
