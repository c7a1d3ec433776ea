"""The fair queue: one bounded queue per origin, one request in turn, an origin that was idle goes first."""

from collections import deque
from typing import Generic, Protocol, TypeVar

# Requests of one origin that wait for a quote; the next one is answered BUSY. At 7 ms a quote and one worker the last
# of them is answered just within the 15 s of a client's patience; what is slower than that, the deadline answers.
MAX_QUEUED_PER_ORIGIN = 2048


class Queueable(Protocol):
    """What the ring holds: it knows whether its client is still there."""

    @property
    def gone(self) -> bool:
        """Whether nobody waits for the answer any more."""


Q = TypeVar("Q", bound=Queueable)


class Ring(Generic[Q]):
    """Round robin over origins.

    An origin is *new* when its turn came up empty, and then its next request goes first. So a quiet origin waits for
    one request of the others, not for one of each; and two quiet ones that alternate cannot starve a third.

    Attributes:
        dropped: how many requests cost no quote since their client had gone.
    """

    def __init__(self, bound: int = MAX_QUEUED_PER_ORIGIN) -> None:
        self._bound = bound
        self._turns: deque[str] = deque()
        self._queues: dict[str, deque[Q]] = {}
        self._length = 0
        self.dropped = 0

    def __len__(self) -> int:
        """Requests that wait, those whose client has gone in the meantime included."""
        return self._length

    def length_of(self, origin: str) -> int:
        """Requests of one origin that wait."""
        return len(self._queues.get(origin, ()))

    def put(self, origin: str, item: Q) -> bool:
        """Queues a request; False if the origin's queue is full."""
        queue = self._queues.get(origin)
        if queue is None:
            queue = self._queues[origin] = deque()
            self._turns.appendleft(origin)
        if len(queue) >= self._bound:
            return False
        queue.append(item)
        self._length += 1
        return True

    def get(self) -> Q | None:
        """The next request in turn whose client is still there."""
        while self._turns:
            origin = self._turns.popleft()
            queue = self._queues[origin]
            if not queue:
                del self._queues[origin]
                continue
            # It keeps its place even if its queue is now empty: it becomes new only by a turn that finds nothing.
            self._turns.append(origin)
            item = queue.popleft()
            self._length -= 1
            if not item.gone:
                return item
            self.dropped += 1
        return None

    def remove_gone(self) -> int:
        """Takes out the requests whose client has gone, and says how many; the others keep their places."""
        before = self._length
        for origin, queue in self._queues.items():
            if any(item.gone for item in queue):
                kept = self._queues[origin] = deque(item for item in queue if not item.gone)
                self._length -= len(queue) - len(kept)
        return before - self._length
