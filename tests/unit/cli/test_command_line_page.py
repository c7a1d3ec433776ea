"""The page on the command line names every verb and every exit code."""

import re
import signal
from pathlib import Path

import typer

from confcom import errors
from confcom.cli.main import app
from confcom.cli.streams import READER_GONE_CODE
from confcom.runtime.interrupts import INTERRUPTED_CODE

PAGE = (Path(__file__).resolve().parents[3] / "docs/reference/command-line.md").read_text(encoding="utf-8")


def test_page_lists_every_verb():
    listed = re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(typer.main.get_command(app).commands)


def test_page_lists_every_exit_code():
    families = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    codes = {0, INTERRUPTED_CODE, READER_GONE_CODE} | {kind.exit_code for kind in families}
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)] == sorted(codes)


def test_ends_by_signal_are_what_a_shell_shows():
    assert INTERRUPTED_CODE == 128 + signal.SIGINT
    assert READER_GONE_CODE == 128 + signal.SIGPIPE
