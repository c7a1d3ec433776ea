"""The plugin as its own process, started by the command line's verb, beside a real quote helper and the stand-in."""

import asyncio
import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from confcom.aesm.client import AsyncClient
from confcom.simulation.device_manager import Container
from confcom.simulation.kubelet import KubeletStandIn
from confcom.simulation.platform import SimulatedPlatform

EPC, SLOT = "kubernetes.azure.com/sgx_epc_mem_in_MiB", "confcom.io/sgx-quote"
DEADLINE = 60.0
CONFCOM = [sys.executable, "-m", "confcom.cli"]


@pytest.fixture
def folder(short_dir):
    return short_dir


@contextlib.asynccontextmanager
async def process(*arguments):
    started = await asyncio.create_subprocess_exec(*CONFCOM, *arguments, stderr=asyncio.subprocess.PIPE)
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.kill()
        await started.communicate()


def plugin(folder, *flags):
    common = ("--device-plugin-dir", str(folder / "k"), "--slots-dir", str(folder / "s"), "--http-port", "0")
    return process("device-plugin", *common, *flags)


def helper(folder, **_):
    return process(
        "quote-helper", "--simulated-platform", str(folder / "platform"), "--socket-dir", str(folder / "aesmd"),
        "--state-dir", str(folder / "state"), "--http-port", "0", "--slots", "2", "--slots-dir", str(folder / "s"),
    )  # fmt: skip


def play(work):
    async def run():
        async with asyncio.timeout(5 * DEADLINE):
            await work()

    asyncio.run(run())


def test_a_quote_slot_leads_to_the_helper_and_nothing_else_is_needed(folder):
    SimulatedPlatform.create(folder / "platform")

    async def work():
        flags = ("--simulate-epc", "64MiB", "--slots", "2")
        async with KubeletStandIn(folder / "k") as kubelet, plugin(folder, *flags):
            await kubelet.wait_for(SLOT, capacity=2, allocatable=0, deadline_seconds=DEADLINE)
            async with helper(folder):
                await kubelet.wait_for(SLOT, allocatable=2, deadline_seconds=DEADLINE)
                app = Container(namespace="n", pod="p", name="app")
                answer = await kubelet.allocate(SLOT, 1, holder=app)
                assert dict(answer.envs) == {"SGX_AESM_ADDR": "1"}
                (mount,) = answer.mounts
                assert (mount.container_path, mount.read_only) == ("/var/run/aesmd", True)
                client = AsyncClient(str(Path(mount.host_path) / "aesm.socket"))
                assert await client.get_supported_att_key_id_num() == 1
                assert len((await client.get_target_info()).to_bytes()) == 512
            # Gone for good: after three misses, and not before, the slots can be bound to no more pods.
            await kubelet.wait_for(SLOT, allocatable=0, capacity=2, deadline_seconds=DEADLINE)
            async with helper(folder):
                await kubelet.wait_for(SLOT, allocatable=2, deadline_seconds=DEADLINE)

    play(work)


def test_sigterm_ends_streams_removes_sockets_and_exits_0(folder):
    async def work():
        async with KubeletStandIn(folder / "k") as kubelet, plugin(folder, "--simulate-epc", "64MiB") as started:
            await kubelet.wait_for(EPC, allocatable=64, deadline_seconds=DEADLINE)
            started.terminate()
            await kubelet.wait_for(EPC, allocatable=0, capacity=64, deadline_seconds=DEADLINE)
            assert await asyncio.wait_for(started.wait(), DEADLINE) == 0
            assert {entry.name for entry in (folder / "k").iterdir()} == {"kubelet.sock"}

    play(work)


def test_killed_and_started_again(folder):
    async def work():
        async with KubeletStandIn(folder / "k") as kubelet:
            async with plugin(folder, "--simulate-epc", "64MiB") as started:
                await kubelet.wait_for(EPC, allocatable=64, deadline_seconds=DEADLINE)
                started.kill()
                await kubelet.wait_for(EPC, allocatable=0, capacity=64, deadline_seconds=DEADLINE)
            assert len(list((folder / "k").glob("confcom-sgx-*"))) == 4
            async with plugin(folder, "--simulate-epc", "64MiB"):
                await kubelet.wait_for(EPC, allocatable=64, deadline_seconds=DEADLINE)
                await kubelet.wait_for(SLOT, capacity=16, deadline_seconds=DEADLINE)
                assert len(list((folder / "k").glob("confcom-sgx-*"))) == 4

    play(work)


def test_idle_without_sgx_takes_under_one_percent_of_a_core(folder):
    async def work():
        roots = ("--dev-root", str(folder), "--sys-root", str(folder), "--proc-root", str(folder))
        async with plugin(folder, *roots) as started:
            line = await asyncio.wait_for(started.stderr.readline(), DEADLINE)
            assert b"idle, with nothing to offer" in line
            # The first seconds may still be its start.
            async with asyncio.timeout(DEADLINE):
                while await cpu_seconds_in(3, started.pid) > 0.03:
                    pass

    play(work)


async def cpu_seconds_in(seconds, pid):
    before = cpu_seconds(pid)
    await asyncio.sleep(seconds)
    return cpu_seconds(pid) - before


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--simulate-epc", "much"], "confcom device-plugin: --simulate-epc: 'much' is not a size"),
        (
            ["--no-such-flag"],
            "confcom device-plugin: unrecognized arguments: --no-such-flag; see confcom device-plugin --help",
        ),
        (["--config", "/absent.toml"], "confcom device-plugin: --config /absent.toml: No such file or directory"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_2(arguments, sentence):
    done = subprocess.run(
        [*CONFCOM, "device-plugin", *arguments], capture_output=True, text=True, check=False, timeout=DEADLINE
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(sentence)


def test_a_taken_http_port_is_named(folder):
    async def work():
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with (
            server,
            process(
                "device-plugin", "--simulate-epc", "64MiB", "--slots-dir", str(folder / "s"), "--http-port", str(port)
            ) as started,
        ):
            _, stderr = await asyncio.wait_for(started.communicate(), DEADLINE)
            assert started.returncode == 3
            assert f"--http-port: 127.0.0.1 port {port} cannot be opened".encode() in stderr

    play(work)


def test_the_daemon_loads_nothing_of_the_terminal_nor_of_cryptography():
    code = "import sys, confcom.device_plugin.main; print(sorted({'typer', 'rich', 'cryptography', 'httpx'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=DEADLINE)
    assert done.stdout == "[]\n"
