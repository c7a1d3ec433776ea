"""One plugin socket: the kubelet's calls on one resource, from one registration to the end of its stream.

A socket serves one registration only and has a name of its own each time. The end of an old stream can then be told
from the life of a new one, and nothing that a former instance left behind is taken for ours.
"""

import asyncio
import contextlib
import logging
import secrets
import socket
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from confcom.device_plugin.allocation import Place, respond
from confcom.device_plugin.offering import Offering
from confcom.errors import PlatformError
from confcom.kubelet import contract
from confcom.kubelet import deviceplugin_pb2 as dp
from confcom.platform.slots import make_slot_folder
from confcom.runtime.logs import event

logger = logging.getLogger(__name__)

SOCKET_PREFIX = "confcom-sgx-"
# The largest request is Allocate of everything, 1.31 MB with our ids; ids of another plugin's past may be longer.
MAX_REQUEST_BYTES = 16 * 1024 * 1024
# A stream ends at once when it is told to; calls in flight get this long.
STOP_SECONDS = 1.0
# Whether somebody listens on a socket is known as soon as the kernel answers.
PROBE_SECONDS = 1.0


class Endpoint:
    """Serves one resource on a new socket in the device-plugins folder."""

    def __init__(self, directory: Path, offering: Offering, place: Callable[[], Place]) -> None:
        self.path = directory / f"{SOCKET_PREFIX}{offering.offer.kind}-{secrets.token_hex(4)}.sock"
        # The kubelet is there: it has dialled back, even if Register has no answer yet.
        self.options_asked = asyncio.Event()
        self.stream_opened = asyncio.Event()
        self.stream_ended = asyncio.Event()
        # Seconds, of the last stream that has ended.
        self.stream_lasted = 0.0
        self._offering = offering
        self._place = place
        self._closing = asyncio.Event()
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listens; registration comes after.

        Raises:
            PlatformError: the folder is missing, cannot be written, or has too long a path.
        """
        if len(str(self.path).encode()) > contract.MAX_SOCKET_PATH_BYTES:
            raise PlatformError(f"{self.path}: over {contract.MAX_SOCKET_PATH_BYTES} bytes, too long for a Unix socket")
        server = grpc.aio.server(options=(("grpc.max_receive_message_length", MAX_REQUEST_BYTES),))
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(contract.DEVICE_PLUGIN, self._methods()),)
        )
        try:
            server.add_insecure_port(f"unix:{self.path}")
        except RuntimeError:
            raise PlatformError(
                f"{self.path}: a socket cannot be made there; is the folder mounted and writable?"
            ) from None
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Ends the stream first, then the server, and removes the socket."""
        self._closing.set()
        self._offering.wake()
        if self._server is not None:
            await self._server.stop(STOP_SECONDS)
        # What cannot be removed, the kubelet removes at its next start.
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _methods(self) -> "dict[str, grpc.RpcMethodHandler[Any, Any]]":
        unary = (
            (contract.GET_OPTIONS, self._options),
            (contract.ALLOCATE, self._allocate),
            (contract.PRE_START_CONTAINER, self._pre_start),
            (contract.GET_PREFERRED_ALLOCATION, self._preferred),
        )
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            method.name: grpc.unary_unary_rpc_method_handler(
                behaviour,
                request_deserializer=method.request.FromString,
                response_serializer=method.response.SerializeToString,
            )
            for method, behaviour in unary
        }
        # No serializer: the list is bytes already.
        stream = contract.LIST_AND_WATCH
        methods[stream.name] = grpc.unary_stream_rpc_method_handler(
            self._list_and_watch, request_deserializer=stream.request.FromString
        )
        return methods

    async def _options(self, _request: dp.Empty, _context: Any) -> dp.DevicePluginOptions:
        self.options_asked.set()
        return dp.DevicePluginOptions()

    async def _list_and_watch(self, _request: dp.Empty, _context: Any) -> AsyncIterator[bytes]:
        self._offering.stream_opened()
        self.stream_opened.set()
        try:
            async for devices in self._offering.lists(self._closing):
                yield devices
        finally:
            self.stream_lasted = self._offering.stream_seconds
            self._offering.stream_ended()
            self.stream_ended.set()

    async def _allocate(self, request: dp.AllocateRequest, context: Any) -> dp.AllocateResponse:
        offering = self._offering
        try:
            response = self._respond(request)
        except PlatformError as error:
            offering.refused_allocations += 1
            event(
                logger,
                logging.ERROR,
                "allocation refused",
                cause="refused",
                resource=offering.offer.resource,
                why=error,
            )
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
            raise
        units = sum(len(container.devices_ids) for container in request.container_requests)
        offering.allocations += 1
        offering.allocated_units += units
        event(logger, logging.INFO, "allocated", cause="allocated", resource=offering.offer.resource, units=units)
        return response

    def _respond(self, request: dp.AllocateRequest) -> dp.AllocateResponse:
        place = self._place()
        response = respond(self._offering.offer.kind, request, place)
        for container in response.container_responses:
            for mount in container.mounts:
                # A folder that is missing here is made by the container runtime, and the helper may not write in it.
                make_slot_folder(place.slots_dir, Path(mount.host_path).name)
        return response

    async def _pre_start(self, _request: dp.PreStartContainerRequest, _context: Any) -> dp.PreStartContainerResponse:
        return dp.PreStartContainerResponse()

    async def _preferred(self, request: dp.PreferredAllocationRequest, _context: Any) -> dp.PreferredAllocationResponse:
        """Never asked for by our options; all units are alike, so any of them are preferred."""
        answers = [
            dp.ContainerPreferredAllocationResponse(deviceIDs=wanted.available_deviceIDs[: wanted.allocation_size])
            for wanted in request.container_requests
        ]
        return dp.PreferredAllocationResponse(container_responses=answers)


def remove_leftovers(directory: Path) -> list[Path]:
    """Removes the sockets of former instances on which nobody listens, and returns them.

    A socket of an instance that still lives stays: that one would take its loss for a restart of the kubelet.
    """
    removed = []
    # A folder that is missing or cannot be written is told in full where a socket is made in it.
    with contextlib.suppress(OSError):
        for path in sorted(directory.iterdir()):
            if path.name.startswith(SOCKET_PREFIX) and _is_dead_socket(path):
                path.unlink(missing_ok=True)
                removed.append(path)
    return removed


def _is_dead_socket(path: Path) -> bool:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return False
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
            probe.settimeout(PROBE_SECONDS)
            probe.connect(str(path))
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
