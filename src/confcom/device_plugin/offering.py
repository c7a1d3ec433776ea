"""The live state of one offered resource: its list of this moment, who reads it, and what happened to it so far."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from confcom.device_plugin.inventory import Offer

# A list that the kubelet refuses ends the stream some milliseconds after it was sent; a stream that has lasted this
# long was taken.
SETTLED_SECONDS = 1.0


class Offering:
    """What one resource tells the kubelet; `None` as its list means that nothing can be offered at the moment.

    All methods belong to one event loop.
    """

    def __init__(self, offer: Offer, clock: Callable[[], float] = time.monotonic) -> None:
        self.offer = offer
        self.clock = clock
        self.registrations = 0
        self.allocations = 0
        self.refused_allocations = 0
        # Units given out since the start; nobody tells when they come back.
        self.allocated_units = 0
        # The list is over what the kubelet takes.
        self.oversize = False
        self.healthy = 0
        # Why nothing is registered at the moment, in words.
        self.problem: str | None = None
        self.last_list_at: float | None = None
        self._registered = False
        self._stream_since: float | None = None
        self._devices: bytes | None = None
        self._changed = asyncio.Event()

    @property
    def devices(self) -> bytes | None:
        """The list, as the bytes of a `ListAndWatchResponse`."""
        return self._devices

    def publish(self, devices: bytes, healthy: int) -> None:
        """Offers this list, `healthy` devices of which are healthy, from now on."""
        if devices == self._devices:
            return
        self._devices, self.healthy = devices, healthy
        self.wake()

    def withdraw(self, why: str) -> None:
        """Offers nothing until the next `publish`: streams end, which costs the kubelet nothing."""
        self.problem = why
        if self._devices is None:
            return
        self._devices, self.healthy = None, 0
        self.wake()

    def wake(self) -> None:
        """Makes everyone who waits for a change look again."""
        event, self._changed = self._changed, asyncio.Event()
        event.set()

    async def until(self, *, offered: bool) -> None:
        """Returns when there is a list, or when there is none."""
        while (self._devices is not None) is not offered:
            await self._changed.wait()

    async def lists(self, closing: asyncio.Event) -> AsyncIterator[bytes]:
        """The list of now and each later one, until it is withdrawn or `closing` is set (and `wake` called)."""
        seen = None
        while not closing.is_set() and (devices := self._devices) is not None:
            if devices is seen:
                await self._changed.wait()
                continue
            seen = devices
            self.last_list_at = self.clock()
            yield devices

    def stream_opened(self) -> None:
        """The kubelet reads the list."""
        self._stream_since = self.clock()

    def stream_ended(self) -> None:
        """The kubelet reads no longer."""
        self._stream_since = None

    def registered(self, problem: str | None = None) -> None:
        """The kubelet took the registration."""
        self.registrations += 1
        self._registered = True
        self.problem = problem

    def unregistered(self, why: str) -> None:
        """The registration holds no more, or could not be had."""
        self._registered = False
        self.problem = why

    @property
    def is_registered(self) -> bool:
        """Whether the kubelet has this resource: registered, and the list taken."""
        return self._registered and self.stream_seconds >= SETTLED_SECONDS

    @property
    def stream_seconds(self) -> float:
        """How long the kubelet has been reading."""
        return 0.0 if self._stream_since is None else self.clock() - self._stream_since
