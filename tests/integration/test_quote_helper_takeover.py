"""Several helpers on one node, as during every update: who serves the path, and that no request is lost."""

import os
import signal
import socket
import stat
import threading
import time
from pathlib import Path

import pytest
from helper_process import HelperProcess, Load, ask, connect, exchange, frame, read_all
from processes import command_line
from quote_requests import error_code, judged, quote_check, quote_of, quote_request

from confcom.quote_helper import seats

GENERATIONS = 10
NUM = bytes.fromhex("aa0103489875")
NUM_OK = bytes.fromhex("aa010408001001")
# A path that is dead or was taken is noticed in 0.25 s; the rest is a busy machine.
NOTICE_SECONDS = 30.0


def serving(status):
    return status["role"] == "serving"


def standing_by(status):
    return status["role"] == "standby" and status["ready"]


def inode(path):
    return os.lstat(path).st_ino


def names_beside(helper):
    """What lies in the socket's folder, once the discovery file is no longer written anew since the helper is ready."""
    folder = Path(helper.socket).parent
    helper.wait_until(lambda _: b'"ready"' in (folder / "aesm.json").read_bytes())
    return {path.name for path in folder.iterdir()}


class TestUpdate:
    def test_newer_generation_takes_the_path_and_the_older_stands_by_ready(self, start_helper, platform):
        old = start_helper("--generation", "1")
        before = inode(old.socket)
        new = start_helper("--generation", "2")
        new.wait_until(serving)
        old.wait_until(standing_by)
        assert inode(new.socket) != before
        assert old.get("/readyz")[0] == 200
        assert (new.status()["generation"], new.status()["take_overs"]) == (2, 1)
        assert judged(platform, quote_of(ask(new.socket, quote_request(platform)))) == "UpToDate"
        assert new.metric("serving") == 1
        assert old.metric("serving") == 0

    def test_replaced_generation_restarted_ten_times_never_takes_the_path(self, start_helper):
        start_helper("--generation", "1").end()
        new = start_helper("--generation", "2")
        new.wait_until(serving)
        before = inode(new.socket)
        for _ in range(GENERATIONS):
            old = start_helper("--generation", "1")
            assert standing_by(old.status())
            assert inode(new.socket) == before
            assert ask(new.socket, NUM) == NUM_OK
            old.signal(signal.SIGTERM)
            assert old.wait_end() == 0
        assert inode(new.socket) == before
        assert new.status()["take_overs"] == 1

    def test_older_serves_again_when_the_newer_is_killed(self, start_helper, platform):
        old = start_helper("--generation", "1")
        new = start_helper("--generation", "2")
        new.wait_until(serving)
        old.wait_until(standing_by)
        new.signal(signal.SIGKILL)
        new.wait_end()
        old.wait_until(serving, NOTICE_SECONDS)
        assert error_code(ask(old.socket, quote_request(platform))) == 0
        assert old.status()["take_overs"] == 2

    def test_older_serves_again_after_a_rollback_without_a_lost_request(self, start_helper, platform):
        old = start_helper("--generation", "1")
        new = start_helper("--generation", "2")
        old.wait_until(standing_by)
        with Load(old.socket, 16, quote_request(platform), quote_check(platform)) as load:
            load.wait_for(50)
            new.signal(signal.SIGTERM)
            assert new.wait_end() == 0, new.log
            old.wait_until(serving)
            load.wait_for(50)
            load.stop()
        assert load.failures == []

    def test_two_of_the_same_generation_started_at_once(self, start_helper):
        pair = [start_helper("--generation", "7", wait=False) for _ in range(2)]
        for helper in pair:
            helper.wait_ready()
        deadline = time.monotonic() + NOTICE_SECONDS
        while sorted(helper.status()["role"] for helper in pair) != ["serving", "standby"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        before = inode(pair[0].socket)
        # Whoever serves goes on serving: looks that follow change nothing.
        time.sleep(1.0)
        assert inode(pair[0].socket) == before
        assert sum(helper.status()["take_overs"] for helper in pair) == 1

    def test_ten_generations_under_load_fail_no_request(self, start_helper, platform):
        current, replaced = start_helper("--generation", "1"), []
        with Load(current.socket, 64, quote_request(platform), quote_check(platform)) as load:
            for generation in range(2, GENERATIONS + 2):
                newer = start_helper("--generation", str(generation))
                newer.wait_until(serving)
                load.wait_for(64)
                current.signal(signal.SIGTERM)
                replaced.append(current)
                current = newer
            assert [helper.wait_end() for helper in replaced] == [0] * GENERATIONS
            load.wait_for(64)
            load.stop()
        assert load.failures == []
        assert current.status()["generation"] == GENERATIONS + 1

    def test_helper_told_to_stop_hands_over_to_whoever_is_ready(self, start_helper, platform):
        """The old one stops while it still serves: the standby of the same generation takes the path first."""
        first = start_helper("--slots", "1")
        second = start_helper("--slots", "1")
        second.wait_until(standing_by)
        slot = str(first.folder / "l" / "slot-0" / "aesm.socket")
        request = quote_request(platform)
        with (
            Load(first.socket, 16, request, quote_check(platform)) as load,
            Load(slot, 4, request, quote_check(platform)) as slot_load,
        ):
            load.wait_for(50)
            first.signal(signal.SIGTERM)
            assert first.wait_end() == 0
            second.wait_until(serving)
            load.wait_for(50)
            slot_load.wait_for(10)
            load.stop()
            slot_load.stop()
        assert load.failures == []
        assert slot_load.failures == []


class TestForeignFiles:
    """Tenants may mount the shared folder writable."""

    def foreign_socket(self, path):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))

    def plain_file(self, path):
        path.write_text("mine now")

    def empty_directory(self, path):
        path.mkdir()

    def dangling_link(self, path):
        path.symlink_to("/nonexistent/aesm.socket")

    @pytest.mark.parametrize("kind", ["foreign_socket", "plain_file", "dangling_link"])
    def test_what_is_renamed_over_the_path_is_displaced(self, start_helper, platform, kind):
        helper = start_helper()
        intruder = Path(helper.socket).with_name("intruder")
        getattr(self, kind)(intruder)
        intruder.rename(helper.socket)
        helper.wait_until(lambda s: s["take_overs"] == 2, NOTICE_SECONDS)
        assert stat.S_ISSOCK(os.lstat(helper.socket).st_mode)
        assert error_code(ask(helper.socket, quote_request(platform))) == 0

    def test_empty_directory_in_place_of_the_socket_is_displaced(self, start_helper, platform):
        """A container runtime makes one where it is told to mount a socket that does not exist yet."""
        helper = start_helper()
        Path(helper.socket).unlink()
        Path(helper.socket).mkdir()
        helper.wait_until(lambda s: s["take_overs"] == 2, NOTICE_SECONDS)
        assert error_code(ask(helper.socket, quote_request(platform))) == 0

    def test_removed_path_comes_back(self, start_helper):
        helper = start_helper()
        Path(helper.socket).unlink()
        helper.wait_until(lambda s: s["take_overs"] == 2, NOTICE_SECONDS)
        assert ask(helper.socket, NUM) == NUM_OK

    def test_folder_with_files_in_place_of_the_socket_is_told_and_healed_once_it_is_gone(self, start_helper):
        helper = start_helper()
        path = Path(helper.socket)
        path.unlink()
        path.mkdir()
        (path / "keep").write_text("somebody's")
        helper.wait_for_line("socket cannot be served", NOTICE_SECONDS)
        assert (path / "keep").read_text() == "somebody's"
        # A passing fault makes no helper unready, since the cluster would end an old one at once.
        assert helper.status()["ready"]
        status = helper.wait_until(lambda s: not s["ready"], NOTICE_SECONDS)
        assert status["problem"] == f"{path}: cannot be served: Is a directory"
        assert helper.get("/readyz")[:2] == (503, f"{status['problem']}\n".encode())
        (path / "keep").unlink()
        path.rmdir()
        helper.wait_until(lambda s: s["take_overs"] == 2 and s["ready"], NOTICE_SECONDS)
        assert ask(helper.socket, NUM) == NUM_OK

    def test_what_helpers_left_that_were_killed_while_taking_the_path_is_removed(self, start_helper, short_dir):
        folder = short_dir / "s"
        folder.mkdir()
        self.foreign_socket(folder / ".aesm.socket.0123abcd")
        self.plain_file(folder / ".aesm.socket.notes")
        helper = start_helper()
        assert names_beside(helper) == {"aesm.socket", "aesm.json", ".aesm.socket.notes"}

    def test_leaving_helper_never_unlinks_what_is_not_its_own(self, start_helper):
        helper = start_helper()
        helper.signal(signal.SIGSTOP)
        intruder = Path(helper.socket).with_name("intruder")
        self.plain_file(intruder)
        intruder.rename(helper.socket)
        helper.signal(signal.SIGTERM)
        helper.signal(signal.SIGCONT)
        assert helper.wait_end() == 0
        # It may have taken the path once more before it saw the signal; then the path is its own and goes.
        assert not Path(helper.socket).exists() or Path(helper.socket).read_text() == "mine now"

    def test_dead_socket_of_a_killed_helper_is_replaced_at_the_next_start(self, start_helper):
        first = start_helper()
        first.signal(signal.SIGKILL)
        first.wait_end()
        assert Path(first.socket).exists()
        second = start_helper()
        second.wait_until(serving)
        assert ask(second.socket, NUM) == NUM_OK


class TestStop:
    def test_sigterm_answers_everything_accepted_and_removes_the_socket(self, start_helper, platform):
        helper = start_helper("--hang-seconds", "14")
        request = frame(quote_request(platform))
        with helper.stopped_worker():
            waiting = [connect(helper.socket) for _ in range(8)]
            for sock in waiting:
                sock.sendall(request)
            half = connect(helper.socket)
            half.sendall(frame(NUM)[:6])
            helper.wait_until(lambda s: s["connections"] == 9)
            helper.signal(signal.SIGTERM)
            helper.wait_for_line("stopping")
            half.sendall(frame(NUM)[6:])
            assert read_all(half) == frame(NUM_OK)
        assert [error_code(read_all(sock)[4:]) for sock in waiting] == [0] * 8
        assert helper.wait_end() == 0
        assert list(Path(helper.socket).parent.iterdir()) == []
        for sock in (*waiting, half):
            sock.close()
        with pytest.raises(FileNotFoundError):
            connect(helper.socket)

    def test_stalled_client_does_not_keep_a_stopping_helper(self, start_helper):
        helper = start_helper()
        with connect(helper.socket) as stalled:
            stalled.sendall(b"\x06")
            helper.wait_until(lambda s: s["connections"] == 1)
            helper.signal(signal.SIGTERM)
            assert helper.wait_end() == 0

    def test_second_signal_ends_at_once(self, start_helper, platform):
        helper = start_helper("--hang-seconds", "14")
        with connect(helper.socket) as sock, helper.stopped_worker():
            sock.sendall(frame(quote_request(platform)))
            helper.wait_until(lambda s: s["workers"][0]["jobs"] == 1)
            helper.signal(signal.SIGTERM)
            helper.wait_for_line("stopping")
            helper.signal(signal.SIGTERM)
            assert helper.wait_end() == 128 + signal.SIGTERM

    def test_signal_to_every_process_leaves_the_workers_to_the_helper(self, start_helper, platform):
        """A service manager, or a terminal, tells the whole group to stop."""
        helper = start_helper()
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(helper.worker_pids()[0], number)
        assert error_code(ask(helper.socket, quote_request(platform))) == 0
        assert helper.status()["worker_restarts"] == 0

    def test_workers_end_with_their_helper(self, start_helper):
        helper = start_helper("--workers", "2")
        workers = helper.worker_pids()
        helper.signal(signal.SIGKILL)
        helper.wait_end()
        deadline = time.monotonic() + NOTICE_SECONDS
        while any(map(command_line, workers)):
            assert time.monotonic() < deadline, "a worker outlives its helper"
            time.sleep(0.02)

    def test_stopping_under_load_loses_only_what_was_never_accepted(self, start_helper, platform):
        helper = start_helper()
        request = frame(quote_request(platform))
        outcomes = []

        def clients():
            while True:
                try:
                    data = exchange(helper.socket, request)
                except (FileNotFoundError, ConnectionRefusedError):
                    return
                outcomes.append(error_code(data[4:]) if data else "lost")

        threads = [threading.Thread(target=clients) for _ in range(32)]
        for thread in threads:
            thread.start()
        helper.wait_until(lambda s: s["workers"][0]["served"] > 100)
        helper.signal(signal.SIGTERM)
        assert helper.wait_end() == 0
        for thread in threads:
            thread.join(20)
        assert set(outcomes) == {0}


class TestPlaces:
    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
    def test_everybody_may_connect_and_only_the_helper_may_change_the_folder(self, start_helper, umask):
        before = os.umask(umask)
        try:
            helper = start_helper("--slots", "1")
        finally:
            os.umask(before)
        slots = helper.folder / "l"
        for folder in (Path(helper.socket).parent, slots, slots / "slot-0"):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o755
        for folder in (Path(helper.socket).parent, slots / "slot-0"):
            assert stat.S_IMODE((folder / "aesm.socket").stat().st_mode) == 0o666
            assert stat.S_IMODE((folder / "aesm.json").stat().st_mode) == 0o644
        assert stat.S_IMODE((helper.folder / "state").stat().st_mode) == 0o700

    def test_link_in_place_of_the_new_socket_changes_no_mode_of_what_it_leads_to(self, short_dir):
        """A tenant who may write in the folder, and is faster than the helper."""
        victim = short_dir / "private"
        victim.touch(mode=0o600)

        class Overtaken(seats.ListeningSocket):
            def bind(self, path):
                super().bind(path)
                Path(path).unlink()
                Path(path).symlink_to(victim)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(seats, "ListeningSocket", Overtaken)
            listener, _ = seats._bind(short_dir / "aesm.socket", lambda _inode: None)
        listener.close()
        assert stat.S_IMODE(victim.stat().st_mode) == 0o600

    def test_nothing_but_the_socket_and_its_discovery_file_is_in_the_folder(self, start_helper):
        helper = start_helper()
        assert names_beside(helper) == {"aesm.socket", "aesm.json"}

    def test_path_that_is_too_long_for_a_socket_is_refused_by_its_length(self, short_dir, platform_dir):
        folder = short_dir / ("x" * 90)
        helper = HelperProcess(folder, platform_dir)
        assert helper.wait_end() == 3
        helper.end()
        assert "too long for a Unix socket, which takes 107 bytes with the temporary name" in helper.log[-1]
        assert not any("Traceback" in line for line in helper.log)

    def test_state_folder_that_is_a_file_is_refused_by_its_flag(self, start_helper, short_dir):
        (short_dir / "file").write_text("")
        helper = start_helper("--state-dir", str(short_dir / "file"), wait=False)
        assert helper.wait_end() == 2
        helper.end()
        assert f"--state-dir {short_dir}/file: is not a folder" in helper.log[-1]

    def test_port_that_is_taken_is_refused_before_the_socket_is_served(self, start_helper):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            helper = start_helper("--http-port", port, wait=False)
            assert helper.wait_end() == 3
        helper.end()
        assert helper.log[-1].startswith(f"confcom quote-helper: --http-port: 127.0.0.1 port {port} cannot be opened")
        assert not Path(helper.socket).exists()
