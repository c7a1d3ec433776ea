"""A quoting worker: one process with one backend, which makes quotes one after the other.

`python -m confcom.quoting.worker FD BACKEND` is started by `quoting.pool` with one end of a socketpair. It says READY
only when its key is made and certified, then serves until the other end closes. No asyncio and no HTTP here: a worker
is small, and an enclave call may take as long as it likes.
"""

import logging
import socket
import sys
import time

import msgspec

from confcom.codes import AESM
from confcom.errors import ConfcomError, QuotingError
from confcom.quoting.backend import BackendSettings, KeyReport, QuotingBackend
from confcom.quoting.backends import Services, open_backend
from confcom.quoting.hop import READ_BYTES, Message, MessageDecoder, Operation, unpack_quote
from confcom.runtime.logs import configure, event

# Run with -m its name is __main__, which no handler of this package hears.
logger = logging.getLogger("confcom.quoting.worker")

# Answers wait at the most this long for company: one send for several costs the front less.
FLUSH_SECONDS = 0.0003


class Worker:
    """Serves one front over one socket."""

    def __init__(self, sock: socket.socket, backend: QuotingBackend, services: Services) -> None:
        self._sock = sock
        self._backend = backend
        self._services = services
        self._answers: list[bytes] = []
        self._flushed = time.perf_counter()

    def ready(self, key: KeyReport) -> None:
        """Tells the front that this worker can quote."""
        self._sock.sendall(Message(Operation.READY, 0, msgspec.json.encode(key)).encode())

    def serve(self) -> None:
        """Answers until the front closes its end."""
        decoder = MessageDecoder()
        received = memoryview(bytearray(READ_BYTES))
        while size := self._sock.recv_into(received):
            for request in decoder.receive(bytes(received[:size])):
                self._answer(request)
            self._flush()

    def _answer(self, request: Message) -> None:
        start = time.perf_counter()
        code, payload = self._result(request)
        now = time.perf_counter()
        cost = min(int((now - start) * 1e6), 0xFFFFFFFF)
        self._answers.append(Message(request.operation, request.job, payload, code, cost).encode())
        if now - self._flushed > FLUSH_SECONDS:
            self._flush()

    def _result(self, request: Message) -> tuple[int, bytes]:
        try:
            return AESM.SUCCESS, self._perform(request)
        except QuotingError as error:
            return error.code, error.cause.encode()
        except ConfcomError as error:
            return AESM.UNEXPECTED, str(error).encode()
        except Exception as error:
            # A request must be answered even where our own code is at fault; the log carries the traceback.
            logger.exception("operation %s failed", request.operation)
            return AESM.UNEXPECTED, f"{type(error).__name__}: {error}".encode()

    def _perform(self, request: Message) -> bytes:
        if request.operation == Operation.QUOTE:
            quote, info = self._backend.get_quote(*unpack_quote(request.payload))
            return quote if info is None else quote + info
        if request.operation == Operation.REFRESH:
            return msgspec.json.encode(self._backend.init_quote(refresh=True))
        if request.operation in self._services:
            return self._services[request.operation](request.payload)
        raise QuotingError(AESM.UNEXPECTED, f"a worker knows no operation {request.operation}")

    def _flush(self) -> None:
        if self._answers:
            self._sock.sendall(b"".join(self._answers))
            self._answers.clear()
        self._flushed = time.perf_counter()


def main(arguments: list[str]) -> int:
    """Opens the backend, makes its key, says so, and serves."""
    settings = msgspec.json.decode(arguments[1], type=BackendSettings)
    configure(settings.log_format, "sgx-quote-worker")
    with socket.socket(fileno=int(arguments[0])) as sock:
        try:
            backend, services = open_backend(settings)
            worker = Worker(sock, backend, services)
            worker.ready(backend.init_quote(refresh=False))
            worker.serve()
        except QuotingError as error:
            # The front learns the cause and starts another worker after a while.
            event(logger, logging.ERROR, "no quoting", cause="backend", code=int(error.code), problem=error.cause)
            sock.sendall(Message(Operation.READY, 0, error.cause.encode(), error.code or AESM.UNEXPECTED).encode())
            return 3
        except ConfcomError as error:
            event(logger, logging.ERROR, "no quoting", cause="backend", problem=str(error))
            sock.sendall(Message(Operation.READY, 0, str(error).encode(), AESM.SERVICE_UNAVAILABLE).encode())
            return 3
        except (BrokenPipeError, ConnectionResetError):
            pass  # The front has gone, and with it every reason to live.
    return 0


if __name__ == "__main__":
    # A service manager's signals reach every process; the front decides when a worker ends, by closing the socket.
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main(sys.argv[1:]))
