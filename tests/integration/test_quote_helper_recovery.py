"""What a helper does when the ground under it goes: its socket folder, or the platform of its workers."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from confcom.aesm import Client
from confcom.quote_helper import self_check
from confcom.simulation.platform import SimulatedPlatform


def test_socket_folder_that_was_removed_is_made_again(start_helper):
    helper = start_helper()
    before = helper.status()["take_overs"]
    shutil.rmtree(Path(helper.socket).parent)
    helper.wait_until(lambda status: status["take_overs"] > before)

    assert Client(helper.socket).get_quote_size() > 1020
    assert Path(helper.socket).parent.stat().st_mode & 0o777 == 0o755


def test_helper_whose_workers_cannot_start_any_more_tells_why(start_helper, short_dir):
    machine = SimulatedPlatform.create(short_dir / "machine")
    helper = start_helper("--simulated-platform", str(machine.folder))
    (machine.folder / "attestation.key").write_text("junk")
    for pid in helper.worker_pids():
        os.kill(pid, signal.SIGKILL)
    status = helper.wait_until(lambda s: s["last_causes"])

    assert "attestation.key" in status["last_causes"][0]["cause"]


@pytest.mark.parametrize(("seconds", "ready"), [(self_check.WORKERLESS_SECONDS - 5, True), (60.0, False)])
def test_readiness_ends_when_no_worker_has_come_for_a_while(seconds, ready, monkeypatch):
    class Front:
        workerless_since = 1000.0

    check = self_check.SelfCheck(Front(), None)
    check.outcome = self_check.failed("")
    check.outcome = type(check.outcome)(quoting=None, verified=True, reason="Verified", message="")
    monkeypatch.setattr(self_check.time, "monotonic", lambda: 1000.0 + seconds)

    assert (check.problem() is None) is ready
