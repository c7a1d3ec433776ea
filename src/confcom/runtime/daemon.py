"""The life of a daemon: signals, named tasks that may not end unnoticed, and an orderly stop."""

import asyncio
import errno
import gc
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from confcom.runtime.logs import event

logger = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# What the system refuses at this moment; asyncio tries again.
_SHORTAGES = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Daemon:
    """Owns the signals and the background tasks of one process.

    The first SIGTERM or SIGINT sets `stopping`; a second one ends the process at once with the signal's status.
    """

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.failure: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def handle_signals(self) -> None:
        """Takes the stop signals; only the program's entry point calls this."""
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        if self.stopping.is_set():
            os._exit(128 + number)
        event(logger, logging.INFO, "stopping", signal=number.name)
        self.stopping.set()

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs a background task; if it fails, the daemon stops and `failure` says why."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        logger.error("task %s failed", task.get_name(), exc_info=error)
        self.failure = self.failure or error
        self.stopping.set()

    async def cancel_tasks(self, deadline_seconds: float = 5.0) -> None:
        """Ends the background tasks and names those that do not end within the deadline."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        _, stuck = await asyncio.wait(tasks, timeout=deadline_seconds)
        for task in stuck:
            event(logger, logging.ERROR, "task did not end", task=task.get_name())


def _on_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Logs what asyncio complains of as any other event: a shortage in one line, a fault with its traceback."""
    message, error = context["message"], context.get("exception")
    if isinstance(error, OSError) and error.errno in _SHORTAGES:
        event(logger, logging.ERROR, "the system is short of something", cause="shortage", problem=error.strerror)
    else:
        logger.error(message, exc_info=error, extra={"cause": "asyncio"})


def run(main: Callable[[Daemon], Awaitable[int]]) -> int:
    """Runs `main` with a `Daemon` that owns the process's signals, and returns the exit status."""

    async def _run() -> int:
        daemon = Daemon()
        daemon.handle_signals()
        asyncio.get_running_loop().set_exception_handler(_on_loop_error)
        # What was imported lives as long as the process; the collector need not look at it again.
        gc.freeze()
        try:
            status = await main(daemon)
        finally:
            await daemon.cancel_tasks()
        return 3 if daemon.failure is not None else status

    return asyncio.run(_run())
