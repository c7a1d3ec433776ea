"""The life of a daemon: signals, tasks that fail, and a stop that ends."""

import asyncio
import errno
import os
import signal
from types import SimpleNamespace

import pytest

from confcom.runtime import daemon as daemon_module
from confcom.runtime.daemon import run


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_asks_for_a_stop(number):
    async def main(daemon):
        os.kill(os.getpid(), number)
        await asyncio.wait_for(daemon.stopping.wait(), 30)
        return 0

    assert run(main) == 0


def test_second_signal_ends_the_process_with_the_signal_s_status(monkeypatch):
    ended = []
    monkeypatch.setattr(daemon_module, "os", SimpleNamespace(_exit=ended.append))

    async def main(daemon):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(daemon.stopping.wait(), 30)
        os.kill(os.getpid(), signal.SIGTERM)
        while not ended:
            await asyncio.sleep(0.001)
        return 0

    assert run(main) == 0
    assert ended == [128 + signal.SIGTERM]


@pytest.mark.parametrize("status", [0, 1, 2])
def test_status_of_the_program_is_returned(status):
    async def main(_daemon):
        return status

    assert run(main) == status


def test_task_that_fails_stops_the_daemon_and_its_status_is_3():
    async def fails():
        raise ZeroDivisionError

    async def main(daemon):
        daemon.start("failing", fails())
        await asyncio.wait_for(daemon.stopping.wait(), 30)
        assert isinstance(daemon.failure, ZeroDivisionError)
        return 0

    assert run(main) == 3


def test_task_that_ends_by_itself_is_no_failure():
    async def main(daemon):
        await daemon.start("short", asyncio.sleep(0))
        assert not daemon.stopping.is_set()
        return 0

    assert run(main) == 0


def test_tasks_are_cancelled_at_the_end():
    cancelled = []

    async def waits():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def main(daemon):
        daemon.start("waiting", waits())
        await asyncio.sleep(0)
        return 0

    assert run(main) == 0
    assert cancelled == [True]


@pytest.mark.parametrize(
    ("error", "line", "has_traceback"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "the system is short of something", False),
        (OSError(errno.EBADF, "Bad file descriptor"), "a callback failed", True),
        (ZeroDivisionError(), "a callback failed", True),
    ],
    ids=["no descriptor", "another refusal", "fault of ours"],
)
def test_complaint_of_asyncio_is_an_event_of_ours(caplog, error, line, has_traceback):
    async def main(_daemon):
        asyncio.get_running_loop().call_exception_handler({"message": "a callback failed", "exception": error})
        return 0

    assert run(main) == 0
    (record,) = caplog.records
    assert (record.name, record.getMessage(), bool(record.exc_info)) == ("confcom.runtime.daemon", line, has_traceback)
