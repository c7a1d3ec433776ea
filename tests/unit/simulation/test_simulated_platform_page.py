"""The reference page of the simulated platform says nothing that does not hold."""

import re
from pathlib import Path

import pytest

from confcom.simulation.platform import SimulatedPlatform

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/simulated-platform.md"


@pytest.fixture(scope="module")
def text():
    return PAGE.read_text(encoding="utf-8")


def test_the_example_runs(text, tmp_path):
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names = {}
    exec(example.replace("/tmp/machine", str(tmp_path / "machine")), names)
    assert len(names["quote"]) == names["machine"].quote_size
    assert names["collateral"]["tcb_info"]


def test_the_table_of_files_is_complete(text, tmp_path):
    SimulatedPlatform.open(tmp_path / "machine")
    table = text.split("## What the folder holds")[1].split("\n\n")[1]
    named = {name for line in table.splitlines() for name in re.findall(r"`([\w.-]+)`", line.split("|")[1])}
    assert named == {path.name for path in (tmp_path / "machine").iterdir()}


def test_every_member_of_the_collateral_is_named(text, machine, now):
    assert [name for name in machine.collateral(now) if f"`{name}`" not in text] == []
