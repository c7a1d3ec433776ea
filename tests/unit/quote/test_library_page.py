"""The example of docs/reference/library.md runs, and what its tables say of bounds and names is so."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from confcom import quote
from confcom.quote.certificates import MAX_CHAIN
from confcom.quote.chain import MAX_CERTIFICATION_DATA
from confcom.quote.collateral import MAX_COLLATERAL_BYTES
from confcom.quote.encodings import MAX_WRAPPED_BYTES
from confcom.quote.policy_file import MAX_POLICY_BYTES
from confcom.quote.reading import MAX_QUOTE_BYTES
from confcom.sgx import DEFAULT_KEY_ID
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report

PAGE = (Path(__file__).resolve().parents[3] / "docs/reference/library.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]


@pytest.mark.parametrize(("wanted", "printed"), [("aa", "UpToDate\n"), ("bb", "UpToDate mr_enclave is ")])
def test_the_example_runs(tmp_path, monkeypatch, capsys, wanted, printed):
    machine = SimulatedPlatform.create(tmp_path / "machine")
    report = make_report(machine.target_info(), mr_enclave=b"\xaa" * 32)
    (tmp_path / "quote.bin").write_bytes(machine.get_quote(report.to_bytes(), DEFAULT_KEY_ID.to_bytes())[0])
    (tmp_path / "collateral.json").write_text(json.dumps(machine.collateral(datetime.now(UTC))))
    (tmp_path / "root.pem").write_bytes(machine.root_pem)
    (tmp_path / "mr_enclave.txt").write_text(wanted * 32)
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLE, "library.md", "exec"), {})  # the page's own text
    assert capsys.readouterr().out.startswith(printed)


def test_the_example_has_ten_lines_at_most():
    assert len([line for line in EXAMPLE.splitlines() if line]) <= 10


def test_names_of_the_table_exist():
    names = set(re.findall(r"^\| `(\w+)[.(`]", PAGE, re.MULTILINE)) - {"report_data"}
    assert len(names) > 8
    assert names <= set(quote.__all__)


def test_members_of_a_verification_exist(machine):
    text = PAGE.partition("is a frozen value: ")[2].partition(". Only")[0]
    for name in re.findall(r"`(\w+)`", text):
        assert hasattr(machine.examine(), name)


def test_bounds_are_those_of_the_page():
    assert "4 MiB, six layers" in PAGE
    assert MAX_WRAPPED_BYTES == MAX_COLLATERAL_BYTES == 4 << 20
    assert (MAX_QUOTE_BYTES, MAX_CERTIFICATION_DATA, MAX_CHAIN, MAX_POLICY_BYTES) == (1 << 20, 32 << 10, 8, 256 << 10)
