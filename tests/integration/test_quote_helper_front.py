"""The front with scripted workers: what clients see when quoting goes wrong in each way."""

import asyncio
import math
import os
import signal
import socket
import time
from collections import Counter
from types import SimpleNamespace

import msgspec
import pytest
import scripted_worker
from helper_process import ask, connect, frame, read_all
from quote_requests import KEY_ID, error_code

from confcom.aesm import messages as m
from confcom.quote_helper import front as front_module
from confcom.quote_helper import listeners as listeners_module
from confcom.quote_helper import unread as unread_module
from confcom.quote_helper.connection import ListeningSocket, Origin
from confcom.quote_helper.front import Front
from confcom.quote_helper.listeners import BACKLOG
from confcom.quote_helper.ring import Ring
from confcom.quoting import pool as pool_module
from confcom.quoting import worker_process
from confcom.quoting.backend import BackendSettings, KeyReport

WAIT_SECONDS = 30.0
INIT = m.InitQuoteExRequest(att_key_id=KEY_ID, b_pub_key_id=True, buf_size=32).envelope()
SIZE = m.GetQuoteSizeExRequest(att_key_id=KEY_ID).envelope()
NUM = bytes.fromhex("aa0103489875")


def quote(command="", size=scripted_worker.QUOTE_SIZE, info=None):
    """A request whose report data tells the worker what to do."""
    report = bytes(320) + command.encode().ljust(64, b"\0") + bytes(48)
    return m.GetQuoteExRequest(report=report, att_key_id=KEY_ID, buf_size=size, qe_report_info=info).envelope()


class Running:
    """A front with its workers, within a test's event loop; clients run in threads."""

    def __init__(self, front, path, folder):
        self.front, self.path, self.folder = front, path, folder

    async def ask(self, body, seconds=15.0):
        return await asyncio.to_thread(ask, self.path, body, seconds)

    async def ask_all(self, *bodies):
        return await asyncio.gather(*(self.ask(body) for body in bodies))

    async def until(self, condition):
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    async def ready(self, count=1):
        await self.until(lambda: len(self.front.pool.ready_workers) == count)

    async def held(self):
        """The answer to come of a request over which the worker waits until `go_on`."""
        answer = asyncio.create_task(self.ask(quote("wait")))
        await self.until(lambda: self.operations()["QUOTE"])
        return answer

    def go_on(self):
        (self.folder / "go").touch()

    def operations(self):
        path = self.folder / "operations"
        lines = path.read_text().split("\n") if path.exists() else []
        return Counter(line.split()[1] for line in lines if line)


@pytest.fixture
def front(short_dir, monkeypatch):
    """Runs `scenario(running)` with a front of some workers."""
    real = worker_process.start_process

    def scripted(executable, _m, _module, *arguments, **keywords):
        return real(executable, scripted_worker.__file__, *arguments, **keywords)

    monkeypatch.setattr(worker_process, "start_process", scripted)

    def run(scenario, *, workers=1, hang_seconds=6.0, wait=True):
        async def main():
            path = short_dir / "aesm.socket"
            listener = ListeningSocket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(path))
            listener.listen(BACKLOG)
            settings = BackendSettings(kind="simulation", simulated_platform=str(short_dir))
            front = Front(settings, workers, hang_seconds=hang_seconds)
            front.listeners.add(Origin("shared", "shared", listener))
            front.start()
            running = Running(front, str(path), short_dir)
            try:
                if wait:
                    await running.ready(workers)
                await scenario(running)
            finally:
                await front.close()

        asyncio.run(main())

    return run


def test_quote_comes_back_in_the_client_s_size(front):
    async def scenario(running):
        answer = m.decode_response(await running.ask(quote(size=5000)), m.GetQuoteExResponse)
        assert answer.quote == b"Q" * 4000 + bytes(1000)

    front(scenario)


@pytest.mark.parametrize("workers", [1, 3])
def test_request_that_kills_workers_is_given_up_after_three_and_the_others_are_served(front, workers):
    async def scenario(running):
        answers = await running.ask_all(quote("die"), *[quote() for _ in range(40)])
        assert [error_code(answer) for answer in answers] == [1] + [0] * 40
        assert running.front.pool.killers == 1
        assert running.front.pool.restarts >= 2
        await running.ready(workers)

    front(scenario, workers=workers)


def test_worker_that_ends_by_itself_is_logged_with_its_own_status(front, caplog):
    async def scenario(running):
        await running.ask(quote("die"))
        await running.ready()
        ends = [record.fields["ended"] for record in caplog.records if record.getMessage().startswith("worker ended")]
        assert ends == ["status 1"] * 3
        assert not [record for record in caplog.records if record.name == "asyncio"]

    with caplog.at_level("WARNING"):
        front(scenario)


def test_worker_that_is_ended_by_a_signal_without_a_name_is_replaced(front):
    async def scenario(running):
        os.kill(running.front.pool.workers[0].process.pid, signal.SIGRTMIN + 6)
        await running.until(lambda: running.front.pool.restarts == 1)
        assert error_code(await running.ask(quote())) == 0

    front(scenario)


def test_whoever_kills_workers_again_and_again_does_not_fill_the_log(front, caplog):
    async def scenario(running):
        # First and alone: behind the others it may wait for a worker until its deadline, and meet none.
        await running.ask(quote("lose"))
        await running.ask_all(quote("die"), quote("junk"), quote("hang"))
        await running.ready()
        told = [record for record in caplog.records if record.name.startswith("confcom.quoting")]
        assert {"worker ready", "enclave lost, worker is replaced"} <= {record.getMessage() for record in told}
        assert [record.getMessage() for record in told if record.cause is None] == []

    with caplog.at_level("INFO"):
        front(scenario, hang_seconds=0.3)


def test_whoever_kills_workers_again_and_again_does_not_hold_up_the_rest_until_their_deadline(
    front, monkeypatch, caplog
):
    monkeypatch.setattr(pool_module, "FIRST_BACKOFF_SECONDS", 0.01)

    async def scenario(running):
        for _ in range(3):
            assert error_code(await running.ask(quote("die"))) == 1
        await running.ready()
        waits = [r.fields["wait_seconds"] for r in caplog.records if r.getMessage().startswith("worker ended")]
        assert waits == [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5]
        assert error_code(await running.ask(quote())) == 0

    with caplog.at_level("WARNING"):
        front(scenario)


def test_two_that_kill_workers_do_not_take_the_rest_along(front):
    async def scenario(running):
        bodies = [quote() for _ in range(30)]
        bodies[3] = bodies[20] = quote("die")
        answers = await running.ask_all(*bodies)
        assert [index for index, answer in enumerate(answers) if error_code(answer) == 1] == [3, 20]

    front(scenario, workers=2)


def test_request_that_hangs_workers_is_given_up_and_the_others_are_served(front):
    async def scenario(running):
        answers = await running.ask_all(quote("hang"), quote(), quote(), NUM)
        assert [error_code(answer) for answer in answers[:3]] == [1, 0, 0]
        assert running.front.pool.restarts >= 2

    front(scenario, hang_seconds=1.0)


def test_nonsense_from_a_worker_costs_the_worker_and_no_other_request(front):
    async def scenario(running):
        answers = await running.ask_all(quote("junk"), *[quote() for _ in range(5)])
        assert [error_code(answer) for answer in answers] == [1] + [0] * 5

    front(scenario)


@pytest.mark.parametrize("workers", [1, 3])
def test_request_that_finds_its_enclave_lost_is_served_by_another_worker(front, workers):
    async def scenario(running):
        first = {worker.process.pid for worker in running.front.pool.workers}
        answers = await running.ask_all(quote("lose"), *[quote() for _ in range(20)])
        assert [error_code(answer) for answer in answers] == [0] * 21
        assert running.front.last_causes[46][0] == "power event"
        await running.ready(workers)
        assert len(first & {worker.process.pid for worker in running.front.pool.workers}) == workers - 1
        assert running.front.pool.killers == 0

    front(scenario, workers=workers)


@pytest.mark.parametrize("workers", [1, 8])
def test_power_event_that_takes_every_enclave_fails_no_request(front, workers):
    async def scenario(running):
        for _ in range(2):
            (running.folder / "power").touch()
            answers = await running.ask_all(*[quote()] * 3)
            assert [error_code(answer) for answer in answers] == [0] * 3
            await running.ready(workers)

    front(scenario, workers=workers)


def test_enclave_that_every_worker_loses_is_told_after_three(front):
    async def scenario(running):
        assert error_code(await running.ask(quote("code46"))) == 46
        assert running.operations()["QUOTE"] == 3
        await running.ready()
        assert error_code(await running.ask(quote())) == 0

    front(scenario)


@pytest.mark.parametrize("code", [3, 12, 18, 21, 30, 38, 44, 47])
def test_code_of_a_backend_reaches_the_client_with_its_info_and_the_cause_stays_here(front, code):
    async def scenario(running):
        info = bytes(range(240)) * 4
        answer = m.decode_response(await running.ask(quote(f"code{code}", info=info)), m.GetQuoteExResponse)
        assert (answer.error_code, answer.quote, answer.qe_report_info) == (code, None, info)
        assert running.front.last_causes[code][0] == "told to"

    front(scenario)


def test_worker_whose_first_word_is_nonsense_is_ended_like_any_that_cannot_start(front, caplog):
    async def scenario(running):
        (running.folder / "start").write_text("0 {}")
        running.front.pool.workers[0].kill()
        await running.until(lambda: running.front.pool.restarts >= 2)
        (running.folder / "start").unlink()
        await running.ready()
        assert error_code(await running.ask(quote())) == 0
        assert not [record for record in caplog.records if record.exc_info]

    front(scenario)


class TestKey:
    def test_init_and_size_are_answered_from_memory(self, front):
        async def scenario(running):
            for _ in range(5):
                init = m.decode_response(await running.ask(INIT), m.InitQuoteExResponse)
                assert (init.error_code, init.pub_key_id) == (0, b"\x01" * 32)
                size = m.decode_response(await running.ask(SIZE), m.GetQuoteSizeExResponse)
                assert (size.error_code, size.quote_size) == (0, scripted_worker.QUOTE_SIZE)
            assert running.operations() == {}

        front(scenario)

    @pytest.mark.parametrize("workers", [1, 3])
    def test_after_42_all_who_ask_wait_for_one_refresh_of_every_worker(self, front, workers):
        async def scenario(running):
            assert error_code(await running.ask(quote("forget"))) == 42
            answers = await running.ask_all(*[INIT] * 10, *[SIZE] * 10)
            inits = [m.decode_response(answer, m.InitQuoteExResponse) for answer in answers[:10]]
            assert {(init.error_code, init.pub_key_id) for init in inits} == {(0, b"\x02" * 32)}
            assert {error_code(answer, m.GetQuoteSizeExResponse) for answer in answers[10:]} == {0}
            assert running.operations()["REFRESH"] == workers
            answers = await running.ask_all(*[quote() for _ in range(20)])
            assert {error_code(answer) for answer in answers} == {0}

        front(scenario, workers=workers)

    def test_another_key_of_a_new_worker_replaces_the_remembered_one(self, front):
        async def scenario(running):
            await running.ask_all(INIT, SIZE)
            (worker,) = running.front.pool.workers
            running.front.pool._has_key(
                worker, msgspec.json.encode(KeyReport(target_info=b"n" * 512, pub_key_id=b"\x09" * 32, quote_size=4321))
            )
            init, size = await running.ask_all(INIT, SIZE)
            assert m.decode_response(init, m.InitQuoteExResponse).pub_key_id == b"\x09" * 32
            assert m.decode_response(size, m.GetQuoteSizeExResponse).quote_size == 4321

        front(scenario)

    def test_who_waits_for_a_key_that_cannot_be_had_is_told_why_at_once(self, front, monkeypatch):
        async def refuse():
            return 44

        async def scenario(running):
            monkeypatch.setattr(running.front.pool, "refresh", refuse)
            running.front._refresh_key()
            init = m.decode_response(await running.ask(INIT, seconds=10.0), m.InitQuoteExResponse)
            assert init.error_code == 44

        front(scenario)

    def test_every_worker_that_lost_its_key_gets_it_back(self, front):
        """Several have lost it before anybody noticed. A changed TCB is every QE's: refreshing one of them would leave the others answering 42 for ever."""

        async def scenario(running):
            notice = running.front._refresh_key
            running.front._refresh_key = lambda: None
            await running.ask_all(*[quote("forget") for _ in range(12)])
            running.front._refresh_key = notice
            assert error_code(await running.ask(quote())) == 42
            await running.ask(INIT)
            answers = await running.ask_all(*[quote() for _ in range(30)])
            assert {error_code(answer) for answer in answers} == {0}

        front(scenario, workers=3)

    def test_key_of_a_refresh_whose_workers_have_all_gone_is_not_published(self, front, monkeypatch):
        """One has its new key, the other hangs over it; then both go, and none can start."""
        monkeypatch.setattr(pool_module, "ASK_SECONDS", 4.0)

        async def scenario(running):
            first, second = running.front.pool.workers
            await running.ask(quote("forget"))
            second_pid = second.process.pid
            os.kill(second_pid, signal.SIGSTOP)
            running.front._refresh_key()
            await running.until(lambda: running.front._refreshed is not None)
            (running.folder / "start").write_text("30 not now")
            first.kill()
            os.kill(second_pid, signal.SIGKILL)
            await running.until(lambda: running.front._refresh is None)
            assert running.front.key is None

        front(scenario, workers=2)

    def test_init_waits_for_the_next_worker_s_key_when_the_last_has_gone(self, front):
        async def scenario(running):
            running.front.pool.workers[0].kill()
            await running.until(lambda: not running.front.pool.ready_workers)
            init = m.decode_response(await running.ask(INIT), m.InitQuoteExResponse)
            assert init.error_code == 0

        front(scenario)


def test_helper_that_stops_waits_for_the_rest_of_a_request(front):
    async def scenario(running):
        request = frame(NUM)
        with connect(running.path) as sock:
            sock.sendall(request[:6])
            await running.until(lambda: running.front.listeners.clients)
            drained = asyncio.create_task(running.front.drained(time.monotonic() + WAIT_SECONDS))
            await asyncio.sleep(0)
            assert not drained.done()
            sock.sendall(request[6:])
            assert await asyncio.to_thread(read_all, sock) == frame(bytes.fromhex("aa010408001001"))
            assert await drained

    front(scenario)


class TestBounds:
    def test_request_over_the_bound_is_answered_busy_in_its_own_type(self, front):
        async def scenario(running):
            running.front.ring = Ring(3)
            info = bytes(960)
            waiting = [await running.held()]
            waiting += [asyncio.create_task(running.ask(quote())) for _ in range(3)]
            await running.until(lambda: len(running.front.ring) == 3)
            answer = m.decode_response(await running.ask(quote(info=info)), m.GetQuoteExResponse)
            assert (answer.error_code, answer.qe_report_info) == (18, info)
            assert await running.ask(NUM) == bytes.fromhex("aa010408001001")
            running.go_on()
            assert [error_code(answer) for answer in await asyncio.gather(*waiting)] == [0] * 4

        front(scenario)

    def test_request_that_is_not_served_by_its_deadline_is_answered_busy(self, front, monkeypatch):
        async def scenario(running):
            held = await running.held()
            with monkeypatch.context() as patch:
                patch.setattr(front_module, "REQUEST_SECONDS", 0.6)
                answers = await running.ask_all(*[quote() for _ in range(11)])
                assert [error_code(answer) for answer in (*answers, await held)] == [18] * 12
            assert running.front.ring.dropped == 0
            # What was given up costs no quote any more.
            running.go_on()
            assert error_code(await running.ask(quote())) == 0
            assert running.operations()["QUOTE"] == 2

        front(scenario)

    def test_without_any_worker_the_deadline_says_unavailable_and_never_silence(self, front, monkeypatch):
        monkeypatch.setattr(front_module, "REQUEST_SECONDS", 0.6)

        async def scenario(running):
            (running.folder / "start").write_text("48 the QE could not be loaded: no access to /dev/sgx_provision")
            running.front.pool.workers[0].kill()
            await running.until(lambda: 48 in running.front.last_causes)
            quoted, init, size, num = await running.ask_all(quote(), INIT, SIZE, NUM)
            assert error_code(quoted) == 30
            assert error_code(init, m.InitQuoteExResponse) == 30
            assert error_code(size, m.GetQuoteSizeExResponse) == 30
            assert num == bytes.fromhex("aa010408001001")
            assert running.front.last_causes[48][0] == "the QE could not be loaded: no access to /dev/sgx_provision"

        front(scenario)

    def test_worker_that_cannot_start_is_tried_again_ever_more_slowly(self, front):
        async def scenario(running):
            start = running.folder / "start"
            start.write_text("30 not now")
            running.front.pool.workers[0].kill()
            await running.until(lambda: running.front.pool.restarts >= 3)
            start.unlink()
            await running.ready()
            assert error_code(await running.ask(quote())) == 0

        front(scenario)

    def test_worker_that_cannot_start_for_hours_is_still_tried(self, front, monkeypatch):
        """Over a thousand doublings are more than a float can hold."""
        start = worker_process.WorkerProcess.start
        tries = 0

        async def fail_at_first(index, settings):
            nonlocal tries
            tries += 1
            if tries < 1100:
                raise OSError(11, "no process to be had")
            return await start(index, settings)

        monkeypatch.setattr(pool_module, "MAX_BACKOFF_SECONDS", 0.0)
        monkeypatch.setattr(pool_module, "WorkerProcess", SimpleNamespace(start=fail_at_first))

        async def scenario(running):
            assert error_code(await running.ask(quote())) == 0

        front(scenario)

    def test_buffer_smaller_than_the_quote_costs_no_quote(self, front):
        async def scenario(running):
            assert error_code(await running.ask(quote(size=scripted_worker.QUOTE_SIZE - 1))) == 3
            assert running.operations() == {}

        front(scenario)

    def test_client_that_left_while_it_waited_costs_no_quote(self, front):
        async def scenario(running):
            held = await running.held()
            for _ in range(10):
                with connect(running.path) as sock:
                    sock.sendall(frame(quote()))
            await running.until(lambda: running.front.listeners.counts["left"] == 10)
            running.go_on()
            assert error_code(await running.ask(quote())) == 0
            assert error_code(await held) == 0
            assert running.operations()["QUOTE"] == 2
            await running.until(lambda: not running.front.ring)
            assert running.front.ring.dropped == 10

        front(scenario)

    def test_client_that_left_is_counted_while_no_worker_takes_anything(self, front):
        async def scenario(running):
            held = await running.held()
            with connect(running.path) as sock:
                sock.sendall(frame(quote()))
                await running.until(lambda: len(running.front.ring) == 1)
            await running.until(lambda: not running.front.ring)
            assert running.front.ring.dropped == 1
            running.go_on()
            await held

        front(scenario)

    def test_client_that_stalls_does_not_keep_a_front_that_stops(self, front, monkeypatch):
        monkeypatch.setattr(listeners_module, "FRAME_SECONDS", 3600.0)

        async def scenario(running):
            with connect(running.path) as stalled:
                stalled.sendall(frame(quote())[:5])
                await running.until(lambda: running.front.listeners.clients)
                async with asyncio.timeout(WAIT_SECONDS):
                    assert await running.front.drained(math.inf)
                assert running.front.listeners.clients

        front(scenario)

    def test_half_closed_client_in_the_queue_is_not_gone(self, front):
        async def scenario(running):
            def half_closed():
                with connect(running.path) as sock:
                    sock.sendall(frame(quote()))
                    sock.shutdown(socket.SHUT_WR)
                    return read_all(sock)[4:]

            held = await running.held()
            waiting = asyncio.create_task(asyncio.to_thread(half_closed))
            await running.until(lambda: len(running.front.ring) == 1)
            running.go_on()
            assert error_code(await waiting) == 0
            await held

        front(scenario)


def test_backlog_of_a_full_origin_is_served_when_another_helper_takes_its_path(front):
    async def scenario(running):
        listeners = running.front.listeners
        (origin,) = listeners._origins.values()
        listeners.per_origin = 2
        idle = [connect(running.path) for _ in range(2)]
        await running.until(lambda: origin.connections == 2)
        waiting = connect(running.path)
        waiting.sendall(frame(NUM))
        # Accepting has met the cap, and those who hold it are too young to give way.
        await running.until(lambda: listeners.counts["pressed"])
        listeners.remove(origin)
        with waiting:
            assert await asyncio.to_thread(read_all, waiting) == frame(bytes.fromhex("aa010408001001"))
        for client in idle:
            client.close()

    front(scenario)


class TestOneBatch:
    """Several events in one turn of the loop."""

    def test_new_client_does_not_get_the_events_of_the_one_whose_descriptor_it_inherits(self, front):
        """In one turn: a worker answers a client that has just left, its descriptor is closed, and a new one comes."""

        async def scenario(running):
            listeners = running.front.listeners
            for _ in range(30):
                leaver = connect(running.path)
                leaver.sendall(frame(NUM)[:5])
                await running.until(lambda: len(listeners.clients) == 1)
                fd = next(iter(listeners.clients))
                # The loop stands still here: both are in one batch of events.
                leaver.close()
                newcomer = connect(running.path)
                newcomer.sendall(frame(NUM)[:5])
                await running.until(lambda fd=fd: not listeners.clients or listeners.clients.get(fd) is not None)
                newcomer.sendall(frame(NUM)[5:])
                answer = await asyncio.to_thread(read_all, newcomer)
                newcomer.close()
                assert answer == frame(bytes.fromhex("aa010408001001"))
                await running.until(lambda: not listeners.clients)

        front(scenario)

    def test_fault_of_our_own_closes_one_connection_and_serves_the_rest(self, front, monkeypatch):
        real = front_module.service.respond

        def faulty(request):
            if isinstance(request, m.GetWhiteListRequest):
                raise ZeroDivisionError
            return real(request)

        monkeypatch.setattr(front_module.service, "respond", faulty)

        async def scenario(running):
            answers = await running.ask_all(bytes.fromhex("5a00"), NUM, quote(), bytes.fromhex("5a00"))
            assert [bool(answer) for answer in answers] == [False, True, True, False]

        front(scenario)


class TestLargeFrames:
    """Larger than any known client's: served, and of so many clients at once that their memory is bounded."""

    LARGE = quote(size=128 * 1024)

    async def unread(self, running, *, half_closed=False):
        """A client whose large answer has come, and is not read."""
        client = connect(running.path)
        client.sendall(frame(self.LARGE))
        if half_closed:
            client.shutdown(socket.SHUT_WR)
        await asyncio.to_thread(client.recv, 1, socket.MSG_PEEK)
        return client

    def test_large_answer_is_read_to_its_end(self, front):
        async def scenario(running):
            client = await self.unread(running)
            with client:
                answer = m.decode_response((await asyncio.to_thread(read_all, client))[4:], m.GetQuoteExResponse)
                assert len(answer.quote) == 128 * 1024
                # Closed here too, although the client has not.
                await running.until(lambda: not running.front.listeners.unread)

        front(scenario)

    def test_buffer_of_the_usual_size_is_not_waited_for_whatever_is_around_it(self, front):
        """Who never reads it would else hold a connection of the origin for ever, and nothing bounds how many do."""

        async def scenario(running):
            with connect(running.path) as client:
                client.sendall(frame(quote(size=16 * 1024)))
                await asyncio.to_thread(client.recv, 1, socket.MSG_PEEK)
                (origin,) = running.front.listeners._origins.values()
                await running.until(lambda: not running.front.listeners.clients)
                assert (len(running.front.listeners.unread), origin.connections) == (0, 0)

        front(scenario)

    @pytest.mark.parametrize("half_closed", [False, True])
    def test_only_so_many_may_be_unread(self, front, monkeypatch, half_closed):
        monkeypatch.setattr(unread_module, "MAX_UNREAD_ANSWERS", 3)

        async def scenario(running):
            unread, (origin,) = running.front.listeners.unread, running.front.listeners._origins.values()
            clients = [await self.unread(running, half_closed=half_closed) for _ in range(3)]
            assert error_code(await running.ask(self.LARGE)) == 21
            assert error_code(await running.ask(quote())) == 0
            clients.pop().close()
            await running.until(lambda: len(unread) == 2)
            assert error_code(await running.ask(self.LARGE)) == 0
            for client in clients:
                client.close()
            await running.until(lambda: not unread and not origin.connections)

        front(scenario)

    def test_client_that_has_left_is_not_waited_for(self, front):
        async def scenario(running):
            client = connect(running.path)
            client.sendall(frame(quote("wait", size=128 * 1024)))
            await running.until(lambda: running.operations()["QUOTE"])
            client.close()
            running.go_on()
            await running.until(lambda: not running.front.listeners.clients)
            assert not running.front.listeners.unread

        front(scenario)

    def test_unread_answers_delay_no_end(self, front):
        clients = []

        async def scenario(running):
            clients.append(await self.unread(running))
            assert await running.front.drained(time.monotonic() + WAIT_SECONDS)

        front(scenario)
        with clients[0] as client:
            assert len(read_all(client)) > 128 * 1024

    def test_parts_of_large_requests_are_kept_of_so_many(self, front, monkeypatch):
        monkeypatch.setattr(listeners_module, "MAX_LARGE_REQUESTS", 3)
        monkeypatch.setattr(listeners_module, "FRAME_SECONDS", WAIT_SECONDS)
        known = m.GetSupportedAttKeyIDNumRequest().envelope()
        # An unknown field, which is passed over.
        whole = frame(known + bytes.fromhex("fa01") + bytes([0xE0, 0xD4, 0x03]) + bytes(60_000))

        async def scenario(running):
            listeners = running.front.listeners
            clients = [connect(running.path) for _ in range(4)]
            for client in clients[:3]:
                client.sendall(whole[:10_000])
            await running.until(lambda: len(listeners._large) == 3)
            clients[3].sendall(whole[:10_000])
            assert await asyncio.to_thread(clients[3].recv, 1) == b""
            assert listeners.counts["oversized"] == 1
            assert error_code(await running.ask(quote())) == 0
            clients[0].sendall(whole[10_000:])
            assert await asyncio.to_thread(read_all, clients[0]) == frame(bytes.fromhex("aa010408001001"))
            clients[1].close()
            await running.until(lambda: len(listeners._large) == 1)
            for client in clients:
                client.close()

        front(scenario)
