"""Values that every verb refuses in the same way: empty names, files for folders, standard input for two things."""

import subprocess
import sys

import pytest
import typer

from confcom.cli.main import app, main

DEADLINE_SECONDS = 60
# How an option that takes a name (and not, for example, a number or hex) shows its value in --help.
NAMES = ("FILE", "DIR", "PATH", "URL", "QUOTE", "IMAGE")


def named_options():
    """Each option and argument of each verb that takes a name."""
    found = {}

    def walk(command, words):
        for parameter in command.params:
            if any(name in (parameter.metavar or "") for name in NAMES):
                is_option = parameter.param_type_name == "option"
                shown = parameter.opts[0] if is_option else parameter.metavar
                found[" ".join([*words, shown])] = (words, [shown] if is_option else [], shown)
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, [*words, name])

    walk(typer.main.get_command(app), [])
    return found


OPTIONS = named_options()


@pytest.mark.parametrize(("words", "flag", "shown"), OPTIONS.values(), ids=OPTIONS)
def test_empty_name_is_refused_and_never_the_current_folder(capsys, words, flag, shown):
    assert main([*words, *flag, ""]) == 2
    expected = f"confcom {' '.join(words)}: {shown}: is empty: name one, or leave it out\n"
    assert capsys.readouterr() == ("", expected)


def test_there_are_such_options_in_every_verb_that_reads_files():
    assert len(OPTIONS) > 30
    assert {"quote verify FILE|DIR|-", "simulate platform DIR", "collateral import FILE|DIR"} <= OPTIONS.keys()


STDIN_TWICE = {
    "two quotes": (["-", "-"], "FILE - and FILE -"),
    "collateral": (["-", "--collateral", "-"], "FILE - and --collateral -"),
    "root": (["quote", "--collateral", "-", "--root", "-"], "--collateral - and --root -"),
    "policy": (["-", "--policy", "-"], "FILE - and --policy -"),
    "hashed file": (["-", "--report-data-sha256-of", "-"], "FILE - and --report-data-sha256-of -"),
}


@pytest.mark.parametrize(("words", "both"), STDIN_TWICE.values(), ids=STDIN_TWICE)
def test_standard_input_is_read_for_one_thing(capsys, words, both):
    assert main(["quote", "verify", *words]) == 2
    sentence = f"confcom: {both}: both cannot be standard input; name a file for one of them\n"
    assert capsys.readouterr() == ("", sentence)


def test_simulated_platform_that_is_a_file_is_named(tmp_path, capsys):
    file = tmp_path / "file"
    file.write_bytes(b"x")
    sentence = f"confcom: simulated platform {file}: is not a folder\n"
    for words in (
        ["simulate", "platform", str(file)],
        ["simulate", "collateral", "--simulated-platform", str(file), "-o", "-"],
        ["simulate", "pccs", "--simulated-platform", str(file)],
    ):
        assert main(words) == 2
        assert capsys.readouterr() == ("", sentence)


@pytest.fixture
def daemon(tmp_path, platform_dir):
    """Starts a daemon that is to refuse its settings at once; returns its exit code and what it wrote on stderr."""
    places = {
        "quote-helper": ["--simulated-platform", platform_dir, "--socket-dir", tmp_path, "--state-dir", tmp_path],
        "device-plugin": ["--simulate-epc", "8MiB", "--device-plugin-dir", tmp_path, "--slots-dir", tmp_path],
    }

    def run(program, *flags):
        words = [sys.executable, "-m", "confcom.cli", program, *places[program], "--http-port", "0", *flags]
        done = subprocess.run(map(str, words), timeout=DEADLINE_SECONDS, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    return run


ADDRESSES = {
    "empty": ("", 2, "--http-address: '' is not a text of at least 1 character"),
    "another machine's": (
        "192.0.2.1",
        3,
        "--http-address 192.0.2.1: is no address of this machine: Cannot assign requested address",
    ),
}


@pytest.mark.parametrize("program", ["quote-helper", "device-plugin"])
@pytest.mark.parametrize(("address", "code", "sentence"), ADDRESSES.values(), ids=ADDRESSES)
def test_daemon_listens_at_no_other_address_than_is_named(daemon, program, address, code, sentence):
    found, err = daemon(program, "--http-address", address)
    assert (found, err.splitlines()[-1]) == (code, f"confcom {program}: {sentence}")


FOLDERS = [
    ("quote-helper", "--simulated-platform"),
    ("quote-helper", "--socket-dir"),
    ("quote-helper", "--state-dir"),
    ("quote-helper", "--slots-dir"),
    ("device-plugin", "--device-plugin-dir"),
]


@pytest.mark.parametrize(("program", "flag"), FOLDERS)
def test_daemon_refuses_a_file_for_a_folder(daemon, tmp_path, program, flag):
    file = tmp_path / "file"
    file.write_bytes(b"x")
    assert daemon(program, flag, file) == (2, f"confcom {program}: {flag} {file}: is not a folder\n")


# The device plugin goes on without slots where their folder cannot be made, since EPC is worth having alone.
@pytest.mark.parametrize(("program", "flag"), [*FOLDERS, ("device-plugin", "--slots-dir")])
def test_daemon_refuses_an_empty_folder_name(daemon, program, flag):
    assert daemon(program, flag, "") == (2, f"confcom {program}: {flag}: is empty: name a path, or leave it out\n")
