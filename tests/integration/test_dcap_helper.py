"""The whole quote helper on the dcap backend, over stand-ins of Intel's libraries: real sockets, real processes."""

import contextlib
import os
import signal
import stat
import struct
import subprocess
import sys
import threading
import time

import pytest
from helper_process import HelperProcess
from libsgx.stand_in import (
    ABORT,
    AESM_ADDR_SEEN,
    COMPILER,
    PCE_IS_GLOBAL,
    SEGFAULT,
    SILENCE,
    SOCKET_VARIABLE,
    Oracle,
    Reply,
    build,
)

from confcom.aesm import Client
from confcom.errors import AESMError, ConfcomError
from confcom.sgx import DEFAULT_KEY_ID, QEReportInfo, Quote, TargetInfo
from confcom.simulation.reports import make_report

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler (cc or gcc) for the stand-in libraries")


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    return build(tmp_path_factory.mktemp("libsgx"))


@pytest.fixture
def oracle(short_dir, platform):
    with Oracle(short_dir / "oracle", platform) as oracle:
        yield oracle


@pytest.fixture
def start(libraries, oracle, short_dir):
    """Starts a helper with `--backend dcap`, as a pod template with SGX_AESM_ADDR by mistake would."""
    with contextlib.ExitStack() as stack:

        def begin(*flags, backend="dcap", libraries=libraries):
            environment = {
                "LD_LIBRARY_PATH": str(libraries), SOCKET_VARIABLE: str(oracle.path), "SGX_AESM_ADDR": "1",
            }  # fmt: skip
            helper = HelperProcess(short_dir, None, "--backend", backend, *flags, environment=environment)
            stack.callback(helper.end)
            return helper

        yield begin


@pytest.fixture
def report(platform):
    return make_report(platform.target_info(), report_data=b"r" * 64).to_bytes()


def causes(status):
    return {entry["code"]: entry["cause"] for entry in status["last_causes"]}


def make_devices(folder):
    folder.mkdir()
    try:
        for name in ("sgx_enclave", "sgx_provision"):
            os.mknod(folder / name, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("making device nodes needs the right to (CAP_MKNOD)")
    return folder


# --- service -----------------------------------------------------------------------------------------------------------


def test_quotes_flow_from_the_library_to_the_client(start, oracle, platform, report):
    helper = start()
    helper.wait_ready()
    client = Client(helper.socket)
    assert client.get_supported_att_key_id_num() == 1
    assert client.get_target_info() == platform.target_info()
    quote = Quote.from_bytes(client.get_quote(report))
    assert quote.report.to_bytes() == report[:384]
    assert len(quote.to_bytes()) == client.get_quote_size() == platform.quote_size
    (request,) = oracle.asked("Q")
    assert request.flags & PCE_IS_GLOBAL
    assert not request.flags & AESM_ADDR_SEEN


def test_qe_report_info_and_padding_work_as_on_hardware(start, report):
    helper = start()
    helper.wait_ready()
    wanted = QEReportInfo(nonce=b"n" * 16, app_enclave_target_info=TargetInfo.from_bytes(bytes(512)))
    result = Client(helper.socket).get_quote_ex(report, 8192, wanted)
    assert len(result.quote) == 8192
    assert Quote.from_bytes(result.quote).trailing.strip(b"\0") == b""
    assert result.qe_report_info.nonce == b"n" * 16
    assert any(result.qe_report_info.qe_report.mac)


def test_status_says_that_it_is_hardware_and_what_was_not_verified(start, report):
    helper = start("--workers", "2")
    status = helper.wait_ready()
    assert (status["backend"], status["simulated"], status["problem"]) == ("dcap", False, None)
    assert len(status["workers"]) == 2
    condition = status["condition"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("Verified", False, "NoProbe")
    assert "there is no probe enclave" in condition["message"]
    code, body, _ = helper.get("/simulation/root.pem")
    assert (code, body) == (404, b"this helper's quotes are of hardware\n")


def test_probe_enclave_makes_the_helpers_own_quote(start, oracle, short_dir, platform):
    enclave = short_dir / "probe.signed.so"
    enclave.touch()
    helper = start("--probe-enclave", str(enclave))
    status = helper.wait_ready()
    assert oracle.asked("E")[0].payload == bytes(enclave)
    assert status["condition"]["reason"] == "NotVerified"
    assert "which has not the key of the trusted root 'Intel SGX Root CA'" in status["condition"]["message"]
    header = Quote.from_bytes(
        platform.get_quote(make_report(platform.target_info()).to_bytes(), DEFAULT_KEY_ID.to_bytes())[0]
    ).header
    assert (status["qe_svn"], status["pce_svn"]) == (header.qe_svn, header.pce_svn)
    assert "certificate 'Simulated SGX PCK Certificate'" in status["certificates"]


# --- every code --------------------------------------------------------------------------------------------------------

AESM_OF = {
    0xE001: 1, 0xE002: 3, 0xE003: 21, 0xE004: 32, 0xE005: 33, 0xE006: 15, 0xE007: 34, 0xE008: 35, 0xE009: 36,
    0xE00A: 37, 0xE00B: 38, 0xE00C: 39, 0xE00D: 40, 0xE00E: 41, 0xE010: 43, 0xE011: 44, 0xE012: 29,
    0xE013: 45, 0xE015: 47, 0xE016: 48, 0xE017: 49, 0xE018: 50, 0xE019: 12, 0xE01A: 22,
    0xE035: 48, 0xE03F: 2, 0xE040: 30, 0xE041: 12, 0xE042: 12, 0xE043: 18, 0xE044: 12, 0xE047: 44, 0xE049: 44,
}  # fmt: skip


def test_every_code_reaches_client_and_status_with_its_cause(start, oracle, platform, report):
    helper = start()
    helper.wait_ready()
    client = Client(helper.socket)
    # 0xE00F and 0xE014 have the helper act; they have tests of their own.
    for number in sorted(set(range(0xE001, 0xE068)) - {0xE00F, 0xE014}):
        oracle.script["Q"].append(Reply(status=number))
        with pytest.raises(AESMError) as caught:
            client.get_quote_ex(report, platform.quote_size)
        code = AESM_OF.get(number, 1)
        assert caught.value.code == code, hex(number)
        assert f"0x{number:04X}" in causes(helper.status())[code]
    assert client.get_quote(report)
    assert helper.status()["worker_restarts"] == 0


def test_log_of_the_provider_stands_in_status(start, oracle, platform, report):
    helper = start()
    helper.wait_ready()
    oracle.script["C"].append(Reply(status=0xE019, payload=b"could not connect to pccs.example:8081"))
    with pytest.raises(AESMError) as caught:
        Client(helper.socket).get_quote_ex(report, platform.quote_size)
    assert caught.value.code == 12
    assert causes(helper.status())[12].endswith("The library's log says: could not connect to pccs.example:8081")
    assert helper.wait_for_line("could not connect to pccs.example:8081")


def test_key_that_is_not_certified_any_more_costs_the_client_nothing(start, oracle, platform, report):
    helper = start("--workers", "2")
    helper.wait_ready()
    for _ in range(4):
        oracle.script["Q"].append(Reply(status=0xE00F))
        assert len(Client(helper.socket).get_quote_ex(report, platform.quote_size).quote) == platform.quote_size
    assert len(oracle.asked("Q")) == 8


def test_quote_that_has_grown_has_the_client_ask_for_its_size_again(start, oracle, platform, report):
    oracle.script["S"].extend([Reply(payload=struct.pack("<I", 1100))] * 2)
    helper = start()
    helper.wait_ready()
    assert len(Client(helper.socket).get_quote(report)) == platform.quote_size
    assert "sgx_ql_get_quote_size said 1100" in causes(helper.status())[42]


def test_slow_certificate_service_holds_up_quotes_only(start, oracle, platform, report):
    helper = start()
    helper.wait_ready()
    arrived = threading.Event()
    oracle.script["C"].append(Reply(until=arrived))
    slow = threading.Thread(target=lambda: sizes.append(len(Client(helper.socket).get_quote_ex(report, 8192).quote)))
    sizes = []
    before = len(oracle.asked("C"))
    slow.start()
    deadline = time.monotonic() + 30
    while len(oracle.asked("C")) == before:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    client = Client(helper.socket)
    assert client.get_supported_att_key_id_num() == 1
    assert client.get_target_info() == platform.target_info()
    assert sizes == []
    arrived.set()
    slow.join(15)
    assert sizes == [8192]


# --- workers that die --------------------------------------------------------------------------------------------------


def _many(helper, report, count):
    """So many clients at once; what each of them got."""
    results = [None] * count

    def one(index):
        try:
            results[index] = len(Client(helper.socket).get_quote(report))
        except ConfcomError as error:
            results[index] = error

    threads = [threading.Thread(target=one, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


@pytest.mark.parametrize("crash", [ABORT, SEGFAULT], ids=["abort", "segmentation fault"])
def test_crash_in_the_library_loses_no_request(start, oracle, platform, report, crash):
    helper = start("--workers", "2")
    helper.wait_ready()
    oracle.script["Q"].extend([crash, crash])
    assert _many(helper, report, 12) == [platform.quote_size] * 12
    assert helper.wait_until(lambda status: status["worker_restarts"] >= 1)


def test_hang_in_the_library_loses_no_request(start, oracle, platform, report):
    helper = start("--hang-seconds", "2")
    helper.wait_ready()
    oracle.script["Q"].append(SILENCE)
    assert _many(helper, report, 4) == [platform.quote_size] * 4
    assert helper.status()["worker_restarts"] == 1
    helper.wait_for_line("worker hangs and is ended")


def test_lost_enclave_costs_the_worker_and_no_answer(start, oracle, platform, report):
    helper = start()
    helper.wait_ready()
    (before,) = helper.worker_pids()
    oracle.script["Q"].append(Reply(status=0xE014))
    assert len(Client(helper.socket).get_quote_ex(report, platform.quote_size).quote) == platform.quote_size
    assert "0xE014 SGX_QL_ENCLAVE_LOST" in causes(helper.status())[46]
    (after,) = helper.wait_ready() and helper.worker_pids()
    assert after != before


def test_request_that_kills_each_worker_is_given_up_and_the_next_is_served(start, oracle, platform, report):
    helper = start()
    helper.wait_ready()
    oracle.script["Q"].extend([ABORT] * 3)
    with pytest.raises(AESMError) as caught:
        Client(helper.socket).get_quote_ex(report, platform.quote_size)
    assert caught.value.code == 1
    assert len(Client(helper.socket).get_quote(report)) == platform.quote_size


# --- a node that is not ready for it -----------------------------------------------------------------------------------


def test_missing_libraries_leave_the_helper_alive_unready_and_telling_why(start, short_dir):
    empty = short_dir / "empty"
    empty.mkdir()
    helper = start(libraries=empty)
    status = helper.wait_until(lambda status: 30 in causes(status))
    assert status["ready"] is False
    assert "the quoting library libsgx_pce_logic.so.1 cannot be loaded" in status["problem"]
    code, body, _ = helper.get("/readyz")
    assert code == 503
    assert b"install libsgx-pce-logic" in body
    line = helper.wait_for_line("no quoting")
    assert "the quoting library libsgx_pce_logic.so.1 cannot be loaded" in line
    assert "code=30" in line
    helper.wait_for_line("starting another")
    helper.signal(signal.SIGTERM)
    assert helper.wait_end() == 0


@pytest.mark.slow
def test_without_libraries_what_needs_no_qe_is_answered_and_the_rest_30_in_time(start, short_dir):
    empty = short_dir / "empty"
    empty.mkdir()
    helper = start(libraries=empty)
    helper.wait_until(lambda status: 30 in causes(status) and status["role"] == "serving")
    client = Client(helper.socket)
    assert client.get_supported_att_key_id_num() == 1
    with pytest.raises(AESMError) as caught:
        client.get_target_info()
    # Not the client's own patience, which is 15 s as in Intel's.
    assert caught.value.code == 30


def test_devices_that_arrive_later_make_the_helper_ready(start, oracle, short_dir, report):
    dev = short_dir / "dev"
    oracle.always["I"] = Reply(status=0xE035)
    helper = start("--dev-root", str(dev))
    status = helper.wait_until(lambda status: 2 in causes(status))
    assert status["problem"].startswith(
        "the first quote of its own is not made yet: there is no device /dev/sgx_enclave"
    )
    make_devices(dev)
    (dev / "sgx_provision").unlink()
    status = helper.wait_until(lambda status: 48 in causes(status))
    assert causes(status)[48].startswith(
        "there is no device /dev/sgx_provision: QE and PCE cannot be loaded without it"
    )
    assert 38 not in causes(status)
    del oracle.always["I"]
    helper.wait_ready()
    assert Client(helper.socket).get_quote(report)


def run_once(libraries, *flags):
    environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries)}
    return subprocess.run(
        [sys.executable, "-m", "confcom.quote_helper", "--http-port", "0", *flags],
        check=False, capture_output=True, text=True, timeout=60, env=environment,
    )  # fmt: skip


def test_auto_with_nothing_there_says_so_and_exits(libraries, short_dir):
    done = run_once(libraries, "--dev-root", str(short_dir), "--socket-dir", str(short_dir / "s"))
    assert done.returncode == 3
    assert done.stderr.startswith(
        "confcom quote-helper: --backend auto: this node cannot make quotes of hardware: there is no device "
        "/dev/sgx_enclave: "
    )
    assert len(done.stderr.splitlines()) == 1
    assert not (short_dir / "s").exists()


def test_auto_without_libraries_names_the_package(short_dir):
    dev = make_devices(short_dir / "dev")
    done = run_once(short_dir, "--dev-root", str(dev), "--socket-dir", str(short_dir / "s"))
    assert done.returncode == 3
    assert "install libsgx-pce-logic and what it needs" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_simulation_and_dcap_together_are_refused(libraries, short_dir):
    done = run_once(libraries, "--backend", "dcap", "--simulated-platform", str(short_dir / "p"))
    assert (done.returncode, done.stderr) == (
        2,
        "confcom quote-helper: --backend dcap makes quotes of hardware: leave out --simulated-platform, or the former\n",
    )
    assert not (short_dir / "p").exists()


def test_auto_takes_hardware_where_it_is(start, short_dir, report):
    helper = start("--dev-root", str(make_devices(short_dir / "dev")), backend="auto")
    assert helper.wait_ready()["backend"] == "dcap"
    assert Client(helper.socket).get_quote(report)
