"""The small HTTP port of a daemon: `/livez`, `/readyz`, `/status`, `/metrics`, and what a daemon adds.

GET and HEAD only, no request body is read, and nothing here changes anything.
"""

import asyncio
import contextlib
import errno
import itertools
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from confcom.errors import PlatformError
from confcom.runtime.logs import event

logger = logging.getLogger(__name__)

# Scrapes and probes are short, and few at once. Whoever can reach the port may open as many connections as they like.
MAX_CONNECTIONS = 64
# asyncio calls accept as often in one turn as the backlog that it is told. Where no descriptor is left each of them
# fails, is logged and sets a timer for the next try: with more than one they multiply, and the loop does nothing else.
ACCEPTS_PER_TURN = 1
KEEP_ALIVE_SECONDS = 5
# Every address of the machine, of both families: the pods of a cluster have IPv4, IPv6 or both.
EVERY_ADDRESS = "::"
_EVERY_IPV4_ADDRESS = "0.0.0.0"  # noqa: S104 - what `EVERY_ADDRESS` asks for
# A stop never waits longer for a slow reader.
SHUTDOWN_SECONDS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One HTTP answer."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: int = 200

    @classmethod
    def json(cls, value: Any) -> "Answer":
        """A value, a `msgspec.Struct` for example, as JSON."""
        return cls(body=msgspec.json.encode(value) + b"\n", content_type="application/json")

    @classmethod
    def metrics(cls, samples: bytes) -> "Answer":
        """Samples in Prometheus' text format, as its own library writes them."""
        return cls(body=samples, content_type="text/plain; version=0.0.4; charset=utf-8")

    @classmethod
    def verdict(cls, problem: str | None) -> "Answer":
        """A probe's answer: 200 `ok`, or 503 with the problem in words."""
        return cls(body=b"ok\n") if problem is None else cls(body=f"{problem}\n".encode(), status=503)


Route = Callable[[], Answer | Awaitable[Answer]]


class HTTPPort:
    """Serves routes on the first free of some ports; 0 means any free one. Or on a `listener` of the caller's."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        address: str = "127.0.0.1",
        ports: tuple[int, ...] = (0,),
        *,
        listener: socket.socket | None = None,
    ) -> None:
        self._routes = dict(routes)
        self._socket = listener or _bind(address, ports)
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            # Its warnings are of what strangers send, and would stand between our lines without form or limit.
            log_level=logging.ERROR,
            lifespan="off",
            http=_Protocol,
            interface="asgi3",
            proxy_headers=False,
            ws="none",
            backlog=ACCEPTS_PER_TURN,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            server_header=False,
        )
        self._server = _Server(config)

    @property
    def port(self) -> int:
        """The port that was free."""
        port: int = self._socket.getsockname()[1]
        return port

    async def serve(self) -> None:
        """Answers until `stop` is called."""
        if self._socket.family == socket.AF_UNIX:
            event(logger, logging.INFO, "local socket open", path=self._socket.getsockname())
        else:
            event(logger, logging.INFO, "HTTP port open", address=self._socket.getsockname()[0], port=self.port)
        closing = asyncio.create_task(self._close_silent(), name="http-silent")
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            closing.cancel()
            # uvicorn closes them in its own shutdown, which a cancelled task does not reach.
            for server in getattr(self._server, "servers", ()):
                server.close()
            self._socket.close()

    def stop(self) -> None:
        """Makes `serve` return."""
        self._server.should_exit = True

    async def _close_silent(self) -> None:
        """Closes the connections that have neither asked nor read for a whole period."""
        before: set[Any] = set()
        while True:
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
            silent = {each for each in self._server.server_state.connections if _is_silent(each)}
            for connection in silent & before:
                connection.transport.abort()
            before = silent - before

    async def _app(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        del receive
        if scope["type"] != "http":
            return
        answer = await self._answer(scope["method"], scope["path"])
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    async def _answer(self, method: str, path: str) -> Answer:
        route = self._routes.get(path)
        if route is None:
            return Answer(body=b"not found; known: " + " ".join(sorted(self._routes)).encode() + b"\n", status=404)
        if method not in ("GET", "HEAD"):
            return Answer(body=b"only GET and HEAD\n", status=405)
        try:
            answer = route()
            return answer if isinstance(answer, Answer) else await answer
        except Exception:
            logger.exception("HTTP route %s failed", path)
            return Answer(body=b"internal error, see the log\n", status=500)


def _is_idle(connection: Any) -> bool:
    """Whether a connection of uvicorn's waits for its client: to ask, or to read."""
    return bool(connection.flow.write_paused or connection.cycle is None or connection.cycle.response_complete)


def _is_silent(connection: Any) -> bool:
    """Whether it is idle, and no keep-alive timer will close it, which in turn waits for a reader."""
    return bool(connection.flow.write_paused or (_is_idle(connection) and connection.timeout_keep_alive_task is None))


class _Protocol(H11Protocol):
    """A connection; one too many costs the oldest that is idle, and not the newcomer.

    The kubelet's probes are newcomers, and it ends a daemon that does not answer them.
    """

    _made = itertools.count()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.number = next(self._made)
        super().connection_made(transport)
        connections: list[Any] = [each for each in self.connections if not each.transport.is_closing()]
        if len(connections) > MAX_CONNECTIONS:
            idle = (each for each in connections if each is not self and _is_idle(each))
            min(idle, key=lambda each: each.number, default=self).transport.abort()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: `runtime.daemon` owns the signals."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            # How many connections wait in the kernel is another number than `ACCEPTS_PER_TURN`.
            listener.listen(MAX_CONNECTIONS)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _bind(address: str, ports: tuple[int, ...]) -> socket.socket:
    problem: OSError | None = None
    for port in ports:
        try:
            return _listen(address, port)
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise PlatformError(
                    f"--http-address {address}: is no address of this machine: {error.strerror}"
                ) from error
            problem = error
    tried = " and ".join(str(port) for port in ports)
    raise PlatformError(
        f"--http-port: {address} port {tried} cannot be opened: {problem and problem.strerror}; "
        "name another, or 0 for any free one"
    )


def _listen(address: str, port: int) -> socket.socket:
    """A listening socket; `EVERY_ADDRESS` is all of IPv4 where the kernel was started without IPv6."""
    try:
        listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        if address != EVERY_ADDRESS or error.errno != errno.EAFNOSUPPORT:
            raise
        return _listen(_EVERY_IPV4_ADDRESS, port)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address == EVERY_ADDRESS:
            # Whatever the host's net.ipv6.bindv6only says.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((address, port))
        # Without listen, two processes could both bind with SO_REUSEADDR and find out only later.
        listener.listen(MAX_CONNECTIONS)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
