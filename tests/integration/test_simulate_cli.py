"""`confcom simulate` as a user meets it: real processes for the way from a machine to a verified quote."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import dcap_qvl
import pytest

from confcom.cli.main import main
from confcom.sgx import DEFAULT_KEY_ID, Report
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import SIMULATED_MR_ENCLAVE, SIMULATED_MR_SIGNER

DEADLINE_SECONDS = 60


def confcom(*arguments, stdin=b""):
    return subprocess.run(
        [sys.executable, "-m", "confcom.cli", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


@pytest.fixture
def folder(tmp_path):
    SimulatedPlatform.create(tmp_path / "machine")
    return tmp_path / "machine"


@pytest.fixture
def target_info(folder, tmp_path):
    path = tmp_path / "target-info.bin"
    path.write_bytes(SimulatedPlatform.load(folder).target_info().to_bytes())
    return path


def test_from_nothing_to_a_verified_quote(tmp_path):
    folder = tmp_path / "machine"
    made = confcom("simulate", "platform", folder, "--ca", "platform", "--tcb-status", "OutOfDate", "--output", "json")
    assert (made.returncode, made.stderr) == (0, b"")
    facts = json.loads(made.stdout)
    assert (facts["ca"], facts["tcb_status"], facts["fmspc"]) == ("platform", "OutOfDate", "53494d000002")

    machine = SimulatedPlatform.load(folder)
    report = confcom("simulate", "report", "--target-info", "-", "-o", "-", stdin=machine.target_info().to_bytes())
    assert (report.returncode, report.stderr, len(report.stdout)) == (0, b"", 432)

    collateral, root = tmp_path / "collateral.json", tmp_path / "root.pem"
    exported = confcom("simulate", "collateral", "--simulated-platform", folder, "-o", collateral, "--root", root)
    assert (exported.returncode, exported.stdout, exported.stderr) == (0, b"", b"")
    assert root.read_bytes() == machine.root_pem == (folder / "root.pem").read_bytes()

    quote, _ = machine.get_quote(report.stdout, DEFAULT_KEY_ID.to_bytes())
    judged = dcap_qvl.verify_with_root_ca(
        quote,
        dcap_qvl.QuoteCollateralV3.from_json(collateral.read_text()),
        machine.root_der,
        int(datetime.now(UTC).timestamp()),
    )
    assert judged.status == "OutOfDate"


def test_platform_is_shown_again_unchanged(folder):
    shown = [confcom("simulate", "platform", folder) for _ in range(2)]
    assert [one.returncode for one in shown] == [0, 0]
    assert shown[0].stdout == shown[1].stdout
    lines = dict(line.split(maxsplit=1) for line in shown[0].stdout.decode().splitlines())
    machine = SimulatedPlatform.load(folder)
    assert lines["platform_id"] == machine.identity.platform_id.hex()
    assert lines["qe_mr_enclave"] == machine.identity.qe_mr_enclave.hex()
    assert lines["quote_size"] == str(machine.quote_size)
    assert shown[0].stderr.decode() == f"Trust {folder}/root.pem in trials only: it proves nothing about hardware.\n"


def test_folders_may_have_any_name(tmp_path, capsys):
    folder = tmp_path / "[bold]:smile: machine"
    assert main(["simulate", "platform", str(folder)]) == 0
    assert capsys.readouterr().out.startswith(f"folder         {folder}\n")


def test_collateral_goes_to_standard_output(folder):
    done = confcom("simulate", "collateral", "--simulated-platform", folder, "-o", "-")
    assert done.returncode == 0
    assert json.loads(json.loads(done.stdout)["tcb_info"])["fmspc"] == "53494D000001"


def made_report(tmp_path, target_info, *arguments):
    path = tmp_path / "report.bin"
    assert main(["simulate", "report", "--target-info", str(target_info), "-o", str(path), *arguments]) == 0
    return Report.from_bytes(path.read_bytes()).body


def test_report_without_wishes(tmp_path, target_info, capsys):
    body = made_report(tmp_path, target_info)
    assert (body.mr_enclave, body.mr_signer, body.report_data) == (
        SIMULATED_MR_ENCLAVE,
        SIMULATED_MR_SIGNER,
        bytes(64),
    )
    assert (body.isv_prod_id, body.isv_svn, body.attributes.flag_names()) == (0, 0, ["INITTED", "MODE64BIT"])
    assert capsys.readouterr() == ("", "")


def test_report_with_every_wish(tmp_path, target_info, folder):
    body = made_report(
        tmp_path, target_info, "--report-data", "ab" * 64, "--mr-enclave", "11" * 32, "--mr-signer", "22" * 32,
        "--isv-prod-id", "65535", "--isv-svn", "3", "--debug",
    )  # fmt: skip
    assert (body.report_data, body.mr_enclave, body.mr_signer) == (b"\xab" * 64, b"\x11" * 32, b"\x22" * 32)
    assert (body.isv_prod_id, body.isv_svn, body.attributes.debug) == (65535, 3, True)
    quote, _ = SimulatedPlatform.load(folder).get_quote(
        (tmp_path / "report.bin").read_bytes(), DEFAULT_KEY_ID.to_bytes()
    )
    assert quote


def test_short_report_data_is_padded_and_that_is_said(tmp_path, target_info, capsys):
    body = made_report(tmp_path, target_info, "--report-data", "0102")
    assert body.report_data == b"\1\2" + bytes(62)
    assert capsys.readouterr() == ("", "--report-data: 2 bytes, padded with zeros to 64\n")


WRONG_REPORTS = {
    "report data not hex": (
        ["--report-data", "xy"],
        "--report-data: is not hex: write two digits 0-9a-f for each byte",
    ),
    "report data half a byte": (
        ["--report-data", "abc"],
        "--report-data: is not hex: write two digits 0-9a-f for each byte",
    ),
    "report data long": (["--report-data", "00" * 65], "--report-data: has 65 bytes; a report takes 64"),
    "mr_enclave short": (["--mr-enclave", "00" * 31], "--mr-enclave: has 31 bytes; it must have exactly 32"),
    "mr_enclave long": (["--mr-enclave", "00" * 33], "--mr-enclave: has 33 bytes; it must have exactly 32"),
    "mr_enclave empty": (["--mr-enclave", ""], "--mr-enclave: has 0 bytes; it must have exactly 32"),
    "mr_signer short": (["--mr-signer", "00"], "--mr-signer: has 1 bytes; it must have exactly 32"),
    "mr_signer not hex": (["--mr-signer", "q"], "--mr-signer: is not hex: write two digits 0-9a-f for each byte"),
}


@pytest.mark.parametrize(("arguments", "sentence"), WRONG_REPORTS.values(), ids=WRONG_REPORTS)
@pytest.mark.parametrize("debug", [[], ["--debug"]], ids=["", "debug enclave"])
def test_wrong_values_are_named_by_their_flag(tmp_path, target_info, capsys, arguments, sentence, debug):
    path = tmp_path / "report.bin"
    code = main(["simulate", "report", "--target-info", str(target_info), "-o", str(path), *arguments, *debug])
    assert (code, capsys.readouterr().err) == (2, f"confcom: {sentence}\n")
    assert not path.exists()


STATUSES = (
    "'UpToDate', 'SWHardeningNeeded', 'ConfigurationNeeded', 'ConfigurationAndSWHardeningNeeded', 'OutOfDate', "
    "'OutOfDateConfigurationNeeded', 'Revoked'"
)
WRONG_OPTIONS = {
    "ca": (["platform", "DIR", "--ca", "root"], "--ca: 'root' is not one of 'processor', 'platform'"),
    "status": (["platform", "DIR", "--tcb-status", "Fine"], f"--tcb-status: 'Fine' is not one of {STATUSES}"),
    "output": (["platform", "DIR", "--output", "xml"], "--output: 'xml' is not one of 'table', 'json'"),
    "no folder": (["platform"], "DIR: is missing; see 'confcom simulate platform --help'"),
    "prod id": (
        ["report", "--target-info", "-", "-o", "-", "--isv-prod-id", "65536"],
        "--isv-prod-id: must be at most 65535",
    ),
    "svn": (
        ["report", "--target-info", "-", "-o", "-", "--isv-svn", "-1"],
        "--isv-svn: must be at least 0",
    ),
    "no target info": (["report", "-o", "-"], "--target-info: is missing; see 'confcom simulate report --help'"),
    "no output": (["report", "--target-info", "-"], "-o: is missing; see 'confcom simulate report --help'"),
    "unknown flag": (
        ["platform", "DIR", "--cpu"],
        "No such option: --cpu (Possible options: --ca, --output); see 'confcom simulate platform --help'",
    ),
}


@pytest.mark.parametrize(("arguments", "problem"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_wrong_use_exits_2_and_names_the_flag_and_what_is_allowed(capsys, arguments, problem):
    assert main(["simulate", *arguments]) == 2
    assert capsys.readouterr().err == f"confcom simulate {arguments[0]}: {problem}\n"


def test_collateral_of_no_machine_names_both_ways(capsys):
    assert main(["simulate", "collateral", "-o", "-"]) == 2
    assert capsys.readouterr().err == "confcom: give one of '--simulated-platform' DIR and '--from' URL\n"


@pytest.mark.parametrize(("size", "problem"), [
    (0, "field 'mr_enclave' at offset 0: needs 32 bytes, the input has 0 left"),
    (511, "field 'reserved3' at offset 128: needs 384 bytes, the input has 383 left"),
    (513, "field 'end' at offset 512: 1 bytes too many: it has 512"),
])  # fmt: skip
def test_target_info_of_another_size(tmp_path, capsys, size, problem):
    path = tmp_path / "target"
    path.write_bytes(bytes(size))
    assert main(["simulate", "report", "--target-info", str(path), "-o", "-"]) == 2
    assert capsys.readouterr().err == f"confcom: --target-info {path}: TARGETINFO: {problem}\n"


def test_files_that_cannot_be_read_or_written(tmp_path, target_info, folder, capsys):
    missing = tmp_path / "none" / "file"
    assert main(["simulate", "report", "--target-info", str(missing), "-o", "-"]) == 2
    assert capsys.readouterr().err == f"confcom: --target-info {missing}: No such file or directory\n"
    assert main(["simulate", "report", "--target-info", str(target_info), "-o", str(missing)]) == 3
    assert capsys.readouterr().err == f"confcom: report {missing}: cannot be written: No such file or directory\n"
    assert main(["simulate", "collateral", "--simulated-platform", str(folder), "-o", str(missing)]) == 3
    assert capsys.readouterr().err == f"confcom: collateral {missing}: cannot be written: No such file or directory\n"


def test_collateral_and_root_do_not_share_standard_output(folder, capsys):
    assert main(["simulate", "collateral", "--simulated-platform", str(folder), "-o", "-", "--root", "-"]) == 2
    assert capsys.readouterr() == (
        "",
        "confcom: --root -: standard output takes the collateral already; name a file\n",
    )


def test_platforms_that_are_not_there_or_otherwise(tmp_path, folder, capsys):
    none = tmp_path / "none"
    assert main(["simulate", "collateral", "--simulated-platform", str(none), "-o", "-"]) == 2
    assert capsys.readouterr().err == (
        f"confcom: simulated platform {none}: there is none; make it with 'confcom simulate platform'\n"
    )
    assert main(["simulate", "platform", str(folder), "--ca", "platform"]) == 2
    assert capsys.readouterr().err == (
        f"confcom: simulated platform {folder}: is there already, with --ca processor, not platform; use it as it is, "
        "or name another folder\n"
    )
    (folder / "pck.key").write_bytes(b"")
    assert main(["simulate", "platform", str(folder)]) == 3
    assert capsys.readouterr().err == (
        f"confcom: {folder / 'pck.key'}: is not what SHA256SUMS says that it was; remove the folder and make the "
        "simulated platform anew\n"
    )
