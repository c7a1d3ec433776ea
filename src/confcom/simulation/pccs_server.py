"""The simulated certificate service on a loopback port, plain or in TLS."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import uvicorn

from confcom.errors import PlatformError
from confcom.simulation.pccs import API, THIM_API, SimulatedPCCS
from confcom.simulation.pccs_answers import Answer, Request
from confcom.simulation.pccs_faults import FaultName
from confcom.simulation.pccs_tls import TLSIdentity

_LOOPBACK = "127.0.0.1"
_BACKLOG = 64
_KEEP_ALIVE_SECONDS = 5
# A stop never waits longer for an answer that a fault holds up.
_SHUTDOWN_SECONDS = 1

_SECONDS_A_BYTE = 0.5
_OVERSIZED_CHUNK = bytes(1024 * 1024)
_OVERSIZED_CHUNKS = 64

_Send = Callable[[dict[str, Any]], Awaitable[None]]
_Receive = Callable[[], Awaitable[dict[str, Any]]]


class PCCSServer:
    """Serves one simulated PCCS. `clock` says when answers are signed; `on_answer` hears of each request."""

    def __init__(
        self,
        service: SimulatedPCCS,
        clock: Callable[[], datetime],
        *,
        port: int = 0,
        tls: TLSIdentity | None = None,
        on_answer: Callable[[Request, Answer], None] | None = None,
    ) -> None:
        """Opens the port; 0 takes any free one.

        Raises:
            PlatformError: the port cannot be opened.
        """
        self._service = service
        self._clock = clock
        self._on_answer = on_answer
        self._scheme = "https" if tls else "http"
        self._socket = _listener(port)
        config = uvicorn.Config(
            self._app,
            log_config=None,
            # Faults break connections on purpose; uvicorn would call each an error.
            log_level="critical",
            access_log=False,
            lifespan="off",
            http="h11",
            ws="none",
            interface="asgi3",
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
            ssl_context_factory=(lambda *_: tls.server_context()) if tls else None,
        )
        self._server = _Server(config)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self._scheme}://{_LOOPBACK}:{self._socket.getsockname()[1]}"

    @property
    def url(self) -> str:
        """The base URL for clients of a PCCS."""
        return self.origin + API.rstrip("/")

    @property
    def thim_url(self) -> str:
        """The base URL for clients of Azure's THIM."""
        return self.origin + THIM_API.rstrip("/")

    async def serve(self) -> None:
        """Answers until `stop` is called."""
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Makes `serve` return; may be called from any thread."""
        self._server.should_exit = True

    async def _app(self, scope: dict[str, Any], receive: _Receive, send: _Send) -> None:
        del receive
        if scope["type"] != "http":
            return
        request = Request(
            path=scope["path"],
            method=scope["method"],
            query=dict(parse_qsl(scope["query_string"].decode("latin-1"))),
            headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        )
        answer = self._service.answer(request, self._clock())
        if self._on_answer:
            self._on_answer(request, answer)
        if FaultName.SILENT in answer.faults:
            # Until the client goes, or the server stops: uvicorn cancels it then.
            await asyncio.Event().wait()
        await _send_answer(answer, send)


async def _send_answer(answer: Answer, send: _Send) -> None:
    oversized = FaultName.OVERSIZED in answer.faults
    headers = [("content-type", answer.content_type), *answer.headers.items()]
    # Without a length, a client finds out only while it reads.
    headers += [] if oversized else [("content-length", str(len(answer.body)))]
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    if FaultName.CUT_OFF in answer.faults:
        # An application that returns before its answer is whole makes the server close the connection.
        await _send_part(send, answer.body[: len(answer.body) // 2])
        return
    if FaultName.SLOW in answer.faults:
        for at in range(len(answer.body)):
            await _send_part(send, answer.body[at : at + 1])
            await asyncio.sleep(_SECONDS_A_BYTE)
    elif oversized:
        for _ in range(_OVERSIZED_CHUNKS):
            await _send_part(send, _OVERSIZED_CHUNK)
    else:
        await _send_part(send, answer.body)
    await send({"type": "http.response.body", "body": b""})


async def _send_part(send: _Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the program that serves owns the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listener(port: int) -> socket.socket:
    try:
        listener = socket.create_server((_LOOPBACK, port), backlog=_BACKLOG)
    except OSError as error:
        # `create_server` adds the address to its own text.
        problem = os.strerror(error.errno) if error.errno else str(error)
        raise PlatformError(
            f"--port: {_LOOPBACK} port {port} cannot be opened: {problem}; name another, or 0 for any free one"
        ) from error
    listener.setblocking(False)
    return listener
