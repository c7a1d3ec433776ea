"""The plugin's program in this process against the kubelet stand-in: every row of what wakes whom (`device-plugin.md` 1.2).

Names follow the lists of Kubernetes' own e2e tests and of the plugin's peers.
"""

import asyncio
import contextlib
import dataclasses
import errno
import os
import socket
import stat
from pathlib import Path

import msgspec
import pytest
from ports import reserved_port

from confcom.device_plugin import main as program
from confcom.device_plugin import registration, server
from confcom.device_plugin.settings import DevicePluginSettings
from confcom.errors import AESMUnavailableError, KubeletError
from confcom.runtime.daemon import Daemon
from confcom.runtime.status import DevicePluginStatus
from confcom.settings import load
from confcom.simulation.device_manager import Container
from confcom.simulation.kubelet import Faults, KubeletStandIn
from confcom.simulation.plugin_client import PluginClient

EPC, SLOT = "kubernetes.azure.com/sgx_epc_mem_in_MiB", "confcom.io/sgx-quote"
PROVISION, HELPER = "confcom.io/sgx-provision", "confcom.io/sgx-quote-helper"
DEADLINE = 30.0
QUICK = registration.Timing(watch=0.02, first_retry=0.05)
APP = Container(namespace="n", pod="p", name="app")


@pytest.fixture
def folder(short_dir):
    return short_dir


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(program, "REFRESH_SECONDS", 0.05)
    monkeypatch.setattr(registration, "DEFAULT_TIMING", QUICK)


class Plugin:
    def __init__(self, folder, port, flags):
        self.port = port
        common = [
            "--device-plugin-dir",
            str(folder / "k"),
            "--slots-dir",
            str(folder / "s"),
            "--http-port",
            str(self.port),
        ]
        self.settings = load(DevicePluginSettings, [*common, *flags], {}, program="test")
        self.daemon = Daemon()

    async def is_open(self):
        with contextlib.suppress(ConnectionRefusedError):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()
            return True
        return False

    async def get(self, path):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        return await fetch(reader, writer, path)

    async def status(self):
        _, body = await self.get("/status")
        return msgspec.json.decode(body, type=DevicePluginStatus)

    async def resource(self, name):
        return next(found for found in (await self.status()).resources if found.name == name)

    async def until(self, condition):
        """Polls /status until `condition` of it holds."""
        async with asyncio.timeout(DEADLINE):
            while not condition(status := await self.status()):
                await asyncio.sleep(0.02)
        return status


async def fetch(reader, writer, path):
    writer.write(f"GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), DEADLINE)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@contextlib.asynccontextmanager
async def running(folder, *flags):
    with reserved_port() as port:
        plugin = Plugin(folder, port, flags or ("--simulate-epc", "64MiB"))
        async with served(plugin):
            yield plugin


@contextlib.asynccontextmanager
async def served(plugin):
    task = asyncio.create_task(program.serve(plugin.settings, plugin.daemon))
    try:
        async with asyncio.timeout(DEADLINE):
            while not task.done() and not await plugin.is_open():
                await asyncio.sleep(0.01)
        yield
    finally:
        plugin.daemon.stopping.set()
        assert await asyncio.wait_for(task, DEADLINE) == 0
        await plugin.daemon.cancel_tasks()
        assert plugin.daemon.failure is None


def play(work):
    async def run():
        async with asyncio.timeout(10 * DEADLINE):
            await work()

    asyncio.run(run())


def reasons_of(caplog, resource):
    """Why the log says that a resource is no longer registered."""
    found = [record.fields for record in caplog.records if record.getMessage() == "not registered"]
    return {fields["why"] for fields in found if fields["resource"] == resource}


def ours(folder):
    return sorted(entry.name for entry in (folder / "k").iterdir() if entry.name.startswith(server.SOCKET_PREFIX))


def test_pod_gets_device(folder):
    async def work():
        async with KubeletStandIn(folder / "k") as kubelet, running(folder) as plugin:
            await kubelet.wait_for(EPC, allocatable=64, capacity=64)
            answer = await kubelet.allocate(EPC, 10, holder=APP)
            assert [(found.container_path, found.host_path, found.permissions) for found in answer.devices] == [
                ("/dev/sgx_enclave", "/dev/null", "rw"),
                ("/dev/sgx/enclave", "/dev/null", "rw"),
            ]
            assert (dict(answer.envs), list(answer.mounts)) == ({}, [])
            await plugin.until(lambda status: status.ready)
            found = await plugin.resource(EPC)
            assert (found.registered, found.total, found.healthy, found.allocations, found.registrations) == (
                True,
                64,
                64,
                1,
                1,
            )
            assert found.list_bytes == 64 * 14
            assert await plugin.get("/readyz") == (200, b"ok\n")
            assert await plugin.get("/livez") == (200, b"ok\n")

    play(work)


def test_provision_is_on_request_and_an_in_process_application_gets_no_aesm(folder):
    async def work():
        async with KubeletStandIn(folder / "k") as kubelet, running(folder):
            await kubelet.wait_for(PROVISION, allocatable=16)
            answer = await kubelet.allocate(PROVISION, 1)
            assert [found.container_path for found in answer.devices] == [
                "/dev/sgx_enclave", "/dev/sgx/enclave", "/dev/sgx_provision", "/dev/sgx/provision",
            ]  # fmt: skip
            assert (dict(answer.envs), list(answer.mounts)) == ({}, [])
            await kubelet.wait_for(HELPER, allocatable=2)
            assert (await kubelet.allocate(HELPER, 1)).devices == answer.devices

    play(work)


# Assignments are kept over pod, kubelet and plugin restart, in every order.
@pytest.mark.parametrize(
    "order", ["kubelet", "plugin", "kubelet plugin", "plugin kubelet", "kubelet kubelet", "plugin plugin"]
)
def test_assignments_are_kept_over_restarts(folder, order):
    async def work():
        async with KubeletStandIn(folder / "k") as kubelet, contextlib.AsyncExitStack() as stack:
            stop = await stack.enter_async_context(contextlib.AsyncExitStack())
            await stop.enter_async_context(running(folder))
            await kubelet.wait_for(EPC, allocatable=64)
            first = await kubelet.allocate(EPC, 60, holder=APP)
            held = kubelet.taken(EPC)
            for part in order.split():
                if part == "kubelet":
                    await kubelet.restart()
                else:
                    await stop.aclose()
                    await kubelet.wait_for(EPC, allocatable=0, capacity=64)
                    await stop.enter_async_context(running(folder))
                await kubelet.wait_for(EPC, allocatable=64, capacity=64)
            assert kubelet.taken(EPC) == held
            assert await kubelet.allocate(EPC, 60, holder=APP) == first
            with pytest.raises(KubeletError, match="insufficient"):
                await kubelet.allocate(EPC, 5)
            await kubelet.allocate(EPC, 4)
            await stop.aclose()

    play(work)


@pytest.mark.parametrize("first", ["kubelet", "plugin"])
def test_reboot_keeps_assignments_whoever_is_first(folder, first):
    """After a power cut the sockets of both lie in the folder, and nobody listens on them."""

    async def work():
        async with KubeletStandIn(folder / "k") as kubelet, running(folder):
            await kubelet.wait_for(EPC, allocatable=64)
            await kubelet.allocate(EPC, 60, holder=APP)
            held = kubelet.taken(EPC)
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as dead:
            dead.bind(str(folder / "k" / "confcom-sgx-epc-00000000.sock"))
        kubelet = KubeletStandIn(folder / "k")
        if first == "kubelet":
            await kubelet.start()
            assert (kubelet.capacity(EPC), kubelet.allocatable(EPC)) == (0, 0)
        async with running(folder):
            if first == "plugin":
                await asyncio.sleep(0.2)
                assert "confcom-sgx-epc-00000000.sock" not in ours(folder)
                await kubelet.start()
            await kubelet.wait_for(EPC, allocatable=64, capacity=64)
            assert kubelet.taken(EPC) == held
            with pytest.raises(KubeletError, match="insufficient"):
                await kubelet.allocate(EPC, 5)
        await kubelet.stop()

    play(work)


def test_finished_pod_frees_its_units(folder):
    async def work():
        async with KubeletStandIn(folder / "k") as kubelet, running(folder):
            await kubelet.wait_for(EPC, allocatable=64)
            await kubelet.allocate(EPC, 64, holder=APP)
            kubelet.release(APP)
            await kubelet.restart()
            await kubelet.wait_for(EPC, allocatable=64)
            assert kubelet.taken(EPC) == frozenset()
            await kubelet.allocate(EPC, 64)

    play(work)


def test_orphan_and_restartable_init_container_live_on_without_the_plugin(folder):
    async def work():
        async with KubeletStandIn(folder / "k") as kubelet:
            async with running(folder):
                await kubelet.wait_for(EPC, allocatable=64)
                first = await kubelet.allocate(EPC, 60, holder=APP)
            await kubelet.wait_for(EPC, allocatable=0, capacity=64)
            assert len(kubelet.taken(EPC)) == 60
            assert await kubelet.allocate(EPC, 60, holder=APP) == first
            with pytest.raises(KubeletError, match="insufficient"):
                await kubelet.allocate(EPC, 1)

    play(work)


def test_unhealthy_slots_take_allocatable_and_leave_capacity(folder, monkeypatch):
    down = set()

    async def probe(path):
        if path.parent.name in down:
            raise AESMUnavailableError("down")

    monkeypatch.setattr(program, "ask_helper", probe)
    monkeypatch.setattr("confcom.device_plugin.slot_health.HEALTHY_INTERVAL_SECONDS", 0.02)
    monkeypatch.setattr("confcom.device_plugin.slot_health.UNHEALTHY_INTERVAL_SECONDS", 0.02)

    async def work():
        flags = ("--simulate-epc", "64MiB", "--slots", "4")
        async with KubeletStandIn(folder / "k") as kubelet, running(folder, *flags) as plugin:
            await kubelet.wait_for(SLOT, allocatable=4, capacity=4)
            down.update(("slot-0", "slot-3"))
            await kubelet.wait_for(SLOT, allocatable=2, capacity=4)
            down.update(("slot-1", "slot-2"))
            await kubelet.wait_for(SLOT, allocatable=0, capacity=4)
            down.clear()
            await kubelet.wait_for(SLOT, allocatable=4, capacity=4)
            # All of it on one stream: slots are few, and their health may change.
            assert (await plugin.resource(SLOT)).registrations == 1

    play(work)


def test_kubelet_absent_at_start_neither_ends_nor_registers(folder):
    async def work():
        async with running(folder) as plugin:
            status = await plugin.until(lambda status: "does not exist" in (status.problem or ""))
            assert not status.ready
            assert (await plugin.get("/readyz"))[0] == 503
            assert (await plugin.get("/livez"))[0] == 200
            async with KubeletStandIn(folder / "k") as kubelet:
                await kubelet.wait_for(EPC, allocatable=64)
                await plugin.until(lambda status: status.ready)

    play(work)


def test_kubelet_stopped_while_the_plugin_starts(folder):
    """kubelet.sock is there and refuses; at its start the kubelet deletes what was made meanwhile."""

    async def work():
        kubelet = KubeletStandIn(folder / "k")
        await kubelet.start()
        await kubelet.stop()
        assert stat.S_ISSOCK(kubelet.socket.lstat().st_mode)
        async with running(folder):
            await asyncio.sleep(0.3)
            await kubelet.start()
            await kubelet.wait_for(EPC, allocatable=64)
        await kubelet.stop()

    play(work)


def test_kubelet_restart_registers_every_resource_again(folder):
    async def work():
        async with KubeletStandIn(folder / "k") as kubelet, running(folder) as plugin:
            for _ in range(3):
                await kubelet.wait_for(EPC, allocatable=64)
                await kubelet.wait_for(PROVISION, allocatable=16)
                await kubelet.wait_for(HELPER, allocatable=2)
                await kubelet.wait_for(SLOT, capacity=16)
                await kubelet.restart()
            await kubelet.wait_for(EPC, allocatable=64)
            await plugin.until(lambda status: status.resources[0].registrations >= 4)

    play(work)


def test_own_socket_deleted(folder):
    async def work():
        async with KubeletStandIn(folder / "k") as kubelet, running(folder):
            await kubelet.wait_for(EPC, allocatable=64)
            (mine,) = (name for name in ours(folder) if "-epc-" in name)
            (folder / "k" / mine).unlink()
            async with asyncio.timeout(DEADLINE):
                while len([name for name, _ in kubelet.registrations if name == EPC]) < 2:
                    await asyncio.sleep(0.02)
            await kubelet.wait_for(EPC, allocatable=64)
            await asyncio.sleep(0.2)
            assert kubelet.allocatable(EPC) == 64

    play(work)


@pytest.mark.parametrize("moment", ["at once", "later"])
def test_stream_end_recovery(folder, moment, caplog, monkeypatch):
    """A watch of sockets alone never notices this: nothing but the stream ends."""
    if moment == "at once":
        # However late this test comes to break the stream.
        monkeypatch.setattr(registration, "SETTLED_SECONDS", DEADLINE)

    async def work():
        async with KubeletStandIn(folder / "k") as kubelet, running(folder) as plugin:
            await kubelet.wait_for(EPC, allocatable=64)
            if moment == "later":
                await plugin.until(lambda status: status.ready)
            await kubelet.break_stream(EPC)
            assert (kubelet.allocatable(EPC), kubelet.capacity(EPC)) == (0, 64)
            await kubelet.wait_for(EPC, allocatable=64)
            assert await kubelet.allocate(EPC, 1)
            # The length of a list that had been taken is not to be blamed.
            (reason,) = reasons_of(caplog, EPC)
            assert (" bytes" in reason) is (moment == "at once")

    play(work)


def test_re_register_order_ends_the_old_stream_first_under_a_new_name(folder):
    async def work():
        async with KubeletStandIn(folder / "k") as kubelet, running(folder):
            await kubelet.wait_for(EPC, allocatable=64)
            await kubelet.break_stream(EPC)
            await kubelet.wait_for(EPC, allocatable=64)
            names = [endpoint for name, endpoint in kubelet.registrations if name == EPC]
            assert len(set(names)) == len(names) == 2
            assert [name for name in ours(folder) if "-epc-" in name] == names[1:]
            assert all(name.startswith("confcom-sgx-epc-") for name in names)

    play(work)


def test_second_instance_registers_while_the_first_still_streams(folder):
    """Up to 1.36 the end of the old instance kills the new one's connection: it must come back."""

    async def work():
        async with KubeletStandIn(folder / "k") as kubelet:
            async with running(folder):
                await kubelet.wait_for(EPC, allocatable=64)
                new = await contextlib.AsyncExitStack().__aenter__()
                await new.enter_async_context(running(folder, "--simulate-epc", "65MiB"))
                await kubelet.wait_for(EPC, allocatable=65)
            await kubelet.wait_for(EPC, allocatable=65, capacity=65)
            await asyncio.sleep(0.3)
            await kubelet.wait_for(EPC, allocatable=65, capacity=65)
            await new.aclose()

    play(work)


def test_options_failure_is_tried_again(folder):
    async def work():
        faults = Faults(options_errors=2)
        async with (
            KubeletStandIn(folder / "k", faults=faults) as kubelet,
            running(
                folder, "--simulate-epc", "64MiB", "--slots", "0", "--provision-units", "0", "--helper-tokens", "0"
            ) as plugin,
        ):
            await kubelet.wait_for(EPC, allocatable=64)
            status = await plugin.until(lambda status: status.ready)
            assert [found.name for found in status.resources] == [EPC]

    play(work)


def test_slow_dial_back_is_waited_for_and_not_registered_twice(folder):
    async def work():
        async with KubeletStandIn(folder / "k", faults=Faults(dial_back_delay_seconds=1.0)) as kubelet, running(folder):
            await kubelet.wait_for(EPC, allocatable=64)
            assert len([name for name, _ in kubelet.registrations if name == EPC]) == 1

    play(work)


@pytest.mark.parametrize("silent", ["before the dial-back", "never reads"])
def test_a_kubelet_that_falls_silent_is_named_and_tried_again(folder, monkeypatch, silent):
    timing = dataclasses.replace(QUICK, dial_back=0.2, stream=0.2)
    monkeypatch.setattr(registration, "DEFAULT_TIMING", timing)
    if silent == "never reads":
        monkeypatch.setattr("confcom.simulation.plugin_client.PluginClient.follow", lambda *_: None)
        faults, problem = Faults(), "registered, but the kubelet reads no list (0.2 s)"
    else:
        faults, problem = Faults(dial_back_delay_seconds=5), "the kubelet took Register, but did not dial back in 0.2 s"

    async def work():
        async with KubeletStandIn(folder / "k", faults=faults), running(folder) as plugin:
            status = await plugin.until(lambda status: problem in (status.problem or ""))
            assert not status.ready

    play(work)


def test_stale_sockets_of_a_crash_are_removed_and_others_are_left(folder):
    (folder / "k").mkdir()
    with contextlib.ExitStack() as sockets:

        def bind(name, *, listen):
            made = sockets.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX)))
            made.bind(str(folder / "k" / name))
            if listen:
                made.listen()

        bind("confcom-sgx-epc-00000000.sock", listen=False)
        bind("confcom-sgx-slot-00000000.sock", listen=True)
        bind("nvidia.sock", listen=False)
        (folder / "k" / "confcom-sgx-epc-file").touch()
        removed = server.remove_leftovers(folder / "k")
    assert [path.name for path in removed] == ["confcom-sgx-epc-00000000.sock"]
    assert {path.name for path in (folder / "k").iterdir()} == {
        "confcom-sgx-slot-00000000.sock",
        "nvidia.sock",
        "confcom-sgx-epc-file",
    }
    assert server.remove_leftovers(folder / "absent") == []


def test_sockets_that_cannot_be_removed_end_nothing(folder, monkeypatch):
    """As where the host's file system has become read-only: a former socket stays, and so does the plugin."""
    (folder / "k").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "k" / "confcom-sgx-epc-00000000.sock"))

    def read_only(path, missing_ok=False):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    async def work():
        async with KubeletStandIn(folder / "k") as kubelet:
            with monkeypatch.context() as patch:
                patch.setattr(Path, "unlink", read_only)
                assert server.remove_leftovers(folder / "k") == []
                async with running(folder) as plugin:
                    await kubelet.wait_for(EPC, allocatable=64)
                    await kubelet.break_stream(EPC)
                    await kubelet.wait_for(EPC, allocatable=64)
                    assert plugin.daemon.failure is None

    play(work)


def test_plugin_stops_cleanly_and_capacity_has_five_minutes(folder):
    now = [0.0]

    async def work():
        async with KubeletStandIn(folder / "k", clock=lambda: now[0]) as kubelet:
            async with running(folder):
                await kubelet.wait_for(EPC, allocatable=64)
            assert ours(folder) == []
            await kubelet.wait_for(EPC, allocatable=0, capacity=64)
            assert (EPC, "the plugin ended the stream") in kubelet.stream_ends
            now[0] = 300.0
            assert kubelet.capacity(EPC) == 0

    play(work)


@pytest.mark.parametrize(("mib", "taken"), [(262_144, True), (262_145, True), (262_408, True), (262_409, False)])
def test_message_size_boundary(folder, mib, taken):
    async def work():
        async with KubeletStandIn(folder / "k") as kubelet, running(folder, "--simulate-epc", f"{mib}MiB") as plugin:
            await kubelet.wait_for(PROVISION, allocatable=16)
            if taken:
                await kubelet.wait_for(EPC, allocatable=mib, capacity=mib, deadline_seconds=2 * DEADLINE)
                status = await plugin.until(lambda status: status.ready)
                assert "ResourceHealthStatus=false" in status.advice[0]
                answer = await kubelet.allocate(EPC, mib)
                assert (len(answer.devices), dict(answer.envs)) == (2, {})
                assert status.freeze_seconds == pytest.approx(mib * mib * 75e-9)
                return
            status = await plugin.until(lambda status: status.resources[1].registered)
            refused = "a list of 262,409 units takes 4,194,320 bytes, and the kubelet takes at most 4,194,304"
            assert refused in status.problem
            found = await plugin.resource(EPC)
            assert (found.registered, found.list_bytes, found.healthy) == (False, 4_194_320, 0)
            code, body = await plugin.get("/readyz")
            assert (code, refused.encode() in body) == (503, True)
            metrics = (await plugin.get("/metrics"))[1].decode()
            assert f'confcom_device_plugin_list_refused{{resource="{EPC}"}} 1.0' in metrics
            assert EPC not in kubelet.resources

    play(work)


def test_a_kubelet_with_a_smaller_limit_is_named(folder):
    async def work():
        async with KubeletStandIn(folder / "k", faults=Faults(max_list_bytes=800)), running(folder) as plugin:
            ended = "the kubelet ended the stream after a list of 896 bytes"
            status = await plugin.until(lambda status: ended in (status.problem or ""))
            assert not status.ready

    play(work)


def mknod(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("making a device node needs CAP_MKNOD")


def test_device_node_vanishes_and_returns(folder, caplog):
    (folder / "dev").mkdir()
    mknod(folder / "dev" / "sgx_enclave")
    mknod(folder / "dev" / "sgx_provision")

    async def work():
        flags = (
            "--epc",
            "64MiB",
            "--helper-epc",
            "0",
            "--dev-root",
            str(folder / "dev"),
            "--sys-root",
            str(folder),
            "--proc-root",
            str(folder),
        )
        async with KubeletStandIn(folder / "k") as kubelet, running(folder, *flags) as plugin:
            await kubelet.wait_for(EPC, allocatable=64)
            (folder / "dev" / "sgx_enclave").unlink()
            await kubelet.wait_for(EPC, allocatable=0, capacity=64)
            await kubelet.wait_for(PROVISION, allocatable=0, capacity=16)
            assert kubelet.stream_ends[-1][1] == "the plugin ended the stream"
            status = await plugin.until(lambda status: "no SGX enclave device in /dev" in (status.problem or ""))
            assert (status.ready, status.epc_source, status.simulated) == (False, "configuration", False)
            # The stream was ours to end, and the log says why and not that the kubelet did it.
            while not (reasons := reasons_of(caplog, EPC)):
                await asyncio.sleep(0.01)
            assert reasons == {"no SGX enclave device in /dev: is the SGX driver loaded?"}
            mknod(folder / "dev" / "sgx" / "enclave")
            await kubelet.wait_for(EPC, allocatable=64, capacity=64)
            await kubelet.wait_for(PROVISION, allocatable=16)
            answer = await kubelet.allocate(EPC, 1)
            assert {found.host_path for found in answer.devices} == {"/dev/sgx/enclave"}
            await plugin.until(lambda status: status.ready)

    play(work)


def test_a_driver_that_is_loaded_later_ends_the_idleness(folder, monkeypatch):
    monkeypatch.setattr(program, "IDLE_SECONDS", 0.05)
    (folder / "dev").mkdir()

    async def work():
        flags = (
            "--epc",
            "64MiB",
            "--dev-root",
            str(folder / "dev"),
            "--sys-root",
            str(folder),
            "--proc-root",
            str(folder),
        )
        async with KubeletStandIn(folder / "k") as kubelet, running(folder, *flags) as plugin:
            status = await plugin.until(lambda status: True)
            assert (status.ready, status.resources) == (True, ())
            mknod(folder / "dev" / "sgx_enclave")
            await kubelet.wait_for(EPC, allocatable=56)

    play(work)


def test_no_sgx_idles_ready_with_nothing_registered_and_says_why(folder):
    async def work():
        flags = ("--dev-root", str(folder), "--sys-root", str(folder), "--proc-root", str(folder))
        async with KubeletStandIn(folder / "k") as kubelet, running(folder, *flags) as plugin:
            status = await plugin.until(lambda status: True)
            assert (status.ready, status.resources, status.epc_mib) == (True, (), 0)
            assert status.problem
            assert (await plugin.get("/readyz"))[0] == 200
            assert kubelet.resources == ()
            assert ours(folder) == []

    play(work)


def test_allocate_makes_a_missing_slot_folder_and_never_makes_one_anew(folder, monkeypatch):
    async def answers(_path):
        return None

    monkeypatch.setattr(program, "ask_helper", answers)

    async def work():
        async with KubeletStandIn(folder / "k") as kubelet, running(folder) as plugin:
            await kubelet.wait_for(SLOT, allocatable=16, capacity=16)
            before = (folder / "s" / "slot-0").stat().st_ino
            first = await kubelet.allocate(SLOT, 1)
            assert first.mounts[0].host_path == str(folder / "s" / "slot-0")
            assert (folder / "s" / "slot-0").stat().st_ino == before
            (folder / "s" / "slot-1").rmdir()
            await kubelet.allocate(SLOT, 1)
            assert stat.S_IMODE((folder / "s" / "slot-1").stat().st_mode) == 0o755
            (folder / "s" / "slot-2").rmdir()
            (folder / "s" / "slot-2").touch()
            with pytest.raises(
                KubeletError, match=r"Allocate failed: quote slot .*/slot-2: cannot be made: File exists"
            ):
                await kubelet.allocate(SLOT, 1)
            assert (await plugin.resource(SLOT)).allocations == 2

    play(work)


def test_slots_whose_folder_cannot_be_made_do_not_keep_epc_away(folder):
    (folder / "s").touch()

    async def work():
        async with KubeletStandIn(folder / "k") as kubelet, running(folder) as plugin:
            await kubelet.wait_for(EPC, allocatable=64)
            status = await plugin.until(lambda status: "--slots 0 for none" in (status.problem or ""))
            assert "cannot be made" in status.problem
            assert (status.ready, SLOT in kubelet.resources) == (False, False)

    play(work)


def test_a_kubelet_that_dialled_back_and_does_not_answer_is_waited_for_and_named(folder, monkeypatch):
    """As in a freeze after its restart: no second registration meanwhile, and the operator is told."""
    gate = asyncio.Event()
    connect = PluginClient.connect

    async def frozen(client):
        await connect(client)
        await gate.wait()

    monkeypatch.setattr(PluginClient, "connect", frozen)

    async def work():
        async with KubeletStandIn(folder / "k") as kubelet, running(folder) as plugin:
            await plugin.until(
                lambda status: "has dialled back and not answered Register yet" in (status.problem or "")
            )
            await asyncio.sleep(0.3)
            assert len([name for name in ours(folder) if "-epc-" in name]) == 1
            gate.set()
            await kubelet.wait_for(EPC, allocatable=64)
            assert [name for name, _ in kubelet.registrations].count(EPC) == 1

    play(work)


def test_holders_are_told_on_the_local_socket_only(folder):
    pod_resources = folder / "pr.sock"

    async def work():
        flags = ("--simulate-epc", "64MiB", "--pod-resources-socket", str(pod_resources))
        async with (
            KubeletStandIn(folder / "k", pod_resources_socket=pod_resources) as kubelet,
            running(folder, *flags) as plugin,
        ):
            await kubelet.wait_for(EPC, allocatable=64)
            await kubelet.allocate(EPC, 10, holder=APP)
            await kubelet.wait_for(HELPER, allocatable=2)
            await kubelet.allocate(HELPER, 1, holder=Container(namespace="confcom-system", pod="h", name="helper"))
            path = folder / "device-plugin.sock"
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            code, body = await fetch(*await asyncio.open_unix_connection(path), "/holders")
            report = msgspec.json.decode(body)
            assert (code, report["problem"], report["units"]) == (200, None, {EPC: 10, HELPER: 1})
            assert report["containers"][0] == {
                "namespace": "n", "pod": "p", "container": "app", "resource": EPC, "units": 10, "device_ids": [],
            }  # fmt: skip
            assert "may not have read all its pods" in report["incomplete"]
            assert (report["in_process_mib"], report["out_of_process_mib"], report["saved_mib"]) == (0, 4, -4)
            assert (await plugin.get("/holders"))[0] == 404
            for path in ("/status", "/metrics"):
                assert b'"p"' not in (await plugin.get(path))[1]
        assert not (folder / "device-plugin.sock").exists()

    play(work)


def test_metrics_name_every_resource_and_state(folder):
    async def work():
        async with KubeletStandIn(folder / "k") as kubelet, running(folder) as plugin:
            await kubelet.wait_for(EPC, allocatable=64)
            await kubelet.allocate(EPC, 3)
            await plugin.until(lambda status: status.ready)
            metrics = (await plugin.get("/metrics"))[1].decode()
            for line in (
                f'confcom_device_plugin_units{{resource="{EPC}",state="healthy"}} 64.0',
                f'confcom_device_plugin_units{{resource="{SLOT}",state="unhealthy"}} 16.0',
                f'confcom_device_plugin_registrations_total{{resource="{EPC}"}} 1.0',
                f'confcom_device_plugin_allocations_total{{resource="{EPC}"}} 1.0',
                f'confcom_device_plugin_list_bytes{{resource="{EPC}"}} 896.0',
                f'confcom_device_plugin_list_refused{{resource="{EPC}"}} 0.0',
                "confcom_device_plugin_ready 1.0",
                "confcom_device_plugin_epc_mib 64.0",
                "confcom_device_plugin_epc_reserved_mib 0.0",
            ):
                assert line in metrics.splitlines(), line
            assert f'confcom_device_plugin_last_list_seconds{{resource="{EPC}"}}' in metrics

    play(work)


def test_reserve_and_switches(folder):
    async def work():
        flags = (
            "--simulate-epc",
            "64MiB",
            "--reserve",
            "14MiB",
            "--provision-units",
            "0",
            "--intel-names",
            "--slots",
            "2",
        )
        async with KubeletStandIn(folder / "k") as kubelet, running(folder, *flags) as plugin:
            await kubelet.wait_for(EPC, allocatable=50)
            await kubelet.wait_for("sgx.intel.com/enclave", allocatable=110)
            await kubelet.wait_for("sgx.intel.com/provision", allocatable=110)
            await kubelet.wait_for(SLOT, capacity=2)
            assert PROVISION not in kubelet.resources
            status = await plugin.status()
            assert (status.epc_mib, status.reserved_mib, status.offered_mib) == (64, 14, 50)

    play(work)
