"""What a helper does when the ground under it goes: its socket folder, or the platform of its workers."""

import asyncio
import errno
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from helper_process import connect, frame, read_all
from quote_requests import error_code, quote_request

from confcom.aesm import Client
from confcom.quote_helper import self_check
from confcom.quote_helper.main import QuoteHelper
from confcom.quoting import worker_process
from confcom.quoting.outcome import CollateralCheck
from confcom.simulation.platform import SimulatedPlatform


def test_socket_folder_that_was_removed_is_made_again(start_helper):
    helper = start_helper()
    before = helper.status()["take_overs"]
    shutil.rmtree(Path(helper.socket).parent)
    helper.wait_until(lambda status: status["take_overs"] > before)

    assert Client(helper.socket).get_quote_size() > 1020
    assert Path(helper.socket).parent.stat().st_mode & 0o777 == 0o755
    helper.wait_for_line("serving again a path that was removed")
    assert not any("somebody else" in line for line in helper.log)


@pytest.mark.parametrize("generations", [(1, 2), (2, 1)])
def test_state_folder_that_was_removed_does_not_make_two_helpers_fight(start_helper, generations):
    first = start_helper("--generation", str(generations[0]))
    shutil.rmtree(first.folder / "state")
    second = start_helper("--generation", str(generations[1]))
    newer, older = (second, first) if generations[1] > generations[0] else (first, second)
    newer.wait_until(lambda status: status["role"] == "serving")
    older.wait_until(lambda status: status["role"] == "standby")
    before = os.lstat(first.socket).st_ino
    # As long as it takes for several looks.
    time.sleep(1.0)
    assert os.lstat(first.socket).st_ino == before


def test_full_disk_takes_no_request_of_a_helper_that_stops(start_helper, platform):
    helper = start_helper("--hang-seconds", "14")
    request = frame(quote_request(platform))
    subprocess.run(["prlimit", "--pid", str(helper.process.pid), "--fsize=0"], check=True)
    with connect(helper.socket) as client:
        with helper.stopped_worker():
            client.sendall(request)
            helper.wait_until(lambda status: status["workers"][0]["jobs"] == 1)
            helper.signal(signal.SIGTERM)
            helper.wait_for_line("stopping")
        assert error_code(read_all(client)[4:]) == 0
    assert helper.wait_end() == 0
    helper.wait_for_line("registration cannot be written")
    assert not any("Traceback" in line for line in helper.log)


def test_full_disk_keeps_no_helper_from_a_dead_path(start_helper):
    helper = start_helper()
    subprocess.run(["prlimit", "--pid", str(helper.process.pid), "--fsize=0"], check=True)
    Path(helper.socket).unlink()
    helper.wait_until(lambda status: status["take_overs"] == 2)
    assert Client(helper.socket).get_quote_size() > 1020


def test_helper_whose_workers_cannot_start_any_more_tells_why(start_helper, short_dir):
    machine = SimulatedPlatform.create(short_dir / "machine")
    helper = start_helper("--simulated-platform", str(machine.folder))
    (machine.folder / "attestation.key").write_text("junk")
    for pid in helper.worker_pids():
        os.kill(pid, signal.SIGKILL)
    status = helper.wait_until(lambda s: s["last_causes"])

    assert "attestation.key" in status["last_causes"][0]["cause"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "Too many open files"),
        # Python 3.11, where the pod may have no more threads.
        (RuntimeError("can't start new thread"), "can't start new thread"),
    ],
)
def test_verification_that_cannot_be_started_is_a_condition_and_not_the_helper_s_end(monkeypatch, error, words):
    async def refuse(*_, **__):
        raise error

    monkeypatch.setattr(worker_process, "asyncio", SimpleNamespace(create_subprocess_exec=refuse))
    verdict = asyncio.run(self_check._ask(CollateralCheck(quote=b"", service="thim")))

    assert (verdict.verified, verdict.reason) == (False, "CollateralUnavailable")
    assert verdict.message == f"the verification of the helper's own quote could not be started: {words}"


def test_simulated_root_that_no_worker_hands_out_in_time_is_refused_in_words():
    """The worker that was asked has died, and none has come since."""

    class Pool:
        async def ask(self, operation, payload):
            raise TimeoutError

    helper = SimpleNamespace(backend=SimpleNamespace(kind="simulation"), front=SimpleNamespace(pool=Pool()))
    answer = asyncio.run(QuoteHelper._endorsement(helper, b"root", "application/x-pem-file"))

    assert (answer.status, answer.body) == (503, b"no quoting worker has answered in time\n")


@pytest.mark.parametrize(("seconds", "ready"), [(self_check.WORKERLESS_SECONDS - 5, True), (60.0, False)])
def test_readiness_ends_when_no_worker_has_come_for_a_while(seconds, ready, monkeypatch):
    class Front:
        workerless_since = 1000.0

    check = self_check.SelfCheck(Front(), None)
    check.outcome = self_check.failed("")
    check.outcome = type(check.outcome)(quoting=None, verified=True, reason="Verified", message="")
    monkeypatch.setattr(self_check, "time", SimpleNamespace(monotonic=lambda: 1000.0 + seconds))

    assert (check.problem() is None) is ready
