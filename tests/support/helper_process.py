"""A quote helper in a process of its own, and raw clients of it: bytes in, bytes out, without our codec."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

READY_SECONDS = 60.0
EXIT_SECONDS = 40.0
POLL_SECONDS = 0.02


class HelperProcess:
    """`python -m confcom.quote_helper` with sockets and state under one short folder; stderr is kept as lines."""

    def __init__(self, folder, platform_dir, *flags, descriptors=None, environment=None):
        self.folder = Path(folder)
        self.socket = str(self.folder / "s" / "aesm.socket")
        self.log = []
        self._changed = threading.Condition()
        command = [
            sys.executable, "-m", "confcom.quote_helper",
            *(["--simulated-platform", str(platform_dir)] if platform_dir else []),
            "--socket-dir", str(self.folder / "s"), "--state-dir", str(self.folder / "state"),
            "--slots-dir", str(self.folder / "l"), "--http-port", "0", *flags,
        ]  # fmt: skip
        if descriptors is not None:
            command = ["prlimit", f"--nofile={descriptors}:{descriptors}", *command]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._port = None

    def _read(self):
        for line in self.process.stderr:
            with self._changed:
                self.log.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for_line(self, text, seconds=READY_SECONDS, start=0):
        """The first line of stderr from `start` on that holds `text`."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for line in self.log[start:]:
                    if text in line:
                        return line
                left = deadline - time.monotonic()
                ended = self.process.poll() is not None and not self._reader.is_alive()
                assert left > 0, f"no line with {text!r} in time in:\n" + "\n".join(self.log)
                assert not ended, f"ended without {text!r}:\n" + "\n".join(self.log)
                self._changed.wait(min(left, 0.2))

    @property
    def port(self):
        if self._port is None:
            line = self.wait_for_line("HTTP port open")
            self._port = int(re.search(r'port["=: ]+(\d+)', line)[1])
        return self._port

    def get(self, path, method="GET"):
        """Status and body of one HTTP request."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=READY_SECONDS) as answer:
                return answer.status, answer.read(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), dict(error.headers)

    def status(self):
        return json.loads(self.get("/status")[1])

    def metric(self, name, **labels):
        """The sum of the samples of a metric with these labels."""
        total = 0.0
        for line in self.get("/metrics")[1].decode().splitlines():
            sample, _, value = line.rpartition(" ")
            base, _, rest = sample.partition("{")
            if base == f"confcom_quote_helper_{name}" and all(f'{k}="{v}"' in rest for k, v in labels.items()):
                total += float(value)
        return total

    def wait_until(self, condition, seconds=READY_SECONDS):
        """Waits until `condition(status)` holds, and returns that status."""
        deadline = time.monotonic() + seconds
        while True:
            assert self.process.poll() is None, "helper ended:\n" + "\n".join(self.log)
            status = self.status()
            if condition(status):
                return status
            assert time.monotonic() < deadline, f"still {status}"
            time.sleep(POLL_SECONDS)

    def wait_ready(self):
        """Waits for readiness and for all workers, so that a test starts from rest."""
        return self.wait_until(lambda s: s["ready"] and s["workers"] and all(w["ready"] for w in s["workers"]))

    def worker_pids(self):
        return [worker["pid"] for worker in self.status()["workers"]]

    def limit_files(self, count):
        """Lowers or raises the soft limit of open files of the running helper."""
        subprocess.run(["prlimit", "--pid", str(self.process.pid), f"--nofile={count}:"], check=True)

    @contextlib.contextmanager
    def stopped_worker(self):
        """Holds the only worker; the helper must be patient with one that hangs (`--hang-seconds 14`)."""
        (pid,) = self.worker_pids()
        kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            kill(pid, signal.SIGCONT)

    def signal(self, number):
        self.process.send_signal(number)

    def wait_end(self, seconds=EXIT_SECONDS):
        return self.process.wait(seconds)

    def end(self):
        """Ends the process if it still lives."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(EXIT_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(5)
        self.process.stderr.close()


def connect(path, seconds=15.0):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(seconds)
    deadline = time.monotonic() + seconds
    while True:
        try:
            sock.connect(path)
        except BlockingIOError:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        except BaseException:
            sock.close()
            raise
        else:
            return sock


def frame(body):
    return len(body).to_bytes(4, "little") + body


def read_all(sock):
    """What the peer sends until it closes; a reset after the answer is a close as well."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            data += piece
    return data


def exchange(path, data, seconds=15.0):
    """Sends bytes on a new connection and returns everything that comes back."""
    with connect(path, seconds) as sock:
        sock.sendall(data)
        return read_all(sock)


def ask(path, body, seconds=15.0):
    """One transaction: the body of the answer, b"" where the connection was closed without one."""
    data = exchange(path, frame(body), seconds)
    if not data:
        return b""
    assert int.from_bytes(data[:4], "little") == len(data) - 4
    return data[4:]


def kill(pid, number=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


class Load:
    """Client threads that ask for quotes without pause until they are stopped, and keep what failed."""

    def __init__(self, path, threads, request, check):
        """`request` is a body; `check(answer)` says what is wrong with the answer's body, or None."""
        self.path = path
        self.request = frame(request)
        self.check = check
        self.done = 0
        self.failures = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(READY_SECONDS)
            assert not thread.is_alive(), "a client hangs"

    def wait_for(self, count, seconds=READY_SECONDS):
        """Waits until `count` more answers have come."""
        goal, deadline = self.done + count, time.monotonic() + seconds
        while self.done < goal:
            assert time.monotonic() < deadline, f"{self.done} of {goal} answers; failures: {self.failures[:3]}"
            time.sleep(POLL_SECONDS)

    def _run(self):
        while not self._stop.is_set():
            try:
                data = exchange(self.path, self.request)
                problem = self.check(data[4:]) if data else "closed without an answer"
            except OSError as error:
                problem = repr(error)
            with self._lock:
                self.done += 1
                if problem:
                    self.failures.append(problem)
