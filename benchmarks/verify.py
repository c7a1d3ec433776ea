"""Verifications per second beside dcap-qvl, cold and warm, on one core and on all; and where the time goes.

    .venv/bin/python benchmarks/verify.py [--seconds 2] [--rounds 5]

Cold means that nothing is remembered from one quote to the next: collateral is parsed and its signatures are checked
each time, as dcap-qvl does by its nature. Warm means one collateral and many quotes of a platform, each different.
Both verifiers take turns within each round, so that a busy machine slows both; medians are told, and their ratios.
"""

import argparse
import cProfile
import json
import multiprocessing
import os
import pstats
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import dcap_qvl

from confcom.quote import Collateral, TrustRoot, Verifier
from confcom.quote.procedure import Examination
from confcom.sgx import DEFAULT_KEY_ID
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report

QUOTES = 64


class Subject:
    """A simulated machine's quotes and collateral, and one verification of each kind."""

    def __init__(self, folder):
        machine = SimulatedPlatform.open(Path(folder))
        self.at = datetime.now(UTC)
        self.text = json.dumps(machine.collateral(self.at)).encode()
        self.root, self.root_der = TrustRoot.from_bytes(machine.root_pem), machine.root_der
        self.quotes = [self.make_quote(machine, number) for number in range(QUOTES)]
        self.verifier = Verifier(Collateral.from_json(self.text), self.root)
        self.theirs = dcap_qvl.QuoteCollateralV3.from_json(self.text.decode())

    @staticmethod
    def make_quote(machine, number):
        report = make_report(machine.target_info(), report_data=bytes([number]) * 64)
        return machine.get_quote(report.to_bytes(), DEFAULT_KEY_ID.to_bytes())[0]

    def cold(self, quote):
        assert Verifier(Collateral.from_json(self.text), self.root).examine(quote, self.at).verdict

    def warm(self, quote):
        assert self.verifier.examine(quote, self.at).verdict

    def dcap_qvl_cold(self, quote):
        collateral = dcap_qvl.QuoteCollateralV3.from_json(self.text.decode())
        dcap_qvl.verify_with_root_ca(quote, collateral, self.root_der, int(self.at.timestamp()))

    def dcap_qvl_warm(self, quote):
        dcap_qvl.verify_with_root_ca(quote, self.theirs, self.root_der, int(self.at.timestamp()))


KINDS = ("cold", "dcap_qvl_cold", "warm", "dcap_qvl_warm")


def count(subject, kind, seconds):
    """Verifications per second of wall time."""
    work, done = getattr(subject, kind), 0
    start = time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        work(subject.quotes[done % QUOTES])
        done += 1
    return done / passed


def _in_process(folder, kind, seconds, barrier, results):
    subject = Subject(folder)
    barrier.wait(60)
    results.put(count(subject, kind, seconds))


def count_in_processes(folder, kind, seconds, processes):
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(processes), context.Queue()
    arguments = (folder, kind, seconds, barrier, results)
    started = [context.Process(target=_in_process, args=arguments) for _ in range(processes)]
    for process in started:
        process.start()
    total = sum(results.get(timeout=120) for _ in started)
    for process in started:
        process.join(60)
    return total


def profile(subject, kind, runs=1000):
    """Share of each of the fifteen steps, and of what is done before them, in percent."""
    profiler = cProfile.Profile()
    profiler.enable()
    for number in range(runs):
        getattr(subject, kind)(subject.quotes[number % QUOTES])
    profiler.disable()
    stats = pstats.Stats(profiler)
    spent = {function: row[3] for (_, _, function), row in stats.stats.items()}
    total = stats.total_tt
    steps = {name: spent.get(step.__name__, 0.0) / total for name, step in Examination.STEPS}
    before = 0.0 if kind == "warm" else 1 - sum(steps.values())
    rows = {"collateral, before the steps": before} | steps
    signatures = sum(row[2] for (_, _, function), row in stats.stats.items() if "'verify' of" in function)
    return rows, signatures / total


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        subject = Subject(Path(folder) / "machine")
        found = {kind: [] for kind in KINDS}
        for _ in range(options.rounds):
            for kind in KINDS:
                found[kind].append(count(subject, kind, options.seconds))
        medians = {kind: statistics.median(rates) for kind, rates in found.items()}
        print("verifications/s, one process          ours   dcap-qvl   ratio")
        for kind in ("cold", "warm"):
            ours, theirs = medians[kind], medians[f"dcap_qvl_{kind}"]
            print(f"  {kind:<32} {ours:>9.0f}  {theirs:>9.0f}  {ours / theirs:>6.2f}")
        print(f"verifications/s, {cores} processes")
        for kind in ("cold", "warm"):
            ours, theirs = (
                count_in_processes(Path(folder) / "machine", name, options.seconds, cores)
                for name in (kind, f"dcap_qvl_{kind}")
            )
            print(f"  {kind:<32} {ours:>9.0f}  {theirs:>9.0f}  {ours / theirs:>6.2f}")
        for kind in ("cold", "warm"):
            rows, signatures = profile(subject, kind)
            print(f"where the time goes, {kind} (checking signatures is {signatures:.0%} of all)")
            for name, share in sorted(rows.items(), key=lambda row: -row[1]):
                if share >= 0.01:
                    print(f"  {name:<32} {share:>6.0%}")


if __name__ == "__main__":
    main()
