"""Which worker is given which requests, without processes."""

import itertools
import socket
from collections import deque
from types import SimpleNamespace

import pytest

from confcom.quoting import worker_process
from confcom.quoting.hop import Message, Operation
from confcom.quoting.pool import Pool
from confcom.quoting.worker_process import DEPTH_SECONDS, MAX_DEPTH, WorkerProcess


class Job:
    def __init__(self, name):
        self.name, self.gone, self.attempts, self.code = name, False, 0, None

    def finish(self, code, _cause):
        self.code = code


class Worker:
    """One that takes whatever it is given, and holds it."""

    def __init__(self, index, room):
        self.index, self.room, self.key, self.served = index, room, "key", 0
        self.sock = SimpleNamespace(fileno=lambda: -1, close=lambda: None)
        self.jobs, self._numbers = {}, itertools.count()

    def give(self, jobs):
        self.jobs.update({next(self._numbers): job for job in jobs})
        return True

    def kill(self):
        pass

    @property
    def names(self):
        return "".join(job.name for job in self.jobs.values())


class Queue(deque):
    def get(self):
        return self.popleft() if self else None


def jobs(names):
    return Queue(Job(name) for name in names)


@pytest.fixture
def pool():
    def nothing(*_):
        pass

    return Pool(None, 2, hang_seconds=1, watch=nothing, unwatch=nothing, on_key=nothing, on_failure=nothing)


def join(pool, *rooms):
    workers = [Worker(index, room) for index, room in enumerate(rooms)]
    pool._workers = {worker.index: worker for worker in workers}
    return workers


def test_what_waits_is_shared_out_even_where_one_worker_had_room_for_all(pool):
    first, second = join(pool, 32, 32)
    pool.dispatch(jobs("abcde"))
    assert (first.names, second.names) == ("abc", "de")


def test_least_busy_worker_comes_first(pool):
    first, second = join(pool, 1, 1)
    first.give(jobs("x"))
    pool.dispatch(jobs("a"))
    assert (first.names, second.names) == ("x", "a")


def test_no_worker_is_given_more_than_it_has_room_for(pool):
    first, second = join(pool, 2, 0)
    source = jobs("abcde")
    pool.dispatch(source)
    assert (first.names, second.names, len(source)) == ("ab", "", 3)


class TestRetry:
    @pytest.fixture
    def survivor(self, pool):
        """The worker that is left when another has died with the requests a, b and c."""
        died, survivor = join(pool, 32, 32)
        died.give(jobs("abc"))
        survivor.give(jobs("x"))
        pool._end(died)
        return survivor

    def test_each_is_alone_in_a_worker_that_was_let_run_empty(self, pool, survivor):
        source = jobs("yz")
        held = []
        while survivor.names:
            held.append(survivor.names)
            pool.dispatch(source)
            assert survivor.names == held[-1]
            survivor.jobs.clear()
            pool.dispatch(source)
        assert held == ["x", "a", "b", "c", "yz"]

    def test_one_whose_client_has_gone_is_not_tried_again(self, pool, survivor):
        pool._suspects[0].gone = pool._suspects[2].gone = True
        survivor.jobs.clear()
        pool.dispatch(jobs(""))
        assert survivor.names == "b"
        survivor.jobs.clear()
        pool.dispatch(jobs("z"))
        assert survivor.names == "z"

    def test_other_workers_go_on_meanwhile(self, pool, survivor):
        other = Worker(0, 32)
        pool._workers[0] = other
        survivor.jobs.clear()
        pool.dispatch(jobs("z"))
        assert {survivor.names, other.names} == {"a", "z"}


@pytest.mark.parametrize(
    ("costs", "room"),
    [([], 1), ([0], MAX_DEPTH), ([1000], 3), ([DEPTH_SECONDS * 1e6 + 1], 1), ([1_000_000], 1), ([1000] * 9 + [0], 3)],
)
def test_a_worker_takes_as_many_as_fill_two_milliseconds_of_its_mean_cost(costs, room):
    worker = WorkerProcess(0, None, None)
    for cost in costs:
        worker.note_cost(cost)
    assert worker.room == room
    worker.jobs[1] = None
    assert worker.room == room - 1


def test_a_worker_is_silent_since_its_last_answer_or_since_it_was_given_work_after_idling(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(worker_process, "time", SimpleNamespace(monotonic=lambda: clock.now))
    ours, theirs = socket.socketpair()
    job = SimpleNamespace(operation=Operation.QUOTE, payload=b"")
    with ours, theirs:
        worker = WorkerProcess(0, ours, None)
        clock.now = 10.0
        worker.give([job])
        assert worker.last_heard == 10.0
        clock.now = 12.0
        worker.give([job])
        assert worker.last_heard == 10.0
        clock.now = 15.0
        theirs.send(Message(Operation.QUOTE, 1, b"").encode())
        assert len(worker.receive()) == 1
        assert worker.last_heard == 15.0
