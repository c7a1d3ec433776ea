"""The front's side of the workers: started, given work, and replaced when they crash, hang or are killed.

A worker that dies takes nothing with it: its requests go back and are retried one at a time, because one of them may
be what killed it. It imports no cryptography and waits for nothing.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from confcom.codes import AESM
from confcom.quoting.backend import BackendSettings, KeyReport
from confcom.quoting.hop import Message, Operation
from confcom.quoting.worker_process import Job, OwnJob, WorkerProcess, ending
from confcom.runtime.logs import event

logger = logging.getLogger(__name__)

# A request that was in a dying worker is tried this often in all.
MAX_ATTEMPTS = 3
# A worker must say READY within this time: enclaves are loaded, and a certificate service may be asked.
START_SECONDS = 60.0
# Waits before a worker is replaced that died without having served: doubled each time, from the first to the second.
FIRST_BACKOFF_SECONDS = 0.1
MAX_BACKOFF_SECONDS = 5.0
# The longest wait where it died over a request, whose tries are few: who waits behind it must be served within the
# deadline, three such waits and starts included.
REQUEST_BACKOFF_SECONDS = 0.5
WATCH_SECONDS = 0.25
# A worker whose end of the socket is closed ends by itself within this time, and then its status tells why.
LEAVE_SECONDS = 0.5
# What the helper asks for itself (a check loads X.509 and verifies a quote) is answered within this time, or failed.
ASK_SECONDS = 30.0

_DIED = b"each worker that had it died"


class Source(Protocol):
    """Where jobs come from: the fair queue."""

    def __len__(self) -> int:
        """Jobs that wait."""

    def get(self) -> Job | None:
        """The next job whose client is still there."""


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
        """Ends all workers; what they still held is not answered any more."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, index: int) -> None:
        delay = 0.0
        while not self._stopping:
            ended, served, longest = await self._one_life(index)
            delay = 0.0 if served else min(max(2 * delay, FIRST_BACKOFF_SECONDS), longest)
            event(
                logger, logging.WARNING, "worker ended, starting another", cause="worker-ended",
                worker=index, ended=ended, served=served, wait_seconds=delay,
            )  # fmt: skip
            self.restarts += 1
            await asyncio.sleep(delay)

    async def _one_life(self, index: int) -> tuple[str, int, float]:
        """Starts a worker and waits for its end: how it ended, what it served, and the longest wait for the next."""
        try:
            worker = await self._spawn(index)
        except OSError as error:
            # Of what is missing at this moment there may be some later.
            return f"not started: {error.strerror}", 0, MAX_BACKOFF_SECONDS
        try:
            status = await self._until_ended(worker)
        finally:
            self._lost(worker)
            await worker.end()
        longest = REQUEST_BACKOFF_SECONDS if worker.died_over_request else MAX_BACKOFF_SECONDS
        return ending(status), worker.served, longest

    async def _spawn(self, index: int) -> WorkerProcess:
        worker = await WorkerProcess.start(index, self._settings)
        self._workers[index] = worker
        self._watch(worker.sock.fileno(), lambda: self._readable(worker))
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
                problem = f"a worker did not have its key within {START_SECONDS:.0f} seconds, and was ended"
                event(
                    logger, logging.ERROR, "worker was not ready in time", cause="worker-late",
                    worker=worker.index, seconds=START_SECONDS,
                )  # fmt: skip
                self._on_failure(AESM.SERVICE_UNAVAILABLE, problem)
                worker.kill()
                # Said once: one that is stuck in a driver ends when that lets it go.
                deadline = math.inf

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
                    self._end(worker)

    # --- work ---------------------------------------------------------------------------------------------------------

    @property
    def ready_workers(self) -> list[WorkerProcess]:
        """Workers that take work."""
        return [worker for worker in self._workers.values() if worker.key is not None]

    @property
    def workers(self) -> list[WorkerProcess]:
        """Workers that live, ready or not, in order of their index."""
        return [self._workers[index] for index in sorted(self._workers)]

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
            if jobs:
                self._give(worker, jobs)

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
        self._give(min(others or ready, key=lambda w: len(w.jobs)), [job])
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
            self._give(worker, [jobs[-1]])
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
        while self._suspects and self._suspects[0].gone:
            self._suspects.popleft()
        if self._suspects:
            self._give(worker, [self._suspects.popleft()])
        else:
            self._retrying = None

    def _give(self, worker: WorkerProcess, jobs: list[Job]) -> None:
        if not worker.give(jobs):
            self._end(worker)

    def _readable(self, worker: WorkerProcess) -> None:
        try:
            answers = worker.receive()
        except ValueError as error:
            self._sent_nonsense(worker, error)
            return
        if answers is None:
            self._lost(worker)
            asyncio.get_running_loop().call_later(LEAVE_SECONDS, worker.kill)
            return
        for answer in answers:
            if self._workers.get(worker.index) is not worker:
                return
            if answer.operation == Operation.READY:
                self._said_ready(worker, answer)
            else:
                self._answered(worker, answer)

    def _said_ready(self, worker: WorkerProcess, answer: Message) -> None:
        if answer.code:
            self._on_failure(answer.code, answer.payload.decode(errors="replace"))
            return
        if self._has_key(worker, answer.payload):
            event(
                logger, logging.INFO, "worker ready", cause="worker-ready",
                worker=worker.index, pid=worker.process.pid,
            )  # fmt: skip

    def _has_key(self, worker: WorkerProcess, report: bytes) -> bool:
        """Notes the key that a worker reports; False if that is none, and the worker is lost."""
        try:
            worker.key = msgspec.json.decode(report, type=KeyReport)
        except msgspec.DecodeError as error:
            self._sent_nonsense(worker, error)
            return False
        self._on_key(worker.key)
        return True

    def _sent_nonsense(self, worker: WorkerProcess, error: Exception) -> None:
        event(
            logger, logging.ERROR, "worker sent nonsense and is ended", cause="worker-nonsense",
            worker=worker.index, problem=str(error),
        )  # fmt: skip
        self._end(worker)

    def _answered(self, worker: WorkerProcess, answer: Message) -> None:
        if answer.code:
            self._on_failure(answer.code, answer.payload.decode(errors="replace"))
            if answer.code == AESM.ENCLAVE_LOST:
                self._lost_enclave(worker)
                return
        job = worker.jobs.pop(answer.job, None)
        if job is None:
            return
        worker.served += 1
        if answer.operation == Operation.QUOTE:
            worker.note_cost(answer.cost)
        elif answer.operation == Operation.REFRESH and not answer.code:
            self._has_key(worker, answer.payload)
        job.finish(answer.code, answer.payload)

    def _lost_enclave(self, worker: WorkerProcess) -> None:
        """An enclave that power management took does not come back in this process; another worker may have one."""
        event(logger, logging.WARNING, "enclave lost, worker is replaced", cause="enclave-lost", worker=worker.index)
        self._end(worker, AESM.ENCLAVE_LOST, b"each worker that had this request lost its enclave")

    def _end(self, worker: WorkerProcess, code: int = AESM.UNEXPECTED, cause: bytes = _DIED) -> None:
        """Takes a worker out of service at once; `_keep` replaces it."""
        self._lost(worker, code, cause)
        worker.kill()

    def _lost(self, worker: WorkerProcess, code: int = AESM.UNEXPECTED, cause: bytes = _DIED) -> None:
        """Takes a worker out of service and its jobs back; safe to call again.

        A job that has been in too many such workers is answered with `code` and `cause`.
        """
        if self._workers.get(worker.index) is not worker:
            return
        self._forget(worker)
        worker.died_over_request = bool(worker.jobs)
        # Power management takes the enclaves of all workers at once: a request may meet every one, and then new ones.
        limit = MAX_ATTEMPTS + (self.size - 1 if code == AESM.ENCLAVE_LOST else 0)
        for job in worker.jobs.values():
            job.attempts += 1
            if job.attempts >= limit:
                self.killers += code == AESM.UNEXPECTED
                event(logger, logging.ERROR, "request given up", cause="killer-request", problem=cause.decode())
                job.finish(code, cause)
            elif not job.gone:
                self._suspects.append(job)
        worker.jobs.clear()
        if not self.ready_workers:
            self._on_key(None)

    def _forget(self, worker: WorkerProcess) -> None:
        del self._workers[worker.index]
        self._unwatch(worker.sock.fileno())
        worker.sock.close()
