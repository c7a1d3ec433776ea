"""Two AESM clients, blocking and asyncio, with a deadline on every transaction.

Both raise `AESMUnavailableError` where no answer can be had, `AESMProtocolError` where the answer is not the
protocol, and `AESMError` with the code's meaning and next step where the service says no.
"""

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from confcom.aesm import flows
from confcom.aesm.framing import MAX_RESPONSE_BYTES, FrameDecoder, encode_frame
from confcom.aesm.messages import decode_response
from confcom.errors import AESMProtocolError, AESMUnavailableError
from confcom.sgx import AttestationKeyID, QEReportInfo, TargetInfo

# Intel's client waits as long for each read; here it is the whole transaction, connect included.
DEFAULT_TIMEOUT_SECONDS = 15.0
# A non-blocking connect gets EAGAIN while the server's backlog is full; it is tried again this often.
_BACKLOG_RETRY_SECONDS = 0.01
_READ_BYTES = 65536

R = TypeVar("R")


class _Reply:
    """Collects the one frame of an answer and turns it into the expected response."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._decoder = FrameDecoder(MAX_RESPONSE_BYTES)

    def receive(self, data: bytes) -> bytes | None:
        if not data:
            raise _closed(self._path, self._decoder.missing)
        return self._decoder.receive(data)


def _closed(path: str, when: str) -> AESMUnavailableError:
    return AESMUnavailableError(
        f"{path}: the server closed the connection after {when}: it could not make sense of the request, or was "
        "stopped; look at the quote helper's log"
    )


def _unreachable(path: str, error: OSError) -> AESMUnavailableError:
    if error.errno == errno.ENOENT:
        parent = Path(path).parent
        problem = f"there is no socket: {parent} " + ("holds none" if parent.is_dir() else "does not exist")
        advice = "is the quote helper enabled on this node, and its directory mounted (the directory, not the file)?"
    elif error.errno == errno.ECONNREFUSED:
        problem = "nobody listens on this socket"
        advice = "the helper has stopped, or the socket file was mounted instead of its directory"
    elif error.errno in (errno.ECONNRESET, errno.EPIPE):
        # It closed with our request, or a part of it, unread.
        return _closed(path, "a part of the request")
    elif error.errno == errno.EACCES:
        problem = "this user may not open it, or a folder on the way to it"
        advice = "the quote helper's own socket is open to everybody: look at the folders, SELinux and AppArmor"
    else:
        # A path that is too long, or a socket of another kind.
        problem, advice = error.strerror or str(error), "name the quote helper's socket"
    return AESMUnavailableError(f"{path}: {problem}; {advice}")


def _silent(path: str, seconds: float) -> AESMUnavailableError:
    return AESMUnavailableError(f"{path}: no answer within {seconds:g} s; the helper is overloaded or hangs")


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Lets an error about what the other side sent begin with its socket, and end with the next step."""
    try:
        yield
    except AESMProtocolError as error:
        raise AESMProtocolError(
            f"{path}: what answers there breaks the AESM protocol: {error}; name the quote helper's socket, or read "
            "its log"
        ) from error


class Client:
    """A blocking client of one AESM socket; every call opens connections of its own, so threads may share it."""

    def __init__(self, path: str = flows.DEFAULT_SOCKET, timeout: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        self.path = path
        self.timeout = timeout

    def get_supported_att_key_id_num(self) -> int:
        """How many attestation keys the server supports."""
        return self._run(flows.key_id_num())

    def get_supported_att_key_ids(self) -> tuple[AttestationKeyID, ...]:
        """The attestation keys that the server supports."""
        return self._run(flows.key_ids())

    def select_att_key_id(self, ids: Sequence[AttestationKeyID] | None = None) -> AttestationKeyID:
        """The first of `ids` that the server supports; without a list, the server's choice."""
        return self._run(flows.select(ids))

    def get_pub_key_id_size(self) -> int:
        """Phase 1 of InitQuoteEx."""
        return self._run(flows.pub_key_id_size())

    def init_quote(self) -> flows.KeyInfo:
        """Phase 2 of InitQuoteEx."""
        return self._run(flows.init())

    def get_target_info(self) -> TargetInfo:
        """The QE's TARGETINFO, for which an enclave makes its REPORT."""
        return self._run(flows.init()).target_info

    def get_quote_size(self) -> int:
        """The size of a quote in bytes."""
        return self._run(flows.quote_size())

    def get_quote_ex(self, report: bytes, size: int, qe_report_info: QEReportInfo | None = None) -> flows.QuoteResult:
        """One GetQuoteEx: the quote of a 432-byte REPORT in exactly `size` bytes."""
        return self._run(flows.quote(report, size, qe_report_info))

    def get_quote(self, report: bytes) -> bytes:
        """Init, size and quote: the quote of a 432-byte REPORT."""
        return self._run(flows.whole_quote(report)).quote

    def _run(self, flow: Generator[Any, Any, R]) -> R:
        try:
            with _naming(self.path):
                request, expected = next(flow)
                while True:
                    request, expected = flow.send(decode_response(self._transact(request.envelope()), expected))
        except StopIteration as done:
            result: R = done.value
            return result

    def _transact(self, body: bytes) -> bytes:
        """Sends one message and returns the body of the answer.

        Raises:
            AESMUnavailableError: there was no answer within the deadline; the sentence names the socket.
            AESMProtocolError: the answer claims to be longer than 1 MiB.
        """
        deadline = time.monotonic() + self.timeout
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            try:
                self._connect(sock, deadline)
                self._limit(sock, deadline)
                sock.sendall(encode_frame(body))
                reply = _Reply(self.path)
                while True:
                    self._limit(sock, deadline)
                    if (answer := reply.receive(sock.recv(_READ_BYTES))) is not None:
                        return answer
            except TimeoutError:
                raise _silent(self.path, self.timeout) from None
            except OSError as error:
                raise _unreachable(self.path, error) from error

    def _connect(self, sock: socket.socket, deadline: float) -> None:
        while True:
            self._limit(sock, deadline)
            try:
                return sock.connect(self.path)
            except BlockingIOError:
                time.sleep(_BACKLOG_RETRY_SECONDS)

    @staticmethod
    def _limit(sock: socket.socket, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)


class AsyncClient:
    """An asyncio client of one AESM socket, with the calls of `Client`."""

    def __init__(self, path: str = flows.DEFAULT_SOCKET, timeout: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        self.path = path
        self.timeout = timeout

    async def get_supported_att_key_id_num(self) -> int:
        """How many attestation keys the server supports."""
        return await self._run(flows.key_id_num())

    async def get_supported_att_key_ids(self) -> tuple[AttestationKeyID, ...]:
        """The attestation keys that the server supports."""
        return await self._run(flows.key_ids())

    async def select_att_key_id(self, ids: Sequence[AttestationKeyID] | None = None) -> AttestationKeyID:
        """The first of `ids` that the server supports; without a list, the server's choice."""
        return await self._run(flows.select(ids))

    async def get_pub_key_id_size(self) -> int:
        """Phase 1 of InitQuoteEx."""
        return await self._run(flows.pub_key_id_size())

    async def init_quote(self) -> flows.KeyInfo:
        """Phase 2 of InitQuoteEx."""
        return await self._run(flows.init())

    async def get_target_info(self) -> TargetInfo:
        """The QE's TARGETINFO, for which an enclave makes its REPORT."""
        return (await self._run(flows.init())).target_info

    async def get_quote_size(self) -> int:
        """The size of a quote in bytes."""
        return await self._run(flows.quote_size())

    async def get_quote_ex(
        self, report: bytes, size: int, qe_report_info: QEReportInfo | None = None
    ) -> flows.QuoteResult:
        """One GetQuoteEx: the quote of a 432-byte REPORT in exactly `size` bytes."""
        return await self._run(flows.quote(report, size, qe_report_info))

    async def get_quote(self, report: bytes) -> bytes:
        """Init, size and quote: the quote of a 432-byte REPORT."""
        return (await self._run(flows.whole_quote(report))).quote

    async def _run(self, flow: Generator[Any, Any, R]) -> R:
        try:
            with _naming(self.path):
                request, expected = next(flow)
                while True:
                    request, expected = flow.send(decode_response(await self._transact(request.envelope()), expected))
        except StopIteration as done:
            result: R = done.value
            return result

    async def _transact(self, body: bytes) -> bytes:
        """Sends one message and returns the body of the answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            try:
                async with asyncio.timeout(self.timeout):
                    await self._connect(sock)
                    return await self._exchange(sock, body)
            except TimeoutError:
                raise _silent(self.path, self.timeout) from None
            except OSError as error:
                raise _unreachable(self.path, error) from error

    async def _connect(self, sock: socket.socket) -> None:
        # Not loop.sock_connect: it takes the EAGAIN of a full backlog for a connection in progress.
        while True:
            try:
                return sock.connect(self.path)
            except BlockingIOError:
                await asyncio.sleep(_BACKLOG_RETRY_SECONDS)

    async def _exchange(self, sock: socket.socket, body: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, encode_frame(body))
        reply = _Reply(self.path)
        while True:
            if (answer := reply.receive(await loop.sock_recv(sock, _READ_BYTES))) is not None:
                return answer
