"""A running helper: right answers on the wire for every request, and for odd clients, all at the same time."""

import contextlib
import hashlib
import os
import secrets
import socket
import time
from pathlib import Path

import pytest
from helper_process import Load, ask, connect, exchange, frame, read_all
from quote_requests import KEY_ID, error_code, judged, quote_check, quote_of, quote_request, report_for

from confcom.aesm import AsyncClient, Client
from confcom.aesm import messages as m
from confcom.aesm.framing import MAX_REQUEST_BYTES
from confcom.sgx import DEFAULT_KEY_ID, QEReportInfo, Quote, TargetInfo
from confcom.simulation.reports import verify_report

# `CONFCOM_TEST_SECONDS=10` gives the full length; three seconds find the same faults.
LOAD_SECONDS = float(os.environ.get("CONFCOM_TEST_SECONDS", "3"))
NUM = bytes.fromhex("aa0103489875")
NUM_OK = bytes.fromhex("aa010408001001")
GIBIBYTE = bytes.fromhex("00000040")

# Every request that needs no QE, and the bytes of its answer.
AT_ONCE = {
    "number of keys": ("aa0103489875", "aa010408001001"),
    "keys": ("b20106088002489875", "b20185020800128002" + KEY_ID.hex()),
    "select": ("9a0103109875", "9a0185020800128002" + KEY_ID.hex()),
    "init phase 1": ("7a88020a8002" + KEY_ID.hex() + "1800489875", "7a87040800128004" + "00" * 512 + "1820"),
    "EPID init": ("0a0348e807", "0a02081e"),
    "EPID quote": (("120a" "0a0161" "1000" "1a0162" "3001"), "1202081e"),
    "launch token": (("1a09" "0a0161" "120162" "1a0163"), "1a02081e"),
    "report error": (("2207" "0a0161" "1000" "1810"), "2202081e"),
    "white list size": ("5200", "5204081e1000"),
    "white list": ("5a020864", "5a02081e"),
    "extended group": ("6200", "6204081e1000"),
    "switch group": ("6a020801", "6a02081e"),
    "register": (("7205" "0a0161" "1000"), "7202081e"),
    "register something else": (("7205" "0a0161" "1001"), "72020803"),
    "update status": (("920104" "1001" "1800"), "920104081e1800"),
    "quote without its report": ("8a0100", "8a01020801"),
    "init without its flag": ("7a00", "7a0408011800"),
}  # fmt: skip


@pytest.fixture
def path(shared_helper):
    return shared_helper.socket


@pytest.mark.parametrize(("request_", "answer"), AT_ONCE.values(), ids=AT_ONCE)
def test_what_needs_no_qe_is_answered_to_the_byte(path, request_, answer):
    assert ask(path, bytes.fromhex(request_)).hex() == answer


@pytest.mark.parametrize("make", [Client, None], ids=["blocking", "asyncio"])
def test_clients_of_this_package_go_the_whole_way(path, platform, make):
    import asyncio

    def call(name, *arguments):
        if make is not None:
            return getattr(make(path), name)(*arguments)
        return asyncio.run(getattr(AsyncClient(path), name)(*arguments))

    assert call("get_supported_att_key_id_num") == 1
    assert call("get_supported_att_key_ids") == (DEFAULT_KEY_ID,)
    assert call("select_att_key_id") == DEFAULT_KEY_ID
    assert call("select_att_key_id", [DEFAULT_KEY_ID]) == DEFAULT_KEY_ID
    assert call("get_pub_key_id_size") == 32
    info = call("init_quote")
    assert info.target_info == platform.target_info()
    assert info.pub_key_id == platform.pub_key_id
    assert call("get_quote_size") == platform.quote_size
    assert judged(platform, call("get_quote", report_for(platform))) == "UpToDate"


def test_quote_fills_the_buffer_with_zeros_and_carries_the_report(path, platform):
    data = secrets.token_bytes(64)
    answer = quote_of(ask(path, quote_request(platform, data, size=8192)))
    assert len(answer) == 8192
    quote = Quote.from_bytes(answer)
    assert quote.report.report_data == data
    assert quote.trailing == bytes(8192 - platform.quote_size)
    assert judged(platform, answer[: platform.quote_size]) == "UpToDate"


def test_qe_report_info_comes_back_with_a_report_that_the_caller_can_check(path, platform):
    caller = TargetInfo(mr_enclave=b"c" * 32)
    asked = QEReportInfo(nonce=secrets.token_bytes(16), app_enclave_target_info=caller)
    request = quote_request(platform, size=platform.quote_size + 100, info=asked.to_bytes())
    answer = m.decode_response(ask(path, request), m.GetQuoteExResponse)
    found = QEReportInfo.from_bytes(answer.qe_report_info)
    assert (found.nonce, found.app_enclave_target_info) == (asked.nonce, caller)
    verify_report(found.qe_report, caller)
    # Over the quote without its padding.
    digest = hashlib.sha256(asked.nonce + answer.quote[: platform.quote_size]).digest()
    assert found.qe_report.body.report_data == digest + bytes(32)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"report": bytes(431)}, 3, id="short-report"),
        pytest.param({"report": bytes(432)}, 47, id="report-of-nobody"),
        pytest.param({"buf_size": 100}, 3, id="small-buffer"),
        pytest.param({"buf_size": 2**32 - 1}, 21, id="4-GiB-buffer"),
        pytest.param({"att_key_id": bytes(256)}, 38, id="another-key"),
        pytest.param({"att_key_id": None}, 3, id="no-key"),
        pytest.param({"qe_report_info": bytes(959)}, 3, id="short-info"),
    ],
)
def test_quote_that_cannot_be_made_is_refused_with_its_code(path, platform, changes, code):
    values = {"report": report_for(platform), "att_key_id": KEY_ID, "buf_size": 8192, **changes}
    assert error_code(ask(path, m.GetQuoteExRequest(**values).envelope())) == code


class TestOneTransaction:
    def test_header_and_body_come_in_one_piece(self, path, platform):
        """Real clients corrupt memory when an answer comes in pieces."""
        request = frame(quote_request(platform, size=8192))
        for _ in range(20):
            with connect(path) as sock:
                sock.sendall(request)
                first = sock.recv(65536)
                assert len(first) == 4 + int.from_bytes(first[:4], "little")

    def test_connection_is_closed_behind_the_answer(self, path):
        with connect(path) as sock:
            sock.sendall(frame(NUM))
            assert sock.recv(65536) == frame(NUM_OK)
            assert sock.recv(1) == b""

    @pytest.mark.parametrize("cut", [1, 4, 5, 9])
    def test_nothing_is_answered_before_the_frame_is_whole(self, path, cut):
        """A client whose request is not wholly read when the connection closes is killed by SIGPIPE."""
        data = frame(NUM)
        with connect(path) as sock:
            sock.sendall(data[:cut])
            sock.settimeout(0.15)
            with pytest.raises(TimeoutError):
                sock.recv(1)
            sock.settimeout(30)
            sock.sendall(data[cut:])
            assert read_all(sock) == frame(NUM_OK)

    def test_request_byte_by_byte(self, path):
        with connect(path) as sock:
            for byte in frame(NUM):
                sock.sendall(bytes([byte]))
            assert read_all(sock) == frame(NUM_OK)

    @pytest.mark.parametrize("behind", [b"x", frame(NUM), bytes(70_000)], ids=["a-byte", "a-request", "much"])
    def test_what_follows_the_frame_is_ignored(self, path, behind):
        with connect(path) as sock:
            # The server closes as soon as it has answered, whatever is still on its way.
            try:
                sock.sendall(frame(NUM) + behind)
            except BrokenPipeError:
                assert len(behind) > 60_000
            assert read_all(sock) == frame(NUM_OK)

    def test_half_closed_client_reads_its_answer(self, path, platform):
        with connect(path) as sock:
            sock.sendall(frame(quote_request(platform)))
            sock.shutdown(socket.SHUT_WR)
            assert len(quote_of(read_all(sock)[4:])) == platform.quote_size

    @pytest.mark.parametrize("cut", [1, 4, 9])
    @pytest.mark.parametrize("pieces", [1, 2])
    def test_half_closed_client_whose_frame_is_not_whole_is_closed_at_once(self, shared_helper, cut, pieces):
        path, stalled = shared_helper.socket, shared_helper.metric("lost_connections_total", cause="stalled")
        data = frame(NUM)[:cut]
        with connect(path) as sock:
            if pieces == 2:
                sock.sendall(data[: cut // 2])
                assert ask(path, NUM) == NUM_OK
                data = data[cut // 2 :]
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b""
        # Not by the deadline of those who send no more.
        assert shared_helper.metric("lost_connections_total", cause="stalled") == stalled

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(frame(b""), id="empty-body"),
            pytest.param(frame(b"\xff" * 20), id="no-protobuf"),
            pytest.param(frame(bytes.fromhex("f80101")), id="unknown-field"),
            pytest.param(frame(bytes.fromhex("a20104080110ff01")), id="field-20"),
            pytest.param(GIBIBYTE, id="1-GiB"),
            pytest.param(b"\xff\xff\xff\xff", id="4-GiB"),
            pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="http"),
            pytest.param((MAX_REQUEST_BYTES + 1).to_bytes(4, "little"), id="one-over-the-cap"),
        ],
    )
    def test_what_is_no_request_is_closed_without_an_answer(self, path, data):
        assert exchange(path, data) == b""

    def test_frame_of_the_largest_size_is_read(self, path):
        known = m.GetSupportedAttKeyIDNumRequest().envelope()
        size = MAX_REQUEST_BYTES - len(known) - 5
        varint = bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14])
        body = known + bytes.fromhex("fa01") + varint + bytes(size)
        assert len(body) == MAX_REQUEST_BYTES
        assert ask(path, body) == NUM_OK


def test_stalled_clients_never_delay_another_and_are_reaped(shared_helper, platform):
    path = shared_helper.socket
    stalled = [connect(path) for _ in range(50)]
    try:
        request = frame(quote_request(platform))
        for index, sock in enumerate(stalled):
            sock.sendall(request[: index % 10])
        for _ in range(5):
            assert ask(path, NUM) == NUM_OK
            quote_of(ask(path, quote_request(platform)))
        assert shared_helper.status()["connections"] == 50
        # Five seconds after they came they are gone; a client would see its connection closed.
        shared_helper.wait_until(lambda s: s["connections"] == 0)
        assert all(sock.recv(1) == b"" for sock in stalled)
    finally:
        for sock in stalled:
            sock.close()


def half_frames(path, platform, count):
    request = frame(quote_request(platform))
    held = []
    for index in range(count):
        sock = connect(path)
        sock.sendall(request[: 1 + index * 13 % (len(request) - 1)])
        held.append(sock)
    return held


def test_all_kinds_of_clients_at_the_same_time(shared_helper, platform):
    path = shared_helper.socket
    half_closed = gone = noise = 0
    with Load(path, 64, quote_request(platform), quote_check(platform)) as load:
        held = half_frames(path, platform, 50)
        end = time.monotonic() + LOAD_SECONDS
        while time.monotonic() < end:
            assert exchange(path, GIBIBYTE) == b""
            for request, answer in AT_ONCE.values():
                assert ask(path, bytes.fromhex(request)).hex() == answer
            answer = exchange(path, secrets.token_bytes(64))
            assert answer == b"" or len(answer) == 4 + int.from_bytes(answer[:4], "little")
            noise += 1
            connect(path).close()
            with connect(path) as sock:
                sock.sendall(frame(quote_request(platform)))
            gone += 2
            with connect(path) as sock:
                sock.sendall(frame(quote_request(platform)))
                sock.shutdown(socket.SHUT_WR)
                quote_of(read_all(sock)[4:])
            half_closed += 1
        load.stop()
        for sock in held:
            sock.close()
    assert load.failures == []
    assert load.done > 64
    assert min(half_closed, gone, noise) >= 1
    assert judged(platform, quote_of(ask(path, quote_request(platform)))) == "UpToDate"
    shared_helper.wait_until(lambda s: s["connections"] == 0 and s["queued"] == 0)


def test_a_gigabyte_in_a_header_costs_no_memory(shared_helper):
    def resident():
        lines = Path(f"/proc/{shared_helper.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    before = resident()
    for _ in range(50):
        assert exchange(shared_helper.socket, GIBIBYTE + bytes(1000)) == b""
    assert resident() - before < 8 * 1024


@pytest.mark.parametrize("slot", ["slot-0", "slot-1"])
def test_a_slot_serves_like_the_shared_socket(shared_helper, platform, slot):
    path = str(shared_helper.folder / "l" / slot / "aesm.socket")
    assert ask(path, NUM) == NUM_OK
    assert judged(platform, quote_of(ask(path, quote_request(platform)))) == "UpToDate"


@pytest.mark.usefixtures("many_files")
def test_thousand_connections_at_once_are_all_served(shared_helper, platform):
    request = frame(quote_request(platform))
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(connect(shared_helper.socket)) for _ in range(1000)]
        for sock in waiting:
            sock.sendall(request)
        assert [error_code(read_all(sock)[4:]) for sock in waiting] == [0] * 1000
