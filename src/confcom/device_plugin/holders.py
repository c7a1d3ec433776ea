"""Who holds EPC and quote slots on this node: asked of the kubelet's PodResources API, told on a local socket only.

The names of tenants' pods are in it, so it is not on the open HTTP port.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

import grpc.aio
import msgspec

from confcom.device_plugin.inventory import EPC_RESOURCE, HELPER_RESOURCE, QUOTING_EPC_MIB, SLOT_RESOURCE
from confcom.errors import KubeletError
from confcom.kubelet import contract
from confcom.kubelet.pod_resources import Holding, holdings
from confcom.runtime.status import moment

# The kubelet answers in a third of a second for 262,144 devices; in a freeze it does not answer at all.
LIST_SECONDS = 10.0
# Reading pods takes a kubelet some seconds after its start; until then its answer lacks some.
KUBELET_YOUNG_SECONDS = 10.0
# Containers in one report: more than a node's pods can have, and still a small page.
MAX_CONTAINERS = 4096


class ContainerHolding(msgspec.Struct, frozen=True, kw_only=True):
    """What one container holds of one resource; `device_ids` only for quote slots, and 64 at most."""

    namespace: str
    pod: str
    container: str
    resource: str
    units: int
    device_ids: tuple[str, ...]


class Holders(msgspec.Struct, frozen=True, kw_only=True):
    """One report. `problem` says why there is none, `incomplete` why something may be missing.

    `saved_mib` is the EPC that out-of-process quoting saves: each container with a slot would need a QE and a PCE of
    its own, and instead each worker of a running helper has them. It is negative while those outnumber such containers.
    """

    problem: str | None = None
    incomplete: str | None = None
    at: str = ""
    units: dict[str, int] = {}
    containers: tuple[ContainerHolding, ...] = ()
    left_out: int = 0
    in_process_mib: int = 0
    out_of_process_mib: int = 0
    saved_mib: int = 0


def summarise(
    found: Collection[Holding], *, incomplete: str | None, at: str, helper_epc_mib: int = QUOTING_EPC_MIB
) -> Holders:
    """The report on what was found; the largest holders first, and `MAX_CONTAINERS` of them.

    `helper_epc_mib` is what all workers of one helper take.
    """
    units: Counter[str] = Counter()
    for holding in found:
        units[holding.resource] += holding.units
    with_slot = {
        (holding.namespace, holding.pod, holding.container) for holding in found if holding.resource == SLOT_RESOURCE
    }
    in_process, out_of_process = len(with_slot) * QUOTING_EPC_MIB, units[HELPER_RESOURCE] * helper_epc_mib
    largest = sorted(found, key=lambda holding: (-holding.units, holding.namespace, holding.pod, holding.container))
    return Holders(
        incomplete=incomplete,
        at=at,
        units={resource: count for resource, count in units.items() if count},
        containers=tuple(map(_container, largest[:MAX_CONTAINERS])),
        left_out=max(0, len(largest) - MAX_CONTAINERS),
        in_process_mib=in_process,
        out_of_process_mib=out_of_process,
        saved_mib=in_process - out_of_process,
    )


def _container(holding: Holding) -> ContainerHolding:
    return ContainerHolding(
        namespace=holding.namespace,
        pod=holding.pod,
        container=holding.container,
        resource=holding.resource,
        units=holding.units,
        device_ids=holding.device_ids,
    )


class PodResources:
    """Asks the kubelet, and remembers how many EPC units it last counted."""

    def __init__(
        self,
        socket: Path | None,
        resources: Collection[str],
        kubelet_socket: Path,
        *,
        helper_epc_mib: int = QUOTING_EPC_MIB,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._helper_epc_mib = helper_epc_mib
        self._socket = socket
        self._resources = tuple(resources)
        self._kubelet_socket = kubelet_socket
        self._clock = clock
        # Units of EPC in the last answer; None before the first.
        self.epc_held: int | None = None

    @property
    def mounted(self) -> bool:
        """Whether the kubelet's socket is there to be asked."""
        return self._socket is not None and self._socket.exists()

    def kubelet_age(self) -> float | None:
        """Seconds since kubelet.sock was made, or None where there is none."""
        try:
            return max(0.0, self._clock() - self._kubelet_socket.lstat().st_ctime)
        except OSError:
            return None

    async def read(self, *, unregistered: Collection[str] = ()) -> Holders:
        """The report of now; `unregistered` names resources that the kubelet has not taken yet."""
        if self._socket is None:
            return Holders(problem="the kubelet's PodResources socket was not named (--pod-resources-socket)")
        at = moment(self._clock())
        try:
            found = await self.list()
        except KubeletError as error:
            return Holders(problem=str(error), at=at)
        incomplete = self._incomplete(unregistered)
        return summarise(found, incomplete=incomplete, at=at, helper_epc_mib=self._helper_epc_mib)

    async def list(self) -> list[Holding]:
        """What every container holds of our resources.

        Raises:
            KubeletError: the kubelet does not answer, or its answer is broken or over 16 MiB.
        """
        answer = await self._ask()
        # A fifth of a second of plain Python for 262,144 devices: Allocate must not wait for it.
        found = await asyncio.to_thread(
            lambda: list(holdings(answer, resources=self._resources, with_ids=(SLOT_RESOURCE,)))
        )
        self.epc_held = sum(holding.units for holding in found if holding.resource == EPC_RESOURCE)
        return found

    async def _ask(self) -> bytes:
        options = (
            ("grpc.max_receive_message_length", contract.MAX_POD_RESOURCES_BYTES),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.default_authority", "localhost"),
        )
        method = contract.LIST_POD_RESOURCES
        async with grpc.aio.insecure_channel(f"unix:{self._socket}", options=options) as channel:
            # Raw bytes both ways: an empty request, and an answer that is walked and not decoded.
            call = channel.unary_unary(method.path, request_serializer=None, response_deserializer=None)
            try:
                answer: bytes = await call(b"", timeout=LIST_SECONDS)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                    why = f"no answer in {LIST_SECONDS:g} s; the kubelet may be in a freeze after its restart"
                else:
                    why = str(error.details())
                raise KubeletError(f"{self._socket}: {why}") from None
        return answer

    def _incomplete(self, unregistered: Collection[str]) -> str | None:
        age = self.kubelet_age()
        if age is not None and age < KUBELET_YOUNG_SECONDS:
            return f"the kubelet started {age:.0f} s ago and may not have read all its pods yet"
        if unregistered:
            return f"the kubelet has not taken the list of {', '.join(sorted(unregistered))} yet"
        return None
