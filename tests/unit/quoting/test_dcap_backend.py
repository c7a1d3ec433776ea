"""The dcap backend in a real worker process, over stand-ins of Intel's libraries that C compiles and Python answers."""

import hashlib
import os
import stat
import struct
from pathlib import Path

import pytest
from libsgx.stand_in import (
    ABORT,
    AESM_ADDR_SEEN,
    COMPILER,
    LISTENED,
    NO_PROVIDER,
    PCE_IS_GLOBAL,
    PERSISTENT,
    REFRESH,
    SEGFAULT,
    SILENCE,
    WITH_INFO,
    Oracle,
    Reply,
    build,
    quote_reply,
    without_certificates,
)
from libsgx.worker import DcapWorker

from confcom.quoting.hop import Operation, split_quote
from confcom.sgx import DEFAULT_KEY_ID, QEReportInfo, Quote, TargetInfo
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler (cc or gcc) for the stand-in libraries")


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    return build(tmp_path_factory.mktemp("libsgx"))


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    return SimulatedPlatform.create(tmp_path_factory.mktemp("machine") / "platform")


@pytest.fixture
def oracle(short_dir, platform):
    with Oracle(short_dir / "oracle.socket", platform) as oracle:
        yield oracle


@pytest.fixture
def devices(tmp_path):
    """A /dev in which all is well, so that failures are not laid to missing devices."""
    folder = tmp_path / "dev"
    folder.mkdir()
    try:
        for name in ("sgx_enclave", "sgx_provision"):
            os.mknod(folder / name, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("making device nodes needs the right to (CAP_MKNOD)")
    return str(folder)


@pytest.fixture
def worker(libraries, oracle):
    with DcapWorker(libraries, oracle.path) as worker:
        worker.key = worker.ready()
        yield worker


@pytest.fixture
def report(platform):
    return make_report(platform.target_info(), report_data=b"d" * 64).to_bytes()


def _failed(message):
    return message.code, message.payload.decode()


# --- the calls as the libraries see them -------------------------------------------------------------------------------


def test_key_report_is_the_platforms(worker, platform):
    assert worker.key.target_info == platform.target_info().to_bytes()
    assert worker.key.pub_key_id == platform.pub_key_id
    assert worker.key.quote_size == platform.quote_size


def test_libraries_are_loaded_in_their_order_and_without_the_variable(worker, oracle):
    (size,), (init,) = oracle.asked("i"), oracle.asked("I")
    for request in (size, init):
        assert request.flags & PCE_IS_GLOBAL
        assert request.flags & PERSISTENT
        assert request.flags & LISTENED
        assert not request.flags & AESM_ADDR_SEEN
        assert not request.flags & REFRESH
        assert request.payload == DEFAULT_KEY_ID.to_bytes()[:158]


def test_no_path_is_set_unless_one_is_configured(worker, oracle):
    assert oracle.asked("P") == []


def test_quote_is_the_qes_without_padding(worker, oracle, report):
    answer = worker.quote(report)
    assert answer.code == 0, answer.payload
    quote = Quote.from_bytes(answer.payload)
    assert quote.trailing == b""
    assert quote.report.to_bytes() == report[:384]
    (request,) = oracle.asked("Q")
    assert request.payload == struct.pack("<I", 8192) + report + DEFAULT_KEY_ID.to_bytes()[:158]


def test_qe_report_info_comes_back_filled(worker, oracle, platform, report):
    nonce = b"n" * 16
    wanted = QEReportInfo(nonce=nonce, app_enclave_target_info=TargetInfo.from_bytes(bytes(512)))
    answer = worker.quote(report, wanted.to_bytes())
    quote, info = split_quote(answer.payload, with_info=True)
    filled = QEReportInfo.from_bytes(info)
    assert filled.qe_report.body.report_data == hashlib.sha256(nonce + quote).digest() + bytes(32)
    (request,) = oracle.asked("Q")
    assert request.flags & WITH_INFO
    assert request.payload[594:] == wanted.to_bytes()


def test_refresh_reaches_the_library(worker, oracle):
    assert worker.ask(Operation.REFRESH).code == 0
    assert [bool(request.flags & REFRESH) for request in oracle.asked("I")] == [False, True]


def test_provider_stays_loaded_between_calls(worker, oracle, report):
    for _ in range(3):
        assert worker.quote(report).code == 0
    # The stand-in opens and closes the provider around each call, as DCAP does; its count would start anew each time.
    counts = [int(request.payload.split()[1]) for request in oracle.asked("C")]
    assert counts == list(range(1, len(counts) + 1))
    assert len(counts) >= 5


def test_second_provider_is_chosen_by_its_path(libraries, oracle):
    path = str(libraries / "libother_quoteprov.so")
    with DcapWorker(libraries, oracle.path, quote_provider_library=path) as worker:
        worker.ready()
    assert oracle.asked("P")[0].payload == b"qpl " + path.encode()
    assert {request.payload.split()[0] for request in oracle.asked("C")} == {b"other"}


def test_enclave_paths_are_told_to_each_library(libraries, oracle, tmp_path):
    qe, pce = tmp_path / "qe.signed.so", tmp_path / "pce.signed.so"
    qe.touch()
    pce.touch()
    with DcapWorker(libraries, oracle.path, qe_path=str(qe), pce_path=str(pce)) as worker:
        worker.ready()
    assert [request.payload.decode() for request in oracle.asked("P")] == [f"pce {pce}", f"qe {qe}"]


@pytest.mark.parametrize(
    ("setting", "function"),
    [
        ("qe_path", "sgx_set_qe3_path"),
        ("pce_path", "sgx_set_pce_path"),
        ("quote_provider_library", "sgx_set_qpl_path"),
    ],
)
def test_path_that_is_not_there_is_refused(libraries, oracle, setting, function):
    with DcapWorker(libraries, oracle.path, **{setting: "/nowhere/x.so"}) as worker:
        assert worker.refusal() == (15, f"/nowhere/x.so: there is no such file, which {function} was to be given")


def test_path_that_the_library_refuses(libraries, oracle, tmp_path):
    (tmp_path / "qe.so").touch()
    oracle.always["P"] = Reply(status=0xE002)
    with DcapWorker(libraries, oracle.path, qe_path=str(tmp_path / "qe.so")) as worker:
        assert worker.refusal() == (15, f"{tmp_path}/qe.so: sgx_set_qe3_path refused it with 0xE002")


# --- libraries that are missing, old or foreign -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("leave_out", "name", "package"),
    [
        ("pce", "libsgx_pce_logic.so.1", "libsgx-pce-logic"),
        ("qe", "libsgx_qe3_logic.so", "libsgx-qe3-logic"),
    ],
)
def test_missing_library_is_named_with_its_package(tmp_path, oracle, leave_out, name, package):
    with DcapWorker(build(tmp_path / "lib", leave_out=(leave_out,)), oracle.path) as worker:
        code, cause = worker.refusal()
    assert code == 30
    assert cause == (
        f"the quoting library {name} cannot be loaded ({name}: cannot open shared object file: No such file or "
        f"directory): install {package} and what it needs"
    )


def test_library_without_a_needed_function_is_refused(tmp_path, oracle):
    with DcapWorker(build(tmp_path / "lib", defines=("WITHOUT_GET_QUOTE",)), oracle.path) as worker:
        assert worker.refusal() == (
            40,
            (
                "libsgx_qe3_logic.so has no function sgx_ql_get_quote: it is older than this helper can use, or not of "
                "Intel's DCAP; update libsgx-qe3-logic"
            ),
        )


def test_library_without_the_optional_functions_serves(tmp_path, oracle, report):
    with DcapWorker(build(tmp_path / "lib", defines=("WITHOUT_OPTIONAL",)), oracle.path) as worker:
        worker.ready()
        assert worker.quote(report).code == 0
    assert not oracle.asked("Q")[0].flags & PERSISTENT


def test_optional_function_that_a_setting_needs_is_missed(tmp_path, oracle):
    libraries = build(tmp_path / "lib", defines=("WITHOUT_OPTIONAL",))
    path = str(libraries / "libother_quoteprov.so")
    with DcapWorker(libraries, oracle.path, quote_provider_library=path) as worker:
        code, cause = worker.refusal()
    assert (code, cause[:58]) == (40, "libsgx_qe3_logic.so has no function sgx_set_qpl_path: it is"[:58])


def test_provider_that_is_no_library_is_refused(libraries, oracle, tmp_path):
    path = tmp_path / "provider.so"
    path.write_text("text")
    with DcapWorker(libraries, oracle.path, quote_provider_library=str(path)) as worker:
        code, cause = worker.refusal()
    assert code == 41
    assert cause.startswith(f"the quote provider library cannot be loaded ({path}: ")
    assert cause.endswith("check --quote-provider-library and what that file itself needs")


def test_without_provider_quotes_of_type_3_are_served_and_told(tmp_path, oracle, report):
    with DcapWorker(build(tmp_path / "lib", leave_out=("provider",)), oracle.path) as worker:
        assert worker.ready().quote_size == 1456
        for _ in range(2):
            answer = worker.quote(report)
            assert (answer.code, len(answer.payload)) == (0, 1456)
        outcome = worker.check()
        log = worker.stop()
    assert oracle.asked("Q")[0].flags & NO_PROVIDER
    assert (outcome.quoting, outcome.verified, outcome.reason) == (None, False, "NotVerified")
    assert outcome.message == (
        "the quotes carry no certificates but type 3, PPID, RSA-3072 encrypted: the QE found no quote provider library; "
        "install one, or name it with --quote-provider-library"
    )
    assert log.count("no quote provider library: quotes carry no certificates") == 1
    assert log.count("quotes carry no certificates cert") == 1


# --- what the libraries return -----------------------------------------------------------------------------------------

# aesm-protocol.md 3.2, with what this helper adds to Intel's table; every other number becomes UNEXPECTED.
AESM_OF = {
    0xE001: 1, 0xE002: 3, 0xE003: 21, 0xE004: 32, 0xE005: 33, 0xE006: 15, 0xE007: 34, 0xE008: 35, 0xE009: 36,
    0xE00A: 37, 0xE00B: 38, 0xE00C: 39, 0xE00D: 40, 0xE00E: 41, 0xE00F: 42, 0xE010: 43, 0xE011: 44, 0xE012: 29,
    0xE013: 45, 0xE014: 46, 0xE015: 47, 0xE016: 48, 0xE017: 49, 0xE018: 50, 0xE019: 12, 0xE01A: 22,
    0xE035: 48, 0xE03F: 2, 0xE040: 30, 0xE041: 12, 0xE042: 12, 0xE043: 18, 0xE044: 12, 0xE047: 44, 0xE049: 44,
}  # fmt: skip
RAW_OF = {
    0xD002: 0xE002, 0xD003: 0xE003, 0xD008: 0xE015, 0xD009: 0xE017, 0x4: 0xE014, 0x2005: 0xE012, 0x200F: 0xE016,
    0x2001: 0xE016, 0x2003: 0xE016, 0x2006: 0xE016, 0x200C: 0xE016, 0x4004: 0xE035,
}  # fmt: skip


def test_every_status_of_the_library_becomes_its_aesm_code_with_the_number_in_words(worker, oracle, report):
    for number in range(0xE001, 0xE068):
        # A key that is not initialized is certified anew, and the quote asked for again.
        oracle.script["Q"].extend([Reply(status=number)] * (2 if number == 0xE00F else 1))
        code, cause = _failed(worker.quote(report))
        assert code == AESM_OF.get(number, 1), hex(number)
        assert f"0x{number:04X}" in cause
        assert cause.startswith("sgx_ql_get_quote: ")


@pytest.mark.parametrize(("raw", "number"), RAW_OF.items(), ids=hex)
def test_raw_status_means_what_the_library_makes_of_it(worker, oracle, report, raw, number):
    oracle.script["Q"].append(Reply(status=raw))
    code, cause = _failed(worker.quote(report))
    assert code == AESM_OF[number]
    assert cause.startswith(f"sgx_ql_get_quote (0x{raw:04X}): 0x{number:04X} SGX_QL_")


@pytest.mark.parametrize("number", [0x1, 0xFFFF, 0xE0FF, 0xDEADBEEF, 0xFFFFFFFF], ids=hex)
def test_odd_return_value_is_unexpected_with_its_number(worker, oracle, report, number):
    oracle.script["Q"].append(Reply(status=number))
    assert _failed(worker.quote(report)) == (
        1,
        (
            f"sgx_ql_get_quote: unknown quote library code 0x{number:04X}: This number has no name in the table; clients "
            "of an AESM service see it as an unexpected error. Look for it in sgx_ql_lib_common.h of the installed DCAP "
            "release, and read the library's log."
        ),
    )
    assert worker.quote(report).code == 0


def test_report_of_another_enclave_is_47(worker, report):
    assert worker.quote(report[:-1] + bytes([report[-1] ^ 1])).code == 47


def test_providers_log_says_the_cause_without_ids(worker, oracle, report):
    oracle.script["C"].append(Reply(status=0xE019, payload=b"[QPL] connect to 10.0.0.9:8081 failed, id " + b"ab" * 32))
    code, cause = _failed(worker.quote(report))
    assert code == 12
    assert cause.endswith("The library's log says: [QPL] connect to 10.0.0.9:8081 failed, id abababab...")
    assert worker.quote(report).code == 0
    oracle.script["Q"].append(Reply(status=0xE001))
    # What it said of an earlier call is not the cause of this one.
    assert "log says" not in worker.quote(report).payload.decode()
    assert 'said="[QPL] connect to 10.0.0.9:8081 failed, id abababab..."' in worker.stop()


@pytest.mark.parametrize("kind", ["i", "I", "S"])
@pytest.mark.parametrize(("number", "code"), [(0xE019, 12), (0xE012, 29), (0xE010, 43), (0xE014, 46)])
def test_failure_at_the_start_is_told_to_the_front(libraries, oracle, kind, number, code):
    oracle.always[kind] = Reply(status=number)
    with DcapWorker(libraries, oracle.path) as worker:
        found, cause = worker.refusal()
    assert found == code
    assert f"0x{number:04X}" in cause
    assert worker.process.returncode == 3
    assert f'no quoting code={code} problem="sgx_ql_' in worker.log


def test_failure_at_the_start_is_not_laid_to_devices_that_are_there(libraries, oracle, devices):
    oracle.always["I"] = Reply(status=0xE016)
    with DcapWorker(libraries, oracle.path, dev_root=devices) as worker:
        code, cause = worker.refusal()
    assert (code, cause[:19]) == (48, "sgx_ql_init_quote: ")


@pytest.mark.parametrize("number", [0xE00B, 0xE016, 0xE035, 0xE03F, 0xE040], ids=hex)
@pytest.mark.parametrize(("missing", "code"), [("enclave", 2), ("provision", 48)])
def test_missing_device_is_told_whatever_the_library_makes_of_it(libraries, oracle, devices, number, missing, code):
    (Path(devices) / f"sgx_{missing}").unlink()
    oracle.always["I"] = Reply(status=number)
    with DcapWorker(libraries, oracle.path, dev_root=devices) as worker:
        found, cause = worker.refusal()
    assert found == code
    assert cause.startswith(f"there is no device /dev/sgx_{missing}: ")
    assert f"0x{number:04X}" in cause


def test_network_failure_is_not_laid_to_a_missing_device(libraries, oracle, tmp_path):
    oracle.always["I"] = Reply(status=0xE019)
    with DcapWorker(libraries, oracle.path, dev_root=str(tmp_path)) as worker:
        code, cause = worker.refusal()
    assert code == 12
    assert "there is no device" not in cause


# --- odd sizes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 31, 33, 100 * 1024 * 1024, (1 << 32) + 32, (1 << 64) - 1])
def test_odd_size_of_the_keys_id_is_refused(libraries, oracle, size):
    oracle.always["i"] = Reply(payload=struct.pack("<Q", size))
    with DcapWorker(libraries, oracle.path) as worker:
        assert worker.refusal() == (
            1,
            (
                f"sgx_ql_init_quote: says that the key's id has {size} bytes, but it has 32: this library is not one that "
                "the helper knows"
            ),
        )


@pytest.mark.parametrize("size", [0, 1, 1019, 32769, 100 * 1024 * 1024, (1 << 32) - 1])
def test_odd_quote_size_is_refused(libraries, oracle, size):
    oracle.always["S"] = Reply(payload=struct.pack("<I", size))
    with DcapWorker(libraries, oracle.path) as worker:
        assert worker.refusal() == (
            1, f"sgx_ql_get_quote_size: says {size} bytes; a quote has 1020 to 32768"
        )  # fmt: skip


def test_quote_larger_than_the_library_said_has_clients_ask_again(libraries, oracle, platform, report):
    oracle.script["S"].append(Reply(payload=struct.pack("<I", 1100)))
    with DcapWorker(libraries, oracle.path) as worker:
        assert worker.ready().quote_size == 1100
        assert _failed(worker.quote(report)) == (
            42,
            (
                f"the quote has {platform.quote_size} bytes, but sgx_ql_get_quote_size said 1100: the platform's "
                "certificates have changed since"
            ),
        )
        # What the front does upon 42.
        assert worker.ask(Operation.REFRESH).code == 0
        assert worker.quote(report).code == 0


def test_key_that_is_certified_anew_costs_the_client_nothing(worker, oracle, report):
    oracle.script["Q"].append(Reply(status=0xE00F))
    assert worker.quote(report).code == 0
    assert [bool(request.flags & REFRESH) for request in oracle.asked("I")] == [False, False]
    assert "key is certified anew" in worker.stop()


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        pytest.param("S", struct.pack("<I", 5000), id="another size"),
        pytest.param("I", struct.pack("<Q", 32) + bytes(512) + bytes(32), id="another key"),
    ],
)
def test_key_that_is_another_one_has_clients_ask_again(worker, oracle, report, kind, payload):
    oracle.script["Q"].append(Reply(status=0xE00F))
    oracle.script[kind].append(Reply(payload=payload))
    assert _failed(worker.quote(report)) == (
        42,
        (
            "the key is another one than clients were told of, or the size of its quotes is: the platform's certificates "
            "have changed since"
        ),
    )
    # The worker has nothing more to make up for; what it said is what the front asks for again.
    assert worker.ask(Operation.REFRESH).code == 0
    assert worker.quote(report).code == 0


def test_change_that_a_check_came_upon_is_told_by_the_next_quote(probed, oracle, report):
    oracle.script["Q"].append(Reply(status=0xE00F))
    oracle.script["I"].append(
        Reply(payload=struct.pack("<Q", 32) + oracle.platform.target_info().to_bytes() + b"k" * 32)
    )
    assert probed.check().quoting is None
    assert probed.quote(report).code == 42
    assert probed.quote(report).code == 0


def test_key_that_cannot_be_certified_anew_says_why(worker, oracle, report):
    oracle.script["Q"].append(Reply(status=0xE00F))
    oracle.script["I"].append(Reply(status=0xE011))
    code, cause = _failed(worker.quote(report))
    assert (code, cause[:25]) == (44, "sgx_ql_init_quote: 0xE011"[:25])


def test_key_that_is_never_initialized_is_tried_twice(worker, oracle, report):
    oracle.always["Q"] = Reply(status=0xE00F)
    assert worker.quote(report).code == 42
    assert len(oracle.asked("Q")) == 2


def test_size_seen_by_a_check_is_not_taken_for_what_clients_were_told(worker, oracle, platform, report):
    oracle.always["S"] = Reply(payload=struct.pack("<I", platform.quote_size + 500))
    worker.check()
    quote, _ = platform.get_quote(report, DEFAULT_KEY_ID.to_bytes())
    grown = quote[:432] + struct.pack("<I", len(quote) - 436 + 500) + quote[436:] + bytes(500)
    oracle.script["Q"].append(quote_reply(grown))
    code, cause = _failed(worker.quote(report))
    assert code == 42
    assert cause.startswith(f"the quote has {platform.quote_size + 500} bytes, but sgx_ql_get_quote_size said ")


def test_quote_smaller_than_the_library_said_is_served(libraries, oracle, platform, report):
    oracle.always["S"] = Reply(payload=struct.pack("<I", 20000))
    with DcapWorker(libraries, oracle.path) as worker:
        worker.ready()
        assert len(worker.quote(report).payload) == platform.quote_size
    assert oracle.asked("Q")[0].payload[:4] == struct.pack("<I", 20000)


def _quote_with(quote, offset, data):
    return quote[:offset] + data + quote[offset + len(data) :]


NONSENSE = "sgx_ql_get_quote: returned success and "


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(lambda q: b"", "a quote of version 0, not 3", id="nothing written"),
        pytest.param(lambda q: _quote_with(q, 0, b"\4\0"), "a quote of version 4, not 3", id="TDX"),
        pytest.param(
            lambda q: _quote_with(q, 432, bytes(4)),
            "a quote that says of itself that it has 436 bytes; 1020 to 8192 are possible",
            id="no signature data",
        ),
        pytest.param(
            lambda q: _quote_with(q, 432, b"\xff\xff\xff\xff"),
            "a quote that says of itself that it has 4294967731 bytes; 1020 to 8192 are possible",
            id="signature data without end",
        ),
        pytest.param(lambda q: _quote_with(q, 100, b"xx"), "the quote of another report", id="another enclave"),
    ],
)
def test_success_without_a_quote_of_the_report_is_refused(worker, oracle, platform, report, change, problem):
    quote, _ = platform.get_quote(report, DEFAULT_KEY_ID.to_bytes())
    oracle.script["Q"].append(quote_reply(change(quote)))
    assert _failed(worker.quote(report)) == (1, NONSENSE + problem)


# --- crashes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("crash", "signal"), [(ABORT, 6), (SEGFAULT, 11)], ids=["abort", "segmentation fault"])
def test_crash_in_the_library_ends_the_worker_at_once(worker, oracle, report, crash, signal):
    oracle.script["Q"].append(crash)
    assert worker.quote(report) is None
    assert worker.process.wait(20) == -signal


# --- the self-check ----------------------------------------------------------------------------------------------------


def test_check_without_probe_and_without_quotes_asks_the_qe(worker, oracle):
    before = len(oracle.asked("S"))
    outcome = worker.check()
    assert (outcome.quoting, outcome.verified, outcome.reason) == (None, False, "NoProbe")
    assert outcome.message == (
        "there is no probe enclave /opt/intel/sgx-pck-id-retrieval-tool/pck_id_retrieval_tool_enclave.signed.so, and "
        "no quote was served since the last check: the QE answers, but none was verified"
    )
    assert len(oracle.asked("S")) == before + 1


def test_check_fails_where_the_qe_does_not_answer(worker, oracle):
    oracle.script["S"].append(Reply(status=0xE019))
    code, cause = _failed(worker.ask(Operation.CHECK))
    assert (code, cause[:24]) == (12, "sgx_ql_get_quote_size: 0"[:24])


def test_check_judges_the_last_quote_that_was_served_and_each_once(worker, report):
    quote = worker.quote(report).payload
    outcome = worker.check()
    assert (outcome.quoting, outcome.verified, outcome.reason) == (None, False, "NotVerified")
    assert outcome.message.startswith("trusted root: the chain ends in 'Simulated")
    header = Quote.from_bytes(quote).header
    assert (outcome.qe_svn, outcome.pce_svn) == (header.qe_svn, header.pce_svn)
    assert worker.check().reason == "NoProbe"


@pytest.mark.parametrize(
    ("offset", "step"),
    [(436, "quote signature"), (500, "attestation key binding"), (564, "QE report signature")],
)
def test_check_finds_a_broken_quote(worker, oracle, platform, report, offset, step):
    quote, _ = platform.get_quote(report, DEFAULT_KEY_ID.to_bytes())
    oracle.script["Q"].append(quote_reply(_quote_with(quote, offset, bytes([quote[offset] ^ 1]))))
    assert worker.quote(report).code == 0
    outcome = worker.check()
    assert f"{step}: " in outcome.quoting
    assert outcome.message == outcome.quoting


def test_check_finds_a_broken_quote_of_type_3(worker, oracle, platform, report):
    quote = without_certificates(platform.get_quote(report, DEFAULT_KEY_ID.to_bytes())[0])
    oracle.script["Q"].append(quote_reply(_quote_with(quote, 436, bytes([quote[436] ^ 1]))))
    assert worker.quote(report).code == 0
    assert worker.check().quoting == (
        "quote signature: header and report body are not signed by the attestation key: they were changed"
    )


@pytest.fixture
def probed(libraries, oracle, tmp_path):
    enclave = tmp_path / "probe.signed.so"
    enclave.touch()
    with DcapWorker(libraries, oracle.path, probe_enclave=str(enclave)) as worker:
        worker.ready()
        worker.enclave = enclave
        yield worker


def test_check_quotes_the_probe_enclave_and_loads_it_once(probed, oracle, platform):
    for _ in range(2):
        outcome = probed.check()
        assert (outcome.quoting, outcome.reason) == (None, "NotVerified")
        assert outcome.message.startswith("trusted root: ")
    (made,), (asked,) = oracle.asked("E"), oracle.asked("R")
    assert made.payload == bytes(probed.enclave)
    assert asked.payload == platform.target_info().to_bytes()
    assert len(oracle.asked("Q")) == 2


def test_probe_is_made_anew_once_where_its_report_does_not_hold_any_more(probed, oracle):
    probed.check()
    oracle.script["Q"].append(Reply(status=0xE015))
    assert probed.check().quoting is None
    assert len(oracle.asked("E")) == 2
    oracle.script["Q"].extend([Reply(status=0xE015)] * 2)
    assert probed.ask(Operation.CHECK).code == 47


def test_served_quote_is_not_the_probes(probed, report):
    probed.check()
    oracle_quote = probed.quote(report)
    assert Quote.from_bytes(oracle_quote.payload).report.to_bytes() == report[:384]


@pytest.mark.parametrize(
    ("kind", "reply", "problem"),
    [
        ("E", Reply(status=0x2006), "sgx_create_enclave: 0x2006 SGX_ERROR_NO_DEVICE: "),
        ("E", Reply(status=0x1234), "sgx_create_enclave: 0x1234"),
        ("R", Reply(status=0x1006), "sgx_ecall: 0x1006"),
        ("R", Reply(payload=struct.pack("<I", 1) + bytes(432)), "enclave_create_report: 0x0001 SGX_ERROR_UNEXPECTED: "),
        ("R", ABORT, "signal 6"),
        ("R", SEGFAULT, "signal 11"),
    ],
    ids=["no device", "unknown status", "ecall fails", "report fails", "abort", "segmentation fault"],
)
def test_probe_that_fails_takes_nothing_with_it(probed, oracle, report, kind, reply, problem):
    oracle.script[kind].append(reply)
    outcome = probed.check()
    assert (outcome.quoting, outcome.reason) == (None, "NoProbe")
    assert outcome.message.startswith(f"probe enclave {probed.enclave}: {problem}")
    assert probed.quote(report).code == 0
    assert "no probe problem" in probed.stop()


def test_probe_that_hangs_is_given_up(probed, oracle, report):
    oracle.script["E"].append(SILENCE)
    assert probed.check().message.startswith(f"probe enclave {probed.enclave}: no report within 4 s, and no quote was")
    assert probed.quote(report).code == 0


def test_probe_without_the_runtime_is_told(tmp_path, oracle):
    enclave = tmp_path / "probe.signed.so"
    enclave.touch()
    libraries = build(tmp_path / "lib", leave_out=("urts",))
    with DcapWorker(libraries, oracle.path, probe_enclave=str(enclave)) as worker:
        worker.ready()
        assert worker.check().message.startswith(
            "the SGX runtime libsgx_urts.so.2 cannot be loaded (libsgx_urts.so.2: cannot open shared object file: No "
            "such file or directory): install libsgx-urts, and no quote was served"
        )
