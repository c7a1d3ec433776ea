"""What the device plugin costs, at 168, 8,192, 65,536 and 262,144 units of EPC, in one run.

Each row is one real daemon on a simulated node and the kubelet stand-in. Resident memory stands beside that of a
process that has only imported the same modules; it is read after the list was taken, and again after the Allocates.
Allocate is measured through gRPC on the Unix socket, beside the time that decoding the request alone takes.

Aims: at most 12 MiB above the imports at 262,144 units, encoding under 100 ms, Allocate of any size under 5 ms beyond
decoding. Peers on two cores: Alibaba's Go plugin 13.9 MB at 168 and 48 MB at 262,144 units, 4.87 s for Allocate of
20,000 of 223,000; Intel's 13.6 MB for 110 devices.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import grpc.aio

from confcom.device_plugin.inventory import EPC_RESOURCE
from confcom.device_plugin.listing import encode_units, list_bytes, unit_id
from confcom.kubelet import contract
from confcom.kubelet import deviceplugin_pb2 as dp
from confcom.simulation.kubelet import KubeletStandIn

UNITS = (168, 8_192, 65_536, 262_144)
ALLOCATE = (10, 1_024, 32_768)
RUNS = 5
AIM_MEMORY_MIB, AIM_ENCODE_MS, AIM_ALLOCATE_MS = 12.0, 100.0, 5.0
DEADLINE_SECONDS = 30.0


def resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"process {pid} has gone")


def imports_mib() -> float:
    """A process with the daemon's modules and a gRPC event loop, before it looks at anything."""
    code = "import gc, sys, confcom.device_plugin.main; gc.freeze(); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        found = resident_mib(process.pid)
        process.stdin.close()
        process.wait(DEADLINE_SECONDS)
    return found


def best(work) -> float:
    """Milliseconds of the fastest of some runs."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    return min(times)


async def allocate_ms(path: Path, count: int) -> tuple[float, float]:
    """Allocate of `count` units, and what its request takes to decode."""
    ids = [unit_id(index) for index in range(count)]
    request = dp.AllocateRequest(container_requests=[dp.ContainerAllocateRequest(devices_ids=ids)]).SerializeToString()
    times = []
    async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
        call = channel.unary_unary(contract.ALLOCATE.path, request_serializer=None, response_deserializer=None)
        for _ in range(RUNS):
            start = time.perf_counter()
            await call(request, timeout=DEADLINE_SECONDS)
            times.append((time.perf_counter() - start) * 1000)
    return min(times), best(lambda: dp.AllocateRequest.FromString(request))


async def measure(units: int, floor: float) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="cc-bench-") as folder:
        root = Path(folder)
        async with KubeletStandIn(root / "k") as kubelet:
            start = time.perf_counter()
            daemon = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "confcom.device_plugin", "--simulate-epc", f"{units}MiB",
                "--device-plugin-dir", str(root / "k"), "--slots-dir", str(root / "slots"), "--http-port", "0",
                stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            try:
                await kubelet.wait_for(EPC_RESOURCE, allocatable=units, deadline_seconds=DEADLINE_SECONDS)
                registered = (time.perf_counter() - start) * 1000
                # The list's own buffers are given back a moment after it was sent.
                await asyncio.sleep(2)
                memory = resident_mib(daemon.pid)
                path = root / "k" / dict(kubelet.registrations)[EPC_RESOURCE]
                calls = [await allocate_ms(path, count) if count <= units else None for count in ALLOCATE]
                after = resident_mib(daemon.pid)
            finally:
                daemon.terminate()
                await asyncio.wait_for(daemon.wait(), DEADLINE_SECONDS)
    encode = best(lambda: encode_units(units))
    cells = [f"{call[0]:6.2f} ({call[1]:.2f})" if call else "-" for call in calls]
    judge(units, memory - floor, encode, calls)
    return [
        f"{units:,}", f"{memory:.1f}", f"+{memory - floor:.1f}", f"{after:.1f}", f"{list_bytes(units):,}",
        f"{encode:.2f}", f"{registered:.0f}", *cells,
    ]  # fmt: skip


missed: list[str] = []


def judge(units: int, memory: float, encode: float, calls) -> None:
    if memory > AIM_MEMORY_MIB:
        missed.append(f"{units:,} units: {memory:.1f} MiB above the imports, aim {AIM_MEMORY_MIB:g}")
    if encode > AIM_ENCODE_MS:
        missed.append(f"{units:,} units: {encode:.0f} ms to encode, aim {AIM_ENCODE_MS:g}")
    for count, call in zip(ALLOCATE, calls, strict=True):
        if call and call[0] - call[1] > AIM_ALLOCATE_MS:
            missed.append(f"{units:,} units: Allocate of {count:,} takes {call[0] - call[1]:.1f} ms beyond decoding")


def main() -> int:
    floor = imports_mib()
    print(f"imports alone: {floor:.1f} MiB resident; times in ms, best of {RUNS}; Allocate with decoding in brackets\n")
    head = ["units", "RSS MiB", "above", "after Allocate", "list bytes", "encode", "registered"]
    rows = [[*head, *(f"Allocate {count:,}" for count in ALLOCATE)]]
    rows += [asyncio.run(measure(units, floor)) for units in UNITS]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    print("\n" + ("\n".join(missed) if missed else "every aim is met"))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
