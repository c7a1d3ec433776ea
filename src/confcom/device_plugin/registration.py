"""Keeps one resource registered with the kubelet, whatever happens to either of them.

Serve first, register second: the kubelet dials back while Register waits. It never opens a lost stream again, and it
removes every socket when it starts, so the plugin watches three things: its stream, its socket, and kubelet.sock.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import grpc.aio

from confcom.device_plugin.allocation import Place
from confcom.device_plugin.offering import SETTLED_SECONDS, Offering
from confcom.device_plugin.server import Endpoint
from confcom.errors import KubeletError, PlatformError
from confcom.kubelet import contract
from confcom.kubelet import deviceplugin_pb2 as dp
from confcom.runtime.logs import event

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """The waits of a registration, in seconds; tests shorten them."""

    # How often the sockets are looked at: two lstat calls.
    watch: float = 0.25
    # A Unix socket is connected at once or not at all; more is a kubelet that starves.
    connect: float = 5.0
    # From Register to the dial-back. The kubelet itself allows 10 s for it; a starved one may start late.
    dial_back: float = 60.0
    # From the dial-back to Register's answer: a kubelet that counts health of 262,144 allocated units holds its lock
    # for some 86 minutes. Registering a second time meanwhile would make it worse.
    answer: float = 3 * 3600.0
    # From Register's answer to ListAndWatch, which the kubelet opens at once.
    stream: float = 60.0
    # Between attempts: the first wait, doubled up to the last.
    first_retry: float = 0.25
    last_retry: float = 30.0


DEFAULT_TIMING = Timing()

Identity = tuple[int, int, int]


def identity(path: Path) -> Identity | None:
    """What tells one socket at a path from the next, or None where there is none.

    A restarted kubelet's socket usually has the same inode number, so the time of its making belongs to it.
    """
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns


class Registrar:
    """Registers one offering, again and again, until `run` is cancelled."""

    def __init__(
        self,
        directory: Path,
        offering: Offering,
        place: Callable[[], Place],
        timing: Timing | None = None,
        before: Callable[[Identity], Awaitable[None]] | None = None,
    ) -> None:
        self._directory = directory
        self._kubelet_socket = directory / contract.KUBELET_SOCKET
        self._offering = offering
        self._place = place
        self._timing = timing or DEFAULT_TIMING
        # What is done before each registration with a kubelet that is there.
        self._before = before
        self._retry = self._timing.first_retry

    async def run(self) -> NoReturn:
        """One session after the other; each one waits until there is something to offer and a kubelet."""
        while True:
            await self._offering.until(offered=True)
            kubelet = await self._kubelet()
            if self._before is not None:
                await self._before(kubelet)
            try:
                why, settled = await self._session(kubelet)
            except (KubeletError, PlatformError) as error:
                why, settled = str(error), False
            self._offering.unregistered(why)
            event(logger, logging.WARNING, "not registered", cause=f"end {self._name}", resource=self._name, why=why)
            if self._offering.devices is not None:
                await self._pause(kubelet, settled=settled)

    @property
    def _name(self) -> str:
        return self._offering.offer.resource

    async def _kubelet(self) -> Identity:
        """Waits for kubelet.sock."""
        if (found := identity(self._kubelet_socket)) is not None:
            return found
        why = f"{self._kubelet_socket} does not exist: the kubelet is not there yet, or its folder is not mounted"
        self._offering.unregistered(why)
        event(
            logger,
            logging.WARNING,
            "waiting for the kubelet",
            cause=f"absent {self._name}",
            resource=self._name,
            why=why,
        )
        while (found := identity(self._kubelet_socket)) is None:
            await self._look_again()
        return found

    async def _look_again(self) -> None:
        await asyncio.sleep(self._timing.watch)

    async def _pause(self, kubelet: Identity, *, settled: bool) -> None:
        """Waits before the next attempt: not at all for a new kubelet, longer each time for the same."""
        self._retry = self._timing.first_retry if settled else min(2 * self._retry, self._timing.last_retry)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._retry):
                while identity(self._kubelet_socket) in (kubelet, None):
                    await self._look_again()
        if identity(self._kubelet_socket) != kubelet:
            self._retry = self._timing.first_retry

    async def _session(self, kubelet: Identity) -> tuple[str, bool]:
        """One registration from its socket to its end: why it ended, and whether it had settled."""
        endpoint = Endpoint(self._directory, self._offering, self._place)
        try:
            await endpoint.start()
            watch = asyncio.create_task(self._watch(endpoint, kubelet), name=f"watch {self._name}")
            register = asyncio.create_task(self._register(endpoint), name=f"register {self._name}")
            try:
                await asyncio.wait((watch, register), return_when=asyncio.FIRST_COMPLETED)
                if register.done():
                    register.result()
                return await watch, max(endpoint.stream_lasted, self._offering.stream_seconds) >= SETTLED_SECONDS
            finally:
                for task in (watch, register):
                    task.cancel()
                await asyncio.gather(watch, register, return_exceptions=True)
        finally:
            await endpoint.stop()

    async def _watch(self, endpoint: Endpoint, kubelet: Identity) -> str:
        """Returns, in words, what ended the session."""
        while True:
            # Before the stream, which ends with the offer.
            if self._offering.devices is None:
                return self._offering.problem or "nothing is offered"
            if endpoint.stream_ended.is_set():
                return "the kubelet ended the stream" + self._hint(endpoint.stream_lasted)
            if identity(endpoint.path) is None:
                return "the kubelet restarted: our socket was removed"
            if identity(self._kubelet_socket) not in (kubelet, None):
                return "the kubelet restarted: kubelet.sock was made anew"
            await self._moment(endpoint)

    async def _moment(self, endpoint: Endpoint) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timing.watch):
                await endpoint.stream_ended.wait()

    def _hint(self, lasted: float) -> str:
        """A list that is too long ends its stream at once; one that was taken ends with the kubelet."""
        if lasted >= SETTLED_SECONDS:
            return ", which it had taken: it restarts, or lost the connection"
        size = len(self._offering.devices or b"")
        return f" after a list of {size:,} bytes" if size else ""

    async def _register(self, endpoint: Endpoint) -> None:
        """Registers, and sees the stream open.

        Raises:
            KubeletError: the kubelet cannot be reached, refuses, or falls silent.
        """
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.default_authority", "localhost"))
        async with grpc.aio.insecure_channel(f"unix:{self._kubelet_socket}", options=options) as channel:
            await _within(self._timing.connect, channel.channel_ready(), f"{self._kubelet_socket} refuses connections")
            await self._call_register(channel, endpoint)
        self._offering.registered()
        event(logger, logging.INFO, "registered", resource=self._name, socket=endpoint.path.name)
        await _within(self._timing.stream, endpoint.stream_opened.wait(), "registered, but the kubelet reads no list")

    async def _call_register(self, channel: grpc.aio.Channel, endpoint: Endpoint) -> None:
        method = contract.REGISTER
        request = dp.RegisterRequest(
            version=contract.API_VERSION,
            endpoint=endpoint.path.name,
            resource_name=self._name,
            options=dp.DevicePluginOptions(),
        )
        call = channel.unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )(request)
        answered = asyncio.ensure_future(_answer(call))
        asked = asyncio.ensure_future(endpoint.options_asked.wait())
        try:
            await asyncio.wait((answered, asked), timeout=self._timing.dial_back, return_when=asyncio.FIRST_COMPLETED)
            if not answered.done() and not asked.done():
                raise KubeletError(f"the kubelet took Register, but did not dial back in {self._timing.dial_back:g} s")
            if not answered.done():
                self._offering.unregistered(
                    "the kubelet has dialled back and not answered Register yet; after a restart of Kubernetes 1.36 or "
                    "newer with many units allocated that takes minutes"
                )
            await _within(self._timing.answer, answered, "the kubelet dialled back, but never answered Register")
        finally:
            asked.cancel()
            answered.cancel()
            call.cancel()


async def _answer(call: "grpc.aio.UnaryUnaryCall[dp.RegisterRequest, dp.Empty]") -> None:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        raise KubeletError(f"the kubelet refused Register: {error.details()}") from None


async def _within(seconds: float, work: Awaitable[object], problem: str) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        raise KubeletError(f"{problem} ({seconds:g} s)") from None
