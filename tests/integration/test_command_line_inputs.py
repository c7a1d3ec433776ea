"""What an operator mistypes or mislays: each is one sentence that names the flag or file, and an exit code."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import typer

from confcom.cli.main import app, main
from confcom.sgx import DEFAULT_KEY_ID
from confcom.simulation.reports import make_report

HEX = "is not hex: write two digits 0-9a-f for each byte"
FETCH = ["collateral", "fetch", "QUOTE", "--pccs", "https://127.0.0.1:1"]
VERIFY = ["quote", "verify", "QUOTE", "--pccs", "https://127.0.0.1:1"]
GET = ["quote", "get", "-o", "out", "--socket", "none.socket"]
FROM = ["simulate", "collateral", "-o", "out", "--from"]

# Words, exit code, the whole sentence behind "confcom".
CASES = {
    "report of another size": (
        [*GET, "--report", "noise"],
        2,
        ": --report noise: REPORT: field 'end' at offset 432: 2568 bytes too many: it has 432",
    ),
    "report that is empty": (
        [*GET, "--report", "empty"],
        2,
        ": --report empty: REPORT: field 'body' at offset 0: needs 384 bytes, the input has 0 left",
    ),
    "report that is a folder": ([*GET, "--report", "folder"], 2, ": --report folder: Is a directory"),
    "report that is absent": ([*GET, "--report", "absent"], 2, ": --report absent: No such file or directory"),
    "report data is checked before the helper": (
        [*GET, "--simulated-report", "--report-data", "xy"],
        2,
        f": --report-data: {HEX}",
    ),
    "two reports": ([*GET, "--report", "noise", "--simulated-report"], 2, ": give either --report FILE or --simulated-report"),
    "a number in words": ([*GET, "--timeout", "long"], 2, " quote get: --timeout: is not a number"),
    "no time at all": ([*GET, "--timeout", "0"], 2, " quote get: --timeout: must be at least 0.1"),
    "endless time": ([*GET, "--timeout", "inf"], 2, " quote get: --timeout: must be at most 600"),
    "no number": ([*VERIFY, "--grace", "some"], 2, " quote verify: --grace: is not a whole number"),
    "half a number": ([*VERIFY, "--isv-prod-id", "1.5"], 2, " quote verify: --isv-prod-id: is not a whole number"),
    "endless patience": ([*FETCH, "--timeout", "inf"], 2, " collateral fetch: --timeout: must be at most 3600"),
    "no patience": ([*VERIFY, "--timeout", "nan"], 2, " quote verify: --timeout: must be at most 3600"),
    "cache that is a file": ([*FETCH, "--cache-dir", "noise"], 2, ": --cache-dir noise: is not a folder"),
    "cache below a file": (
        ["collateral", "show", "--cache-dir", "noise/x"],
        3,
        ": cache noise/x: cannot be read: Not a directory",
    ),
    "quote that is absent": (
        ["collateral", "fetch", "absent", "--offline"],
        2,
        ": quote absent: No such file or directory",
    ),
    "root that is absent": (
        ["quote", "verify", "QUOTE", "--offline", "--root", "absent"],
        2,
        ": root certificate absent: No such file or directory",
    ),
    "root that is a folder": (
        ["quote", "verify", "QUOTE", "--offline", "--root", "folder"],
        2,
        ": root certificate folder: Is a directory",
    ),
    "unset flag before a value": ([*VERIFY, "--root"], 2, ": Option '--root' requires an argument; see 'confcom --help'"),
    "unknown verb": (["verify"], 2, ": No such command 'verify'; see 'confcom --help'"),
    "URL without its scheme": ([*FROM, "h:1"], 2, ": --from h:1: is no URL of a quote helper; write http://HOST:PORT"),
    "URL half written": ([*FROM, "http://[::1"], 2, ": --from http://[::1: is no URL of a quote helper; write http://HOST:PORT"),
    "port out of range": (
        [*FROM, "http://h:99999"],
        2,
        ": --from http://h:99999: is no URL of a quote helper; write http://HOST:PORT",
    ),
    "URL with a blank": ([*FROM, "http://h/a b"], 2, ": --from http://h/a b: is no URL of a quote helper; write http://HOST:PORT"),
    "nobody at the URL": (
        [*FROM, "http://127.0.0.1:1"],
        3,
        ": http://127.0.0.1:1/simulation/root.pem: cannot be reached: Connection refused",
    ),
    "faults of no machine": (
        ["simulate", "pccs"],
        2,
        ": --simulated-platform: is missing; make one with 'confcom simulate platform DIR'",
    ),
    "host's /dev is elsewhere": (["doctor", "--node", "--dev-root", "absent"], 2, ": --dev-root absent: is not a folder"),
    "host's /proc is a file": (["doctor", "--node", "--proc-root", "noise"], 2, ": --proc-root noise: is not a folder"),
    "EPC without a unit of ours": (
        ["doctor", "--node", "--epc", "8 apples"],
        2,
        ": --epc: '8 apples' is not a size: write a number and a unit, for example 8GiB or 512MiB",
    ),
}  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch, platform):
    """A folder to be in: a simulated quote, noise, nothing, and a folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    report = make_report(platform.target_info(), report_data=bytes(64))
    (tmp_path / "QUOTE").write_bytes(platform.get_quote(report.to_bytes(), DEFAULT_KEY_ID.to_bytes())[0])
    (tmp_path / "noise").write_bytes(bytes(range(250)) * 12)
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(("words", "code", "sentence"), CASES.values(), ids=CASES)
def test_mistake_is_one_sentence(here, capsys, words, code, sentence):
    assert main(words) == code
    assert capsys.readouterr() == ("", f"confcom{sentence}\n")


CLOSED = {
    "quote": (["quote", "inspect", "closed/x"], 2, "quote closed/x"),
    "folder of quotes": (["quote", "verify", "closed", "--offline"], 2, "closed"),
    "collateral": (["quote", "verify", "QUOTE", "--collateral", "closed/x"], 2, "collateral closed/x"),
    "bundle": (["collateral", "show", "closed/x"], 2, "collateral closed/x"),
    "cache": (["collateral", "show", "--cache-dir", "closed/x"], 3, "cache closed/x: cannot be read"),
    "machine": (["simulate", "platform", "closed/x"], 3, "simulated platform closed/x: cannot be read"),
    "kubeconfig": (["status", "--kubeconfig", "closed/x"], 3, "closed/x"),
    "output": (["simulate", "platform", "fixed/x"], 3, "simulated platform HERE/fixed/x: cannot be made"),
}


@pytest.mark.parametrize(("words", "code", "sentence"), CLOSED.values(), ids=CLOSED)
def test_folder_that_is_closed_to_the_user_is_one_sentence(here, words, code, sentence):
    (here / "closed").mkdir(mode=0o000)
    (here / "fixed").mkdir(mode=0o555)
    # Root may look into everything, unless it gives its capabilities away.
    plain = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    if plain and not shutil.which("setpriv"):
        pytest.skip("root can read everything, and setpriv is not here to change that")
    command = [*plain, sys.executable, "-m", "confcom.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == f"confcom: {sentence.replace('HERE', str(here))}: Permission denied\n"


def test_a_name_that_would_move_the_cursor_is_told_without(capsys):
    assert main(["quote", "inspect", "/tmp/\x1b[2Jx\udcff"]) == 2
    assert capsys.readouterr().err == "confcom: quote /tmp/?[2Jx?: No such file or directory\n"


def test_current_folder_that_was_removed_is_one_sentence(tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["simulate", "platform", "x"]) == 3
    sentence = "confcom: simulated platform x: cannot be made: No such file or directory\n"
    assert capsys.readouterr() == ("", sentence)


def test_policy_names_files_beside_it_even_one_called_dash(here, capsys):
    (here / "policy.toml").write_text('version = 1\nreport_data_sha256_of = "-"\n')
    assert main(["quote", "verify", "QUOTE", "--offline", "--policy", "policy.toml"]) == 2
    assert capsys.readouterr() == ("", "confcom: report data ./-: No such file or directory\n")


def test_faults_are_listed_without_a_machine(capsys):
    assert main(["simulate", "pccs", "--fault", "list"]) == 0
    assert capsys.readouterr().out.startswith("not-found                  HTTP 404\n")


def test_names_that_are_not_text_come_through(here, platform_dir, capsys):
    name = b"n\xffo".decode(errors="surrogateescape")
    assert main(["simulate", "platform", name, "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["folder"] == name
    assert (here / name / "platform.json").is_file()


def test_every_list_of_verbs_is_told_whole(capsys):
    def groups(command, words):
        if commands := getattr(command, "commands", None):
            yield words
            for name, inner in commands.items():
                yield from groups(inner, [*words, name])

    found = list(groups(typer.main.get_command(app), []))
    assert len(found) >= 5
    for words in found:
        assert main([*words, "--help"]) == 0
        listed = capsys.readouterr().out.partition("\nCommands:\n")[2]
        assert re.search(r"^  \w", listed)
        assert "..." not in listed


def test_numbers_are_called_by_what_they_count():
    """Without a word of its own an option shows `<int range>` in the place of its value."""

    def options(command):
        yield from command.params
        for inner in getattr(command, "commands", {}).values():
            yield from options(inner)

    ranges = [option for option in options(typer.main.get_command(app)) if getattr(option, "max", None) is not None]
    assert {"--timeout", "--isv-svn"} <= {name for option in ranges for name in option.opts}
    assert [option.opts for option in ranges if not option.metavar] == []
