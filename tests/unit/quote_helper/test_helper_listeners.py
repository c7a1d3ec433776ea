"""What one turn accepts, and how many wait in the kernel meanwhile."""

import asyncio
import contextlib
import socket
from pathlib import Path

from confcom.quote_helper import seats
from confcom.quote_helper.connection import Origin
from confcom.quote_helper.listeners import Listeners

# More than asyncio's own backlog of 100, and than a turn accepts.
CLIENTS = 400
ACCEPTS_PER_TURN = 64


def nothing(*_):
    pass


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
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            # It would be refused at once where it had to wait.
            client.setblocking(False)
            client.connect(str(short_dir / "aesm.socket"))
        counts = asyncio.run(turns())
    assert counts == [*range(ACCEPTS_PER_TURN, clients, ACCEPTS_PER_TURN), clients]
