"""What one turn accepts, and how many wait in the kernel meanwhile."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from confcom.quote_helper import seats
from confcom.quote_helper.connection import Origin
from confcom.quote_helper.listeners import PRESSED_FRAME_SECONDS, Listeners

# More than asyncio's own backlog of 100, and than a turn accepts.
CLIENTS = 400
ACCEPTS_PER_TURN = 64


def nothing(*_):
    pass


def connect(path):
    client = socket.socket(socket.AF_UNIX)
    # It would be refused at once where it had to wait.
    client.setblocking(False)
    client.connect(str(path))
    return client


@pytest.mark.usefixtures("many_files")
def test_clients_that_come_at_once_wait_in_the_kernel_and_are_accepted_some_in_a_turn(short_dir):
    clients = min(CLIENTS, int(Path("/proc/sys/net/core/somaxconn").read_text()))

    async def turns():
        listeners = Listeners(nothing, nothing, nothing)
        origin = Origin("shared", "shared", listener)
        listeners.add(origin)
        found = []
        while len(listeners.clients) < clients:
            listeners._accept(origin)
            found.append(len(listeners.clients))
        listeners.close()
        return found

    with contextlib.ExitStack() as stack:
        listener, _ = seats._bind(short_dir / "aesm.socket", nothing)
        stack.callback(listener.close)
        for _ in range(clients):
            stack.enter_context(connect(short_dir / "aesm.socket"))
        counts = asyncio.run(turns())
    assert counts == [*range(ACCEPTS_PER_TURN, clients, ACCEPTS_PER_TURN), clients]


def test_newcomer_to_a_full_socket_takes_the_place_of_those_who_only_hold_one(short_dir):
    async def scenario():
        listeners = Listeners(nothing, nothing, nothing)
        listeners.per_origin = 2
        origin = Origin("shared", "shared", seats._bind(short_dir / "aesm.socket", nothing)[0])
        listeners.add(origin)
        with connect(short_dir / "aesm.socket") as slow, connect(short_dir / "aesm.socket") as idle:
            listeners._accept(origin)
            old, young = listeners.clients.values()
            old.since -= PRESSED_FRAME_SECONDS + 0.1
            # However long this machine takes for the next lines.
            young.since += 3600
            with connect(short_dir / "aesm.socket"), connect(short_dir / "aesm.socket"):
                listeners._accept(origin)
                # One place was made; whoever came a moment ago keeps his, and the rest wait in the kernel.
                assert slow.recv(1) == b""
                with pytest.raises(BlockingIOError):
                    idle.recv(1)
                assert (origin.connections, origin.paused) == (2, True)
        listeners.close()

    asyncio.run(scenario())
