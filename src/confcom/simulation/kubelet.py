"""A stand-in of the kubelet's device manager: the same sockets, order of calls and books as a real one.

It serves `Registration` on DIR/kubelet.sock, dials a plugin back while `Register` waits, asks its options, answers,
and then follows its `ListAndWatch` in the background. It never dials a second time: a plugin whose stream has ended
must register again. `python -m confcom.simulation.kubelet --device-plugin-dir DIR` runs it as a program.
"""

import argparse
import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc
import grpc.aio

from confcom.errors import ConfcomError, InputError, KubeletError, PlatformError
from confcom.kubelet import contract
from confcom.kubelet import deviceplugin_pb2 as dp
from confcom.kubelet import podresources_pb2 as pr
from confcom.runtime.daemon import Daemon, run
from confcom.simulation.device_manager import Allocation, Container, DeviceManager, by_container
from confcom.simulation.kubelet_folder import (
    CHECKPOINT_NAME,
    leave_socket_behind,
    make_without_sockets,
    read_checkpoint,
    write_checkpoint,
)
from confcom.simulation.plugin_client import PluginClient


@dataclass(frozen=True, kw_only=True, slots=True)
class Faults:
    """What the stand-in does differently from a kubelet on a good day."""

    # Kubernetes up to 1.36: when a replaced plugin's stream ends, the new plugin is disconnected as well.
    old_stream_kills_new: bool = True
    # Seconds between Register and the dial-back, as in a frozen or starved kubelet.
    dial_back_delay_seconds: float = 0.0
    # Registrations that fail because the plugin's options could not be had.
    options_errors: int = 0
    # The largest list that is taken, in bytes.
    max_list_bytes: int = contract.MAX_LIST_BYTES


class KubeletStandIn:
    """One kubelet: start it, register plugins with it, read its numbers, allocate as pods do.

    All methods belong to the event loop in which `start` was called. `async with` starts and stops it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        faults: Faults | None = None,
        pod_resources_socket: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.directory = directory
        self.faults = faults or Faults()
        self.registrations: list[tuple[str, str]] = []
        self.stream_ends: list[tuple[str, str]] = []
        self._options_errors_left = self.faults.options_errors
        self._pod_resources_socket = pod_resources_socket
        self._clock = clock
        self._books = DeviceManager()
        self._servers: list[grpc.aio.Server] = []
        self._clients: dict[str, PluginClient] = {}
        self._every_client: set[PluginClient] = set()
        self._changed = asyncio.Condition()
        self._pods = itertools.count(1)

    @property
    def socket(self) -> Path:
        """Where plugins register."""
        return self.directory / contract.KUBELET_SOCKET

    @property
    def resources(self) -> tuple[str, ...]:
        """Every resource that ever registered."""
        return self._books.resources

    def capacity(self, resource: str) -> int:
        """What the Node object would show as capacity."""
        return self._books.capacity(resource, self._clock())

    def allocatable(self, resource: str) -> int:
        """What the Node object would show as allocatable."""
        return self._books.allocatable(resource)

    def taken(self, resource: str) -> frozenset[str]:
        """The ids that containers hold."""
        return self._books.taken(resource)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Removes every socket of the folder, as a kubelet does, reads the checkpoint, and serves.

        Raises:
            PlatformError: the folder cannot be made or used, or a socket in it not be opened.
            KubeletError: the checkpoint is damaged.
        """
        make_without_sockets(self.directory)
        self._books = DeviceManager(read_checkpoint(self.directory / CHECKPOINT_NAME))
        await self._serve(self.socket, contract.REGISTRATION, {contract.REGISTER: self._register})
        if self._pod_resources_socket is not None:
            self._pod_resources_socket.parent.mkdir(parents=True, exist_ok=True)
            await self._serve(
                self._pod_resources_socket,
                contract.POD_RESOURCES_LISTER,
                {contract.LIST_POD_RESOURCES: self._list_pod_resources},
            )
        await self._tell()

    async def stop(self) -> None:
        """Ends every call. As with a real kubelet, kubelet.sock stays behind and refuses connections."""
        for client in list(self._every_client):
            await client.close()
        self._clients.clear()
        servers, self._servers = self._servers, []
        for server in servers:
            await server.stop(0)
        if servers:
            leave_socket_behind(self.socket)

    async def restart(self) -> None:
        """Stops and starts: plugins find their sockets gone, and all numbers are 0 until they have registered."""
        await self.stop()
        await self.start()

    async def wait_for(
        self,
        resource: str,
        *,
        allocatable: int | None = None,
        capacity: int | None = None,
        deadline_seconds: float = 10.0,
    ) -> None:
        """Waits until the resource has these numbers.

        Raises:
            KubeletError: it does not have them within the deadline; the sentence says what it has.
        """

        def reached() -> bool:
            return (allocatable is None or self.allocatable(resource) == allocatable) and (
                capacity is None or self.capacity(resource) == capacity
            )

        async with self._changed:
            try:
                async with asyncio.timeout(deadline_seconds):
                    await self._changed.wait_for(reached)
            except TimeoutError:
                raise KubeletError(
                    f"{resource}: not at allocatable {allocatable}, capacity {capacity} within {deadline_seconds:g} s; "
                    f"it has {self.allocatable(resource)} and {self.capacity(resource)}"
                ) from None

    async def allocate(
        self, resource: str, count: int, *, holder: Container | None = None, deadline_seconds: float | None = None
    ) -> dp.ContainerAllocateResponse:
        """Admits one container that asks `count` of the resource; by default each call is a new pod's.

        The kubelet itself sets no deadline here.

        Raises:
            KubeletError: too few devices are free, no plugin is connected, or the plugin refused.
        """
        holder = holder or Container(namespace="default", pod=f"pod-{next(self._pods)}", name="app")
        stored = self._books.allocation(holder, resource)
        if stored is not None:
            return dp.ContainerAllocateResponse.FromString(stored.response)
        device_ids = self._books.choose(resource, count)
        client = self._clients.get(resource)
        if client is None:
            raise KubeletError(f"{resource}: no plugin is connected")
        response = await client.allocate(device_ids, deadline_seconds)
        self._books.record(
            Allocation(
                namespace=holder.namespace,
                pod=holder.pod,
                container=holder.name,
                resource=resource,
                device_ids=device_ids,
                response=response.SerializeToString(),
            )
        )
        write_checkpoint(self.directory / CHECKPOINT_NAME, self._books.checkpoint())
        return response

    def release(self, holder: Container) -> None:
        """The container's pod is deleted."""
        self._books.release(holder)
        write_checkpoint(self.directory / CHECKPOINT_NAME, self._books.checkpoint())

    async def break_stream(self, resource: str) -> None:
        """Breaks the connection to the plugin of the resource, as a crash in the kubelet's gRPC layer would."""
        client = self._clients.get(resource)
        if client is None:
            raise KubeletError(f"{resource}: no plugin is connected")
        await client.close()

    async def _serve(self, path: Path, service: str, methods: dict[contract.Method, Any]) -> None:
        handlers = {
            method.name: grpc.unary_unary_rpc_method_handler(
                behaviour,
                request_deserializer=method.request.FromString,
                response_serializer=method.response.SerializeToString,
            )
            for method, behaviour in methods.items()
        }
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        try:
            server.add_insecure_port(f"unix:{path}")
        except RuntimeError as error:
            raise PlatformError(f"{path}: the kubelet stand-in cannot listen there: {error}") from None
        await server.start()
        self._servers.append(server)

    async def _register(self, request: dp.RegisterRequest, context: Any) -> dp.Empty:
        problem = _registration_problem(request)
        if problem:
            await context.abort(grpc.StatusCode.UNKNOWN, problem)
        await asyncio.sleep(self.faults.dial_back_delay_seconds)
        client = PluginClient(self.directory / request.endpoint, request.resource_name, self.faults.max_list_bytes)
        try:
            await client.connect()
            self._play_options_error(request.resource_name)
        except KubeletError as error:
            await client.close()
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))
        self.registrations.append((request.resource_name, request.endpoint))
        self._clients[request.resource_name] = client
        self._every_client.add(client)
        self._books.register(request.resource_name)
        client.follow(self._on_list, self._on_end)
        return dp.Empty()

    def _play_options_error(self, resource: str) -> None:
        if self._options_errors_left:
            self._options_errors_left -= 1
            raise KubeletError(f"{resource}: the plugin's options could not be had")

    async def _on_list(self, client: PluginClient, devices: list[tuple[str, str]]) -> None:
        self._books.replace(client.resource, devices)
        await self._tell()

    async def _on_end(self, client: PluginClient, why: str) -> None:
        self.stream_ends.append((client.resource, why))
        self._every_client.discard(client)
        current = self._clients.get(client.resource)
        if current is not client and not self.faults.old_stream_kills_new:
            return
        self._books.stream_ended(client.resource, self._clock())
        self._clients.pop(client.resource, None)
        await self._tell()
        if current is not None and current is not client:
            await current.close()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _list_pod_resources(self, _request: pr.ListPodResourcesRequest, _context: Any) -> Any:
        pods: dict[tuple[str, str], pr.PodResources] = {}
        for holder, held in by_container(self._books.allocations).items():
            key = (holder.namespace, holder.pod)
            pod = pods.setdefault(key, pr.PodResources(namespace=holder.namespace, name=holder.pod))
            # Like the kubelet: one message per device, each with the resource's name.
            devices = (
                pr.ContainerDevices(resource_name=allocation.resource, device_ids=[device_id])
                for allocation in held
                for device_id in allocation.device_ids
            )
            pod.containers.append(pr.ContainerResources(name=holder.name, devices=devices))
        return pr.ListPodResourcesResponse(pod_resources=pods.values())


def _registration_problem(request: dp.RegisterRequest) -> str | None:
    if request.version != contract.API_VERSION:
        return f"API version '{request.version}' is not supported; this kubelet speaks {contract.API_VERSION}"
    if not request.endpoint or Path(request.endpoint).name != request.endpoint:
        return f"endpoint '{request.endpoint}' is not the name of a file in the device-plugins folder"
    return contract.resource_name_problem(request.resource_name)


async def _serve_and_print(directory: Path, daemon: Daemon) -> int:
    async with KubeletStandIn(directory) as kubelet:
        shown: dict[str, tuple[int, int]] = {}
        while not daemon.stopping.is_set():
            for resource in kubelet.resources:
                numbers = (kubelet.capacity(resource), kubelet.allocatable(resource))
                if shown.get(resource) != numbers:
                    shown[resource] = numbers
                    sys.stdout.write(f"{resource}: capacity {numbers[0]}, allocatable {numbers[1]}\n")
                    sys.stdout.flush()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(daemon.stopping.wait(), 0.1)
    return 0


def main(arguments: list[str]) -> int:
    """Runs the stand-in until it is told to stop, and prints each change of a resource's numbers.

    The exit status is returned, with any error as one sentence on stderr.
    """
    parser = argparse.ArgumentParser(
        prog="python -m confcom.simulation.kubelet", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--device-plugin-dir", type=Path, required=True, metavar="DIR", help="where plugins register")
    directory: Path = parser.parse_args(arguments).device_plugin_dir
    try:
        if len(str(directory / contract.KUBELET_SOCKET).encode()) > contract.MAX_SOCKET_PATH_BYTES:
            raise InputError(f"--device-plugin-dir {directory}: too long a path for a Unix socket; name a shorter one")
        return run(lambda daemon: _serve_and_print(directory, daemon))
    except ConfcomError as error:
        sys.stderr.write(f"kubelet stand-in: {error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
