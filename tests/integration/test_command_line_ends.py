"""How the `confcom` process ends: readers that leave, full and closed streams, Ctrl-C at any time, `--debug`."""

import os
import signal
import subprocess
import sys

import pytest
from processes import processes_that_name

from confcom.cli import main as command
from confcom.cli.streams import READER_GONE_CODE
from confcom.runtime.interrupts import INTERRUPTED_CODE

CONFCOM = [sys.executable, "-m", "confcom.cli"]
DEADLINE_SECONDS = 60
# One verb for each way in which output is written.
WRITERS = {
    "help": ["--help"],
    "a table": ["explain", "0xE011"],
    "JSON": ["explain", "0xE011", "--output", "json"],
    "YAML": ["addon", "render", "--definition"],
    "bytes": ["simulate", "collateral", "--simulated-platform", "MACHINE", "-o", "-"],
}
writers = pytest.mark.parametrize("words", WRITERS.values(), ids=WRITERS)


@pytest.fixture
def machine_words(words, platform_dir):
    return [str(platform_dir) if word == "MACHINE" else word for word in words]


def run(words, *, shell="", **streams):
    """One run; `shell` redirects as a user would. Returns exit code, stdout and stderr."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    command = ["sh", "-c", f'exec "$@" {shell}', "sh", *CONFCOM, *words]
    done = subprocess.run(command, timeout=DEADLINE_SECONDS, check=False, text=True, **streams)
    return done.returncode, done.stdout, done.stderr


@writers
def test_reader_that_leaves_ends_it_quietly(machine_words):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        code, _, err = run(machine_words, stdout=writer)
    finally:
        os.close(writer)
    assert (code, err) == (READER_GONE_CODE, "")


@writers
def test_full_disk_is_one_sentence(machine_words):
    code, _, err = run(machine_words, shell=">/dev/full")
    assert (code, err) == (3, "confcom: standard output cannot be written: No space left on device\n")


@writers
def test_closed_standard_output_is_one_sentence(machine_words):
    code, _, err = run(machine_words, shell=">&-")
    assert (code, err) == (3, "confcom: standard output is closed\n")


def test_file_that_is_written_never_takes_the_place_of_closed_output(tmp_path, platform_dir):
    out = tmp_path / "collateral.json"
    words = ["simulate", "collateral", "--simulated-platform", platform_dir, "-o", out]
    code, _, err = run([str(word) for word in words], shell=">&- 2>&- <&-")
    assert (code, err) == (0, "")
    assert out.read_bytes().startswith(b"{")


def test_closed_standard_input_is_one_sentence():
    assert run(["quote", "inspect", "-"], shell="<&-") == (2, "", "confcom: quote -: standard input is closed\n")


def test_closed_standard_input_matters_to_nobody_else():
    code, out, err = run(["--version"], shell="<&-")
    assert (code, err) == (0, "")
    assert out.startswith("confcom ")


@pytest.mark.parametrize("shell", ["2>&-", "2>/dev/full"])
def test_talk_that_cannot_be_written_keeps_the_exit_code(shell):
    assert run(["explain", "nothing-like-this"], shell=shell) == (2, "", "")
    assert run(["explain", "--output", "xml"], shell=shell) == (2, "", "")


@pytest.mark.parametrize("shell", ["2>&-", "2>/dev/full"])
def test_result_is_written_where_talk_cannot_be(shell):
    # The number stands in several families, which is said before the result.
    code, out, _ = run(["explain", "1"], shell=shell)
    assert (code, out.count("  family ")) == (0, 5)


def interrupted(command, line):
    """Sends SIGINT when the program has written `line`; its exit code and the rest of what it wrote."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for written in process.stderr:
            if line in written:
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate(timeout=DEADLINE_SECONDS)
    return process.returncode, out + err


# `-X importtime` writes a line when a module is loaded: so the moment is the same on every machine.
@pytest.mark.parametrize("module", ["confcom.errors", "msgspec", "rich.console", "cryptography.x509", "yaml", "typer"])
def test_ctrl_c_while_it_loads_is_quiet(module):
    code, written = interrupted([sys.executable, "-X", "importtime", "-m", "confcom.cli", "--version"], f" {module}\n")
    assert code == INTERRUPTED_CODE
    assert "Traceback" not in written
    assert "KeyboardInterrupt" not in written


@pytest.mark.parametrize("module", ["confcom.settings", "asyncio", "uvicorn"])
@pytest.mark.parametrize("daemon", ["quote_helper", "device_plugin"])
def test_ctrl_c_while_a_daemon_loads_is_quiet(daemon, module):
    words = [sys.executable, "-X", "importtime", "-m", f"confcom.{daemon}", "--config", "/nowhere"]
    code, written = interrupted(words, f" {module}\n")
    assert code == INTERRUPTED_CODE
    assert "Traceback" not in written


# A terminal interrupts every process that it runs in the foreground, `kill` only the one that is named.
@pytest.mark.parametrize("end", [os.kill, os.killpg], ids=["kill", "terminal"])
@pytest.mark.parametrize("step", ["simulated node", "device plugin registers", "quote helper is ready"])
def test_ctrl_c_in_the_demo_leaves_nothing(short_dir, end, step):
    process = subprocess.Popen(
        [*CONFCOM, "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(short_dir)},
    )
    with process:
        for line in process.stdout:
            if step in line:
                end(process.pid, signal.SIGINT)
                break
        _, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, err) == (INTERRUPTED_CODE, "")
    assert list(short_dir.iterdir()) == []
    assert processes_that_name(short_dir) == []


def test_ctrl_c_while_it_reads_is_quiet(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    words = [*CONFCOM, "quote", "inspect", str(pipe)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # Opening returns when the other side is opened too.
    with process, pipe.open("wb"):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, out, err) == (INTERRUPTED_CODE, "", "")


def test_ctrl_c_that_is_ignored_stays_ignored():
    words = [sys.executable, "-X", "importtime", "-m", "confcom.cli", "--version"]
    code, written = interrupted(["sh", "-c", 'trap "" INT; exec "$@"', "sh", *words], " rich.console\n")
    assert code == 0
    assert "confcom " in written


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["quote", "inspect", "/nowhere"], 2),
        (["explain", "--output", "xml"], 2),
        (["quote", "target-info", "-o", "-", "--socket", "/nowhere/aesm.socket"], 3),
    ],
    ids=["input", "use", "outside"],
)
def test_debug_shows_the_traceback_and_keeps_the_exit_code(words, code):
    plain = run(words)
    debug = run(["--debug", *words])
    assert (plain[0], debug[0]) == (code, code)
    assert "Traceback" not in plain[2]
    assert debug[2].startswith("Traceback (most recent call last):")
    assert debug[2].endswith(plain[2])


def test_fault_of_our_own_is_a_sentence_too(monkeypatch, capsys):
    def fail(*_):
        raise KeyError("gone")

    monkeypatch.setattr("confcom.codes.find", fail)
    assert command.main(["explain", "0xE011"]) == 3
    err = capsys.readouterr().err
    assert err == "confcom: a fault of confcom itself, KeyError: 'gone'; 'confcom --debug ...' shows where\n"
    assert command.main(["--debug", "explain", "0xE011"]) == 3
    assert "in fail" in capsys.readouterr().err
