"""The front: it answers what needs no QE, queues the rest fairly, and gets every request answered in time."""

import asyncio
import bisect
import time
from collections import Counter
from dataclasses import dataclass, field

from confcom.aesm import messages as m
from confcom.codes import AESM
from confcom.quote_helper import service
from confcom.quote_helper.connection import Client
from confcom.quote_helper.listeners import REQUEST_SECONDS, SWEEP_SECONDS, Listeners
from confcom.quote_helper.ring import MAX_QUEUED_PER_ORIGIN, Ring
from confcom.quote_helper.unread import USUAL_ANSWER_BYTES
from confcom.quoting.backend import BackendSettings, KeyReport
from confcom.quoting.hop import pack_quote, split_quote
from confcom.quoting.pool import Pool
from confcom.runtime.http import MAX_CONNECTIONS as HTTP_CONNECTIONS

# Buckets of the two histograms, in seconds.
TIME_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0)
# When the helper stops, a client in the middle of its request has so long to send the rest.
HALF_FRAME_SECONDS = 1.0

# The socketpair, both of whose ends are open while a worker starts, and the pipes of starting it.
DESCRIPTORS_PER_WORKER = 6


@dataclass(slots=True)
class Histogram:
    """Counts of times by bucket; the last one is beyond all bounds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(TIME_BUCKETS) + 1))
    total: float = 0.0

    def note(self, seconds: float) -> None:
        """Counts one time."""
        self.counts[bisect.bisect_left(TIME_BUCKETS, seconds)] += 1
        self.total += seconds


class Front:
    """Connects the listeners, the fair queue and the workers.

    Attributes:
        requests: answers by (request type, origin kind, AESM code).
        last_causes: the last cause in words of each AESM code that a backend answered, with its wall-clock time.
    """

    def __init__(self, backend: BackendSettings, workers: int, *, hang_seconds: float, sockets: int = 1) -> None:
        """Prepares `workers` workers of a backend; `sockets` is how many paths will be listened on."""
        reserved = sockets + workers * DESCRIPTORS_PER_WORKER + HTTP_CONNECTIONS
        self.listeners = Listeners(self._request, self._quoted, self._dispatch, reserved=reserved)
        # Half of an origin's connections may wait for quotes, and a quarter for the key; the rest are answered BUSY,
        # and so never locked out.
        self.ring: Ring[Client] = Ring(min(MAX_QUEUED_PER_ORIGIN, self.listeners.per_origin // 2))
        self._for_key: Ring[Client] = Ring(min(MAX_QUEUED_PER_ORIGIN, self.listeners.per_origin // 4))
        self.pool = Pool(
            backend,
            workers,
            hang_seconds=hang_seconds,
            watch=self.listeners.watch,
            unwatch=self.listeners.unwatch,
            on_key=self._key_changed,
            on_failure=self._failed,
        )
        self.key: KeyReport | None = None
        # Since when no worker is ready that had been, by the monotonic clock.
        self.workerless_since: float | None = None
        self.key_seen = asyncio.Event()
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.unparsable = 0
        self.waits = Histogram()
        self.queue_waits = Histogram()
        self.last_causes: dict[int, tuple[str, float]] = {}
        self._refresh: asyncio.Task[None] | None = None
        self._refreshed: KeyReport | None = None
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def start(self) -> None:
        """Starts the workers."""
        self.pool.start()

    async def close(self) -> None:
        """Ends the workers and closes every connection."""
        self._timer.cancel()
        await self.pool.stop()
        self.listeners.close()

    async def drained(self, deadline: float) -> bool:
        """Waits until every request that was accepted is answered; False if the deadline (monotonic) comes first.

        A request that is not whole yet is waited for a moment only: it may belong to a client that stalls.
        """
        patience = time.monotonic() + HALF_FRAME_SECONDS
        while self.listeners.waiting or (self.listeners.clients and time.monotonic() < patience):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    # --- requests -----------------------------------------------------------------------------------------------------

    def _request(self, client: Client, body: bytes) -> None:
        request = service.parse(body)
        if request is None:
            self.unparsable += 1
            client.close()
            return
        client.request = request
        response = service.respond(request)
        if response is not None:
            self._send(client, response)
        elif isinstance(request, m.GetQuoteExRequest):
            self._queue(client, request)
        elif self.key is not None:
            self._send(client, self._from_key(request, self.key))
        elif self._for_key.put(client.origin.name, client):
            self._refresh_key()
        else:
            self._refuse(client, AESM.BUSY)

    def _queue(self, client: Client, request: m.GetQuoteExRequest) -> None:
        if self.key is not None and (request.buf_size or 0) < self.key.quote_size:
            # Sizes come before the report, as on hardware, and cost no quote.
            self._refuse(client, AESM.PARAMETER)
            return
        client.payload = pack_quote(request.report or b"", request.att_key_id or b"", request.qe_report_info)
        if not self.ring.put(client.origin.name, client):
            self._refuse(client, AESM.BUSY)

    def _quoted(self, client: Client, code: int, payload: bytes) -> None:
        request = client.request
        if not isinstance(request, m.GetQuoteExRequest):
            return
        self.waits.note(time.monotonic() - client.since)
        is_large = (request.buf_size or 0) > USUAL_ANSWER_BYTES
        if code:
            if code == AESM.ATT_KEY_NOT_INITIALIZED:
                self._refresh_key()
            self._refuse(client, code)
        elif is_large and not self.listeners.unread.has_room():
            self._refuse(client, AESM.OUT_OF_MEMORY)
        else:
            quote, info = split_quote(payload, with_info=request.qe_report_info is not None)
            self._send(client, service.answer_quote(request, quote, info), is_large=is_large)

    @staticmethod
    def _from_key(request: m.Message, key: KeyReport) -> m.Response:
        if isinstance(request, m.InitQuoteExRequest):
            return service.answer_init(key)
        return service.answer_size(key)

    def _refuse(self, client: Client, code: int) -> None:
        if client.request is not None:
            self._send(client, service.refuse(client.request, code))

    def _send(self, client: Client, response: m.Response, *, is_large: bool = False) -> None:
        self.requests[type(response).__name__, client.origin.kind, response.error_code] += 1
        client.send(response, is_large=is_large)

    def _dispatch(self) -> None:
        self.pool.dispatch(self)

    def __len__(self) -> int:
        """Requests that wait for a worker (`quoting.pool.Source`)."""
        return len(self.ring)

    def get(self) -> Client | None:
        """The next request for a worker (`quoting.pool.Source`)."""
        client = self.ring.get()
        if client is not None:
            client.is_given = True
            self.queue_waits.note(time.monotonic() - client.since)
        return client

    # --- the key ------------------------------------------------------------------------------------------------------

    def _key_changed(self, key: KeyReport | None) -> None:
        self.workerless_since = None if key is not None else self.workerless_since or time.monotonic()
        if key is None:
            # The answers stay right while no worker lives, but what follows them (a quote) cannot be had.
            self.key = self._refreshed = None
            return
        if self._refresh is None:
            self._publish_key(key)
        else:
            # Not before every worker is refreshed: the quote that follows may go to any of them.
            self._refreshed = key

    def _publish_key(self, key: KeyReport) -> None:
        self.key = key
        self.key_seen.set()
        while (client := self._for_key.get()) is not None:
            if client.request is not None:
                self._send(client, self._from_key(client.request, key))

    def _refresh_key(self) -> None:
        """The key or its certificate has changed: the cached answers are void until a worker has made them anew.

        All who ask in the meantime wait for one answer. Without a worker they wait for the next one's key.
        """
        if self._refresh is None and self.pool.ready_workers:
            self.key = self._refreshed = None
            self._refresh = self._loop.create_task(self._refresh_once(), name="key-refresh")

    async def _refresh_once(self) -> None:
        try:
            code = await self.pool.refresh()
        except TimeoutError:
            code = AESM.SERVICE_UNAVAILABLE
        self._refresh = None
        if self._refreshed is not None:
            self._publish_key(self._refreshed)
        elif code:
            while (client := self._for_key.get()) is not None:
                self._refuse(client, code)

    def _failed(self, code: int, cause: str) -> None:
        self.last_causes[code] = (cause, time.time())

    # --- deadlines ----------------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        # Before the late ones are answered, which closes them too.
        self.ring.dropped += self.ring.remove_gone()
        late = time.monotonic() - REQUEST_SECONDS
        # Busy where quotes are made but not fast enough, unavailable where there is nobody to make them.
        code = AESM.BUSY if self.pool.ready_workers else AESM.SERVICE_UNAVAILABLE
        for client in list(self.listeners.clients.values()):
            if client.frame is None and client.since < late:
                self._refuse(client, code)
        for queue in (self.ring, self._for_key):
            queue.remove_gone()
        self._dispatch()
