"""Whether the quote helper answers on each slot's socket.

A slot is healthy from the first answer on, and unhealthy only after several misses in a row: a helper that is replaced
is away for moments, and a flap fails the pods that were just bound to a slot.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from confcom.aesm.client import AsyncClient
from confcom.errors import ConfcomError

# An answer to this question needs no quoting enclave; the helper gives it at once.
PROBE_TIMEOUT_SECONDS = 3.0
HEALTHY_INTERVAL_SECONDS = 5.0
# A missing socket costs one refused connect, and pods wait for it.
UNHEALTHY_INTERVAL_SECONDS = 1.0
MISSES_UNTIL_UNHEALTHY = 3

Probe = Callable[[Path], Awaitable[None]]


async def ask_helper(path: Path) -> None:
    """One AESM transaction on the socket, the cheapest there is.

    Raises:
        ConfcomError: no answer, or none that is the protocol.
    """
    await AsyncClient(str(path), PROBE_TIMEOUT_SECONDS).get_supported_att_key_id_num()


class SlotHealth:
    """The health of one slot, told by the results of its probes."""

    def __init__(self) -> None:
        self.healthy = False
        self._misses = 0

    def answered(self) -> None:
        """The helper answered: healthy from now on."""
        self.healthy, self._misses = True, 0

    def missed(self) -> None:
        """The helper did not answer."""
        self._misses += 1
        if self._misses >= MISSES_UNTIL_UNHEALTHY:
            self.healthy = False

    @property
    def interval(self) -> float:
        """Seconds until the next probe: soon where the last one was a miss, or the slot waits for a helper."""
        return HEALTHY_INTERVAL_SECONDS if self.healthy and not self._misses else UNHEALTHY_INTERVAL_SECONDS


class SlotWatch:
    """Probes every slot for ever, each at its own pace, and tells `changed` when a slot's health is another."""

    def __init__(self, sockets: Iterable[tuple[str, Path]], changed: Callable[[], None], probe: Probe) -> None:
        self._sockets = dict(sockets)
        self._changed = changed
        self._probe = probe
        self._slots = {slot_id: SlotHealth() for slot_id in self._sockets}

    @property
    def health(self) -> dict[str, bool]:
        """Each slot's id and whether it is healthy."""
        return {slot_id: slot.healthy for slot_id, slot in self._slots.items()}

    async def run(self) -> None:
        """Probes until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for slot_id, path in self._sockets.items():
                tasks.create_task(self._watch(self._slots[slot_id], path), name=f"slot {slot_id}")

    async def _watch(self, slot: SlotHealth, path: Path) -> None:
        while True:
            before = slot.healthy
            try:
                await self._probe(path)
            except ConfcomError:
                slot.missed()
            else:
                slot.answered()
            if slot.healthy != before:
                self._changed()
            await asyncio.sleep(slot.interval)
