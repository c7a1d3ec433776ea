"""Stand-ins of Intel's quoting libraries for tests: C sources of our own with the same exports, and the enclaves in
Python behind them.

`build` compiles the libraries into a folder for LD_LIBRARY_PATH. An `Oracle` answers what they ask over a socket: as a
simulated platform does, or as a test has scripted it: another status, odd sizes, a crash, silence.
"""

import dataclasses
import shutil
import socketserver
import struct
import subprocess
import threading
from collections import defaultdict, deque
from pathlib import Path
from typing import Self

from confcom.errors import QuotingError
from confcom.sgx import Quote, TargetInfo
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report

SOURCES = Path(__file__).parent
SOCKET_VARIABLE = "LIBSGX_STAND_IN"
COMPILER = shutil.which("cc") or shutil.which("gcc")
HEAD = struct.Struct("<III")

# Flags of a request (qe3_logic.c).
AESM_ADDR_SEEN, PCE_IS_GLOBAL, PERSISTENT, REFRESH, NO_PROVIDER, WITH_INFO, LISTENED = (1 << n for n in range(7))

_QUOTE3 = {3: 0xE002, 38: 0xE00B, 42: 0xE00F, 47: 0xE015}
_LIBRARIES = {
    "pce": ("libsgx_pce_logic.so.1", "pce_logic.c", ()),
    "qe": ("libsgx_qe3_logic.so", "qe3_logic.c", ("-ldl",)),
    "provider": ("libdcap_quoteprov.so.1", "quote_provider.c", ('-DNAME="default"',)),
    "other provider": ("libother_quoteprov.so", "quote_provider.c", ('-DNAME="other"',)),
    "urts": ("libsgx_urts.so.2", "urts.c", ()),
}


def build(folder: Path, *, leave_out: tuple[str, ...] = (), defines: tuple[str, ...] = ()) -> Path:
    """Compiles the libraries into `folder`, without those of `leave_out` and, in the QE's, the named exports."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (file, source, options) in _LIBRARIES.items():
        if name not in leave_out:
            command = [
                COMPILER, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", *options,
                *(f"-D{define}" for define in defines if name == "qe"),
                f"-Wl,-soname,{file}", "-o", str(folder / file), str(SOURCES / source), "-ldl",
            ]  # fmt: skip
            subprocess.run(command, check=True, timeout=60)
    return folder


@dataclasses.dataclass(frozen=True)
class Reply:
    """A scripted answer, once `until` is set: `payload` in the form of that request, or a status, a crash, or silence."""

    status: int = 0
    payload: bytes = b""
    action: int = 0
    silent: bool = False
    until: threading.Event | None = None


ABORT, SEGFAULT, SILENCE = Reply(action=1), Reply(action=2), Reply(silent=True)


@dataclasses.dataclass(frozen=True)
class Request:
    """What a library asked: kind (one letter, see the C sources), flags and payload."""

    kind: str
    flags: int
    payload: bytes


class Oracle:
    """The enclaves behind the stand-ins, on the socket `path`; a context manager.

    Attributes:
        script: answers by kind of request, used up one by one, before the platform's own.
        always: an answer by kind that stays.
        seen: every request so far.
    """

    def __init__(self, path: Path, platform: SimulatedPlatform) -> None:
        self.path = path
        self.platform = platform
        self.script: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self.always: dict[str, Reply] = {}
        self.seen: list[Request] = []
        self._closing = threading.Event()
        self._lock = threading.Lock()
        oracle = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                kind, flags, size = HEAD.unpack(self.rfile.read(HEAD.size))
                reply = oracle._reply(Request(chr(kind), flags, self.rfile.read(size)))
                if reply.silent:
                    oracle._closing.wait(60)
                    return
                if reply.until is not None:
                    reply.until.wait(60)
                self.wfile.write(HEAD.pack(reply.action, reply.status, len(reply.payload)) + reply.payload)

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 128

            def handle_error(self, request: object, client_address: object) -> None:
                """A worker that was ended in the middle of a request is nothing to talk about."""

        self._server = Server(str(path), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def asked(self, kind: str) -> list[Request]:
        """The requests of one kind so far."""
        return [request for request in list(self.seen) if request.kind == kind]

    def _reply(self, request: Request) -> Reply:
        with self._lock:
            self.seen.append(request)
            if self.script[request.kind]:
                return self.script[request.kind].popleft()
            if request.kind in self.always:
                return self.always[request.kind]
            return getattr(self, f"_answer_{_NAMES[request.kind]}")(request)

    def _answer_id_size(self, _: Request) -> Reply:
        return Reply(payload=struct.pack("<Q", 32))

    def _answer_init(self, _: Request) -> Reply:
        target = self.platform.target_info().to_bytes()
        return Reply(payload=struct.pack("<Q", 32) + target + self.platform.pub_key_id)

    def _answer_size(self, request: Request) -> Reply:
        size = self.platform.quote_size
        if request.flags & NO_PROVIDER:
            size += 404 - len(self.platform.certificate_chain) - 1
        return Reply(payload=struct.pack("<I", size))

    def _answer_quote(self, request: Request) -> Reply:
        report, key, info = request.payload[4:436], request.payload[436:594], request.payload[594:]
        try:
            quote, filled = self.platform.get_quote(report, key + bytes(98), info or None)
        except QuotingError as error:
            return Reply(status=_QUOTE3.get(error.code, 0xE001))
        if request.flags & NO_PROVIDER:
            quote = without_certificates(quote)
        return quote_reply(quote, filled)

    def _answer_report(self, request: Request) -> Reply:
        report = make_report(TargetInfo.from_bytes(request.payload)).to_bytes()
        return Reply(payload=bytes(4) + report)

    def _answer_nothing(self, _: Request) -> Reply:
        return Reply()


_NAMES = {"i": "id_size", "I": "init", "S": "size", "Q": "quote", "R": "report", "C": "nothing", "P": "nothing",
          "E": "nothing"}  # fmt: skip


def quote_reply(quote: bytes, info: bytes | None = None) -> Reply:
    """The reply to a request for a quote."""
    return Reply(payload=struct.pack("<I", len(quote)) + quote + (info or b""))


def without_certificates(quote: bytes) -> bytes:
    """The quote as a QE makes it without a provider: type 3, the PPID encrypted with RSA-3072."""
    parsed = Quote.from_bytes(quote)
    return dataclasses.replace(parsed, certification_data_type=3, certification_data=bytes(404)).to_bytes()
