"""What the quote helper does under load, in one run, measured in turns: quotes a second, latency, fairness, memory.

The clients are one light C program (`clients/aesm_load.c`, compiled here with the system's compiler) that does what
Intel's client does: connect, one request, the whole answer, close. They share the machine with what they measure, so
only ratios between rows of one run mean something. Every figure is the median of its rounds; rounds are interleaved,
so that a busy moment of the machine hits all rows alike, and each has its own order, since a processor is faster after
a row that left it idle.

The base is `baselines/bare_streams.py`: asyncio's streams, canned bytes and one P-256 signature for each request.

Aims: at cost 0 twice the base with 64 connections and 1.5 times with 8 (1.7 on a busy machine); 4 workers 3.5 times
one at 1 ms of waiting, 2 workers 1.6 times one at 1 ms of CPU on two idle cores; 300 half-frames cost nothing; a quiet
client beside a flood keeps a p50 under 3 times its own alone; nobody fails; at most 5 MiB (front) and 8 MiB (worker)
above the imports.

    python benchmarks/quote_helper.py [--quick]
"""

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from confcom.aesm import messages as m
from confcom.aesm.framing import encode_frame
from confcom.sgx import DEFAULT_KEY_ID
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report

HERE = Path(__file__).resolve().parent
CONNECTIONS = (1, 8, 64, 1000)
ROUNDS = 5
SECONDS = 1.0
HALF_FRAMES = 300
FLOOD = 64
READY_SECONDS = 40.0
CONFIGURATIONS = {
    "cost 0, 1 worker": (),
    "cost 0, 2 workers": ("--workers", "2"),
    "1 ms CPU, 1 worker": ("--quote-cost", "1"),
    "1 ms CPU, 2 workers": ("--quote-cost", "1", "--workers", "2"),
    "1 ms wait, 1 worker": ("--quote-wait", "1"),
    "1 ms wait, 2 workers": ("--quote-wait", "1", "--workers", "2"),
    "1 ms wait, 4 workers": ("--quote-wait", "1", "--workers", "4"),
}
BASE = "bare asyncio streams"


@dataclass
class Sample:
    """Rounds of one row at one number of connections."""

    rates: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    failures: int = 0

    def add(self, found: dict) -> None:
        self.rates.append(found["answers"] / found["seconds"])
        self.p50.append(found["p50"] / 1000)
        self.p99.append(found["p99"] / 1000)
        self.failures += found["failures"]

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    def __str__(self) -> str:
        failed = f"  {self.failures} FAILED" if self.failures else ""
        return f"{self.rate:,.0f} ({statistics.median(self.p50):.2f} / {statistics.median(self.p99):.1f}){failed}"


class Server:
    """One process that serves a socket."""

    def __init__(self, name: str, command: list[str], path: Path, port_log: Path | None = None) -> None:
        self.name, self.path, self.log = name, path, port_log
        stderr = port_log.open("wb") if port_log else None
        self.process = subprocess.Popen(command, stderr=stderr)

    def wait(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not (self.path.exists() and (self.log is None or self._is_ready())):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit(f"{self.name} did not start")
            time.sleep(0.05)

    def status(self) -> dict:
        port = self.log.read_text().partition("port=")[2].split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=10) as answer:
            return json.load(answer)

    def _is_ready(self) -> bool:
        if "port=" not in self.log.read_text():
            return False
        status = self.status()
        return status["ready"] and all(worker["ready"] for worker in status["workers"])

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


class Bench:
    """The folder, the request, the client program and the servers of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.driver = folder / "aesm_load"
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise SystemExit("the clients are a C program: this benchmark needs a C compiler (cc or gcc)")
        subprocess.run([compiler, "-O2", "-o", str(self.driver), str(HERE / "clients/aesm_load.c")], check=True)
        self.platform = SimulatedPlatform.create(folder / "machine")
        request = m.GetQuoteExRequest(
            report=make_report(self.platform.target_info()).to_bytes(),
            att_key_id=DEFAULT_KEY_ID.to_bytes(),
            buf_size=self.platform.quote_size,
            timeout=15_000,
        )
        self.frame = encode_frame(request.envelope())
        (folder / "request").write_bytes(self.frame)

    def base(self) -> Server:
        path = self.folder / "bare.socket"
        script = HERE / "baselines/bare_streams.py"
        return Server(BASE, [sys.executable, str(script), str(path), str(self.platform.quote_size)], path)

    def helper(self, name: str, *flags: str) -> Server:
        folder = self.folder / f"h{len(list(self.folder.glob('h*')))}"
        folder.mkdir()
        command = [
            sys.executable, "-m", "confcom.quote_helper", "--simulated-platform", str(self.folder / "machine"),
            "--socket-dir", str(folder / "s"), "--state-dir", str(folder / "state"), "--http-port", "0",
            "--slots", "1", "--slots-dir", str(folder / "l"), *flags,
        ]  # fmt: skip
        return Server(name, command, folder / "s" / "aesm.socket", folder / "log")

    def load(self, path: Path, clients: int, seconds: float) -> dict:
        return json.loads(self._start(path, clients, seconds).communicate(timeout=seconds + 60)[0])

    def _start(self, path: Path, clients: int, seconds: float) -> subprocess.Popen:
        command = [str(self.driver), str(path), str(clients), str(seconds), str(self.folder / "request")]
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    def beside(self, quiet: Path, flooded: Path, seconds: float) -> tuple[dict, dict]:
        """One client on one socket while FLOOD clients ask on another."""
        flood = self._start(flooded, FLOOD, seconds + 0.4)
        time.sleep(0.2)
        found = self.load(quiet, 1, seconds)
        return found, json.loads(flood.communicate(timeout=seconds + 60)[0])


@contextlib.contextmanager
def half_frames(path: Path, frame: bytes, count: int):
    """Connections that hold half a request; they are given up after five seconds, so a measurement is short."""
    held = []
    try:
        for _ in range(count):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(str(path))
            sock.sendall(frame[: len(frame) // 2])
            held.append(sock)
        yield
    finally:
        for sock in held:
            sock.close()


def throughput(bench: Bench, servers: list[Server], rounds: int, seconds: float) -> dict[str, dict[int, Sample]]:
    table = {server.name: {count: Sample() for count in CONNECTIONS} for server in servers}
    order = random.Random(0)
    for _ in range(rounds):
        for count in CONNECTIONS:
            for server in order.sample(servers, len(servers)):
                table[server.name][count].add(bench.load(server.path, count, seconds))
    return table


def abuse(bench: Bench, helper: Server, rounds: int, seconds: float) -> dict[str, Sample]:
    names = ("64 clients", "64 clients, half-frames held", "1 client", "1 client, half-frames held")
    found = {name: Sample() for name in names}
    for _ in range(rounds):
        for count, free, held in ((64, names[0], names[1]), (1, names[2], names[3])):
            found[free].add(bench.load(helper.path, count, seconds))
            with half_frames(helper.path, bench.frame, HALF_FRAMES):
                found[held].add(bench.load(helper.path, count, seconds))
    return found


def fairness(bench: Bench, helper: Server, rounds: int, seconds: float) -> tuple[Sample, Sample, Sample]:
    slot = next((helper.path.parent.parent / "l").glob("*/aesm.socket"))
    alone, quiet, flood = Sample(), Sample(), Sample()
    for _ in range(rounds):
        alone.add(bench.load(slot, 1, seconds))
        beside, flooding = bench.beside(slot, helper.path, seconds)
        quiet.add(beside)
        flood.add(flooding)
    return alone, quiet, flood


def resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"process {pid} has gone")


def imports_mib(statements: str) -> float:
    """A process that has only imported modules."""
    code = f"import sys; {statements}; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        found = resident_mib(process.pid)
        process.stdin.close()
        process.wait(30)
    return found


FRONT_IMPORTS = "import confcom.quote_helper.main, uvicorn.protocols.http.h11_impl, uvicorn.loops.asyncio"
WORKER_IMPORTS = "import confcom.quoting.worker, confcom.quoting.simulation"
# What a worker loads for its first self-check.
CHECK_IMPORTS = WORKER_IMPORTS + (
    ", confcom.quote.verification, confcom.quote.collateral, confcom.quote.roots, confcom.simulation.collateral"
)


def memory(bench: Bench) -> list[tuple[str, float, float]]:
    """(what, resident MiB, above the imports)."""
    helper = bench.helper("memory")
    helper.wait()
    front, worker = helper.process.pid, helper.status()["workers"][0]["pid"]
    alone, worker_alone = imports_mib(FRONT_IMPORTS), imports_mib(CHECK_IMPORTS)
    rows = [("front, imports alone", alone, 0.0), ("front at rest", rest := resident_mib(front), rest - alone)]
    bench.load(helper.path, 1000, 2.0)
    after = resident_mib(front)
    rows.append(("front after 1,000 clients", after, after - alone))
    rows.append(("worker, imports alone", worker_alone, 0.0))
    now = resident_mib(worker)
    rows.append(("worker after its self-check and 1,000 clients", now, now - worker_alone))
    helper.stop()
    return rows


def print_throughput(table: dict[str, dict[int, Sample]]) -> None:
    width = 30
    print("quotes/s (p50 / p99 in ms)".ljust(width) + "".join(f"{count:>26,} conn" for count in CONNECTIONS))
    for name, row in table.items():
        print(name.ljust(width) + "".join(f"{row[count]!s:>31}" for count in CONNECTIONS))
    print()

    def ratio(text: str, over: str, under: str, count: int, aim: float) -> None:
        found = table[over][count].rate / table[under][count].rate
        print(f"{text:<58} {found:5.2f}   aim {aim}")

    ratio("cost 0 over bare streams, 64 connections", "cost 0, 1 worker", BASE, 64, 2.0)
    ratio("cost 0 over bare streams, 8 connections", "cost 0, 1 worker", BASE, 8, 1.5)
    ratio("cost 0 over bare streams, 1 connection", "cost 0, 1 worker", BASE, 1, 0.9)
    ratio("1 ms CPU, 2 workers over 1, 64 connections", "1 ms CPU, 2 workers", "1 ms CPU, 1 worker", 64, 1.6)
    ratio("1 ms wait, 2 workers over 1, 64 connections", "1 ms wait, 2 workers", "1 ms wait, 1 worker", 64, 1.9)
    ratio("1 ms wait, 4 workers over 1, 64 connections", "1 ms wait, 4 workers", "1 ms wait, 1 worker", 64, 3.5)
    failures = sum(sample.failures for name, row in table.items() if name != BASE for sample in row.values())
    print(f"{'failed requests of the helper, all rows':<58} {failures:5}   aim 0\n")


def print_abuse(found: dict[str, Sample]) -> None:
    print(f"cost 0, one worker, {HALF_FRAMES} connections that hold half a request")
    for name, sample in found.items():
        print(f"  {name:<40} {sample!s:>26}")
    for count in ("64 clients", "1 client"):
        kept = found[f"{count}, half-frames held"].rate / found[count].rate
        print(f"  {'kept by ' + count:<56} {kept:5.2f}   aim 1.0")
    print()


def print_fairness(name: str, found: tuple[Sample, Sample, Sample]) -> None:
    alone, quiet, flood = found
    print(f"{name}: one client on a slot, and {FLOOD} flooding the shared socket")
    for text, sample in (("alone", alone), ("beside the flood", quiet), ("the flood", flood)):
        print(f"  {text:<40} {sample!s:>26}")
    slower = statistics.median(quiet.p50) / statistics.median(alone.p50)
    print(f"  {'p50 beside the flood over alone':<56} {slower:5.2f}   aim under 3\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="2 rounds of half a second instead of 5 of one")
    rounds, seconds = (2, 0.5) if parser.parse_args().quick else (ROUNDS, SECONDS)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    print(f"{os.cpu_count()} cores shared by servers and clients, load {os.getloadavg()[0]:.1f} at the start; "
          f"median of {rounds} interleaved rounds of {seconds} s\n")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="cc") as name:
        bench = Bench(Path(name))
        servers = [bench.base()]
        try:
            servers += [bench.helper(title, *flags) for title, flags in CONFIGURATIONS.items()]
            for server in servers:
                server.wait()
            by_name = {server.name: server for server in servers}
            print_throughput(throughput(bench, servers, rounds, seconds))
            print_abuse(abuse(bench, by_name["cost 0, 1 worker"], rounds, seconds))
            for title in ("1 ms wait, 1 worker", "1 ms wait, 4 workers"):
                print_fairness(title, fairness(bench, by_name[title], rounds, seconds))
        finally:
            for server in servers:
                server.stop()
        print(f"{'resident memory':<48} {'MiB':>6} {'above imports':>14}")
        for what, mib, above in memory(bench):
            print(f"{what:<48} {mib:6.1f} {above:14.1f}")
        print("aims: front 5, worker 8 above their imports")


if __name__ == "__main__":
    main()
