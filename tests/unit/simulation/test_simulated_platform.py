"""The folder of a simulated platform: made whole, read back unchanged, raced for, and refused when damaged."""

import errno
import hashlib
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from confcom.codes import TCBStatus
from confcom.errors import InputError, PlatformError
from confcom.sgx import DEFAULT_KEY_ID
from confcom.simulation.creation import write_folder
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report

FILES = {
    "SHA256SUMS", "attestation.key", "intermediate.key", "intermediate.pem", "pck.key", "pck.pem", "platform.json",
    "root.key", "root.pem", "tcb-signer.key", "tcb-signer.pem",
}  # fmt: skip
RACE_SECONDS = 60


def names(folder):
    return {path.name for path in folder.iterdir()}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rewrite(folder, name, content):
    """Changes a file and its digest, as somebody would who wants it to pass."""
    (folder / name).write_bytes(content)
    listed = [path for path in sorted(folder.iterdir()) if path.name != "SHA256SUMS"]
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in listed)
    (folder / "SHA256SUMS").write_text(sums)


@pytest.fixture
def folder(tmp_path, now):
    SimulatedPlatform.create(tmp_path / "machine", now=now)
    return tmp_path / "machine"


def test_folder_holds_these_files_for_its_owner_only(folder):
    assert set(contents(folder)) == FILES
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert names(folder.parent) == {"machine"}


def test_loaded_again_it_is_the_same_machine_and_no_byte_has_changed(folder, now):
    before = contents(folder)
    first, second = SimulatedPlatform.load(folder), SimulatedPlatform.open(folder)
    report = make_report(first.target_info()).to_bytes()
    quotes = [machine.get_quote(report, DEFAULT_KEY_ID.to_bytes())[0] for machine in (first, second)]
    collaterals = [machine.collateral(now) for machine in (first, second)]

    assert contents(folder) == before
    assert first.identity == second.identity
    assert (first.pub_key_id, first.root_der) == (second.pub_key_id, second.root_der)
    assert quotes[0][:436] == quotes[1][:436]
    assert [one["tcb_info"] for one in collaterals] == [collaterals[0]["tcb_info"]] * 2


def test_two_machines_share_nothing_that_tells_them_apart(tmp_path):
    one, two = (SimulatedPlatform.create(tmp_path / name) for name in ("one", "two"))
    for field in ("platform_id", "ppid", "qe_id", "platform_instance_id", "qe_mr_enclave"):
        assert getattr(one.identity, field) != getattr(two.identity, field)
    assert one.pub_key_id != two.pub_key_id
    assert one.root_der != two.root_der


@pytest.mark.parametrize("ca", ["processor", "platform"])
def test_fmspc_spells_sim(tmp_path, ca):
    assert SimulatedPlatform.create(tmp_path / "machine", ca=ca).identity.fmspc.startswith(b"SIM")


def test_defaults_are_the_processor_ca_and_up_to_date(tmp_path):
    identity = SimulatedPlatform.open(tmp_path / "machine").identity
    assert (identity.ca, identity.tcb_status) == ("processor", TCBStatus.UP_TO_DATE)


def test_an_empty_folder_is_made_a_machine(tmp_path):
    (tmp_path / "machine").mkdir()
    assert SimulatedPlatform.open(tmp_path / "machine").identity.ca == "processor"


def test_missing_parents_are_made_and_relative_paths_and_links_followed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    SimulatedPlatform.open(Path("a/b/machine"))
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "empty").mkdir()
    SimulatedPlatform.open(tmp_path / "link")
    assert set(contents(tmp_path / "empty")) == set(contents(tmp_path / "a/b/machine")) == FILES


def test_open_and_create_without_wishes_take_a_machine_of_any_kind(tmp_path):
    made = SimulatedPlatform.create(tmp_path / "machine", ca="platform", tcb_status=TCBStatus.OUT_OF_DATE)
    for load in (SimulatedPlatform.open, SimulatedPlatform.create, SimulatedPlatform.load):
        assert load(tmp_path / "machine").identity == made.identity
    again = SimulatedPlatform.create(tmp_path / "machine", tcb_status=TCBStatus.OUT_OF_DATE)
    assert again.identity == made.identity


OTHER_KINDS = {
    "ca": ({"ca": "platform"}, "is there already, with --ca processor, not platform"),
    "status": ({"tcb_status": TCBStatus.REVOKED}, "is there already, with --tcb-status UpToDate, not Revoked"),
}


@pytest.mark.parametrize(("wish", "problem"), OTHER_KINDS.values(), ids=OTHER_KINDS)
def test_create_refuses_a_machine_of_another_kind_and_leaves_it(folder, wish, problem):
    before = contents(folder)
    with pytest.raises(InputError) as caught:
        SimulatedPlatform.create(folder, **wish)
    assert str(caught.value) == f"simulated platform {folder}: {problem}; use it as it is, or name another folder"
    assert contents(folder) == before


UNKNOWN_KINDS = {
    "ca": ({"ca": "root"}, "'root' is not a kind of PCK CA: use processor or platform"),
    "status": ({"tcb_status": "Fine"}, "'Fine' is not a valid TCBStatus"),
}


@pytest.mark.parametrize(("wish", "problem"), UNKNOWN_KINDS.values(), ids=UNKNOWN_KINDS)
def test_unknown_kinds_make_nothing(tmp_path, wish, problem):
    with pytest.raises(InputError) as caught:
        SimulatedPlatform.create(tmp_path / "machine", **wish)
    assert str(caught.value) == f"simulated platform {tmp_path / 'machine'}: {problem}"
    assert not (tmp_path / "machine").exists()


def test_load_makes_nothing(tmp_path):
    with pytest.raises(InputError) as caught:
        SimulatedPlatform.load(tmp_path / "none")
    assert str(caught.value) == (
        f"simulated platform {tmp_path / 'none'}: there is none; make it with 'confcom simulate platform'"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_things_is_never_touched(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for use in (SimulatedPlatform.open, SimulatedPlatform.create, SimulatedPlatform.load):
        with pytest.raises(InputError) as caught:
            use(tmp_path)
        assert str(caught.value) == (
            f"simulated platform {tmp_path}: holds no SHA256SUMS, so it is none: name an empty or a new folder"
        )
    assert names(tmp_path) == {"notes.txt"}


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        SimulatedPlatform.open(tmp_path / "file")
    assert str(caught.value) == f"simulated platform {tmp_path / 'file'}: is not a folder"


def test_a_place_that_cannot_be_written_is_named():
    with pytest.raises(PlatformError, match=r"^simulated platform /proc/none/machine: cannot be made: "):
        SimulatedPlatform.open(Path("/proc/none/machine"))


def test_a_mount_point_cannot_be_replaced_and_the_sentence_says_what_to_do(tmp_path, monkeypatch):
    def busy(*_):
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(Path, "rename", busy)
    with pytest.raises(PlatformError) as caught:
        SimulatedPlatform.open(tmp_path / "mount")
    assert str(caught.value) == (
        f"simulated platform {tmp_path / 'mount'}: cannot be made: Device or resource busy: it is a mount point, name "
        "a folder inside it"
    )
    assert names(tmp_path) == set()


def damages(content):
    return {
        "half written": content[: len(content) // 2],
        "empty": b"",
        "one bit": bytes((content[0] ^ 1,)) + content[1:],
        "longer": content + b"\n",
    }


@pytest.mark.parametrize("how", ["half written", "empty", "one bit", "longer"])
@pytest.mark.parametrize("name", sorted(FILES - {"SHA256SUMS"}))
def test_a_damaged_file_is_named(folder, name, how):
    path = folder / name
    path.write_bytes(damages(path.read_bytes())[how])
    for use in (SimulatedPlatform.load, SimulatedPlatform.open):
        with pytest.raises(PlatformError) as caught:
            use(folder)
        assert str(caught.value) == (
            f"{path}: is not what SHA256SUMS says that it was; remove the folder and make the simulated platform anew"
        )


@pytest.mark.parametrize("name", sorted(FILES - {"SHA256SUMS"}))
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(PlatformError) as caught:
        SimulatedPlatform.load(folder)
    assert str(caught.value) == (f"{folder / name}: is missing; remove the folder and make the simulated platform anew")


def test_a_huge_file_is_not_read(folder):
    (folder / "root.pem").write_bytes(bytes(64 * 1024 + 1))
    with pytest.raises(PlatformError, match=r"root\.pem: has over 64 KiB; "):
        SimulatedPlatform.load(folder)


SUMS = {
    "cut inside a line": (lambda text: text[:-30], "line 10 is not a digest and a file name"),
    "cut behind a line": (lambda text: "".join(text.splitlines(keepends=True)[:-1]), "does not list attestation.key"),
    "empty": (lambda text: "", "does not list platform.json"),
    "not text": (lambda text: "\0\1\2", "line 1 is not a digest and a file name"),
    "out of the folder": (lambda text: f"{'0' * 64}  ../secret\n", "line 1 is not a digest and a file name"),
}


@pytest.mark.parametrize(("damage", "problem"), SUMS.values(), ids=SUMS)
def test_a_damaged_list_of_digests_is_named(folder, damage, problem):
    path = folder / "SHA256SUMS"
    path.write_text(damage(path.read_text()))
    with pytest.raises(PlatformError) as caught:
        SimulatedPlatform.load(folder)
    assert str(caught.value) == f"{path}: {problem}; remove the folder and make the simulated platform anew"


IDENTITIES = {
    "list": (lambda values: [], "is not a simulated platform of version 1"),
    "later version": (lambda values: {**values, "version": 2}, "is not a simulated platform of version 1"),
    "no ppid": (lambda values: {k: v for k, v in values.items() if k != "ppid"}, "member 'ppid' is missing"),
    "extra member": (lambda values: {**values, "zzz": 1}, "member 'zzz' is unknown"),
    "number for hex": (lambda values: {**values, "ppid": 1}, "member 'ppid' is not a string"),
    "no hex": (
        lambda values: {**values, "ppid": "xy"},
        "member 'ppid': non-hexadecimal number found in fromhex() arg at position 0",
    ),
    "pce_svn truth": (lambda values: {**values, "pce_svn": True}, "member 'pce_svn' is not a number of 16 bits"),
    "short ppid": (lambda values: {**values, "ppid": "00"}, "member 'ppid' has 1 bytes, not 16"),
    "long fmspc": (lambda values: {**values, "fmspc": "00" * 7}, "member 'fmspc' has 7 bytes, not 6"),
    "pce_svn text": (lambda values: {**values, "pce_svn": "13"}, "member 'pce_svn' is not a number of 16 bits"),
    "pce_svn large": (lambda values: {**values, "pce_svn": 65536}, "member 'pce_svn' is not a number of 16 bits"),
    "ca": (lambda values: {**values, "ca": "x"}, "member 'ca': 'x' is not a kind of PCK CA: use processor or platform"),
    "status": (lambda values: {**values, "tcb_status": "x"}, "member 'tcb_status': 'x' is not a valid TCBStatus"),
}


@pytest.mark.parametrize(("change", "problem"), IDENTITIES.values(), ids=IDENTITIES)
def test_an_identity_that_was_rewritten_is_refused(folder, change, problem):
    values = json.loads((folder / "platform.json").read_bytes())
    rewrite(folder, "platform.json", json.dumps(change(values)).encode())
    with pytest.raises(PlatformError) as caught:
        SimulatedPlatform.load(folder)
    assert str(caught.value) == (
        f"{folder / 'platform.json'}: {problem}; remove the folder and make the simulated platform anew"
    )


def test_an_identity_that_is_no_json_or_no_hex_is_refused(folder):
    text = (folder / "platform.json").read_bytes()
    for content in (text[:50], b"\xff", text.replace(b'"ppid": "', b'"ppid": "x')):
        rewrite(folder, "platform.json", content)
        with pytest.raises(PlatformError, match=r"platform\.json: .*; remove the folder"):
            SimulatedPlatform.load(folder)


CUT_OFF = b"-----BEGIN PRIVATE KEY-----\nMIG2AgEAMBAGByqG\n"


@pytest.mark.parametrize("content", [b"", b"no key", CUT_OFF], ids=["empty", "text", "cut off"])
def test_a_key_that_was_rewritten_is_refused(folder, content):
    rewrite(folder, "attestation.key", content)
    with pytest.raises(PlatformError, match=r"attestation\.key: .*; remove the folder"):
        SimulatedPlatform.load(folder)


def test_a_key_on_another_curve_is_refused(folder):
    from cryptography.hazmat.primitives.asymmetric import ec

    from confcom.simulation.keys import key_to_pem

    rewrite(folder, "pck.key", key_to_pem(ec.generate_private_key(ec.SECP384R1())))
    with pytest.raises(PlatformError, match=r"pck\.key: the key is not on the curve P-256; "):
        SimulatedPlatform.load(folder)


def test_who_comes_second_changes_nothing(folder):
    before = contents(folder)
    assert write_folder(folder, {"other": b"content"}) is False
    assert contents(folder) == before
    assert names(folder.parent) == {"machine"}


RACER = """
import sys
from pathlib import Path
from confcom.errors import InputError
from confcom.simulation import creation
from confcom.simulation.platform import SimulatedPlatform

folder, ca = Path(sys.argv[1]), sys.argv[2]
whole = creation.write_folder
def wait_and_write(*arguments):
    # Both have seen that there is no machine, and have made their own, before either may put it in place.
    print("ready", flush=True)
    sys.stdin.readline()
    return whole(*arguments)
creation.write_folder = wait_and_write
try:
    machine = SimulatedPlatform.create(folder, ca=ca) if ca else SimulatedPlatform.open(folder)
except InputError as error:
    print("refused", error)
else:
    print("machine", machine.identity.platform_id.hex(), machine.pub_key_id.hex())
"""


def race(folder, *kinds):
    """What several real processes say that make the same folder at the same moment."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(folder), ca], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for ca in kinds
    ]
    assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * len(kinds)
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    return [racer.communicate(timeout=RACE_SECONDS)[0].split(maxsplit=1) for racer in racers]


def test_processes_that_race_get_the_same_machine(tmp_path):
    answers = race(tmp_path / "machine", "", "", "")
    assert [kind for kind, _ in answers] == ["machine"] * 3
    assert len({answer for _, answer in answers}) == 1
    assert names(tmp_path) == {"machine"}


def test_of_two_kinds_that_race_one_is_refused(tmp_path):
    answers = dict(race(tmp_path / "machine", "processor", "platform"))
    assert answers.keys() == {"machine", "refused"}
    assert "is there already, with --ca" in answers["refused"]
    assert names(tmp_path) == {"machine"}


def test_quote_making_loads_neither_certificates_nor_what_creation_needs(folder):
    program = """
import sys
from pathlib import Path
from confcom.sgx import DEFAULT_KEY_ID
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report

machine = SimulatedPlatform.open(Path(sys.argv[1]))
report = make_report(machine.target_info()).to_bytes()
machine.get_quote(report, DEFAULT_KEY_ID.to_bytes())
print(sorted({"cryptography.x509", "tempfile", "ssl", "msgspec", "asyncio"} & sys.modules.keys()))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, timeout=RACE_SECONDS, check=True
    )
    assert done.stdout == "[]\n"
