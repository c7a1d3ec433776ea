"""docs/requirements.md: every requirement once, and every test that it names exists."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TABLE = (ROOT / "docs/requirements.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| R(\d+) \| (.+?) \| (.+?) \| (.+?) \|$", TABLE, re.MULTILINE)


def test_every_requirement_has_its_row():
    assert [int(number) for number, *_ in ROWS] == list(range(1, 78))


def test_every_test_exists():
    missing = []
    for file, _, name in (text.partition("::") for *_, tests, _ in ROWS for text in re.findall(r"`([^`]+)`", tests)):
        path = ROOT / "tests" / file
        if not path.is_file() or (name and not re.search(rf"^\s*def {name}\(", path.read_text("utf-8"), re.MULTILINE)):
            missing.append(f"{file}::{name}")
    assert missing == []


def test_what_has_no_test_says_why():
    assert all(why.strip(" -") for *_, why in ROWS)
    without = [number for number, _, tests, _ in ROWS if tests == "-"]
    assert without == ["27", "31", "47", "48", "62", "65", "66", "70", "74", "75", "77"]
