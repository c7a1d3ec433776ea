"""The kubelet's side of one plugin's socket: dial, options, ListAndWatch, Allocate; part of the kubelet stand-in."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio

from confcom.errors import KubeletError
from confcom.kubelet import contract
from confcom.kubelet import deviceplugin_pb2 as dp

# The kubelet gives a plugin this long to be reachable while Register waits.
DIAL_BACK_SECONDS = 10.0
# How long the stand-in waits for its own calls to end when it stops.
STOP_SECONDS = 2.0

_CHANNEL_OPTIONS = (
    # The kubelet names every plugin so.
    ("grpc.default_authority", "localhost"),
    # Otherwise a new channel inherits the connection back-off of an older one to the same path.
    ("grpc.use_local_subchannel_pool", 1),
)


class PluginClient:
    """The kubelet's connection to one registered plugin socket."""

    def __init__(self, path: Path, resource: str, max_list_bytes: int) -> None:
        self.resource = resource
        self._path = path
        options = (*_CHANNEL_OPTIONS, ("grpc.max_receive_message_length", max_list_bytes))
        self._channel = grpc.aio.insecure_channel(f"unix:{path}", options=options)
        self._task: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Dials the plugin and asks its options, within `DIAL_BACK_SECONDS` in all."""
        try:
            async with asyncio.timeout(DIAL_BACK_SECONDS):
                await self._channel.channel_ready()
                await self._call(contract.GET_OPTIONS)(dp.Empty())
        except TimeoutError:
            raise KubeletError(f"{self._path}: not reachable within {DIAL_BACK_SECONDS:g} s") from None
        except grpc.aio.AioRpcError as error:
            raise KubeletError(f"{self._path}: GetDevicePluginOptions failed: {error.details()}") from None

    def _call(self, method: contract.Method) -> Any:
        return self._channel.unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )

    def follow(self, on_list: Any, on_end: Any) -> None:
        """Opens ListAndWatch in the background."""
        self._task = asyncio.create_task(self._follow(on_list, on_end), name=f"ListAndWatch {self.resource}")

    async def _follow(self, on_list: Any, on_end: Any) -> None:
        why = "the plugin ended the stream"
        try:
            async for message in self._stream():
                await on_list(self, [(device.ID, device.health) for device in message.devices])
        except grpc.aio.AioRpcError as error:
            why = str(error.details())
        except asyncio.CancelledError:
            why = "the kubelet closed the connection"
        # A stream that was refused stays refused: the kubelet never opens it again.
        await asyncio.shield(on_end(self, why))
        await self._channel.close(None)

    async def _stream(self) -> AsyncIterator[dp.ListAndWatchResponse]:
        method = contract.LIST_AND_WATCH
        call = self._channel.unary_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        async for message in call(dp.Empty()):
            yield message

    async def allocate(
        self, device_ids: tuple[str, ...], deadline_seconds: float | None
    ) -> dp.ContainerAllocateResponse:
        """The plugin's answer for one container that gets `device_ids`."""
        request = dp.AllocateRequest(container_requests=[dp.ContainerAllocateRequest(devices_ids=device_ids)])
        try:
            response = await self._call(contract.ALLOCATE)(request, timeout=deadline_seconds)
        except grpc.aio.AioRpcError as error:
            raise KubeletError(f"{self.resource}: Allocate failed: {error.details()}") from None
        if len(response.container_responses) != 1:
            raise KubeletError(
                f"{self.resource}: Allocate gave {len(response.container_responses)} answers for one container"
            )
        answer: dp.ContainerAllocateResponse = response.container_responses[0]
        return answer

    async def close(self) -> None:
        """Ends the stream, if there is one, and the connection."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=STOP_SECONDS)
        await self._channel.close(None)
