"""`confcom collateral` and `confcom simulate pccs` as a user meets them: real processes, loopback only."""

import json
import re
import select
import signal
import subprocess
import sys

import pytest

from confcom.cli.main import main
from confcom.sgx import DEFAULT_KEY_ID
from confcom.simulation.pccs_faults import FaultName
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report

DEADLINE_SECONDS = 60
CONFCOM = [sys.executable, "-m", "confcom.cli"]
LATE = "2040-01-01T00:00:00Z"


class PCCSProcess:
    """`confcom simulate pccs` in a process of its own; `facts` are what it says at its start."""

    def __init__(self, machine, *flags) -> None:
        command = [*CONFCOM, "simulate", "pccs", "--simulated-platform", str(machine)]
        self.process = subprocess.Popen(
            [*command, "--output", "json", *map(str, flags)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE_SECONDS)
        assert ready, "the service did not say its address"
        self.facts = json.loads(self.process.stdout.readline())
        self.url = self.facts["url"]

    def end(self, number=signal.SIGTERM) -> tuple[int, str]:
        """Ends it once; its exit code and what it logged."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, log = self.process.communicate(timeout=DEADLINE_SECONDS)
        return self.process.returncode, log.decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return SimulatedPlatform.create(tmp_path_factory.mktemp("cli") / "machine").folder


@pytest.fixture(scope="module")
def quote_file(folder):
    machine = SimulatedPlatform.load(folder)
    quote, _ = machine.get_quote(make_report(machine.target_info()).to_bytes(), DEFAULT_KEY_ID.to_bytes())
    path = folder.parent / "quote.bin"
    path.write_bytes(quote)
    return path


@pytest.fixture
def start(folder):
    started = []

    def start_one(*flags):
        started.append(PCCSProcess(folder, *flags))
        return started[-1]

    yield start_one
    for service in started:
        if service.process.poll() is None:
            service.end()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The default cache of a user who has nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg" / "confcom" / "collateral"


@pytest.fixture
def run(capsys):
    def run_verb(*arguments):
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run_verb


def shown(run, *arguments):
    code, out, err = run(*arguments, "--output", "json")
    return code, json.loads(out), err


class TestTheService:
    def test_it_says_its_addresses_and_ends_on_a_signal(self, start, folder):
        service = start()
        assert service.url.endswith("/sgx/certification/v4")
        assert service.facts["thim_url"].endswith("/metadata/THIM/sgx/certification/v4")
        assert service.facts["root"] == str(folder / "root.pem")
        assert service.end() == (0, "")

    def test_its_log_names_request_status_and_fault_but_no_machine(self, start, run, quote_file):
        service = start("--fault", "gone:tcb")
        assert run("collateral", "fetch", quote_file, "--pccs", service.url)[0] == 3
        code, log = service.end(signal.SIGINT)
        assert code == 0
        assert log.splitlines() == [
            "GET /sgx/certification/v4/pckcrl?ca=processor 200",
            "GET /sgx/certification/v4/tcb?fmspc=53494D000001&update=standard 410 [gone]",
        ]

    def test_tls_writes_the_ca_that_clients_need(self, start, run, quote_file, tmp_path):
        service = start("--tls", "--ca-file", tmp_path / "ca.pem")
        code, _, err = run("collateral", "fetch", quote_file, "--pccs", service.url)
        assert code == 3
        assert "its TLS certificate is not trusted" in err
        assert run("collateral", "fetch", quote_file, "--pccs", service.url, "--ca-file", tmp_path / "ca.pem")[0] == 0

    def test_the_names_of_all_faults(self, folder):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "confcom.cli",
                "simulate",
                "pccs",
                "--simulated-platform",
                folder,
                "--fault",
                "list",
            ],
            capture_output=True,
            timeout=DEADLINE_SECONDS,
            check=True,
        )
        assert [line.split()[0] for line in done.stdout.decode().splitlines()] == list(FaultName)

    @pytest.mark.parametrize(
        ("flags", "sentence"),
        [
            (["--fault", "lost"], "confcom: --fault lost: there is no fault 'lost'; known: not-found, "),
            (
                ["--simulated-platform", "/nowhere"],
                "confcom: simulated platform /nowhere: there is none; make it with ",
            ),
        ],
    )
    def test_wrong_use(self, run, folder, flags, sentence):
        code, out, err = run("simulate", "pccs", "--simulated-platform", folder, *flags)
        assert (code, out) == (2, "")
        assert err.startswith(sentence)


class TestFetch:
    def test_from_a_pccs_to_a_verified_quote(self, start, run, quote_file, folder, tmp_path):
        service = start()
        out = tmp_path / "collateral.json"
        code, document, err = shown(run, "collateral", "fetch", quote_file, "--pccs", service.url, "-o", out)
        assert (code, err) == (0, "")
        (found,) = document["sets"]
        assert (found["fmspc"], found["ca"], found["update"]) == ("53494d000001", "processor", "standard")
        assert found["origin"] == service.url
        assert found["ok"]
        assert {part["name"]: part["evaluation_number"] for part in found["parts"]}["TCB info"] == 21
        code, verdict, _ = run("quote", "verify", quote_file, "--collateral", out, "--root", folder / "root.pem")
        assert code == 0
        assert verdict.startswith("VERIFIED, SIMULATED: ")

    def test_from_thim(self, start, run, quote_file):
        service = start()
        code, document, _ = shown(run, "collateral", "fetch", quote_file, "--thim-url", service.facts["thim_url"])
        assert (code, document["sets"][0]["origin"]) == (0, service.facts["thim_url"])

    def test_by_family_and_channel(self, start, run):
        service = start("--early-status", "OutOfDate")
        family = ("--fmspc", "53494D000001", "--ca", "processor")
        numbers = []
        for update in ("standard", "early"):
            code, document, _ = shown(run, "collateral", "fetch", *family, "--update", update, "--pccs", service.url)
            assert code == 0
            numbers.append(document["sets"][0]["parts"][2]["evaluation_number"])
        assert numbers == [21, 22]

    def test_to_standard_output_nothing_but_the_collateral(self, start, run, quote_file):
        code, out, err = run("collateral", "fetch", quote_file, "--pccs", start().url, "-o", "-")
        assert (code, err) == (0, "")
        assert json.loads(out).keys() >= {"tcb_info", "pck_crl", "root_ca_crl"}

    def test_the_cache_outlives_the_service(self, start, run, quote_file, cache):
        service = start()
        fetch = ("collateral", "fetch", quote_file, "--pccs", service.url)
        assert run(*fetch)[0] == 0
        service.end()
        assert run(*fetch)[0] == 0, "a fresh entry asks nobody"
        (entry,) = cache.iterdir()
        text = entry.read_text()
        entry.write_text(re.sub(r'"fetched": "20\d\d', '"fetched": "2020', text))
        code, out, err = run(*fetch, "--timeout", "1")
        assert code == 0
        assert out.startswith("FMSPC 53494d000001, processor CA, standard; from http://127.0.0.1:")
        assert err.startswith("note: the service is away: what was fetched from http://127.0.0.1:")
        assert "refused the connection: nothing listens there" in err
        assert run(*fetch, "--no-cache", "--timeout", "1")[0] == 3
        code, _, err = run("collateral", "fetch", quote_file, "--offline")
        assert code == 0
        assert "nobody was asked" in err

    def test_a_deadline_holds_for_the_whole_program(self, start, quote_file):
        service = start("--fault", "silent")
        done = subprocess.run(
            [*CONFCOM, "collateral", "fetch", quote_file, "--pccs", service.url, "--timeout", "0.5"],
            capture_output=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        assert done.returncode == 3
        assert b"PCK CRL: was not there within the 0.5 s allowed" in done.stderr
        assert b"Traceback" not in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "code", "sentence"),
        [
            ([], 2, "name exactly one source of collateral (--pccs URL, --intel, --thim, --from FILE|DIR or --offline); none given"),
            (["--intel", "--thim"], 2, "name exactly one source of collateral (--pccs URL, --intel, --thim, --from FILE|DIR or --offline); 2 given"),
            (["--offline", "--no-cache"], 2, "--offline: uses the cache alone, so it cannot go without one"),
            (["--offline"], 2, "name either a quote, or --fmspc with --ca"),
            (["--offline", "QUOTE", "--fmspc", "00"], 2, "name either a quote, or --fmspc with --ca"),
            (["--offline", "QUOTE", "--ca", "platform"], 2, "--ca: belongs to --fmspc; a quote says it itself"),
            (["--offline", "--fmspc", "53494D000001"], 2, "--fmspc: needs --ca too: processor (one socket) or platform (several)"),
            (["--offline", "--fmspc", "53", "--ca", "platform"], 2, "--fmspc: has 1 bytes; it must have exactly 6"),
            (["--offline", "--fmspc", "xy", "--ca", "platform"], 2, "--fmspc: is not hex: write two digits 0-9a-f for each byte"),
            (["--offline", "/dev/null"], 2, "/dev/null: no quote found: the input is empty"),
            (["--from", "/nowhere", "QUOTE"], 2, "collateral /nowhere: No such file or directory"),
            (["--pccs", "http://pccs.example", "QUOTE"], 2, "--pccs pccs.example: http:// lets anybody on the way answer with old collateral; use https://, or allow it with --allow-http"),
            (["--pccs", "https://h/sgx/certification/v3", "QUOTE"], 2, "--pccs h: the path names API v3; Intel switched v2 and v3 off on 2026-04-30: write /sgx/certification/v4"),
        ],
    )  # fmt: skip
    def test_wrong_use_is_told_in_one_sentence(self, run, quote_file, arguments, code, sentence):
        arguments = [quote_file if argument == "QUOTE" else argument for argument in arguments]
        assert run("collateral", "fetch", *arguments) == (code, "", f"confcom: {sentence}\n")


class TestShow:
    @pytest.fixture
    def file(self, run, folder, tmp_path):
        path = tmp_path / "collateral.json"
        assert run("simulate", "collateral", "--simulated-platform", folder, "-o", path)[0] == 0
        return path

    def test_every_part_with_its_days(self, run, file):
        code, out, _ = run("collateral", "show", file)
        assert code == 0
        lines = out.splitlines()
        assert lines[0] == f"FMSPC 53494d000001, processor CA, standard; from {file}, fetched at an unknown time"
        assert re.search(r"TCB info +20\S+Z +29 +ok +21 ", out)

    def test_what_ends_soon_is_marked_and_still_good(self, run, file):
        _, document, _ = shown(run, "collateral", "show", file)
        end = document["sets"][0]["parts"][2]["until"]
        code, out, _ = run("collateral", "show", file, "--at", end)
        assert code == 0
        assert re.search(r"TCB info +\S+ +0 +ends soon", out)

    def test_what_has_ended_is_no(self, run, file):
        code, out, _ = run("collateral", "show", file, "--at", LATE)
        assert code == 1
        assert re.search(r"PCK CRL +\S+ +-\d+ +EXPIRED", out)
        code, out, _ = run("collateral", "show", file, "--at", "2020-01-01T00:00:00Z")
        assert code == 1
        assert "NOT YET VALID" in out

    def test_an_empty_cache(self, run):
        assert run("collateral", "show") == (
            0,
            "",
            "no collateral here: fetch some with 'confcom collateral fetch'\n",
        )

    def test_a_damaged_entry_is_named(self, run, start, quote_file, cache):
        assert run("collateral", "fetch", quote_file, "--pccs", start().url)[0] == 0
        (entry,) = cache.iterdir()
        entry.write_bytes(b"{")
        code, document, err = shown(run, "collateral", "show")
        assert (code, err) == (1, "")
        assert document["problems"] == [
            f"cache entry {entry}: is damaged: $: is not whole JSON: Input data was truncated"
        ]

    @pytest.mark.parametrize("at", ["now", "2026-13-01T00:00:00Z"])
    def test_a_time_that_is_none(self, run, file, at):
        code, out, err = run("collateral", "show", file, "--at", at)
        assert (code, out) == (2, "")
        assert err.startswith(f"confcom: --at {at}: must be a time")


class TestCarryingToAnAirGappedCluster:
    def test_export_import_and_verify(self, run, start, quote_file, folder, tmp_path):
        service = start()
        for update in ("standard", "early"):
            assert run("collateral", "fetch", quote_file, "--update", update, "--pccs", service.url)[0] == 0
        service.end()
        bundle = tmp_path / "bundle"
        code, out, err = run("collateral", "export", "-o", bundle)
        assert (code, out) == (0, "")
        assert err == (
            f"{bundle}: 2 sets: FMSPC 53494d000001, processor CA, early; FMSPC 53494d000001, processor CA, standard\n"
        )
        there = ("--cache-dir", tmp_path / "there")
        code, document, _ = shown(run, "collateral", "import", bundle, *there)
        assert code == 0
        assert [found["update"] for found in document["sets"]] == ["early", "standard"]
        assert run("collateral", "fetch", quote_file, "--offline", "-o", tmp_path / "c.json", *there)[0] == 0
        verify = ("quote", "verify", quote_file, "--root", folder / "root.pem")
        assert run(*verify, "--collateral", tmp_path / "c.json")[0] == 0
        assert run("collateral", "fetch", quote_file, "--from", bundle)[0] == 0

    def test_an_older_bundle_does_not_replace_what_is_newer(self, run, start, quote_file, tmp_path, cache):
        assert run("collateral", "fetch", quote_file, "--pccs", start().url)[0] == 0
        run("collateral", "export", "-o", tmp_path / "bundle")
        old = re.sub(r'"fetched": "20\d\d', '"fetched": "2020', (tmp_path / "bundle").read_text())
        (tmp_path / "bundle").write_text(old)
        before = {path: path.read_bytes() for path in cache.iterdir()}
        code, _, err = run("collateral", "import", tmp_path / "bundle")
        assert (code, err) == (0, "note: the cache's is newer than the bundle's, and stays\n")
        assert {path: path.read_bytes() for path in cache.iterdir()} == before

    def test_nothing_to_export(self, run, tmp_path):
        assert run("collateral", "export", "-o", tmp_path / "bundle") == (
            2,
            "",
            "confcom: nothing to export: fetch collateral first, or name files that hold it\n",
        )
        assert not (tmp_path / "bundle").exists()

    def test_a_damaged_bundle_changes_nothing(self, run, start, quote_file, tmp_path, cache):
        assert run("collateral", "fetch", quote_file, "--pccs", start().url)[0] == 0
        run("collateral", "export", "-o", tmp_path / "bundle")
        whole = (tmp_path / "bundle").read_bytes()
        (tmp_path / "bundle").write_bytes(whole.replace(b'"content": "3082', b'"content": "3083', 1))
        code, out, err = run("collateral", "import", tmp_path / "bundle", "--cache-dir", tmp_path / "there")
        assert (code, out) == (2, "")
        assert re.fullmatch(
            rf"confcom: {tmp_path}/bundle: collateral: parts\.[0-9a-f]{{64}}: has another SHA-256 than its name: the "
            r"bundle is damaged\n",
            err,
        )
        assert not (tmp_path / "there").exists()
