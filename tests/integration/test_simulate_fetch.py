"""`confcom simulate collateral --from URL`: from a real helper, and from what is none."""

import contextlib

import pytest
from fixed_answers import serving

from confcom.cli import simulate_fetch
from confcom.cli.main import main


@pytest.fixture
def other():
    """Starts an HTTP server with fixed answers, and returns its URL."""
    with contextlib.ExitStack() as servers:
        yield lambda answers: f"http://127.0.0.1:{servers.enter_context(serving(answers))}"


def test_a_quote_is_verified_with_what_its_helper_hands_out(start_helper, tmp_path, capsys):
    helper = start_helper()
    quote, collateral, root = (str(tmp_path / name) for name in ("quote", "collateral", "root"))
    url = f"http://127.0.0.1:{helper.port}"
    made = ["quote", "get", "--socket", str(helper.socket), "--simulated-report", "--report-data", "ab", "-o", quote]
    assert main(made) == 0
    assert main(["simulate", "collateral", "--from", url, "-o", collateral, "--root", root]) == 0
    assert main(["quote", "verify", quote, "--collateral", collateral, "--root", root, "--report-data", "ab"]) == 0
    assert main(["simulate", "collateral", "--from", url + "/", "-o", collateral]) == 0
    capsys.readouterr()


PEM = b"-----BEGIN CERTIFICATE-----\n"
BAD = {
    "hardware": (
        {"/simulation/root.pem": (404, b"this helper's quotes are of hardware\n")},
        3,
        "{}/simulation/root.pem: answers 404: this helper's quotes are of hardware",
    ),
    "a busy helper": (
        {"/simulation/root.pem": (200, PEM), "/simulation/collateral.json": (503, b"later")},
        3,
        "{}/simulation/collateral.json: answers 503: later",
    ),
    "another program": (
        {"/simulation/root.pem": (200, b"hello")},
        3,
        "--from {}: what answers is no quote helper: /simulation/root.pem is no certificate",
    ),
    "too much": (
        {"/simulation/root.pem": (200, PEM * 50_000)},
        3,
        "{}/simulation/root.pem: over 1 MiB, which no root or collateral is",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_simulated_helper(name, other, tmp_path, capsys):
    answers, code, sentence = BAD[name]
    url = other(answers)
    assert main(["simulate", "collateral", "--from", url, "-o", str(tmp_path / "c")]) == code
    assert capsys.readouterr().err == f"confcom: {sentence.format(url)}\n"
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("flags", "code", "sentence"),
    [
        ([], 2, "give one of '--simulated-platform' DIR and '--from' URL"),
        (
            ["--from", "http://x", "--simulated-platform", "d"],
            2,
            "give one of '--simulated-platform' DIR and '--from' URL",
        ),
        (["--from", "node:9411"], 2, "--from node:9411: is no URL of a quote helper; write http://HOST:PORT"),
        (["--from", "file:///etc/passwd"], 2, "--from file:///etc/passwd: is no URL of a quote helper"),
        (
            ["--from", "http://127.0.0.1:1"],
            3,
            "http://127.0.0.1:1/simulation/root.pem: cannot be reached: Connection refused",
        ),
    ],
)
def test_wrong_use(flags, code, sentence, capsys):
    assert main(["simulate", "collateral", *flags, "-o", "-"]) == code
    assert capsys.readouterr().err.startswith(f"confcom: {sentence}")


def test_an_answer_that_never_ends_stops_at_the_deadline(monkeypatch, other, capsys):
    monkeypatch.setattr(simulate_fetch, "FETCH_SECONDS", -1)
    url = other({"/simulation/root.pem": (200, PEM)})
    monkeypatch.setattr(simulate_fetch.urllib.request.OpenerDirector, "open", _patient(simulate_fetch))
    assert main(["simulate", "collateral", "--from", url, "-o", "-"]) == 3
    assert "not answered within" in capsys.readouterr().err


def _patient(module):
    real = module.urllib.request.OpenerDirector.open

    def open_with_time(self, url, timeout=None):
        return real(self, url, timeout=30)

    return open_with_time
