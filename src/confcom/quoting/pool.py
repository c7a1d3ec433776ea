"""The front's side of the workers: started, given work, and replaced when they crash, hang or are killed.

A worker that dies takes nothing with it: its requests go back and are retried one at a time, because one of them may
be what killed it. It imports no cryptography and waits for nothing.
"""

import asyncio
import contextlib
import logging
import math
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from confcom.codes import AESM
from confcom.quoting.backend import BackendSettings, KeyReport
from confcom.quoting.hop import READ_BYTES, SOCKET_BUFFER_BYTES, Message, Operation, decode
from confcom.runtime.logs import event

logger = logging.getLogger(__name__)

# A worker is given as many requests at once as fill about this time: more gains nothing at real costs, and a late
# request of a quiet client waits for all of them (docs/explanation/quote-helper.md).
DEPTH_SECONDS = 0.002
MAX_DEPTH = 32
# Weight of the newest answer in a worker's mean cost.
COST_WEIGHT = 0.1
# A request that was in a dying worker is tried this often in all.
MAX_ATTEMPTS = 3
# A worker must say READY within this time: enclaves are loaded, and a certificate service may be asked.
START_SECONDS = 60.0
# Waits before a worker is replaced that died without having served: doubled each time, from the first to the second.
FIRST_BACKOFF_SECONDS = 0.1
MAX_BACKOFF_SECONDS = 5.0
WATCH_SECONDS = 0.25
# The kernel ends a killed process within this time, but for one that is stuck in a driver.
END_SECONDS = 5.0
# What the helper asks for itself (a check loads X.509 and verifies a quote) is answered within this time, or failed.
ASK_SECONDS = 30.0

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


class Source(Protocol):
    """Where jobs come from: the fair queue."""

    def __len__(self) -> int:
        """Jobs that wait."""

    def get(self) -> Job | None:
        """The next job whose client is still there."""


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
    """One worker as the front sees it."""

    def __init__(self, index: int, sock: socket.socket, process: asyncio.subprocess.Process) -> None:
        self.index = index
        self.sock = sock
        self.process = process
        self.jobs: dict[int, Job] = {}
        self.key: KeyReport | None = None
        self.served = 0
        self.last_heard = time.monotonic()
        self._mean_cost: float | None = None
        self._buffer = bytearray()
        self._next_job = 0

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
        """The answers that have come, or None if the worker has closed its end."""
        try:
            size = self.sock.recv_into(_RECEIVED)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not size:
            return None
        self.last_heard = time.monotonic()
        self._buffer += _RECEIVED[:size]
        return list(decode(self._buffer))

    def note_cost(self, microseconds: int) -> None:
        """Moves the mean cost towards that of one answer."""
        cost = microseconds / 1e6
        self._mean_cost = cost if self._mean_cost is None else self._mean_cost + COST_WEIGHT * (cost - self._mean_cost)

    def kill(self) -> None:
        """Ends the process at once."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    async def end(self) -> None:
        """Ends the process and waits until it is gone."""
        self.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await self.process.wait()


class Pool:
    """Keeps `size` workers alive and hands them jobs.

    Attributes:
        on_key: called with each `KeyReport` that a worker sends, and with None when the last ready worker has gone.
        on_failure: called with the AESM code and the cause of each failure of a backend.
    """

    def __init__(
        self,
        settings: BackendSettings,
        size: int,
        *,
        hang_seconds: float,
        watch: Callable[[int, Callable[[], None]], None],
        unwatch: Callable[[int], None],
        on_key: Callable[[KeyReport | None], None],
        on_failure: Callable[[int, str], None],
    ) -> None:
        self._settings = settings
        self.size = size
        self._hang_seconds = hang_seconds
        self._watch = watch
        self._unwatch = unwatch
        self._on_key = on_key
        self._on_failure = on_failure
        self._workers: dict[int, WorkerProcess] = {}
        self._suspects: deque[Job] = deque()
        self._retrying: WorkerProcess | None = None
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self.restarts = 0
        self.killers = 0

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins to keep the workers alive; they are ready later."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep(i), name=f"worker-{i}") for i in range(self.size)]
        self._tasks.append(loop.create_task(self._watch_for_hangs(), name="worker-watch"))

    async def stop(self) -> None:
        """Ends all workers; what they still held is answered as a stopped service."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, index: int) -> None:
        failures = 0
        while not self._stopping:
            ended, served = await self._one_life(index)
            failures = 0 if served else failures + 1
            delay = min(FIRST_BACKOFF_SECONDS * 2 ** (failures - 1), MAX_BACKOFF_SECONDS) if failures else 0.0
            event(
                logger, logging.WARNING, "worker ended, starting another", cause="worker-ended",
                worker=index, ended=ended, served=served, wait_seconds=delay,
            )  # fmt: skip
            self.restarts += 1
            await asyncio.sleep(delay)

    async def _one_life(self, index: int) -> tuple[str, int]:
        """Starts a worker and waits for its end: how it ended, and how many requests it served."""
        try:
            worker = await self._spawn(index)
        except OSError as error:
            # No descriptor, process or memory at this moment; there may be one later.
            return f"not started: {error.strerror}", 0
        try:
            status = await self._until_ended(worker)
        finally:
            self._lost(worker)
            await worker.end()
        return signal.Signals(-status).name if status < 0 else f"status {status}", worker.served

    async def _spawn(self, index: int) -> WorkerProcess:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        ours.setblocking(False)
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "confcom.quoting.worker", str(theirs.fileno()),
                    msgspec.json.encode(self._settings).decode(),
                    pass_fds=(theirs.fileno(),), stdin=asyncio.subprocess.DEVNULL, env=_environment(),
                )  # fmt: skip
        except BaseException:
            ours.close()
            raise
        worker = WorkerProcess(index, ours, process)
        self._workers[index] = worker
        self._watch(ours.fileno(), lambda: self._readable(worker))
        return worker

    async def _until_ended(self, worker: WorkerProcess) -> int:
        """Waits for the process's end; a worker that is not ready in time, or broke off, is ended."""
        deadline = time.monotonic() + START_SECONDS
        ended = asyncio.ensure_future(worker.process.wait())
        while True:
            done, _ = await asyncio.wait([ended], timeout=WATCH_SECONDS if worker.key is None else None)
            if done:
                return ended.result()
            if worker.key is None and time.monotonic() > deadline:
                event(logger, logging.ERROR, "worker was not ready in time", worker=worker.index, seconds=START_SECONDS)
                worker.kill()

    async def _watch_for_hangs(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = time.monotonic()
            for worker in list(self._workers.values()):
                if worker.jobs and now - worker.last_heard > self._hang_seconds:
                    event(
                        logger, logging.ERROR, "worker hangs and is ended", cause="worker-hangs",
                        worker=worker.index, silent_seconds=round(now - worker.last_heard, 1), jobs=len(worker.jobs),
                    )  # fmt: skip
                    self._lost(worker)
                    worker.kill()

    # --- work ---------------------------------------------------------------------------------------------------------

    @property
    def ready_workers(self) -> list[WorkerProcess]:
        """Workers that take work."""
        return [worker for worker in self._workers.values() if worker.key is not None]

    @property
    def workers(self) -> list[WorkerProcess]:
        """Workers that live, ready or not, in order of their index."""
        return [self._workers[index] for index in sorted(self._workers)]

    @property
    def held(self) -> int:
        """Jobs that are in a worker, or wait for a retry."""
        return len(self._suspects) + sum(len(worker.jobs) for worker in self._workers.values())

    def dispatch(self, source: Source) -> None:
        """Hands out work: least busy workers first, each its share of what waits."""
        ready = self.ready_workers
        if not ready:
            return
        if self._suspects or self._retrying is not None:
            self._retry(ready)
        waiting = len(source)
        if not waiting:
            return
        share = math.ceil(waiting / len(ready))
        for worker in sorted(ready, key=lambda w: len(w.jobs)):
            if worker is self._retrying:
                continue
            jobs: list[Job] = []
            for _ in range(min(worker.room, share)):
                if (job := source.get()) is None:
                    break
                jobs.append(job)
            if jobs and not worker.give(jobs):
                self._lost(worker)
                worker.kill()

    async def ask(self, operation: Operation, payload: bytes = b"") -> tuple[int, bytes]:
        """Has the least busy worker do something for the helper itself: an AESM code, and the answer or the cause.

        Raises:
            TimeoutError: no answer within ASK_SECONDS.
        """
        ready = self.ready_workers
        if not ready:
            return AESM.SERVICE_UNAVAILABLE, b"no quoting worker is ready"
        job = OwnJob(operation, payload)
        others = [worker for worker in ready if worker is not self._retrying]
        min(others or ready, key=lambda w: len(w.jobs)).give([job])
        async with asyncio.timeout(ASK_SECONDS):
            return await job.answer

    async def refresh(self) -> int:
        """Has every worker certify its key anew, since each has a QE of its own; 0, or the code of one that could not.

        Raises:
            TimeoutError: not all have answered within ASK_SECONDS.
        """
        jobs = []
        for worker in self.ready_workers:
            jobs.append(OwnJob(Operation.REFRESH, b""))
            worker.give([jobs[-1]])
        async with asyncio.timeout(ASK_SECONDS):
            codes = [(await job.answer)[0] for job in jobs]
        return max(codes, default=AESM.SERVICE_UNAVAILABLE)

    def _retry(self, ready: list[WorkerProcess]) -> None:
        """Gives suspects, one at a time, to a worker that holds nothing else and was first let run empty."""
        worker = self._retrying
        if worker not in ready:
            worker = self._retrying = min(ready, key=lambda w: len(w.jobs))
        if worker.jobs:
            return
        job = next((job for job in iter(self._next_suspect, None) if not job.gone), None)
        if job is None:
            self._retrying = None
        elif not worker.give([job]):
            self._lost(worker)
            worker.kill()

    def _next_suspect(self) -> Job | None:
        return self._suspects.popleft() if self._suspects else None

    def _readable(self, worker: WorkerProcess) -> None:
        try:
            answers = worker.receive()
        except ValueError as error:
            event(logger, logging.ERROR, "worker sent nonsense and is ended", worker=worker.index, problem=str(error))
            answers = None
        if answers is None:
            self._lost(worker)
            worker.kill()
            return
        for answer in answers:
            if answer.operation == Operation.READY:
                self._said_ready(worker, answer)
            else:
                self._answered(worker, answer)

    def _said_ready(self, worker: WorkerProcess, answer: Message) -> None:
        if answer.code:
            self._on_failure(answer.code, answer.payload.decode(errors="replace"))
            return
        worker.key = msgspec.json.decode(answer.payload, type=KeyReport)
        event(logger, logging.INFO, "worker ready", worker=worker.index, pid=worker.process.pid)
        self._on_key(worker.key)

    def _answered(self, worker: WorkerProcess, answer: Message) -> None:
        job = worker.jobs.pop(answer.job, None)
        if job is None:
            return
        worker.served += 1
        if answer.operation == Operation.QUOTE:
            worker.note_cost(answer.cost)
        elif answer.operation == Operation.REFRESH and not answer.code:
            worker.key = msgspec.json.decode(answer.payload, type=KeyReport)
            self._on_key(worker.key)
        if answer.code:
            self._on_failure(answer.code, answer.payload.decode(errors="replace"))
        job.finish(answer.code, answer.payload)
        if answer.code == AESM.ENCLAVE_LOST:
            # An enclave that power management took does not come back in this process.
            event(logger, logging.WARNING, "enclave lost, worker is replaced", worker=worker.index)
            self._lost(worker)
            worker.kill()

    def _lost(self, worker: WorkerProcess) -> None:
        """Takes a worker out of service and its jobs back; safe to call again."""
        if self._workers.get(worker.index) is not worker:
            return
        self._forget(worker)
        for job in worker.jobs.values():
            job.attempts += 1
            if job.attempts >= MAX_ATTEMPTS:
                self.killers += 1
                event(logger, logging.ERROR, "request given up: each worker that had it died", cause="killer-request")
                job.finish(AESM.UNEXPECTED, b"each worker that had this request died")
            elif not job.gone:
                self._suspects.append(job)
        worker.jobs.clear()
        if not self.ready_workers:
            self._on_key(None)

    def _forget(self, worker: WorkerProcess) -> None:
        del self._workers[worker.index]
        self._unwatch(worker.sock.fileno())
        worker.sock.close()


def _environment() -> dict[str, str]:
    """The environment of a worker: ours, without the variable that makes quoting libraries ask a helper."""
    return {name: value for name, value in os.environ.items() if name != "SGX_AESM_ADDR"}
