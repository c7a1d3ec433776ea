"""The Dockerfiles, read and where possible run: what a builder would refuse or leave out is found without one."""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from confcom import __version__

ROOT = Path(__file__).resolve().parents[3]
IMAGE = ROOT / "deploy/image/Dockerfile"
DOCKERFILES = [IMAGE, ROOT / "deploy/samples/open-enclave/Dockerfile"]


def instructions(file):
    """Each instruction on one line, as the builder joins them; comments also speak of what is not done."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#")).replace("\\\n", "")


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_dockerfile_avoids_the_known_defects(file):
    code = instructions(file)
    assert "Not built here" in file.read_text(encoding="utf-8")
    assert not re.search(r"apt-key|18\.04|\bcurl\b|\bwget\b|trusted=yes|remote_attestation", code)
    assert "://" not in code, "an address is named by who builds"
    assert len(re.findall(r"^FROM ", code, re.MULTILINE)) >= 2
    users = re.findall(r"^USER (\S+)", code, re.MULTILINE)
    assert users[-1].split(":")[0] not in ("0", "root")
    for argument in re.findall(r"^ARG (\w+)$", code, re.MULTILINE):
        assert f"need {argument} " in code or argument == "BASE", f"{argument} has no default and no sentence"


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_base_images_are_one_word(file):
    """The builder splits FROM at every space, in `${BASE:?a sentence}` too, and then refuses the whole file."""
    for words in re.findall(r"^FROM (.*)$", instructions(file), re.MULTILINE):
        assert re.fullmatch(r"\S+( AS \S+)?", words), words


def test_open_enclave_sample_asks_for_a_quote():
    """`make run` of some versions is local attestation, which needs no quote and so no helper."""
    code = instructions(DOCKERFILES[1])
    assert 'CMD ["make", "runsgxremote"]' in code
    assert "ENV SGX_AESM_ADDR=1" in code


def test_every_copied_file_of_the_image_exists_and_is_in_the_build_context():
    admitted = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    for line in re.findall(r"^COPY (?!--from)(.*)$", instructions(IMAGE), re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(source == path or fnmatch.fnmatch(source, f"{path}/*") for path in admitted), source


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_apt_may_read_the_keys(file):
    """It drops to a user of its own, and a checkout with umask 077 has files that only their owner may read."""
    code = instructions(file)
    for folder in set(re.findall(r"signed-by=(\S+)/intel\.asc", code)):
        steps = [step for step in re.findall(r"^RUN .*$", code, re.MULTILINE) if f"signed-by={folder}/" in step]
        assert steps
        assert all(f"chmod -R a+rX {folder};" in step for step in steps)


def test_image_carries_no_installers():
    """Nothing in it uses them, and scanners know their weaknesses: Debian's venv brings an old setuptools along."""
    program = instructions(IMAGE).partition(" AS program\n")[2].partition("\nFROM ")[0]
    last_install, _, after = program.rpartition("pip install ")
    assert last_install
    assert "pip uninstall --yes --quiet setuptools pip" in after


def test_image_says_which_version_it_is():
    assert f"org.opencontainers.image.version={__version__}\n" in instructions(IMAGE)


def test_image_has_every_package_that_quotes_of_hardware_need():
    """By the table in docs/reference/dcap-backend.md: a library or an enclave that is missing is AESM 30 in a cluster."""
    page = (ROOT / "docs/reference/dcap-backend.md").read_text(encoding="utf-8")
    needs = page.partition("## What it needs")[2].partition("## How it is chosen")[0]
    packages = set(re.findall(r"`((?:libsgx-|sgx-pck-|az-dcap-)[a-z0-9-]+)`", needs))
    assert {"libsgx-pce-logic", "libsgx-ae-id-enclave", "az-dcap-client"} <= packages
    assert packages - set(re.findall(r'"([a-z0-9-]+)=\$\{', instructions(IMAGE))) == set()


# --- the step that unpacks Intel's and Microsoft's packages, on stand-ins of them -------------------------------------

LIBRARIES = "usr/lib/x86_64-linux-gnu"
VERSIONS = {"PSW_VERSION": "2.25.100.3", "DCAP_VERSION": "1.22.100.3", "AZ_DCAP_CLIENT_VERSION": "1.12.3"}
# The PCE's package is of the PSW's version, the other enclaves' are of DCAP's; Intel's provider is two libraries.
PACKAGES = {
    "libsgx-enclave-common": ("PSW_VERSION", [f"{LIBRARIES}/libsgx_enclave_common.so.1"]),
    "libsgx-urts": ("PSW_VERSION", [f"{LIBRARIES}/libsgx_urts.so.2"]),
    "libsgx-ae-pce": ("PSW_VERSION", [f"{LIBRARIES}/libsgx_pce.signed.so.1"]),
    "libsgx-ae-qe3": ("DCAP_VERSION", [f"{LIBRARIES}/libsgx_qe3.signed.so.1"]),
    "libsgx-ae-id-enclave": ("DCAP_VERSION", [f"{LIBRARIES}/libsgx_id_enclave.signed.so.1"]),
    "libsgx-pce-logic": ("DCAP_VERSION", [f"{LIBRARIES}/libsgx_pce_logic.so.1"]),
    "libsgx-qe3-logic": ("DCAP_VERSION", [f"{LIBRARIES}/libsgx_qe3_logic.so"]),
    "libsgx-dcap-default-qpl": (
        "DCAP_VERSION",
        [f"{LIBRARIES}/libdcap_quoteprov.so.1.0.0", f"{LIBRARIES}/libsgx_default_qcnl_wrapper.so.1"],
    ),
    "sgx-pck-id-retrieval-tool": ("DCAP_VERSION", ["opt/intel/sgx-pck-id-retrieval-tool/p.signed.so"]),
    "az-dcap-client": ("AZ_DCAP_CLIENT_VERSION", ["usr/lib/libdcap_quoteprov.so"]),
}
APT_GET = """#!/bin/sh
set -eu
[ "$1" = download ]; shift
for wanted in "$@"; do cp REPOSITORY/"${wanted%%=*}"_${wanted#*=}.deb .; done
"""


@pytest.fixture
def repository(tmp_path):
    """A folder with one small package of each name, and an `apt-get` that downloads from it."""
    folder = tmp_path / "repository"
    for name, (version, files) in PACKAGES.items():
        content = tmp_path / "content" / name
        for path in [*files, f"usr/share/doc/{name}/copyright"]:
            (content / path).parent.mkdir(parents=True, exist_ok=True)
            (content / path).write_text(name)
        if name == "libsgx-dcap-default-qpl":
            (content / LIBRARIES / "libdcap_quoteprov.so.1").symlink_to("libdcap_quoteprov.so.1.0.0")
        full = f"{VERSIONS[version]}-1"
        control = f"Package: {name}\nVersion: {full}\nArchitecture: amd64\nMaintainer: m <m@m.m>\nDescription: d\n"
        (content / "DEBIAN").mkdir()
        # dpkg-deb refuses a folder that only its owner may read, whatever the umask.
        (content / "DEBIAN").chmod(0o755)
        (content / "DEBIAN/control").write_text(control)
        folder.mkdir(exist_ok=True)
        package = folder / f"{name}_{full}_amd64.deb"
        subprocess.run(["dpkg-deb", "--build", str(content), str(package)], check=True, capture_output=True, timeout=60)
    apt_get = tmp_path / "bin/apt-get"
    apt_get.parent.mkdir()
    apt_get.write_text(APT_GET.replace("REPOSITORY", str(folder)))
    apt_get.chmod(0o755)
    return apt_get.parent


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg-deb: the packages are Debian's")
def test_packages_are_unpacked_to_where_the_helper_looks(repository, tmp_path):
    (step,) = re.findall(r"^WORKDIR /packages\nRUN (.*)$", instructions(IMAGE), re.MULTILINE)
    step = re.sub(r"(?<=[\s\"])/(?=root-of-psw|providers|unpacked)", f"{tmp_path}/", step)
    (tmp_path / "packages").mkdir()
    environment = os.environ | VERSIONS | {"PATH": f"{repository}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", step],
        cwd=tmp_path / "packages",
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    root, providers = tmp_path / "root-of-psw", tmp_path / "providers"
    assert (providers / "azure/libdcap_quoteprov.so.1").read_text() == "az-dcap-client"
    assert (providers / "intel/libdcap_quoteprov.so.1").read_text() == "libsgx-dcap-default-qpl"
    assert list(root.rglob("libdcap_quoteprov*")) == [], "one of two on the loader's path would be taken for both"
    for name, (_, files) in PACKAGES.items():
        assert (root / f"usr/share/doc/{name}/copyright").exists(), "NOTICE says where the licences are"
        assert [path for path in files if "quoteprov" not in path and not (root / path).exists()] == []
    listed = [line.split() for line in (tmp_path / "unpacked.txt").read_text().splitlines()]
    assert {name: owner for owner, name, _ in listed if owner != "intel"} == {"az-dcap-client": "microsoft"}
    assert {name for _, name, _ in listed} == set(PACKAGES)


# --- the bill of materials -------------------------------------------------------------------------------------------


def test_bill_of_materials_lists_what_runs(tmp_path):
    unpacked = tmp_path / "u"
    unpacked.write_text("intel libsgx-urts 2.25.100\n")
    program = [sys.executable, str(ROOT / "deploy/image/sbom.py"), "--unpacked", str(unpacked)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    bill = json.loads(done.stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    found = {component["name"]: component for component in bill["components"]}
    assert {"grpcio", "cryptography", "libsgx-urts"} <= set(found)
    assert found["libsgx-urts"]["purl"] == "pkg:deb/intel/libsgx-urts@2.25.100", "not Debian's"
    assert found["typing-extensions"]["purl"].startswith("pkg:pypi/typing-extensions@")
    assert not any(re.search(r"[+ ]", component["purl"]) for component in bill["components"])
    # No index has confcom, so no package URL may name one.
    program = bill["metadata"]["component"]
    assert (program["name"], program["version"], "purl" in program) == ("confcom", __version__, False)
    assert program["licenses"] == [{"license": {"name": "Apache-2.0"}}]
    assert "confcom" not in found
