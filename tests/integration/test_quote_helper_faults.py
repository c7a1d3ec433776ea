"""Workers that are killed, stopped and overloaded: a client sees at worst a slower answer."""

import os
import signal
import socket
import statistics
import threading
import time
from pathlib import Path

import pytest
from helper_process import HelperProcess, Load, ask, connect, exchange, frame, kill, read_all
from quote_requests import KEY_ID, error_code, judged, quote_check, quote_of, quote_request

from confcom.aesm import Client
from confcom.aesm import messages as m

KILLS = 10
INIT = m.InitQuoteExRequest(att_key_id=KEY_ID, b_pub_key_id=True, buf_size=32).envelope()
NUM = bytes.fromhex("aa0103489875")
NUM_OK = bytes.fromhex("aa010408001001")


def all_ready(status):
    return all(worker["ready"] for worker in status["workers"]) and len(status["workers"]) > 0


def new_workers(helper, count, killed):
    """Waits for `count` ready workers, none of them one of those that were killed."""

    def alive(status):
        return len(status["workers"]) == count and all_ready(status) and not killed & pids(status)

    def pids(status):
        return {worker["pid"] for worker in status["workers"]}

    return pids(helper.wait_until(alive))


@pytest.mark.parametrize("workers", [1, 2])
def test_every_worker_killed_ten_times_under_load_fails_no_request(start_helper, platform, workers):
    helper = start_helper("--workers", str(workers))
    with Load(helper.socket, 64, quote_request(platform), quote_check(platform)) as load:
        killed = set()
        for _ in range(KILLS):
            pids = new_workers(helper, workers, killed)
            # Whoever was in the last ones has its answer: a request that meets three dying workers is given up.
            helper.wait_until(lambda s: all(worker["served"] >= 20 for worker in s["workers"]))
            for pid in pids:
                kill(pid)
            killed |= pids
        new_workers(helper, workers, killed)
        load.wait_for(64)
        load.stop()
    assert load.failures == []
    assert helper.status()["worker_restarts"] == KILLS * workers
    assert helper.metric("worker_restarts_total") == KILLS * workers
    assert helper.metric("requests_total", type="GetQuoteEx", code="0") >= load.done
    assert judged(platform, quote_of(ask(helper.socket, quote_request(platform)))) == "UpToDate"


def test_worker_that_hangs_is_replaced_and_its_requests_are_served(start_helper, platform):
    helper = start_helper("--hang-seconds", "2")
    with Load(helper.socket, 16, quote_request(platform), quote_check(platform)) as load:
        for _ in range(2):
            load.wait_for(32)
            (pid,) = helper.worker_pids()
            kill(pid, signal.SIGSTOP)
            new_workers(helper, 1, {pid})
        load.wait_for(32)
        load.stop()
    assert load.failures == []
    helper.wait_for_line("worker hangs and is ended")


def test_request_whose_worker_dies_each_time_is_given_up_with_code_1(start_helper, platform):
    helper = start_helper("--quote-wait", "2500")
    answers = []
    client = threading.Thread(target=lambda: answers.append(ask(helper.socket, quote_request(platform))))
    client.start()
    for attempt in range(3):
        status = helper.wait_until(
            lambda s, n=attempt: s["worker_restarts"] == n and s["workers"] and s["workers"][0]["jobs"] == 1
        )
        kill(status["workers"][0]["pid"])
        assert ask(helper.socket, NUM) == NUM_OK
    client.join(30)
    assert [error_code(answer) for answer in answers] == [1]
    helper.wait_for_line("request given up")
    assert helper.metric("killer_requests_total") == 1
    helper.wait_until(all_ready)
    assert error_code(ask(helper.socket, quote_request(platform))) == 0


def test_client_that_has_gone_costs_no_quote(start_helper, platform):
    # At this cost a worker gets one request at a time.
    helper = start_helper("--quote-wait", "20", "--hang-seconds", "14")
    request = frame(quote_request(platform))
    served = helper.status()["workers"][0]["served"]
    with connect(helper.socket) as first:
        with helper.stopped_worker():
            first.sendall(request)
            helper.wait_until(lambda s: s["workers"][0]["jobs"] == 1)
            for _ in range(40):
                with connect(helper.socket) as leaver:
                    leaver.sendall(request)
            helper.wait_until(lambda _: helper.metric("lost_connections_total", cause="left") == 40)
        assert error_code(ask(helper.socket, quote_request(platform))) == 0
        assert error_code(read_all(first)[4:]) == 0
    assert helper.status()["workers"][0]["served"] == served + 2


def test_flood_on_the_shared_socket_leaves_a_slot_its_share(start_helper, platform):
    helper = start_helper("--slots", "1", "--quote-cost", "1")
    slot = str(helper.folder / "l" / "slot-0" / "aesm.socket")
    request = quote_request(platform)

    with Load(helper.socket, 64, request, quote_check(platform)) as load:
        load.wait_for(128)
        served_meanwhile = []
        for _ in range(60):
            before = load.done
            assert error_code(ask(slot, request)) == 0
            served_meanwhile.append(load.done - before)
        load.stop()
    assert load.failures == []
    # In one queue it would wait for the quotes of all 64.
    assert statistics.median(served_meanwhile) < 32


def test_flood_beyond_the_queue_is_answered_busy_and_slots_are_served(start_helper, platform):
    """With 314 descriptors an origin may have 132 connections, half of which may wait."""
    helper = start_helper("--slots", "1", "--quote-wait", "100", "--hang-seconds", "14", descriptors=314)
    slot = str(helper.folder / "l" / "slot-0" / "aesm.socket")
    request = frame(quote_request(platform))
    flood = [connect(helper.socket) for _ in range(120)]
    try:
        with helper.stopped_worker():
            for sock in flood:
                sock.sendall(request)
            assert [error_code(sock.recv(65536)[4:]) for sock in flood[-20:]] == [18] * 20
        assert error_code(ask(slot, quote_request(platform))) == 0
        # In one queue it would have come behind all 66 that wait.
        assert helper.metric("requests_total", type="GetQuoteEx", origin="shared", code="0") < 50
        assert helper.metric("requests_total", type="GetQuoteEx", origin="shared", code="18") >= 20
    finally:
        for sock in flood:
            sock.close()


@pytest.mark.usefixtures("many_files")
def test_connection_cap_holds_back_one_origin_and_not_the_others(start_helper, platform):
    """Idle connections beyond the cap wait in the kernel, and those who hold half a frame give way first."""
    helper = start_helper("--slots", "1", descriptors=314)
    slot = str(helper.folder / "l" / "slot-0" / "aesm.socket")
    idle = [connect(helper.socket) for _ in range(300)]
    try:
        assert ask(slot, NUM) == NUM_OK
        assert error_code(ask(helper.socket, quote_request(platform))) == 0
        assert helper.metric("lost_connections_total", cause="pressed") >= 1
    finally:
        for sock in idle:
            sock.close()


def test_helper_out_of_descriptors_recovers_and_keeps_its_workers(start_helper, platform):
    """The limit falls under a running helper, below what it has open: EMFILE at each accept and each worker's start."""
    helper = start_helper("--workers", "2")
    victim = helper.worker_pids()[0]
    helper.limit_files(12)
    kill(victim)
    idle = [connect(helper.socket) for _ in range(30)]
    helper.wait_for_line("not started: Too many open files")
    helper.limit_files(250)
    for sock in idle:
        sock.close()
    helper.wait_until(lambda s: len(s["workers"]) == 2 and all_ready(s))
    assert error_code(ask(helper.socket, quote_request(platform))) == 0
    assert helper.metric("lost_connections_total", cause="accept_failed") >= 1


@pytest.mark.usefixtures("many_files")
def test_full_sockets_and_a_full_http_port_leave_descriptors_for_a_new_worker(start_helper):
    helper = start_helper("--slots", "1", descriptors=314)
    slot = str(helper.folder / "l" / "slot-0" / "aesm.socket")
    held = [connect(path) for path in (helper.socket, slot) for _ in range(300)]
    held += [socket.create_connection(("127.0.0.1", helper.port)) for _ in range(70)]
    try:
        kill(helper.worker_pids()[0])
        helper.wait_until(lambda s: s["worker_restarts"] == 1 and any(worker["ready"] for worker in s["workers"]))
        assert not any("Too many open files" in line for line in helper.log)
    finally:
        for sock in held:
            sock.close()


def test_probes_without_a_descriptor_wait_quietly(start_helper):
    """asyncio logs a traceback for each accept that fails, and by itself would do nothing else any more."""
    helper = start_helper()
    pid = str(helper.process.pid)
    ask_livez = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    probes = [socket.create_connection(("127.0.0.1", helper.port), timeout=30) for _ in range(2)]
    helper.limit_files(8)
    try:
        probes += [socket.create_connection(("127.0.0.1", helper.port), timeout=30) for _ in range(8)]
        helper.wait_for_line("the system is short of something")
        before = processor_seconds(pid)
        time.sleep(2.5)
        assert processor_seconds(pid) - before < 0.5
        helper.limit_files(250)
        for probe in probes:
            probe.sendall(ask_livez)
            assert read_all(probe).startswith(b"HTTP/1.1 200")
    finally:
        for probe in probes:
            probe.close()
    assert sum("the system is short of something" in line for line in helper.log) <= 10
    assert not any("Traceback" in line for line in helper.log)


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_limit_of_open_files_that_is_too_low_is_said_at_the_start(start_helper):
    helper = start_helper(wait=False, descriptors=64)
    assert helper.wait_end() == 3
    assert "the limit of open files is 64: raise it" in "\n".join(helper.log)


@pytest.mark.usefixtures("many_files")
def test_flood_of_those_who_wait_for_a_key_locks_nobody_out(short_dir):
    """With 314 descriptors an origin may have 132 connections, a quarter of which may wait for the key."""
    wrong = short_dir / "wrong"
    wrong.mkdir()
    (wrong / "letter.txt").write_text("not a machine")
    helper = HelperProcess(short_dir, wrong, descriptors=314)
    helper.wait_for_line("serving")
    flood = [connect(helper.socket) for _ in range(200)]
    try:
        for sock in flood:
            sock.sendall(frame(INIT))
        assert ask(helper.socket, NUM) == NUM_OK
        assert error_code(flood[-1].recv(65536)[4:], m.InitQuoteExResponse) == 18
        assert helper.metric("requests_total", type="InitQuoteEx", code="18") == 200 - 132 // 4
        # All this before the deadline of those who wait.
        assert helper.metric("requests_total", type="InitQuoteEx", code="30") == 0
    finally:
        for sock in flood:
            sock.close()
        helper.end()


def test_answers_that_need_no_qe_come_before_any_worker_is_ready(start_helper, short_dir, platform):
    """A platform's folder that holds something else: no worker ever gets its key."""
    wrong = short_dir / "wrong"
    wrong.mkdir()
    (wrong / "letter.txt").write_text("not a machine")
    helper = HelperProcess(short_dir, wrong)
    try:
        helper.wait_for_line("serving")
        helper.wait_until(lambda status: status["last_causes"])
        assert ask(helper.socket, NUM) == NUM_OK
        client = Client(helper.socket)
        assert len(client.get_supported_att_key_ids()) == 1
        assert client.select_att_key_id() == client.get_supported_att_key_ids()[0]
        assert client.get_pub_key_id_size() == 32
        assert ask(helper.socket, bytes.fromhex("0a0348e807")).hex() == "0a02081e"
        assert helper.get("/livez")[0] == 200
        code, body, _ = helper.get("/readyz")
        assert code == 503
        assert b"simulated platform" in body
        assert helper.status()["last_causes"]
        assert exchange(helper.socket, bytes.fromhex("00000040")) == b""
    finally:
        helper.end()
