"""`confcom quote inspect` and `quote verify` as a user meets them: exit codes, JSON, sentences, the verdict's line."""

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from confcom.cli.main import main
from confcom.codes import TCBStatus
from confcom.sgx import DEFAULT_KEY_ID, Attributes
from confcom.sgx.report import FLAG_DEBUG, FLAG_INITTED, FLAG_MODE64BIT
from confcom.simulation.collateral import CollateralOptions
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report

REAL_QUOTES = Path(__file__).resolve().parents[2] / "../shared/data/quotes"
DEADLINE_SECONDS = 60
ENCLAVE, SIGNER, DATA = b"\xaa" * 32, b"\xbb" * 32, bytes(range(64))
STEPS = 15
MEMBERS = {"verdict", "tcb_status", "advisories", "identity", "steps", "reasons"}

# Set, time, Intel's verdict, debug.
REAL = [
    ("sgx-00606a000000-2008020f-tcb3-eval17-20250815", "2025-08-30T05:09:06Z", "OutOfDateConfigurationNeeded", False),
    ("sgx-00606a000000-268c0681-tcb3-eval17-20250815", "2025-08-30T05:09:06Z", "SWHardeningNeeded", False),
    ("sgx-00606a000000-77bcbdfa-tcb3-eval17-20250815", "2025-08-30T05:09:06Z", "OutOfDate", True),
    ("sgx-00906ed50000-0c131b4f-tcb3-eval17-20250527", "2025-06-11T19:08:46Z", "OutOfDate", False),
    ("sgx-00906ed50000-3346527d-tcb2-eval12-20220426", "2022-05-11T23:03:47Z", "SWHardeningNeeded", True),
    ("sgx-00906ed50000-3346527d-tcb3-eval19-20250527", "2025-06-11T19:08:46Z", "OutOfDate", True),
    ("sgx-00906ed50000-91831a5e-tcb3-eval17-20250527", "2025-06-11T19:08:46Z", "OutOfDate", False),
    ("sgx-00906ed50000-91831a5e-tcb3-eval19-20250527", "2025-06-11T19:08:46Z", "OutOfDate", False),
    (
        "sgx-00a067110000-743a7a64-tcb3-eval17-20250619",
        "2025-07-04T10:28:44Z",
        "ConfigurationAndSWHardeningNeeded",
        True,
    ),
]
TDX = [
    ("tdx-50806f000000-12b401a8-tcb3-eval15-20230618", "TDX quote, version 4"),
    ("tdx-90c06f000000-d0010db6-tcb3-eval17-20250619", "TDX quote, version 5"),
]


class Case:
    """A folder with a simulated machine's quote, collateral and root, and the words that verify them."""

    def __init__(self, folder):
        self.folder = folder
        self.machine = SimulatedPlatform.create(folder / "machine")
        self.root = str(self.machine.root_path)
        self.quote = self.write("quote.bin", self.make_quote())
        self.collateral = self.write_collateral()

    def make_quote(self, **fields):
        wanted = {"mr_enclave": ENCLAVE, "mr_signer": SIGNER, "isv_prod_id": 3, "isv_svn": 7, "report_data": DATA}
        report = make_report(self.machine.target_info(), **wanted | fields)
        return self.machine.get_quote(report.to_bytes(), DEFAULT_KEY_ID.to_bytes())[0]

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def write_collateral(self, options=None, **members):
        content = self.machine.collateral(datetime.now(UTC), options) | members
        return self.write("collateral.json", json.dumps(content).encode())

    def words(self, *more):
        return ["quote", "verify", self.quote, "--collateral", self.collateral, "--root", self.root, *more]


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


@pytest.fixture
def run(capsys):
    """Runs words in this process: exit code, stdout, stderr; no traceback ever reaches the user."""

    def words(*arguments):
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return words


@pytest.fixture
def verify(case, run):
    """Verifies the case's quote: exit code and the JSON document."""

    def words(*more):
        code, out, _err = run(*case.words(*more), "--output", "json")
        document = json.loads(out)
        assert document.keys() >= MEMBERS
        assert [step["number"] for step in document["steps"]] == list(range(1, STEPS + 1))
        assert all(set(step) == {"number", "name", "ok", "detail"} for step in document["steps"])
        assert (document["verdict"], code) in {("yes", 0), ("no", 1)}
        assert (document["verdict"] == "yes") == (document["reasons"] == [])
        return code, document

    return words


def real(name):
    if not (REAL_QUOTES / name).is_dir():
        pytest.skip(f"the real quotes are not at hand: {REAL_QUOTES} is absent")
    return REAL_QUOTES / name


# Yes ---------------------------------------------------------------------------------------------------------------


def test_a_wanted_simulated_quote_is_verified(verify):
    code, document = verify(
        *("--mr-enclave", ENCLAVE.hex(), "--mr-signer", SIGNER.hex().upper(), "--isv-prod-id", "3"),
        *("--min-isv-svn", "7", "--report-data", DATA.hex()),
    )
    assert code == 0
    assert document["tcb_status"] == "UpToDate"
    assert document["simulated"] is True
    identity = document["identity"]
    assert (identity["mr_enclave"], identity["mr_signer"]) == (ENCLAVE.hex(), SIGNER.hex())
    assert (identity["isv_prod_id"], identity["isv_svn"], identity["debug"]) == (3, 7, False)
    assert identity["report_data"] == DATA.hex()
    assert identity["attributes"] == "0500000000000000" + "0300000000000000"


def test_in_a_process_of_its_own_the_verdict_is_the_first_line(case):
    done = subprocess.run(
        [sys.executable, "-m", "confcom.cli", *case.words()],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, second, *others = done.stdout.splitlines()
    assert first == "VERIFIED, SIMULATED: enclave aaaaaaaaaaaaaaaa..., platform UpToDate"
    assert second.strip() == "made by the simulator: proves nothing about hardware"
    assert any(line.split() == ["mr_enclave", ENCLAVE.hex()] for line in others)
    assert sum(" ok " in line for line in others) >= STEPS


def test_short_report_data_is_padded_with_zeros(case, verify):
    case.quote = case.write("quote.bin", case.make_quote(report_data=b"\x01\x02" + bytes(62)))
    assert verify("--report-data", "0102")[0] == 0
    assert verify("--report-data", "010200")[0] == 0
    assert verify("--report-data", "010201")[0] == 1


def test_input_and_root_may_come_in_other_forms(case, verify):
    case.root = case.write("root.der", case.machine.root_der)
    assert verify()[0] == 0


# No ----------------------------------------------------------------------------------------------------------------

POLICY = {
    "mr_enclave": (["--mr-enclave", "00" * 32], f"mr_enclave is {'aa' * 32}, expected {'00' * 32}"),
    "mr_signer": (["--mr-signer", "cc" * 32], f"mr_signer is {'bb' * 32}, expected {'cc' * 32}"),
    "isv_prod_id": (["--isv-prod-id", "4"], "isv_prod_id is 3, expected 4"),
    "isv_svn": (["--min-isv-svn", "8"], "isv_svn is 7, expected at least 8"),
}


@pytest.mark.parametrize("name", POLICY)
def test_an_unwanted_enclave_is_refused_and_its_status_printed(verify, name):
    words, reason = POLICY[name]
    code, document = verify(*words)
    assert code == 1
    assert document["reasons"] == [reason]
    assert document["tcb_status"] == "UpToDate"
    assert all(step["ok"] for step in document["steps"])


def test_a_debug_enclave_is_refused_unless_allowed(case, verify):
    attributes = Attributes(flags=FLAG_INITTED | FLAG_MODE64BIT | FLAG_DEBUG)
    case.quote = case.write("quote.bin", case.make_quote(attributes=attributes))
    code, document = verify()
    assert code == 1
    assert "DEBUG enclave" in document["reasons"][0]
    assert document["identity"]["debug"] is True
    assert verify("--allow-debug")[0] == 0


STATUSES = [
    (TCBStatus.UP_TO_DATE, [], 0),
    (TCBStatus.SW_HARDENING_NEEDED, [], 0),
    (TCBStatus.SW_HARDENING_NEEDED, ["UpToDate"], 1),
    (TCBStatus.CONFIGURATION_NEEDED, [], 1),
    (TCBStatus.CONFIGURATION_NEEDED, ["ConfigurationNeeded"], 0),
    (TCBStatus.OUT_OF_DATE, [], 1),
    (TCBStatus.OUT_OF_DATE, ["ConfigurationNeeded", "OutOfDate"], 0),
    (TCBStatus.UP_TO_DATE, ["OutOfDate"], 0),
    (TCBStatus.REVOKED, ["OutOfDate"], 1),
]


@pytest.mark.parametrize(("status", "accepted", "wanted"), STATUSES)
def test_statuses_are_accepted_as_asked(case, verify, status, accepted, wanted):
    case.collateral = case.write_collateral(CollateralOptions(tcb_status=status))
    code, document = verify(*(word for name in accepted for word in ("--accept-status", name)))
    assert (code, document["tcb_status"]) == (wanted, status)


COLLATERAL = {
    "expired": (CollateralOptions(issued=timedelta(days=40)), "TCB info expired at"),
    "revoked PCK": (CollateralOptions(revoke_pck=True), "it revokes the quote's PCK certificate"),
    "missing level": (CollateralOptions(missing_level=True), "the platform reaches no level of the TCB info"),
}


@pytest.mark.parametrize("name", COLLATERAL)
def test_collateral_that_speaks_against_the_quote(case, verify, name):
    options, reason = COLLATERAL[name]
    case.collateral = case.write_collateral(options)
    code, document = verify()
    assert code == 1
    assert any(reason in found for found in document["reasons"])
    assert document["tcb_status"] == {"expired": "UpToDate", "revoked PCK": "Revoked", "missing level": None}[name]


def test_intels_root_refuses_a_simulated_quote_and_says_how_to_trust_it(case, run):
    code, out, _err = run("quote", "verify", case.quote, "--collateral", case.collateral)
    assert code == 1
    first = out.splitlines()[0]
    assert first.startswith("NOT VERIFIED, SIMULATED: step 3 (trusted root): the chain ends in 'Simulated SGX Root CA'")
    assert "it proves nothing about hardware" in first
    assert "name the simulator's own root (--root FILE)" in first


def test_another_root_is_refused(case, verify, tmp_path):
    other = SimulatedPlatform.create(tmp_path / "other")
    case.root = str(other.root_path)
    code, document = verify()
    assert code == 1
    assert document["reasons"][0].startswith("step 3 (trusted root): ")


REGIONS = {"header": 9, "report body": 112, "sig": 440, "key": 510, "QE report": 700, "QE signature": 950, "auth": 1020}


@pytest.mark.parametrize("region", REGIONS)
def test_a_flipped_byte_in_a_signed_region_is_refused(case, verify, region):
    data = bytearray(case.make_quote())
    data[REGIONS[region]] ^= 0xFF
    case.quote = case.write("quote.bin", bytes(data))
    code, document = verify()
    assert code == 1
    assert "signed by" in document["reasons"][0] or "vouches for another" in document["reasons"][0]


@pytest.mark.parametrize("offset", [*range(8), 12, 27])
def test_a_header_that_is_damaged_in_one_byte_is_a_no_and_not_bad_input(case, verify, offset):
    for mask in (0x01, 0x07, 0xFF):
        data = bytearray(case.make_quote())
        data[offset] ^= mask
        case.quote = case.write("quote.bin", bytes(data))
        code, document = verify()
        assert code == 1
        assert document["reasons"][0].startswith("step 1 (quote format): ")


@pytest.mark.parametrize("size", [1020, 1046, 1052, 2000, 4000])
def test_a_truncated_quote_is_a_no(case, verify, size):
    case.quote = case.write("quote.bin", case.make_quote()[:size])
    code, document = verify()
    assert code == 1
    assert document["reasons"][0].startswith("step 1 (quote format): quote: field ")
    assert document["identity"]["mr_enclave"] == ENCLAVE.hex()


# Bad input ---------------------------------------------------------------------------------------------------------

NO_QUOTE = {
    "empty": (b"", "no quote found: the input is empty"),
    "too short": (None, "no quote found: the input begins like one and ends after 1019 bytes; the least is 1020"),
    "JSON without one": (b'{"answer": 42}', "no quote found: the JSON has no member 'quote' or 'QuoteHex'"),
    "junk": (b"\x5a" * 5000, "no quote found in 5000 bytes: they are neither a quote nor hex, base64 or JSON of one"),
}


@pytest.mark.parametrize("name", NO_QUOTE)
@pytest.mark.parametrize("verb", ["verify", "inspect"])
def test_where_no_quote_can_be_found_the_exit_code_is_2(case, run, name, verb):
    content, sentence = NO_QUOTE[name]
    path = case.write("input", case.make_quote()[:1019] if content is None else content)
    more = ["--collateral", case.collateral] if verb == "verify" else []
    code, out, err = run("quote", verb, path, *more)
    assert (code, out) == (2, "")
    assert err.startswith(f"confcom: {path}: {sentence}")
    assert err.count("\n") == 1


FORMS = {
    "hex": (lambda quote: quote.hex().encode(), "hex"),
    "base64": (base64.b64encode, "base64"),
    "base64url": (lambda quote: base64.urlsafe_b64encode(quote).rstrip(b"="), "base64"),
    "JSON": (lambda quote: json.dumps({"QuoteHex": quote.hex()}).encode(), "the JSON member QuoteHex, then hex"),
}


@pytest.mark.parametrize("form", FORMS)
def test_other_forms_are_unwrapped_and_that_is_said_on_stderr(case, run, form):
    wrap, words = FORMS[form]
    case.quote = case.write("quote.txt", wrap(case.make_quote()))
    code, out, err = run(*case.words("--output", "json"))
    assert code == 0
    assert json.loads(out)["verdict"] == "yes"
    assert err.startswith(f"{case.quote}: the quote was unwrapped from {words}")


def test_files_that_are_not_there_are_named(case, run):
    gone = str(case.folder / "gone")
    for words, what in (
        (["quote", "verify", gone, "--collateral", case.collateral], "quote"),
        (["quote", "verify", case.quote, "--collateral", gone], "collateral"),
        (["quote", "verify", case.quote, "--collateral", case.collateral, "--root", gone], "root certificate"),
    ):
        code, out, err = run(*words)
        assert (code, out) == (2, "")
        assert f"{what} {gone}: No such file or directory" in err


FLAGS = {
    "--mr-enclave": ("abc", "--mr-enclave: is not hex"),
    "--mr-signer": ("aabb", "--mr-signer: has 2 bytes; it must have exactly 32"),
    "--report-data": ("00" * 65, "--report-data: has 65 bytes; a report has 64"),
    "--at": ("yesterday", "--at yesterday: must be a time in the form YYYY-MM-DDTHH:MM:SSZ"),
    "--isv-prod-id": ("65536", "--isv-prod-id"),
    "--min-isv-svn": ("-1", "--min-isv-svn"),
    "--accept-status": ("Fine", "--accept-status: 'Fine' cannot be accepted; known are UpToDate, SWHardeningNeeded, "),
}


@pytest.mark.parametrize("flag", FLAGS)
def test_an_unusable_flag_is_named(case, run, flag):
    value, sentence = FLAGS[flag]
    code, out, err = run(*case.words(flag, value))
    assert (code, out) == (2, "")
    assert sentence in err


def test_revoked_cannot_be_accepted(case, run):
    code, _out, err = run(*case.words("--accept-status", "Revoked"))
    assert code == 2
    assert "Revoked cannot be accepted" in err


def test_collateral_that_cannot_be_read_is_named_with_its_member(case, run):
    case.collateral = case.write_collateral(pck_crl="nothing")
    code, _out, err = run(*case.words())
    assert code == 2
    assert err == f"confcom: --collateral {case.collateral}: collateral: pck_crl: is not hex\n"


@pytest.mark.parametrize("copies", [0, 2])
def test_a_root_file_holds_exactly_one_certificate(case, run, copies):
    case.root = case.write("root.pem", case.machine.root_pem * copies)
    code, _out, err = run(*case.words())
    assert code == 2
    assert f"--root {case.root}: root certificate: " in err


# Inspect -----------------------------------------------------------------------------------------------------------


def test_inspect_shows_what_a_quote_says_of_itself(case, run):
    code, out, _err = run("quote", "inspect", case.quote, "--output", "json")
    document = json.loads(out)
    assert code == 0
    assert document["kind"] == "SGX quote, version 3"
    assert document["identity"]["mr_enclave"] == ENCLAVE.hex()
    assert document["header"]["version"] == 3
    assert [part["subject"] for part in document["certification_data"]["certificates"]] == [
        "Simulated SGX PCK Certificate",
        "Simulated SGX PCK Processor CA",
        "Simulated SGX Root CA",
    ]
    assert document["certification_data"]["platform"]["fmspc"].startswith("53494d")
    assert case.machine.identity.ppid.hex() not in out


def test_inspect_as_a_table_says_that_nothing_is_verified(case, run):
    code, out, _err = run("quote", "inspect", case.quote)
    assert code == 0
    assert "nothing of it is verified" in out.splitlines()[0]
    assert f"  mr_enclave       {ENCLAVE.hex()}" in out.splitlines()


def test_inspect_of_a_damaged_quote_tells_what_is_wrong(case, run):
    data = bytearray(case.make_quote())
    data[433] ^= 0x80
    code, out, _err = run("quote", "inspect", case.write("quote.bin", bytes(data)))
    assert code == 1
    assert "problem: quote: field 'signature_data_len' at offset 432: declares" in out


# The least that is recognised, the end of the signature, of the certification data's header, and one byte too few.
@pytest.mark.parametrize("size", [1020, 1046, 1052, -1])
@pytest.mark.parametrize("verb", ["verify", "inspect"])
def test_quote_that_is_cut_but_recognised_is_a_no_for_both_verbs(case, run, size, verb):
    path = case.write("cut", case.make_quote()[:size])
    more = ["--collateral", case.collateral, "--root", case.root] if verb == "verify" else []
    code, out, err = run("quote", verb, path, *more, "--output", "json")
    document = json.loads(out)
    assert (code, err) == (1, "")
    assert document["identity"]["mr_enclave"] == ENCLAVE.hex()
    told = document["reasons"][0] if verb == "verify" else document["problems"][0]
    assert "quote: field 'signature_data_len' at offset 432: declares" in told


def test_inspect_of_a_cut_quote_shows_what_is_left(case, run):
    code, out, err = run("quote", "inspect", case.write("cut", case.make_quote()[:1500]))
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == "damaged SGX quote, 1500 bytes; nothing of it is verified"
    assert lines[1].startswith("problem: quote: field 'signature_data_len' at offset 432: declares")
    assert f"  mr_enclave       {ENCLAVE.hex()}" in lines
    assert "Quoting enclave" not in lines


# Real quotes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "at", "status", "debug"), REAL, ids=[name for name, *_ in REAL])
def test_real_quotes_get_intels_verdict_at_their_time(run, name, at, status, debug):
    folder = real(name)
    words = ["quote", "verify", folder / "quote.bin", "--collateral", folder / "collateral.json", "--output", "json"]
    code, out, _err = run(*words, "--at", at)
    document = json.loads(out)
    assert document["tcb_status"] == status
    assert all(step["ok"] for step in document["steps"])
    assert code == (1 if debug or status != "SWHardeningNeeded" else 0)
    allowed = [] if status == "SWHardeningNeeded" else ["--accept-status", status]
    assert run(*words, "--at", at, "--allow-debug", *allowed)[0] == 0

    code, out, _err = run(*words)
    assert code == 1
    assert any("expired at 20" in reason for reason in json.loads(out)["reasons"])


@pytest.mark.parametrize(("name", "kind"), TDX, ids=[name for name, _ in TDX])
@pytest.mark.parametrize("verb", ["verify", "inspect"])
def test_real_tdx_quotes_are_named_and_refused_politely(run, name, kind, verb):
    folder = real(name)
    more = ["--collateral", folder / "collateral.json"] if verb == "verify" else []
    code, out, err = run("quote", verb, folder / "quote.bin", *more)
    assert (code, out) == (2, "")
    assert f"this is a {kind}" in err
    assert "SGX quotes of version 3 are verified here" in err
