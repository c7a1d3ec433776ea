"""Ten minutes of a quote helper's worst day: flat memory and no leaked descriptor at the end.

    python benchmarks/soak/quote_helper.py [--seconds 600]

Client threads mix quotes (with and without qe_report_info), init, size, keys, EPID, garbage, half frames, clients that
leave at once or half-close; meanwhile workers are killed and stopped. Every tenth of the time the clients pause, and
memory and descriptors of the front are taken at rest. It fails if a good request fails, if descriptors at
rest grow, or if memory of the second half grows beyond a bound.
"""

import argparse
import contextlib
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from confcom.aesm import Client
from confcom.aesm import messages as m
from confcom.errors import ConfcomError
from confcom.sgx import QEReportInfo
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report

THREADS = 16
FAULT_SECONDS = 2.0
CHECKPOINTS = 10
WAIT_SECONDS = 40.0
# Between the first checkpoint of the second half and the last; the allocator's own play is about a MiB.
MAX_GROWTH_MIB = 2.0


class Helper:
    """The helper under test."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "s" / "aesm.socket")
        self.log = folder / "log"
        command = [
            sys.executable, "-m", "confcom.quote_helper", "--simulated-platform", str(folder / "machine"),
            "--socket-dir", str(folder / "s"), "--state-dir", str(folder / "state"), "--http-port", "0",
            "--workers", "2", "--hang-seconds", "1", "--slots", "2", "--slots-dir", str(folder / "l"),
        ]  # fmt: skip
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log)

    def status(self) -> dict:
        port = self.log.read_text().partition("port=")[2].split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=20) as answer:
            return json.load(answer)

    def wait(self, condition) -> dict:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            with contextlib.suppress(OSError, IndexError):
                if condition(status := self.status()):
                    return status
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the helper is not as it should be:\n" + self.log.read_text()[-3000:])
            time.sleep(0.1)

    def rest(self) -> dict:
        """Waits until nothing is under way and all workers are ready."""
        return self.wait(
            lambda s: s["ready"] and s["connections"] == 0 and len(s["workers"]) == 2
            and all(worker["ready"] and not worker["jobs"] for worker in s["workers"])
        )  # fmt: skip

    def resident_mib(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208


class Clients:
    """Threads that do everything that clients do, well and badly; `failures` keeps what good ones were refused."""

    def __init__(self, helper: Helper, platform: SimulatedPlatform) -> None:
        self.helper = helper
        self.report = make_report(platform.target_info()).to_bytes()
        self.size = platform.quote_size
        self.done = 0
        self.failures: list[str] = []
        self.running = threading.Event()
        self.ended = threading.Event()
        self._idle = [threading.Event() for _ in range(THREADS)]
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def pause(self) -> None:
        self.running.clear()
        for idle in self._idle:
            if not idle.wait(WAIT_SECONDS):
                raise SystemExit("a client hangs")

    def _run(self, index: int) -> None:
        chance = random.Random(index)
        client = Client(self.helper.path)
        good = (
            lambda: client.get_quote(self.report),
            lambda: client.get_quote_ex(self.report, self.size),
            lambda: client.get_quote_ex(self.report, 8192, QEReportInfo()),
            client.init_quote,
            client.get_quote_size,
            client.get_supported_att_key_ids,
            client.select_att_key_id,
        )
        while not self.ended.is_set():
            if not self.running.is_set():
                self._idle[index].set()
                self.running.wait(0.2)
                continue
            self._idle[index].clear()
            try:
                if chance.random() < 0.7:
                    chance.choice(good)()
                else:
                    self._misbehave(chance)
            except (ConfcomError, OSError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
            self.done += 1

    def _misbehave(self, chance: random.Random) -> None:
        body = m.GetQuoteExRequest(report=self.report, buf_size=8192).envelope()
        frame = len(body).to_bytes(4, "little") + body
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(self.helper.path)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                match chance.randrange(6):
                    case 0:
                        sock.sendall(chance.randbytes(chance.randint(1, 100)))
                    case 1:
                        sock.sendall(frame[: chance.randrange(len(frame))])
                    case 2:
                        sock.sendall(frame)
                    case 3:
                        sock.sendall(b"\0\0\0\x40")
                        sock.recv(1)
                    case 4:
                        sock.sendall(frame)
                        sock.shutdown(socket.SHUT_WR)
                        sock.recv(65536)


def harm(helper: Helper, stop: threading.Event) -> None:
    """Kills a worker, then stops one, in turns."""
    for number in itertools.cycle((signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP)):
        if stop.wait(FAULT_SECONDS):
            return
        with contextlib.suppress(OSError, IndexError, ProcessLookupError):
            os.kill(random.choice(helper.status()["workers"])["pid"], number)


def soak(helper: Helper, clients: Clients, seconds: float) -> list[tuple[float, int]]:
    """(resident MiB, descriptors) of the front at rest, at each checkpoint."""
    found = []
    for checkpoint in range(CHECKPOINTS):
        stop = threading.Event()
        harmer = threading.Thread(target=harm, args=(helper, stop))
        harmer.start()
        clients.running.set()
        time.sleep(seconds / CHECKPOINTS)
        stop.set()
        harmer.join()
        clients.pause()
        status = helper.rest()
        found.append((helper.resident_mib(), helper.descriptors()))
        print(
            f"{(checkpoint + 1) * seconds / CHECKPOINTS:6.0f} s  {clients.done:9,} requests  "
            f"{status['worker_restarts']:5} workers replaced  {found[-1][0]:6.1f} MiB  {found[-1][1]:4} descriptors  "
            f"{len(clients.failures)} failed",
            flush=True,
        )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cc") as name:
        folder = Path(name)
        platform = SimulatedPlatform.create(folder / "machine")
        helper = Helper(folder)
        try:
            helper.rest()
            clients = Clients(helper, platform)
            found = soak(helper, clients, arguments.seconds)
            clients.ended.set()
        finally:
            helper.process.terminate()
            helper.process.wait(WAIT_SECONDS)
        traceback = "Traceback" in helper.log.read_text()
    half = found[CHECKPOINTS // 2 :]
    growth, leaked = half[-1][0] - half[0][0], half[-1][1] - found[0][1]
    print(
        f"second half: memory {growth:+.1f} MiB (at most {MAX_GROWTH_MIB}), descriptors {leaked:+} since the first (0)"
    )
    for failure in clients.failures[:5]:
        print(failure)
    good = growth <= MAX_GROWTH_MIB and leaked <= 0 and not clients.failures and not traceback
    print("passed" if good else "FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
