"""The compatibility gate: the dialogue of every known client of AESM, its bytes written out, against a running helper.

Nothing here goes through the package's codec: the bytes are those of docs/reference/aesm-protocol.md, which were
measured with the real clients. Only the enclave's REPORT is made by the simulation, as an enclave would make it.
"""

import errno
import hashlib
import socket
import threading
import time
from pathlib import Path

import pytest
from helper_process import READY_SECONDS, connect, kill
from quote_requests import judged

from confcom.sgx import Report, TargetInfo
from confcom.simulation.reports import make_report, verify_report

# sgx_ql_att_key_id_t: id, version, mrsigner_length = 32, MRSIGNER of Intel's QE, prod_id = 1, algorithm_id = 2.
KEY = (
    bytes.fromhex("0000 0000 2000")
    + bytes.fromhex("8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff")
    + bytes(16)
    + bytes.fromhex("01000000")
    + bytes(16 + 64 + 16)
    + bytes.fromhex("02000000")
    + bytes(98)
)
assert len(KEY) == 256
FIFTEEN_SECONDS = bytes.fromhex("489875")
THIRTY_MILLION = bytes.fromhex("488087a70e")
NUM_ANSWER = bytes.fromhex("aa01 04 0800 1001")
IDS_ANSWER = bytes.fromhex("b201 8502 0800 128002") + KEY
PHASE_1_ANSWER = bytes.fromhex("7a 8704 0800 128004") + bytes(512) + bytes.fromhex("1820")
BUSY = 18


def varint(value):
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def message(tag, *fields):
    """A top-level sub-message: its tag in hex, then its length, then its fields."""
    body = b"".join(fields)
    return bytes.fromhex(tag) + varint(len(body)) + body


def data(tag, value):
    """A field of bytes."""
    return bytes.fromhex(tag) + varint(len(value)) + value


class Wire:
    """One connection per call, as every client does it."""

    def __init__(self, path, *, two_writes):
        self.path = path
        self.two_writes = two_writes

    def call(self, body):
        header = len(body).to_bytes(4, "little")
        with connect(self.path, 15) as sock:
            if self.two_writes:
                sock.sendall(header)
                sock.sendall(body)
            else:
                sock.sendall(header + body)
            # As Intel's client reads: four bytes, then the length that they say.
            size = int.from_bytes(self._exactly(sock, 4), "little")
            answer = self._exactly(sock, size)
            assert sock.recv(1) == b""
        return answer

    @staticmethod
    def _exactly(sock, size):
        out = b""
        while len(out) < size:
            piece = sock.recv(size - len(out))
            assert piece, "closed in the middle of an answer"
            out += piece
        return out


def take(answer, *expected):
    """Reads an answer against literal bytes and sizes: returns the fields whose sizes are given."""
    found, at = [], 0
    for part in expected:
        if isinstance(part, str):
            literal = bytes.fromhex(part)
            assert answer[at : at + len(literal)] == literal
            at += len(literal)
        else:
            found.append(answer[at : at + part])
            at += part
    assert at == len(answer)
    return found


def init_answer(answer):
    """Phase 2: target info 512, size 32, id 32."""
    return take(answer, "7aa904 0800 128004", 512, "1820 2220", 32)


def size_answer(answer):
    assert answer[:6] == bytes.fromhex("8201 05 0800 10")[:6]
    low, high = answer[6], answer[7]
    assert len(answer) == 8
    return low & 0x7F | high << 7


def quote_answer(answer, size, *, info=False):
    behind = ("1ac007", 960) if info else ()
    length = 2 + 1 + len(varint(size)) + size + (963 if info else 0)
    return take(answer, "8a01" + varint(length).hex() + "0800 12" + varint(size).hex(), size, *behind)


def report_of_an_enclave(target_info):
    return make_report(TargetInfo.from_bytes(target_info), report_data=b"\x5a" * 64).to_bytes()


@pytest.fixture(params=["shared", "slot-0"])
def path(request, shared_helper):
    """A client cannot tell a slot from the shared socket."""
    if request.param == "shared":
        return shared_helper.socket
    return str(shared_helper.folder / "l" / request.param / "aesm.socket")


def dcap_ql(wire, garbage=0x7FC3_1234_5678):
    """libsgx_dcap_ql: Init 1 with uninitialised memory as its size, Init 2, size, quote."""
    phase_1 = message("7a", data("0a", KEY), bytes.fromhex("1800"), b"\x20" + varint(garbage), FIFTEEN_SECONDS)
    # It fails with 0xE001 where the size is not 32, and crashes where pub_key_id is present.
    assert wire.call(phase_1) == PHASE_1_ANSWER
    target_info, key_id = init_answer(
        wire.call(message("7a", data("0a", KEY), bytes.fromhex("1801 2020"), FIFTEEN_SECONDS))
    )
    size = size_answer(wire.call(message("8201", data("0a", KEY), FIFTEEN_SECONDS)))
    report = report_of_an_enclave(target_info)
    request = message("8a01", data("0a", report), data("12", KEY), b"\x20" + varint(size), FIFTEEN_SECONDS)
    (quote,) = quote_answer(wire.call(request), size)
    return quote, key_id


def test_dcap_ql(path, platform):
    quote, key_id = dcap_ql(Wire(path, two_writes=True))
    assert judged(platform, quote) == "UpToDate"
    assert key_id == platform.pub_key_id
    assert quote[48 + 320 : 48 + 384] == b"\x5a" * 64


@pytest.mark.parametrize("garbage", [0, 1, 0x7FFF_FFFF_FFFF, 2**64 - 1])
def test_dcap_ql_with_any_garbage_in_phase_1(path, garbage):
    dcap_ql(Wire(path, two_writes=True), garbage)


def test_quote_ex_as_open_enclave_uses_it(path, platform):
    """Num and IDs once per process, where a failure would be remembered for ever; then the four calls."""
    wire = Wire(path, two_writes=True)
    assert wire.call(bytes.fromhex("aa0103 489875")) == NUM_ANSWER
    assert wire.call(bytes.fromhex("b20106 088002 489875")) == IDS_ANSWER
    phase_1 = bytes.fromhex("7a 8802 0a8002") + KEY + bytes.fromhex("1800 489875")
    assert wire.call(phase_1) == PHASE_1_ANSWER
    phase_2 = bytes.fromhex("7a 8a02 0a8002") + KEY + bytes.fromhex("1801 2020 489875")
    target_info, _ = init_answer(wire.call(phase_2))
    size = size_answer(wire.call(bytes.fromhex("8201 8602 0a8002") + KEY + FIFTEEN_SECONDS))
    for _ in range(2):
        report = report_of_an_enclave(target_info)
        request = message("8a01", data("0a", report), data("12", KEY), b"\x20" + varint(size), FIFTEEN_SECONDS)
        (quote,) = quote_answer(wire.call(request), size)
        assert judged(platform, quote) == "UpToDate"


def test_quote_ex_selects_a_key_with_and_without_a_list(path):
    wire = Wire(path, two_writes=True)
    selected = bytes.fromhex("9a01 8502 0800 128002")
    assert wire.call(bytes.fromhex("9a0103 109875")) == selected + KEY
    with_spid = KEY[:158] + b"\x11" * 98
    listed = bytes(4) + (1).to_bytes(4, "little") + with_spid
    assert wire.call(message("9a01", data("0a", listed), bytes.fromhex("109875"))) == selected + with_spid


def test_gramine(path, platform):
    """The abstract name first, no timeouts, Init 2 at once, and 8192 bytes whatever the quote's size is."""
    with socket.socket(socket.AF_UNIX) as sock:
        with pytest.raises(OSError, match="refused") as caught:
            sock.connect(b"\0sgx_aesm_socket_base".ljust(108, b"\0"))
        assert caught.value.errno == errno.ECONNREFUSED
    wire = Wire(path, two_writes=False)
    target_info, _ = init_answer(wire.call(bytes.fromhex("7a 8702 0a8002") + KEY + bytes.fromhex("1801 2020")))
    report = report_of_an_enclave(target_info)
    (padded,) = quote_answer(
        wire.call(message("8a01", data("0a", report), data("12", KEY), bytes.fromhex("208040"))), 8192
    )
    size = 436 + int.from_bytes(padded[432:436], "little")
    assert padded[size:] == bytes(8192 - size)
    assert judged(platform, padded[:size]) == "UpToDate"


def test_fortanix(path, platform):
    """Timeouts in microseconds, one write, and a qe_report_info in every request for a quote."""
    wire = Wire(path, two_writes=False)
    assert wire.call(message("aa01", THIRTY_MILLION)) == NUM_ANSWER
    assert wire.call(message("b201", bytes.fromhex("088002"), THIRTY_MILLION)) == IDS_ANSWER
    assert wire.call(message("7a", data("0a", KEY), bytes.fromhex("1800"), THIRTY_MILLION)) == PHASE_1_ANSWER
    target_info, _ = init_answer(wire.call(message("7a", data("0a", KEY), bytes.fromhex("1801 2020"))))
    size = size_answer(wire.call(message("8201", data("0a", KEY), THIRTY_MILLION)))
    report = report_of_an_enclave(target_info)
    nonce, caller = b"\x77" * 16, b"\xca" * 32 + bytes(480)
    info = nonce + caller + bytes(432)
    request = message(
        "8a01", data("0a", report), data("12", KEY), data("1a", info), b"\x20" + varint(size), THIRTY_MILLION
    )
    quote, filled = quote_answer(wire.call(request), size, info=True)
    assert filled[:528] == info[:528]
    qe_report = Report.from_bytes(filled[528:])
    verify_report(qe_report, TargetInfo.from_bytes(caller))
    assert qe_report.body.report_data == hashlib.sha256(nonce + quote).digest() + bytes(32)
    assert judged(platform, quote) == "UpToDate"


def test_fortanix_refused_quote_still_carries_its_info(path):
    """It panics where qe_report_info is absent from the answer."""
    info = b"\x01" * 960
    request = message(
        "8a01", data("0a", bytes(432)), data("12", KEY), data("1a", info), bytes.fromhex("208040"), THIRTY_MILLION
    )
    assert Wire(path, two_writes=False).call(request) == message("8a01", bytes.fromhex("082f"), data("1a", info))


class Occlum:
    """libsgx_dcap_ql with its retries: five times a second apart on 0xE043 for target info and size, none for quotes."""

    def __init__(self, path):
        self.wire = Wire(path, two_writes=True)
        self.retries = 0

    def call(self, request):
        for _ in range(6):
            answer = self.wire.call(request)
            if bytes([0x08, BUSY]) not in answer[:8]:
                return answer
            self.retries += 1
            time.sleep(1)
        raise AssertionError("busy six times")

    def quote(self):
        phase_2 = message("7a", data("0a", KEY), bytes.fromhex("1801 2020"), FIFTEEN_SECONDS)
        target_info, _ = init_answer(self.call(phase_2))
        size = size_answer(self.call(message("8201", data("0a", KEY), FIFTEEN_SECONDS)))
        report = report_of_an_enclave(target_info)
        request = message("8a01", data("0a", report), data("12", KEY), b"\x20" + varint(size), FIFTEEN_SECONDS)
        return quote_answer(self.wire.call(request), size)[0]


def test_occlum_needs_no_retry(path, platform):
    client = Occlum(path)
    assert judged(platform, client.quote()) == "UpToDate"
    assert client.retries == 0


def test_occlum_while_the_worker_is_killed(start_helper, platform):
    """Target info and size wait for the next worker's key: no client sees 42 because a worker was replaced."""
    helper = start_helper()
    for _ in range(3):
        kill(helper.worker_pids()[0])
        client = Occlum(helper.socket)
        assert judged(platform, client.quote()) == "UpToDate"
        assert client.retries == 0


def test_occlum_waits_for_the_socket_file_to_exist(start_helper, short_dir, platform):
    """Up to 15 s on machines without FLC; the file that appears is already listened on."""
    path = short_dir / "s" / "aesm.socket"
    quotes = []

    def client():
        deadline = time.monotonic() + READY_SECONDS
        while not Path(path).exists():
            assert time.monotonic() < deadline
            time.sleep(0.001)
        quotes.append(Occlum(str(path)).quote())

    thread = threading.Thread(target=client)
    thread.start()
    start_helper(wait=False)
    thread.join(2 * READY_SECONDS)
    assert len(quotes) == 1
    assert judged(platform, quotes[0]) == "UpToDate"


def test_intels_remote_attestation_sample_gives_up_on_the_group_id_and_is_told_so(path):
    """It asks for the extended EPID group first: not available, in the answer's own type."""
    assert Wire(path, two_writes=True).call(bytes.fromhex("6203 489875")) == bytes.fromhex("6204 081e 1000")


def test_in_kernel_driver_clients_take_30_for_no_token_service(path):
    request = message("1a", data("0a", bytes(32)), data("12", bytes(384)), data("1a", bytes(16)), FIFTEEN_SECONDS)
    assert Wire(path, two_writes=True).call(request) == bytes.fromhex("1a02 081e")
