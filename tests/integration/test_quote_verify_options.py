"""`confcom quote verify` with collateral from everywhere, policies as files, grace, and many quotes at once."""

import hashlib
import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from pccs_thread import PCCSThread

from confcom.cli.main import main
from confcom.cli.quote_verify import FLAGS
from confcom.codes import TCBStatus
from confcom.quote.policy_file import KEYS
from confcom.sgx import DEFAULT_KEY_ID
from confcom.simulation.collateral import CollateralOptions
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report

ENCLAVE = b"\xaa" * 32


class Node:
    """A folder with a simulated machine, a quote of it, its collateral and its root."""

    def __init__(self, folder, **kind):
        self.folder = folder
        folder.mkdir()
        self.machine = SimulatedPlatform.create(folder / "machine", **kind)
        self.root = str(self.machine.root_path)
        self.quote = self.write("quote.bin", self.make_quote())
        self.collateral = self.write_collateral("collateral.json")

    def make_quote(self, **fields):
        report = make_report(self.machine.target_info(), **{"mr_enclave": ENCLAVE} | fields)
        return self.machine.get_quote(report.to_bytes(), DEFAULT_KEY_ID.to_bytes())[0]

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def write_collateral(self, name, **options):
        content = self.machine.collateral(datetime.now(UTC), CollateralOptions(**options))
        return self.write(name, json.dumps(content))


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path / "node")


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Runs `quote verify`: exit code, stdout, stderr; no traceback ever reaches the user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def words(*arguments):
        code = main(["quote", "verify", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return words


@pytest.fixture
def verify(node, run):
    """Verifies the node's quote with its collateral and root: exit code and document."""

    def words(*more):
        code, out, _err = run(
            node.quote, "--collateral", node.collateral, "--root", node.root, *more, "--output", "json"
        )
        return code, json.loads(out)

    return words


def test_every_key_of_a_policy_file_has_a_flag_and_no_flag_is_without_a_key():
    assert FLAGS.keys() == KEYS.keys()


# Policy ------------------------------------------------------------------------------------------------------------------


def test_a_policy_file_refuses_and_a_flag_wins_over_it(node, verify):
    policy = node.write("p.toml", f'version = 1\nmr_enclave = ["{"00" * 32}", "{"11" * 32}"]\nmin_isv_svn = 0\n')
    code, document = verify("--policy", policy)
    assert code == 1
    assert document["reasons"] == [f"mr_enclave is {'aa' * 32}, expected {'00' * 32} or {'11' * 32}"]
    assert document["next_steps"][0]["name"] == "another enclave"
    assert verify("--policy", policy, "--mr-enclave", ENCLAVE.hex())[0] == 0


def test_a_flag_may_take_back_what_a_file_allows(node, verify):
    policy = node.write("p.json", json.dumps({"version": 1, "allow_debug": True}))
    node.quote = node.write("quote.bin", node.make_quote())
    assert verify("--policy", policy)[0] == 0
    assert verify("--policy", policy, "--no-allow-debug")[0] == 0


def test_report_data_of_a_file_is_found_beside_the_policy(node, verify):
    digest = hashlib.sha256(b"my public key").digest() + bytes(32)
    node.quote = node.write("quote.bin", node.make_quote(report_data=digest))
    node.write("key.der", b"my public key")
    policy = node.write("p.toml", 'version = 1\nreport_data_sha256_of = "key.der"\n')
    assert verify("--policy", policy)[0] == 0
    assert verify("--report-data-sha256-of", node.folder / "key.der")[0] == 0
    code, document = verify("--policy", policy, "--report-data", b"my public key".hex())
    assert code == 1
    assert "SHA-256 of the expected bytes (the form of MAA and RA-TLS)" in document["reasons"][0]


def test_a_nonce_is_hashed_before_the_file(node, verify):
    digest = hashlib.sha256(b"noncekey").digest() + bytes(32)
    node.quote = node.write("quote.bin", node.make_quote(report_data=digest))
    key = node.write("key.der", b"key")
    assert verify("--report-data-sha256-of", key, "--nonce", b"nonce".hex())[0] == 0
    assert verify("--report-data-sha256-of", key)[0] == 1


def test_advisories_and_evaluation_numbers_are_asked_for(node, verify):
    node.collateral = node.write_collateral("c.json", tcb_status=TCBStatus.OUT_OF_DATE)
    accept = ("--accept-status", "OutOfDate")
    assert verify(*accept)[0] == 0
    assert verify(*accept, "--reject-advisory", "INTEL-SA-00960")[0] == 1
    assert verify(*accept, "--accept-advisory", "INTEL-SA-00960")[0] == 1
    both = ("--accept-advisory", "intel-sa-00960", "--accept-advisory", "INTEL-SA-01153")
    assert verify(*accept, *both)[0] == 0
    assert verify(*accept, "--min-tcb-evaluation-data-number", "22")[0] == 1


BAD = {
    "unknown key": (
        ["--policy", "version = 1\nmrenclave = 'a'"],
        "mrenclave: there is no such key; known are version,",
    ),
    "no policy": (["--policy", "version == 1"], "is not TOML"),
    "grace": (["--grace", "400"], "--grace: must be a whole number, 0 to 366"),
    "negative grace": (["--grace", "-1"], "--grace: must be a whole number, 0 to 366"),
    "slack": (["--clock-slack", "100000"], "--clock-slack: must be a whole number, 0 to 86400"),
    "advisory": (
        ["--reject-advisory", "SA-7"],
        "--reject-advisory: 'SA-7' is no advisory; write it like INTEL-SA-00615",
    ),
    "nonce alone": (["--nonce", "00"], "--nonce: goes with --report-data-sha256-of only"),
    "two forms": (
        ["--report-data", "00", "--report-data-sha256-of", "x"],
        "--report-data: does not go with --report-data-sha256-of; give one of them",
    ),
    "hash of nothing": (["--report-data-sha256-of", "/nowhere/x"], "report data /nowhere/x: No such file or directory"),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_use_is_one_sentence_and_exit_2(node, run, case):
    words, sentence = BAD[case]
    if words[0] == "--policy":
        words = ["--policy", node.write("p.toml", words[1])]
    code, out, err = run(node.quote, "--collateral", node.collateral, *words)
    assert (code, out) == (2, "")
    assert err.startswith("confcom: ")
    assert sentence in err
    assert err.count("\n") == 1


# Time --------------------------------------------------------------------------------------------------------------------


def test_grace_accepts_what_is_over_and_says_so(node, verify):
    node.collateral = node.write_collateral("old.json", issued=timedelta(days=33))
    code, document = verify()
    assert code == 1
    assert {step["code"] for step in document["next_steps"]} == {"0xE02E", "0xE02C", "0xE030"}
    assert verify("--grace", "2")[0] == 1
    code, document = verify("--grace", "4")
    assert code == 0
    assert any("accepted by the grace of 4 days" in warning for warning in document["warnings"])


def test_a_clock_that_is_behind_by_minutes_is_no_reason(node, verify):
    node.collateral = node.write_collateral("soon.json", issued=-timedelta(minutes=2))
    code, document = verify()
    assert code == 0
    assert any("accepted by the clock slack of 5 minutes" in warning for warning in document["warnings"])
    assert verify("--clock-slack", "0")[0] == 1


def test_the_difference_between_then_and_now_is_told(node, run):
    words = (node.quote, "--collateral", node.collateral, "--root", node.root)
    _code, out, _err = run(*words)
    assert "now; a quote has no time of its own, --at asks whether it held at another" in out
    at = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    code, out, _err = run(*words, "--at", at)
    assert code == 0
    assert f"{at}, as --at names it: whether it held then, not whether it holds now, " in out


# Output ------------------------------------------------------------------------------------------------------------------


def test_the_table_tells_what_is_behind_and_whose_move_it_is(tmp_path, run):
    node = Node(tmp_path / "old", ca="platform", tcb_status=TCBStatus.OUT_OF_DATE)
    code, out, _err = run(node.quote, "--collateral", node.collateral, "--root", node.root)
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == "NOT VERIFIED, SIMULATED: TCB status is OutOfDate; accepted: UpToDate, SWHardeningNeeded"
    assert any(line.startswith("  next step, for the owner of the node (OutOfDate): ") for line in lines)
    facts = {line[2:18].strip(): line[19:] for line in lines if line.startswith("  ") and not line.startswith("   ")}
    assert facts["held back by"] == "the platform"
    assert facts["better level"] == "UpToDate, of 2026-05-13"
    assert facts["pck ca"] == "Simulated SGX PCK Platform CA"
    assert facts["advisories"] == "INTEL-SA-00960, INTEL-SA-01153"
    assert "intel-sa-00960.html" in facts["INTEL-SA-00960"]
    assert facts["evaluation"].startswith("TCB info 21, issued 20")
    behind = [line.split(maxsplit=1)[1] for line in lines if line.startswith("  behind")]
    assert behind == [
        "component 1 of 16 (BIOS: Early Microcode Update): has 7, needs 8",
        "component 2 of 16 (OS/VMM: SGX Late Microcode Update): has 9, needs 10",
    ]


def test_one_next_step_is_told_once_for_all_its_reasons(node, run):
    old = node.write_collateral("old.json", issued=timedelta(days=33))
    _code, out, _err = run(node.quote, "--collateral", old, "--root", node.root)
    assert [line.split("(")[1].split(")")[0] for line in out.splitlines() if "next step" in line] == [
        "0xE02E, 0xE02C, 0xE030"
    ]


def test_what_ends_soon_is_warned_of(node, run):
    soon = node.write_collateral("soon.json", issued=timedelta(days=25))
    code, out, _err = run(node.quote, "--collateral", soon, "--root", node.root)
    assert code == 0
    assert "warning: TCB info ends in 4 days, at " in out


# Sources -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pccs(node):
    service = PCCSThread(node.machine)
    yield service
    service.stop()


def test_collateral_comes_from_a_pccs_and_then_from_the_cache(node, run, pccs):
    words = (node.quote, "--root", node.root, "--pccs", pccs.url)
    code, out, err = run(*words)
    assert (code, out.splitlines()[0]) == (0, "VERIFIED, SIMULATED: enclave aaaaaaaaaaaaaaaa..., platform UpToDate")
    assert f"collateral for FMSPC {node.machine.identity.fmspc.hex()}, processor CA, standard from " in err
    asked = len(pccs.requests)
    assert run(*words)[0] == 0
    assert len(pccs.requests) == asked
    assert run(node.quote, "--root", node.root, "--offline")[0] == 0
    assert run(*words, "--no-cache")[0] == 0
    assert len(pccs.requests) > asked


def test_the_channel_is_asked_for(node, run, pccs):
    assert run(node.quote, "--root", node.root, "--pccs", pccs.url, "--update", "early")[0] == 0
    assert [query["update"] for _path, query in pccs.requests if "update" in query] == ["early", "early"]


def test_azures_thim_is_asked(node, run, pccs):
    code, _out, err = run(node.quote, "--root", node.root, "--thim-url", pccs.thim_url, "--no-cache")
    assert code == 0, err


def test_a_service_that_is_away_is_exit_3(node, run):
    code, out, err = run(
        node.quote, "--root", node.root, "--pccs", "http://127.0.0.1:9", "--timeout", "1", "--no-cache"
    )
    assert (code, out) == (3, "")
    assert err.startswith("confcom: 127.0.0.1")


def test_a_bundle_and_a_folder_are_searched_for_what_fits(node, run, tmp_path):
    other = Node(tmp_path / "other", ca="platform")
    folder = tmp_path / "both"
    folder.mkdir()
    shutil.copy(node.collateral, folder / "one.json")
    shutil.copy(other.collateral, folder / "two.json")
    bundle = tmp_path / "all.bundle"
    assert main(["collateral", "export", str(folder), "-o", str(bundle)]) == 0
    for source in (folder, bundle):
        for one in (node, other):
            code, out, err = run(one.quote, "--collateral", source, "--root", one.root)
            assert code == 0, out + err


def test_one_file_is_used_for_every_quote_so_that_the_steps_say_what_does_not_fit(node, run, tmp_path):
    other = Node(tmp_path / "other", ca="platform")
    code, out, _err = run(node.quote, "--collateral", other.collateral, "--root", node.root)
    assert code == 1
    assert "NOT VERIFIED" in out.splitlines()[0]


def test_a_folder_without_what_is_needed_is_exit_3_and_tells_what_is_there(node, run, tmp_path):
    other = Node(tmp_path / "other", ca="platform")
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(other.collateral, folder)
    code, _out, err = run(node.quote, "--collateral", folder, "--root", node.root)
    assert code == 3
    assert f"holds no collateral for FMSPC {node.machine.identity.fmspc.hex()}, processor CA, standard; it holds" in err


@pytest.mark.parametrize("words", [[], ["--intel", "--thim"], ["--collateral", "x", "--intel"]])
def test_exactly_one_source_is_named(node, run, words):
    code, out, err = run(node.quote, *words)
    assert (code, out) == (2, "")
    assert (
        "name exactly one source of collateral (--collateral FILE|DIR, --pccs URL, --intel, --thim or --offline)" in err
    )


def test_a_quote_without_certificates_asks_nobody_and_says_why(node, run, pccs):
    data = bytearray(node.make_quote())
    data[1046:1048] = (3).to_bytes(2, "little")
    quote = node.write("type3.bin", bytes(data))
    code, out, err = run(quote, "--root", node.root, "--pccs", pccs.url)
    assert code == 1
    assert "no collateral could be asked for: certification data: it is of type 3" in err
    assert "NOT VERIFIED, SIMULATED: step 2 (certification data): it is of type 3" in out.splitlines()[0]
    assert pccs.requests == []


# Many ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def many(node):
    """A folder with two good quotes and a refused one."""
    node.write("many/a.bin", node.make_quote())
    node.write("many/b.hex", node.make_quote().hex())
    node.write("many/c.bin", node.make_quote(mr_enclave=bytes(32)))
    node.write("many/.hidden", b"nothing")
    (node.folder / "many" / "deeper").mkdir()
    return node.folder / "many"


@pytest.fixture
def verify_many(node, run):
    def words(*paths):
        return run(*paths, "--collateral", node.collateral, "--root", node.root, "--mr-enclave", ENCLAVE.hex())

    return words


def test_a_folder_gives_a_line_for_each_file_and_1_if_one_is_refused(many, verify_many):
    code, out, err = verify_many(many)
    assert code == 1
    rows = [line.split() for line in out.splitlines() if not line.startswith("  ")]
    assert rows == [
        ["verdict", "status", "enclave", "file"],
        ["yes", "UpToDate", "aa" * 8, f"{many}/a.bin"],
        ["yes", "UpToDate", "aa" * 8, f"{many}/b.hex"],
        ["no", "UpToDate", "00" * 8, f"{many}/c.bin"],
    ]
    assert f"  mr_enclave is {'00' * 32}, expected {'aa' * 32}" in out.splitlines()
    assert err == "3 quotes: 1 no, 2 yes\n"


def test_good_files_alone_are_0_and_one_that_cannot_be_read_is_2(many, verify_many, node):
    assert verify_many(many / "a.bin", many / "b.hex")[0] == 0
    junk = node.write("junk", b"junk")
    code, out, err = verify_many(many, junk, node.folder / "gone")
    assert code == 2
    assert (
        f"  {junk}: no quote found in 4 bytes: they are neither a quote nor hex, base64 or JSON of one"
        in out.splitlines()
    )
    assert f"  quote {node.folder}/gone: No such file or directory" in out.splitlines()
    assert err == "5 quotes: 1 no, 2 unreadable, 2 yes\n"


def test_as_json_it_is_a_list_with_each_file(many, node, run):
    junk = node.write("junk", b"junk")
    code, out, _err = run(many, junk, "--collateral", node.collateral, "--root", node.root, "--output", "json")
    documents = json.loads(out)
    assert code == 2
    assert [(document["file"], document["verdict"]) for document in documents] == [
        (f"{many}/a.bin", "yes"),
        (f"{many}/b.hex", "yes"),
        (f"{many}/c.bin", "yes"),
        (junk, "unreadable"),
    ]
    assert documents[1]["unwrapped"] == ["hex"]
    assert len(documents[0]["steps"]) == 15
    assert documents[3]["error"].startswith(f"{junk}: no quote found")


def test_a_folder_of_one_is_a_list_of_one(node, run):
    node.write("one/a.bin", node.make_quote())
    words = ("--collateral", node.collateral, "--root", node.root, "--output", "json")
    code, out, _err = run(node.folder / "one", *words)
    assert code == 0
    assert len(json.loads(out)) == 1


def test_an_empty_folder_is_wrong_use(node, run, tmp_path):
    (tmp_path / "empty").mkdir()
    code, out, err = run(tmp_path / "empty", "--collateral", node.collateral)
    assert (code, out) == (2, "")
    assert err == f"confcom: {tmp_path}/empty: the folder holds no files\n"


def test_of_many_quotes_a_service_is_asked_once(many, node, run, pccs):
    code, _out, err = run(many, "--root", node.root, "--pccs", pccs.url, "--no-cache")
    assert code == 0
    assert err.count("collateral for FMSPC") == 1
    assert len(pccs.requests) == 4


def test_a_file_whose_collateral_is_not_there_does_not_stop_the_others(many, node, run, tmp_path):
    other = Node(tmp_path / "other", ca="platform")
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(node.collateral, folder)
    code, out, err = run(other.quote, many / "a.bin", "--collateral", folder, "--root", node.root)
    assert code == 3
    assert [line.split()[0] for line in out.splitlines() if not line.startswith("  ")] == ["verdict", "no", "yes"]
    assert err.splitlines()[-1] == "2 quotes: 1 no collateral, 1 yes"
