"""Every AESM connection in one epoll set, which is itself one reader of the asyncio loop.

Measured against asyncio's streams this is twice the quotes and half the memory, and the only way to tell a client that
has gone (EPOLLHUP) from one that half-closed its side and still reads. A stalled client costs a descriptor and a few
bytes until it is reaped, and never delays another.
"""

import asyncio
import contextlib
import logging
import os
import resource
import select
import time
from collections import Counter, deque
from collections.abc import Callable

from confcom.aesm.framing import HEADER_BYTES, MAX_REQUEST_BYTES
from confcom.errors import PlatformError
from confcom.quote_helper.connection import Client, Origin
from confcom.quote_helper.unread import UnreadAnswers

logger = logging.getLogger(__name__)

# Connections that wait in the kernel; Intel's server has 32, and clients beyond that block in connect for ever.
BACKLOG = 4096
# One wake-up accepts no more than this, so that answers are not late by a thousand accepts.
ACCEPTS_PER_TURN = 64
EVENTS_PER_TURN = 256
# Connections at once, for all origins and for one; a process needs some descriptors besides. Where the limit of open
# files allows fewer, one origin gets this share of them, so that the others are never locked out.
MAX_CONNECTIONS = 16384
MAX_CONNECTIONS_PER_ORIGIN = 8192
ORIGIN_SHARE = 0.75
SPARE_DESCRIPTORS = 64
# With fewer connections than this a helper would be of no use.
MIN_CONNECTIONS = 32
# A client sends its request in one or two writes; one that has not done so by now is stuck or hostile.
FRAME_SECONDS = 5.0
# A full origin gives up connections without a whole request that are older than this, before it lets new ones wait.
PRESSED_FRAME_SECONDS = 0.5
# Under the 15 s after which Intel's client gives up, with room for the way back.
REQUEST_SECONDS = 14.0
# Only a client that waits longer than this is watched for leaving, since watching it costs as much as reading from it.
UNWATCHED_SECONDS = 0.002
# How long accepting pauses when there is no descriptor; a closed connection does not wake it.
PAUSE_SECONDS = 0.02
SWEEP_SECONDS = 0.25

# No known client sends a larger request, and parts of larger ones are kept of so many clients at once: thousands, each
# held just before its end, would be more memory than a helper is given.
USUAL_REQUEST_BYTES = 8 * 1024
MAX_LARGE_REQUESTS = 256

# Edge-triggered: a half-closed client would otherwise wake the loop for ever.
_CLIENT_EVENTS = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
# Nearly every request fits into the first read; only where it is full is there a second, of all that may come.
_FIRST_READ_BYTES = 4096
_READ_BYTES = HEADER_BYTES + MAX_REQUEST_BYTES + 1


class Listeners:
    """The connections of all origins."""

    def __init__(
        self,
        service: Callable[[Client, bytes], None],
        on_answer: Callable[[Client, int, bytes], None],
        after_batch: Callable[[], None],
        *,
        reserved: int = 0,
    ) -> None:
        """`service` gets each whole frame's body; `after_batch` runs once after each batch of events.

        `on_answer` gets what a worker answered to a client that is still there, an AESM code and a payload. `reserved`
        descriptors are kept for listening sockets and workers.

        Raises:
            PlatformError: the limit of open files leaves too few for clients.
        """
        self._service = service
        self.on_answer = on_answer
        self._after_batch = after_batch
        self._epoll = select.epoll()
        self._origins: dict[int, Origin] = {}
        self._watched: dict[int, Callable[[], None]] = {}
        self.clients: dict[int, Client] = {}
        # Clients with a whole request, by their age, whose leaving is not watched yet.
        self._unwatched: deque[Client] = deque()
        # Clients with a part of a request that is larger than usual.
        self._large: set[Client] = set()
        self.counts: Counter[str] = Counter()
        self._limit = _connection_limit(SPARE_DESCRIPTORS + reserved)
        self.per_origin = min(MAX_CONNECTIONS_PER_ORIGIN, int(self._limit * ORIGIN_SHARE))
        self.unread = UnreadAnswers(self.per_origin // 4)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._epoll.fileno(), self._ready)
        self._sweep_timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    # --- what is watched ----------------------------------------------------------------------------------------------

    def add(self, origin: Origin) -> None:
        """Begins to accept connections of an origin."""
        origin.listener.setblocking(False)
        self._origins[origin.listener.fileno()] = origin
        self._epoll.register(origin.listener.fileno(), select.EPOLLIN)

    def remove(self, origin: Origin) -> None:
        """Accepts what an origin's backlog holds, and then no more; its clients keep their connections.

        Also beyond the origin's share, since whoever is left in the backlog is cut off.
        """
        fd = origin.listener.fileno()
        if self._origins.get(fd) is not origin:
            return
        while not self._is_at_limit() and self._accept_one(origin):
            pass
        self._after_batch()
        del self._origins[fd]
        self._epoll.unregister(fd)
        origin.listener.close()

    def watch(self, fd: int, on_readable: Callable[[], None]) -> None:
        """Calls back when a descriptor (a worker's) can be read, within the same batches as the clients."""
        self._watched[fd] = on_readable
        self._epoll.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        """Ends `watch`."""
        if self._watched.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def close(self) -> None:
        """Closes everything; whoever still waits is cut off."""
        self._sweep_timer.cancel()
        self._loop.remove_reader(self._epoll.fileno())
        for origin in list(self._origins.values()):
            origin.listener.close()
        self._origins.clear()
        for client in list(self.clients.values()):
            client.close()
        self.unread.close_all()
        self._epoll.close()

    @property
    def waiting(self) -> int:
        """Clients whose request was read and not yet answered."""
        return sum(client.frame is None for client in self.clients.values())

    def forget(self, client: Client) -> None:
        """Takes a client that is about to be closed out of the tables."""
        del self.clients[client.fd]
        client.origin.connections -= 1
        self._large.discard(client)

    def keep_unread(self, client: Client) -> None:
        """Takes over a client's connection, on which a large answer was sent."""
        self.forget(client)
        self.unread.add(client)

    # --- events -------------------------------------------------------------------------------------------------------

    def _ready(self) -> None:
        self._handle_events()
        if self._watch_waiting():
            # Who left before being watched is found now, before the request costs a quote.
            self._handle_events()
        self._after_batch()

    def _handle_events(self) -> None:
        arrivals = []
        for fd, events in self._epoll.poll(0, EVENTS_PER_TURN):
            client = self.clients.get(fd)
            if client is not None:
                self._event(client, events)
            elif on_readable := self._watched.get(fd):
                on_readable()
            elif origin := self._origins.get(fd):
                arrivals.append(origin)
        # Accepted last: a new client may get the descriptor of one that was closed in this batch, and must not get its
        # events too.
        for origin in arrivals:
            self._accept(origin)

    def _watch_waiting(self) -> bool:
        """Begins to watch the clients that have waited for a while; whether there were any."""
        found = False
        late = time.monotonic() - UNWATCHED_SECONDS
        waiting = self._unwatched
        while waiting and (waiting[0].since < late or waiting[0].gone or waiting[0].is_given):
            client = waiting.popleft()
            if not client.gone and not client.is_given:
                self._epoll.register(client.fd, _CLIENT_EVENTS)
                found = True
        return found

    def _event(self, client: Client, events: int) -> None:
        if client.is_reading:
            self._read(client)
            if events & select.EPOLLRDHUP and client.is_reading:
                # The end of its requests came with the last piece: the rest will never come.
                self._read(client)
        # Both directions are closed: nobody reads the answer. A half-close is not HUP.
        if events & select.EPOLLHUP and not client.gone:
            self.counts["left"] += 1
            client.close()

    def _accept(self, origin: Origin) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            if self._is_full(origin):
                self.counts["pressed"] += 1
                self._reap(PRESSED_FRAME_SECONDS)
                if self._is_full(origin):
                    self._pause(origin)
                    return
            if not self._accept_one(origin):
                return

    def _is_full(self, origin: Origin) -> bool:
        return origin.connections >= self.per_origin or self._is_at_limit()

    def _is_at_limit(self) -> bool:
        return len(self.clients) + len(self.unread) >= self._limit

    def _accept_one(self, origin: Origin) -> bool:
        try:
            fd = origin.listener.accept_descriptor()
        except BlockingIOError:
            return False
        except OSError:
            # EMFILE and its kin: the rest waits in the backlog.
            self.counts["accept_failed"] += 1
            self._pause(origin)
            return False
        os.set_blocking(fd, False)
        client = self.clients[fd] = Client(fd, origin, self)
        origin.connections += 1
        self.counts["accepted"] += 1
        # Mostly the request is there already, and is answered or queued at once.
        self._read(client)
        if client.is_reading:
            self._epoll.register(fd, _CLIENT_EVENTS)
        elif not client.gone:
            self._unwatched.append(client)
        return True

    def _pause(self, origin: Origin) -> None:
        # The listener is level-triggered: without the pause it would wake the loop without end.
        if not origin.paused:
            origin.paused = True
            self._epoll.modify(origin.listener.fileno(), 0)
            self._loop.call_later(PAUSE_SECONDS, self._resume, origin)

    def _resume(self, origin: Origin) -> None:
        origin.paused = False
        if self._origins.get(origin.listener.fileno()) is origin:
            self._epoll.modify(origin.listener.fileno(), select.EPOLLIN)

    def _read(self, client: Client) -> None:
        try:
            data = _receive(client.fd)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.counts["left"] += 1
            client.close()
            return
        frame = client.frame + data if client.frame else data
        client.frame = frame
        if len(frame) < HEADER_BYTES:
            return
        size = int.from_bytes(frame[:HEADER_BYTES], "little")
        if size > MAX_REQUEST_BYTES:
            self.counts["oversized"] += 1
            client.close()
        elif len(frame) >= HEADER_BYTES + size:
            client.frame = None
            self._serve(client, frame[HEADER_BYTES : HEADER_BYTES + size])
        elif size > USUAL_REQUEST_BYTES and not self._may_be_large(client):
            self.counts["oversized"] += 1
            client.close()

    def _may_be_large(self, client: Client) -> bool:
        if len(self._large) < MAX_LARGE_REQUESTS:
            self._large.add(client)
        return client in self._large

    def _serve(self, client: Client, body: bytes) -> None:
        try:
            self._service(client, body)
        except Exception:
            # Our own fault, whatever was sent; the others of this batch must not pay for it.
            logger.exception("a request could not be served")
            client.close()

    # --- deadlines ----------------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        self._sweep_timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        self._reap(FRAME_SECONDS)
        self.unread.close_read()
        self._watch_waiting()

    def _reap(self, frame_seconds: float) -> None:
        oldest = time.monotonic() - frame_seconds
        for client in list(self.clients.values()):
            if client.frame is not None and client.since < oldest:
                self.counts["stalled"] += 1
                client.close()


def _receive(fd: int) -> bytes:
    """All that there is to read, up to a little over the largest frame: an edge tells only once that there is more."""
    data = os.read(fd, _FIRST_READ_BYTES)
    if len(data) == _FIRST_READ_BYTES:
        with contextlib.suppress(OSError):
            data += os.read(fd, _READ_BYTES)
    return data


def _connection_limit(reserved: int) -> int:
    """Raises the limit of open files as far as it may be, and returns how many connections it leaves room for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + reserved
    limit = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if limit < MIN_CONNECTIONS + reserved:
        raise PlatformError(
            f"the limit of open files is {limit}: raise it (ulimit -n, LimitNOFILE) to {MIN_CONNECTIONS + reserved} "
            "at the least; an ordinary node allows hundreds of thousands"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit - reserved
