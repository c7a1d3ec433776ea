"""The books of the kubelet's device manager, without its sockets: which devices exist, are healthy, are taken.

The rules are those of Kubernetes 1.36: each list replaces the one before; only the word `Healthy` is healthy; the end
of a plugin's stream takes allocatable to 0 and leaves capacity for five minutes; after a restart the allocations of
the checkpoint count as taken, whether or not their ids are listed again.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from confcom.errors import KubeletError
from confcom.kubelet.contract import HEALTHY

# How long the kubelet goes on counting the capacity of a plugin whose stream has ended.
STOP_GRACE_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """One container of one pod, as the kubelet names it."""

    namespace: str
    pod: str
    name: str


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """The devices of one resource that one container holds, and the plugin's answer for them as bytes."""

    namespace: str
    pod: str
    container: str
    resource: str
    device_ids: tuple[str, ...]
    response: bytes

    @property
    def holder(self) -> Container:
        """Whose devices they are."""
        return Container(namespace=self.namespace, pod=self.pod, name=self.container)


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What survives a restart: the ids that were registered, and the allocations."""

    registered: dict[str, tuple[str, ...]] = {}
    allocations: tuple[Allocation, ...] = ()


@dataclass(slots=True)
class _Resource:
    devices: dict[str, bool] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    stopped_at: float | None = None


class DeviceManager:
    """The books of one life of the kubelet."""

    def __init__(self, checkpoint: Checkpoint | None = None) -> None:
        self._resources: dict[str, _Resource] = {}
        self._allocations: dict[tuple[Container, str], Allocation] = {}
        restored = checkpoint or Checkpoint()
        for name in restored.registered:
            # The name is known again at once; its devices count only when the plugin has registered and listed them.
            self._resources[name] = _Resource()
        for allocation in restored.allocations:
            self.record(allocation)

    def checkpoint(self) -> Checkpoint:
        """What a restarted kubelet would know."""
        return Checkpoint(
            registered={name: tuple(resource.devices) for name, resource in self._resources.items()},
            allocations=tuple(self._allocations.values()),
        )

    def register(self, resource: str) -> None:
        """A plugin registered `resource`; its devices stay as they are until its first list."""
        self._resources.setdefault(resource, _Resource()).stopped_at = None

    def replace(self, resource: str, devices: Iterable[tuple[str, str]]) -> None:
        """Takes a list of (id, health); ids that repeat are one device."""
        book = self._resources.setdefault(resource, _Resource())
        book.devices = {device_id: health == HEALTHY for device_id, health in devices}
        book.stopped_at = None

    def stream_ended(self, resource: str, now: float) -> None:
        """The plugin's stream ended at `now` (seconds): nothing is healthy any more, capacity has five minutes."""
        book = self._resources.setdefault(resource, _Resource())
        book.devices = dict.fromkeys(book.devices, False)
        book.stopped_at = now

    @property
    def resources(self) -> tuple[str, ...]:
        """Every resource that ever registered; a name stays, with the value 0."""
        return tuple(self._resources)

    def capacity(self, resource: str, now: float) -> int:
        """All devices of the resource, healthy or not; 0 once its plugin has been away for five minutes."""
        book = self._resources.get(resource)
        if book is None or (book.stopped_at is not None and now - book.stopped_at >= STOP_GRACE_SECONDS):
            return 0
        return len(book.devices)

    def allocatable(self, resource: str) -> int:
        """The healthy devices of the resource, those that are taken included."""
        book = self._resources.get(resource)
        return sum(book.devices.values()) if book else 0

    def taken(self, resource: str) -> frozenset[str]:
        """The ids that containers hold, listed or not."""
        book = self._resources.get(resource)
        return frozenset(book.taken) if book else frozenset()

    def choose(self, resource: str, count: int) -> tuple[str, ...]:
        """`count` free healthy ids.

        Raises:
            KubeletError: fewer are free; a real pod would wait, or end as UnexpectedAdmissionError.
        """
        book = self._resources.get(resource, _Resource())
        free = (device for device, healthy in book.devices.items() if healthy and device not in book.taken)
        chosen = tuple(itertools.islice(free, count))
        if len(chosen) < count:
            raise KubeletError(f"insufficient {resource}: {count} wanted, {len(chosen)} free and healthy")
        return chosen

    def record(self, allocation: Allocation) -> None:
        """Books an allocation that the plugin has answered."""
        self._allocations[allocation.holder, allocation.resource] = allocation
        self._resources.setdefault(allocation.resource, _Resource()).taken.update(allocation.device_ids)

    def allocation(self, holder: Container, resource: str) -> Allocation | None:
        """What the container already holds of the resource: a restarted container gets the stored answer again."""
        return self._allocations.get((holder, resource))

    @property
    def allocations(self) -> tuple[Allocation, ...]:
        """Every allocation, in the order it was made."""
        return tuple(self._allocations.values())

    def release(self, holder: Container) -> None:
        """The container's pod is gone: its ids are free again."""
        for key in [key for key in self._allocations if key[0] == holder]:
            allocation = self._allocations.pop(key)
            self._resources[allocation.resource].taken.difference_update(allocation.device_ids)


def by_container(allocations: Iterable[Allocation]) -> Mapping[Container, tuple[Allocation, ...]]:
    """The allocations, grouped by the container that holds them."""
    groups: dict[Container, list[Allocation]] = {}
    for allocation in allocations:
        groups.setdefault(allocation.holder, []).append(allocation)
    return {holder: tuple(held) for holder, held in groups.items()}
