"""One worker as the front sees it: a process, a socket, and the jobs that are in it."""

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
import time
from typing import Any, Protocol, Self

import msgspec

from confcom.quoting.backend import BackendSettings, KeyReport
from confcom.quoting.hop import READ_BYTES, SOCKET_BUFFER_BYTES, Message, MessageDecoder, Operation

# A worker is given as many requests at once as fill about this time: more gains nothing at real costs, and a late
# request of a quiet client waits for all of them (docs/explanation/quote-helper.md).
DEPTH_SECONDS = 0.002
MAX_DEPTH = 32
# Weight of the newest answer in a worker's mean cost.
COST_WEIGHT = 0.1
# The kernel ends a killed process within this time, but for one that is stuck in a driver.
END_SECONDS = 5.0

# One buffer for all reads of the front's one thread: a fresh one of this size for each would cost more than the read.
_RECEIVED = memoryview(bytearray(READ_BYTES))


class Job(Protocol):
    """A request for a worker."""

    operation: Operation
    payload: bytes
    attempts: int

    @property
    def gone(self) -> bool:
        """Whether nobody waits for the answer any more."""

    def finish(self, code: int, payload: bytes) -> None:
        """Takes the answer: an AESM code and what the worker said."""


class OwnJob:
    """A job of the helper's own, which somebody awaits."""

    def __init__(self, operation: Operation, payload: bytes) -> None:
        self.operation = operation
        self.payload = payload
        self.attempts = 0
        self.answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()

    @property
    def gone(self) -> bool:
        """Whether nobody awaits it any more."""
        return self.answer.done()

    def finish(self, code: int, payload: bytes) -> None:
        """Takes the worker's answer."""
        if not self.answer.done():
            self.answer.set_result((code, payload))


class WorkerProcess:
    """One worker; made by `start`, over by `end`."""

    def __init__(self, index: int, sock: socket.socket, process: asyncio.subprocess.Process) -> None:
        self.index = index
        self.sock = sock
        self.process = process
        self.jobs: dict[int, Job] = {}
        self.key: KeyReport | None = None
        self.served = 0
        self.died_over_request = False
        self.last_heard = time.monotonic()
        self._decoder = MessageDecoder()
        self._mean_cost: float | None = None
        self._next_job = 0

    @classmethod
    async def start(cls, index: int, settings: BackendSettings) -> Self:
        """Starts a worker, which says READY later.

        Raises:
            OSError: no descriptor, process or memory at this moment.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        ours.setblocking(False)
        try:
            with theirs:
                process = await start_process(
                    sys.executable, "-m", "confcom.quoting.worker", str(theirs.fileno()),
                    msgspec.json.encode(settings).decode(),
                    pass_fds=(theirs.fileno(),), stdin=asyncio.subprocess.DEVNULL,
                    # A terminal's Ctrl-C is for the front, which ends the workers when it has answered.
                    process_group=0,
                )  # fmt: skip
            return cls(index, ours, process)
        except BaseException:
            ours.close()
            raise

    @property
    def room(self) -> int:
        """How many more requests it takes at once."""
        mean = self._mean_cost
        depth = 1 if mean is None else min(MAX_DEPTH, 1 + int(DEPTH_SECONDS / max(mean, 1e-6)))
        return depth - len(self.jobs)

    def give(self, jobs: list[Job]) -> bool:
        """Sends requests in one piece; False if the worker does not take them, which a living one always does."""
        if not self.jobs:
            self.last_heard = time.monotonic()
        frames = []
        for job in jobs:
            self._next_job = (self._next_job + 1) & 0xFFFFFFFF
            self.jobs[self._next_job] = job
            frames.append(Message(job.operation, self._next_job, job.payload).encode())
        data = b"".join(frames)
        try:
            return self.sock.send(data) == len(data)
        except OSError:
            return False

    def receive(self) -> list[Message] | None:
        """The answers that have come, or None if the worker has closed its end.

        Raises:
            ValueError: it sent nonsense.
        """
        try:
            size = self.sock.recv_into(_RECEIVED)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not size:
            return None
        self.last_heard = time.monotonic()
        return self._decoder.receive(bytes(_RECEIVED[:size]))

    def note_cost(self, microseconds: int) -> None:
        """Moves the mean cost towards that of one answer."""
        cost = microseconds / 1e6
        self._mean_cost = cost if self._mean_cost is None else self._mean_cost + COST_WEIGHT * (cost - self._mean_cost)

    def kill(self) -> None:
        """Ends the process at once; if it has ended by itself, that stands."""
        if self.process.returncode is None:
            # Not by `process.kill`, which collects the status of an ended process behind asyncio's back.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)

    async def end(self) -> None:
        """Ends the process and waits until it is gone."""
        self.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await self.process.wait()


async def start_process(*command: str, **options: Any) -> asyncio.subprocess.Process:
    """Starts a process, as `asyncio.create_subprocess_exec` does.

    Raises:
        OSError: no descriptor, process, thread or memory at this moment.
    """
    try:
        return await asyncio.create_subprocess_exec(*command, **options)
    except RuntimeError as error:
        # Before Python 3.12 a thread waits for each process, and a pod's limit of processes counts threads too.
        raise OSError(errno.EAGAIN, str(error)) from error


def ending(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        # A real-time signal has no name.
        return f"signal {-status}"
