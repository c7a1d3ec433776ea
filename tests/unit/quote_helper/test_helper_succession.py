"""Who serves a path when several helpers live: the decision as a table, and the folder that tells the living."""

import contextlib
import fcntl
import resource
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from confcom.errors import PlatformError
from confcom.quote_helper.discovery import Discovery, publish
from confcom.quote_helper.succession import (
    LOCK_SECONDS,
    PATIENCE_SECONDS,
    STUCK_SECONDS,
    BusyError,
    Move,
    Registration,
    Registry,
    decide,
    default_state_dir,
)

PATH = "/var/run/aesmd/aesm.socket"
MINE, THEIRS, FOREIGN = (1, 10), (1, 20), (1, 99)
KEEP, TAKE, STAND_BY = Move.KEEP, Move.TAKE, Move.STAND_BY


def helper(name, generation=1, *, serves=None, ready=True, leaving=False, started=0.0):
    sockets = {} if serves is None else {PATH: serves}
    return Registration(
        name=name, generation=generation, started=started, ready=ready, leaving=leaving, sockets=sockets
    )


def me(generation=1, **others):
    return helper("me", generation, **others)


# name: (me, others, what is at the path, seconds that it is dead, move)
DECISIONS = {
    "alone, nothing there": (me(ready=False), [], None, 0, TAKE),
    "alone, a dead socket there": (me(ready=False), [], FOREIGN, 0, TAKE),
    "alone, mine there": (me(serves=MINE), [], MINE, 0, KEEP),
    "alone, mine was displaced": (me(serves=MINE), [], FOREIGN, 0, TAKE),
    "alone, mine was removed": (me(serves=MINE), [], None, 0, TAKE),
    "alone and leaving, mine there": (me(serves=MINE, leaving=True), [], MINE, 0, KEEP),
    "alone and leaving, nothing there": (me(leaving=True), [], None, 0, STAND_BY),
    "leaving, and nobody came for long": (me(leaving=True), [], None, 60, STAND_BY),
    # An update.
    "newer and ready": (me(2), [helper("a", 1, serves=THEIRS)], THEIRS, 0, TAKE),
    "newer and not ready yet": (me(2, ready=False), [helper("a", 1, serves=THEIRS)], THEIRS, 0, STAND_BY),
    "newer, ready and leaving": (me(2, leaving=True), [helper("a", 1, serves=THEIRS)], THEIRS, 0, STAND_BY),
    "older restarted": (me(1), [helper("a", 2, serves=THEIRS)], THEIRS, 0, STAND_BY),
    "older restarted, the newer is not ready": (me(1), [helper("a", 2, serves=THEIRS, ready=False)], THEIRS, 0, STAND_BY),
    "same generation, started earlier": (me(1), [helper("a", 1, serves=THEIRS, started=5)], THEIRS, 0, STAND_BY),
    "same generation, started later": (me(1, started=5), [helper("a", 1, serves=THEIRS)], THEIRS, 0, STAND_BY),
    "replaced: its old socket is not at the path": (me(1, serves=MINE), [helper("a", 2, serves=THEIRS)], THEIRS, 0, STAND_BY),
    # Somebody goes.
    "server leaves, I am older": (me(1), [helper("a", 2, serves=THEIRS, leaving=True)], THEIRS, 0, TAKE),
    "server leaves, I am not ready": (me(1, ready=False), [helper("a", 2, serves=THEIRS, leaving=True)], THEIRS, 0, STAND_BY),
    "both leave": (me(2, leaving=True), [helper("a", 1, serves=THEIRS, leaving=True)], THEIRS, 0, STAND_BY),
    "I left and an older one took over": (me(2, leaving=True), [helper("a", 1, serves=THEIRS)], THEIRS, 0, STAND_BY),
    # The path is dead, and several could take it.
    "dead path, I am newest": (me(3), [helper("a", 1), helper("b", 2)], None, 0, TAKE),
    "dead path, another is newer": (me(1), [helper("a", 2)], None, 0, STAND_BY),
    "dead path, the newer one is not ready": (me(1), [helper("a", 2, ready=False)], None, 0, TAKE),
    "dead path, the newer one is leaving": (me(1), [helper("a", 2, leaving=True)], None, 0, TAKE),
    "dead path, nobody is ready, I am newest": (me(2, ready=False), [helper("a", 1, ready=False)], None, 0, TAKE),
    "dead path, nobody is ready, another is newer": (me(1, ready=False), [helper("a", 2, ready=False)], None, 0, STAND_BY),
    "dead path, the older one is ready": (me(2, ready=False), [helper("a", 1)], None, 0, STAND_BY),
    "dead path, same generation, I started first": (me(1, started=1), [helper("a", 1, started=2)], None, 0, TAKE),
    "dead path, same generation, I started last": (me(1, started=2), [helper("a", 1, started=1)], None, 0, STAND_BY),
    "dead path, nobody took it in time": (me(1), [helper("a", 2)], None, PATIENCE_SECONDS, TAKE),
    "foreign socket, another is newer": (me(1, serves=MINE), [helper("a", 2)], FOREIGN, 0, STAND_BY),
    # Inodes of other paths mean nothing here.
    "another serves another path with this inode": (
        me(1), [Registration(name="a", generation=2, started=0, ready=True, sockets={"/other": THEIRS})], THEIRS, 0, STAND_BY),
    "alone but for one who serves another path": (
        me(3), [Registration(name="a", generation=2, started=0, ready=True, sockets={"/other": THEIRS})], THEIRS, 0, TAKE),
}  # fmt: skip


@pytest.mark.parametrize(("mine", "others", "inode", "dead", "move"), DECISIONS.values(), ids=DECISIONS)
def test_decision(mine, others, inode, dead, move):
    assert decide(mine, others, PATH, inode, dead) is move


def test_of_any_crowd_at_a_dead_path_exactly_one_takes_it():
    crowd = [helper(f"h{n}", n % 3, ready=bool(n % 2), leaving=n == 5, started=n) for n in range(8)]
    moves = [decide(one, [o for o in crowd if o is not one], PATH, None, 0) for one in crowd]
    assert moves.count(TAKE) == 1


def test_whoever_served_and_left_does_not_take_the_path_back():
    """A newer generation that leaves and the older one that took over from it would rename in turns for ever."""
    newer = helper("newer", 2, serves=THEIRS, leaving=True)
    older = helper("older", 1)
    assert decide(older, [newer], PATH, THEIRS, 0) is TAKE
    older = helper("older", 1, serves=MINE)
    assert decide(newer, [older], PATH, MINE, 0) is STAND_BY


@pytest.fixture
def registries(tmp_path):
    """Makes registries in one folder; each is closed at the end."""
    with contextlib.ExitStack() as stack:

        def make(generation=1, started=0.0):
            registry = Registry(tmp_path / "state", generation, started)
            stack.callback(lambda: registry._file.closed or registry.close())
            return registry

        yield make


def others_of(registry):
    with registry.locked():
        return registry.others()


class TestRegistry:
    def test_living_helpers_see_each_other(self, registries):
        first, second = registries(1), registries(2, 5.0)
        assert others_of(first) == [second.me]
        assert others_of(second) == [first.me]

    def test_change_is_seen_by_the_others(self, registries):
        first, second = registries(1), registries(2)
        with second.locked():
            second.update(ready=True, sockets={PATH: THEIRS})
        (seen,) = others_of(first)
        assert (seen.ready, seen.sockets) == (True, {PATH: THEIRS})
        with second.locked():
            second.update(sockets={}, leaving=True)
        (seen,) = others_of(first)
        assert (seen.ready, seen.sockets, seen.leaving) == (True, {}, True)

    def test_closed_one_is_gone(self, registries):
        first, second = registries(1), registries(2)
        second.close()
        assert others_of(first) == []

    def test_dead_one_is_removed(self, registries, tmp_path):
        program = (
            "import os, pathlib, sys; from confcom.quote_helper.succession import Registry; "
            "Registry(pathlib.Path(sys.argv[1]), 9, 0.0); os._exit(0)"
        )
        first = registries(1)
        subprocess.run([sys.executable, "-c", program, str(tmp_path / "state")], check=True, timeout=60)
        assert len(list((tmp_path / "state").glob("helper-*"))) == 2
        assert others_of(first) == []
        assert len(list((tmp_path / "state").glob("helper-*"))) == 1

    def test_file_that_is_no_registration_is_passed_over(self, registries, tmp_path):
        first = registries(1)
        damaged = tmp_path / "state" / "helper-damaged"
        with damaged.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(b"{half")
            file.flush()
            assert others_of(first) == []

    def test_lock_held_by_another_is_not_waited_for(self, registries):
        first, second = registries(1), registries(2)
        with first.locked(), pytest.raises(BusyError), second.locked():
            raise AssertionError

    def test_lock_held_for_ever_is_ignored_after_a_while(self, registries, monkeypatch):
        """A stopped process that holds the lock must not stop every update of the node."""
        first, second = registries(1), registries(2)
        clock = [1000.0]

        def sleep(_):
            clock[0] += LOCK_SECONDS

        # Not the real clock, which also drives the loops of other threads.
        clock_of_module = SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep)
        monkeypatch.setattr("confcom.quote_helper.succession.time", clock_of_module)
        with first.locked():
            with pytest.raises(BusyError), second.locked():
                raise AssertionError
            clock[0] += STUCK_SECONDS + 1
            with second.locked():
                assert second.others() == [first.me]

    def test_folder_that_cannot_be_made_is_told_by_its_flag(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(PlatformError) as caught:
            Registry(tmp_path / "file" / "state", 1, 0.0)
        assert (
            str(caught.value) == f"--state-dir {tmp_path}/file/state: cannot be written: Not a directory; name another"
        )

    @pytest.mark.parametrize("removed", ["state", "state/mutex", "state/helper-*"])
    def test_folder_whose_files_were_removed_is_registered_in_again(self, registries, tmp_path, removed):
        first = registries(1)
        for path in tmp_path.glob(removed):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        second = registries(2)
        assert others_of(first) == [second.me]
        assert others_of(second) == [first.me]
        with first.locked(), pytest.raises(BusyError), second.locked():
            raise AssertionError


class TestFullDisk:
    """Told by a limit of file sizes: what is written fails, as on a full disk."""

    @pytest.fixture
    def full(self):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        @contextlib.contextmanager
        def run():
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
            try:
                yield
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)

        yield run
        signal.signal(signal.SIGXFSZ, handler)

    def test_start_is_refused_and_leaves_no_file(self, full, tmp_path):
        with full(), pytest.raises(PlatformError) as caught:
            Registry(tmp_path, 1, 0.0)
        assert str(caught.value) == f"--state-dir {tmp_path}: cannot be written: File too large; name another"
        assert [path.name for path in tmp_path.iterdir()] == ["mutex"]

    def test_what_was_told_before_stands_and_the_change_is_told_later(self, registries, full):
        first, second = registries(1), registries(2)
        with first.locked():
            first.update(ready=True)
        with full(), first.locked():
            first.update(leaving=True)
        assert first.me.leaving
        assert [(other.ready, other.leaving) for other in others_of(second)] == [(True, False)]
        with first.locked():
            first.update(ready=True)
        assert [other.leaving for other in others_of(second)] == [True]

    def test_registration_ends_without_an_error(self, registries, full):
        first, second = registries(1), registries(2)
        with full():
            with first.locked():
                first.update(ready=True)
            first.close()
        assert others_of(second) == []

    def test_discovery_file_that_cannot_be_written_leaves_nothing(self, full, tmp_path):
        with full(), pytest.raises(OSError, match="File too large"):
            publish(tmp_path, Discovery())
        assert list(tmp_path.iterdir()) == []


def test_state_folder_is_the_user_s_where_the_system_s_cannot_be_written(monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    assert str(default_state_dir({"XDG_STATE_HOME": "/x"})) == "/x/confcom"
    assert str(default_state_dir({"HOME": "/home/u"})) == "/home/u/.local/state/confcom"
    monkeypatch.setattr("os.access", lambda *_: True)
    assert str(default_state_dir({})) == "/var/lib/confcom"
