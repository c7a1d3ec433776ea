"""The main job, as its user runs it."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from processes import processes_that_name

from confcom.demo import scenario
from confcom.demo.scenario import StepResult, run_demo
from confcom.errors import PlatformError

STEP_NAMES = ["simulated node", *(name for name, _ in scenario.STEPS)]


def run_words(*words: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "confcom.cli", *words],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, **changes},
        check=False,
    )


def test_demo_as_json_is_one_document_with_every_step_held():
    done = run_words("demo", "--output", "json")

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["ok"] is True
    assert [step["name"] for step in document["steps"]] == STEP_NAMES
    assert all(set(step) == {"name", "ok", "seconds", "detail"} for step in document["steps"])
    assert all(step["ok"] and step["seconds"] >= 0 and step["detail"] for step in document["steps"])
    assert document["quote"]["verdict"] == "yes"
    assert document["quote"]["tcb_status"] == "UpToDate"
    assert document["quote"]["simulated"] is True
    assert document["quote"]["mr_enclave"] == scenario.application.mr_enclave(scenario.APPLICATION).hex()


def test_demo_as_a_table_ends_with_a_summary():
    done = run_words("demo")

    assert done.returncode == 0, done.stderr
    assert "8,192 allocatable" in done.stdout
    assert f"All {len(STEP_NAMES)} steps held" in done.stdout
    assert "proves nothing about hardware" in done.stdout


def test_demo_leaves_no_folder_and_no_process():
    with tempfile.TemporaryDirectory(prefix="ccd") as folder:
        done = run_words("demo", "--output", "json", TMPDIR=folder)

        assert done.returncode == 0, done.stderr
        assert list(Path(folder).iterdir()) == []
        assert processes_that_name(folder) == []


def test_demo_works_where_the_temporary_folder_has_a_long_path(tmp_path):
    folder = tmp_path / ("long" * 20)
    folder.mkdir()

    assert run_words("demo", "--output", "json", TMPDIR=str(folder)).returncode == 0


@pytest.mark.parametrize("broken", [name for name, _ in scenario.STEPS])
def test_a_step_that_does_not_hold_ends_the_demo(broken, short_dir, monkeypatch):
    async def fail(_node: scenario.Node) -> str:
        raise PlatformError("broken on purpose")

    async def hold(_node: scenario.Node) -> str:
        return "held"

    monkeypatch.setattr(scenario, "STEPS", tuple((n, fail if n == broken else hold) for n, _ in scenario.STEPS))
    shown: list[StepResult] = []
    document = asyncio.run(run_demo(short_dir, shown.append, lambda _: None))

    assert document["ok"] is False
    assert document["steps"][-1]["name"] == broken
    assert document["steps"][-1]["detail"] == "broken on purpose"
    assert [step.name for step in shown] == STEP_NAMES[: STEP_NAMES.index(broken) + 1]
    assert document["quote"]["verdict"] is None


def test_an_accepted_forgery_is_a_failure_of_the_demo():
    with pytest.raises(PlatformError, match="must not be"):
        scenario._refused({"verdict": "yes", "reasons": []})
