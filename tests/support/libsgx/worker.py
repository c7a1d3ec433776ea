"""A quoting worker as the pool starts it, over the stand-ins of Intel's libraries, driven message by message."""

import os
import socket
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Self

import msgspec
from libsgx.stand_in import SOCKET_VARIABLE

from confcom.quoting.backend import BackendSettings, KeyReport
from confcom.quoting.hop import Message, MessageDecoder, Operation, pack_quote
from confcom.quoting.outcome import CheckOutcome
from confcom.sgx import DEFAULT_KEY_ID

ANSWER_SECONDS = 60


class DcapWorker:
    """One worker process; a context manager. `log` is what it wrote to stderr, once it has ended."""

    def __init__(self, libraries: Path, oracle_socket: Path, **settings: str) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(ANSWER_SECONDS)
        self._sock = ours
        self._decoder = MessageDecoder()
        self._received: deque[Message] = deque()
        self._job = 0
        self.log = ""
        # SGX_AESM_ADDR as a pod template might have it: the worker must not let the libraries see it.
        environment = {
            **os.environ, "LD_LIBRARY_PATH": str(libraries), SOCKET_VARIABLE: str(oracle_socket), "SGX_AESM_ADDR": "1",
        }  # fmt: skip
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "confcom.quoting.worker", str(theirs.fileno()),
                 msgspec.json.encode(BackendSettings(kind="dcap", **settings)).decode()],
                pass_fds=(theirs.fileno(),), env=environment, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> str:
        """Closes the front's end, upon which a worker ends, and returns its log."""
        self._sock.close()
        if not self.process.stderr.closed:
            self.log += self.process.communicate(timeout=ANSWER_SECONDS)[1]
        return self.log

    def receive(self) -> Message | None:
        """The next message, or None where the worker has ended."""
        while not self._received:
            try:
                data = self._sock.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._received.extend(self._decoder.receive(data))
        return self._received.popleft()

    def ready(self) -> KeyReport:
        """What the worker says once it has its key."""
        message = self.receive()
        assert message is not None, self.stop()
        assert message.code == 0, message.payload.decode()
        return msgspec.json.decode(message.payload, type=KeyReport)

    def refusal(self) -> tuple[int, str]:
        """The AESM code and the cause of a worker that cannot begin."""
        message = self.receive()
        assert message is not None, self.stop()
        assert message.operation == Operation.READY
        return message.code, message.payload.decode()

    def ask(self, operation: Operation, payload: bytes = b"") -> Message | None:
        """One operation and its answer."""
        self._job += 1
        self._sock.sendall(Message(operation, self._job, payload).encode())
        return self.receive()

    def quote(self, report: bytes, info: bytes | None = None, key: bytes = DEFAULT_KEY_ID.to_bytes()) -> Message | None:
        """One quote."""
        return self.ask(Operation.QUOTE, pack_quote(report, key, info))

    def check(self) -> CheckOutcome:
        """One self-check that is answered without an error."""
        message = self.ask(Operation.CHECK)
        assert message is not None, self.stop()
        assert message.code == 0, message.payload.decode()
        return msgspec.json.decode(message.payload, type=CheckOutcome)
