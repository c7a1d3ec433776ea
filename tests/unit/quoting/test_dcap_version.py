"""Which PSW the loader finds: by a real library of our own making, under the name of Intel's runtime."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from libsgx.stand_in import COMPILER

from confcom.quoting import dcap_version
from confcom.quoting.dcap_version import installed_psw, loaded_file, look_around_for_quotes

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler (cc or gcc) for the stand-in library")

MAPS = """\
55d0a1c00000-55d0a1c01000 r--p 00000000 08:01 1234 /usr/bin/python3.11
7f1a2b000000-7f1a2b001000 r--p 00000000 08:01 99   /opt/intel/lib with space/libsgx_urts.so.2.0.109.0
7f1a2b001000-7f1a2b002000 r-xp 00001000 08:01 99   /opt/intel/lib with space/libsgx_urts.so.2.0.109.0
7ffd00000000-7ffd00001000 rw-p 00000000 00:00 0    [stack]
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a runtime with this text in it before all others."""

    def make(text):
        source = tmp_path / "urts.c"
        source.write_text(f'const char version[] = "{text}";\n')
        file = tmp_path / "libsgx_urts.so.2"
        command = [COMPILER, "-shared", "-fPIC", "-Wl,-soname,libsgx_urts.so.2", "-o", str(file), str(source)]
        subprocess.run(command, check=True, timeout=60)
        monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))

    return make


@needs_compiler
@pytest.mark.parametrize(
    ("text", "version", "verdict"),
    [
        ("SGX_URTS_VERSION_2.21.100.1", "2.21.100.1", "works"),
        ("SGX_URTS_VERSION_2.16.100.4", "2.16.100.4", "works with limits"),
        ("SGX_URTS_VERSION_2.9.101.2", "2.9.101.2", "works with limits"),
        ("of somebody else", "unknown", "not tried"),
    ],
)
def test_version_of_the_runtime_that_is_loaded(install, tmp_path, text, version, verdict):
    install(text)
    assert installed_psw() == version
    *_, psw = look_around_for_quotes(tmp_path, tmp_path)
    assert (psw.part, psw.found, psw.verdict) == ("Intel PSW", version, verdict)


def test_no_runtime_is_no_finding(tmp_path, monkeypatch):
    (tmp_path / "libsgx_urts.so.2").write_bytes(b"SGX_URTS_VERSION_2.21.100.1 in what is no library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    if any(Path(folder, "libsgx_urts.so.2").exists() for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib")):
        pytest.skip("this machine has Intel's runtime")
    assert installed_psw() is None
    assert [f.part for f in look_around_for_quotes(tmp_path, tmp_path)] == ["Linux"]


def test_a_child_that_does_not_answer_leaves_the_version_unknown(tmp_path, monkeypatch):
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    script.chmod(0o755)
    monkeypatch.setattr(dcap_version, "sys", SimpleNamespace(executable=os.fspath(script)))
    monkeypatch.setattr(dcap_version, "LOOK_SECONDS", 0.2)
    assert installed_psw() == "unknown"


@pytest.mark.parametrize(
    ("maps", "name", "file"),
    [
        pytest.param(
            MAPS, "libsgx_urts.so.2", "/opt/intel/lib with space/libsgx_urts.so.2.0.109.0", id="behind a link"
        ),
        pytest.param(MAPS, "libsgx_qe3_logic.so", None, id="not loaded"),
        pytest.param("", "libsgx_urts.so.2", None, id="nothing"),
        pytest.param("7f-80 r--p 0 08:01 9", "libsgx_urts.so.2", None, id="a line that is cut off"),
        pytest.param("7f-80 r--p 0 08:01 9 /lib/libsgx_urts_sim.so", "libsgx_urts.so.2", None, id="the simulation's"),
    ],
)
def test_file_behind_a_library(maps, name, file):
    found = loaded_file(maps, name)
    assert (found and str(found)) == file


def test_the_front_does_not_load_what_only_the_child_needs():
    """Memory on a node comes from imports; ctypes alone is 0.4 MB."""
    script = "import sys, confcom.quote_helper.main; print('ctypes' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"
