"""The stand-in against a plugin of this file's own, which can be told to misbehave: each row of the kubelet's contract."""

import asyncio
import contextlib
import stat

import grpc
import grpc.aio
import pytest

from confcom.errors import KubeletError
from confcom.kubelet import contract
from confcom.kubelet import deviceplugin_pb2 as dp
from confcom.kubelet import podresources_pb2 as pr
from confcom.simulation import kubelet as stand_in
from confcom.simulation.device_manager import Container
from confcom.simulation.kubelet import Faults, KubeletStandIn

EPC = "kubernetes.azure.com/sgx_epc_mem_in_MiB"
DEADLINE = 30.0


class Plugin:
    """Serves one socket, and sends what `send` is given."""

    def __init__(self, folder, name="test.sock", *, options_fail=False, allocate=None):
        self.path = folder / name
        self.calls = []
        self.options_fail = options_fail
        self.allocate = allocate
        self.queue = asyncio.Queue()
        self.stream_over = asyncio.Event()

    async def __aenter__(self):
        self.server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler
        methods = {
            "GetDevicePluginOptions": handler(
                self.options, dp.Empty.FromString, dp.DevicePluginOptions.SerializeToString
            ),
            "Allocate": handler(self.on_allocate, dp.AllocateRequest.FromString, dp.AllocateResponse.SerializeToString),
            "ListAndWatch": grpc.unary_stream_rpc_method_handler(self.stream, dp.Empty.FromString),
        }
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(contract.DEVICE_PLUGIN, methods),))
        self.server.add_insecure_port(f"unix:{self.path}")
        await self.server.start()
        return self

    async def __aexit__(self, *_):
        await self.server.stop(0)

    async def options(self, _request, context):
        self.calls.append("options")
        if self.options_fail:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "no options here")
        return dp.DevicePluginOptions()

    async def on_allocate(self, request, context):
        if self.allocate is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "nothing to give")
        return self.allocate(request)

    async def stream(self, _request, _context):
        self.calls.append("stream")
        try:
            while (message := await self.queue.get()) is not None:
                yield message
        finally:
            self.stream_over.set()

    def send(self, devices):
        self.queue.put_nowait(
            dp.ListAndWatchResponse(
                devices=[dp.Device(ID=name, health=health) for name, health in devices]
            ).SerializeToString()
        )

    def end(self):
        self.queue.put_nowait(None)

    async def register(self, *, version="v1beta1", endpoint=None, resource=EPC):
        async with grpc.aio.insecure_channel(
            f"unix:{self.path.parent / 'kubelet.sock'}", options=(("grpc.use_local_subchannel_pool", 1),)
        ) as channel:
            call = channel.unary_unary(
                contract.REGISTER.path,
                request_serializer=dp.RegisterRequest.SerializeToString,
                response_deserializer=dp.Empty.FromString,
            )
            endpoint = self.path.name if endpoint is None else endpoint
            await call(dp.RegisterRequest(version=version, endpoint=endpoint, resource_name=resource), timeout=DEADLINE)


def healthy(count):
    return [(f"d{index}", "Healthy") for index in range(count)]


def play(folder, work, faults=None, **options):
    async def run():
        async with asyncio.timeout(30), KubeletStandIn(folder, faults=faults, **options) as kubelet:
            await work(kubelet)

    asyncio.run(run())


def test_register_dials_back_and_the_list_becomes_capacity_and_allocatable(short_dir):
    async def work(kubelet):
        async with Plugin(short_dir) as plugin:
            plugin.send([*healthy(3), ("bad", "Unhealthy"), ("none", ""), ("odd", "healthy")])
            await plugin.register()
            assert plugin.calls[0] == "options"
            await kubelet.wait_for(EPC, allocatable=3, capacity=6)
            assert kubelet.registrations == [(EPC, "test.sock")]
            plugin.end()

    play(short_dir, work)


def test_each_list_replaces_the_one_before_and_repeated_ids_are_one(short_dir):
    async def work(kubelet):
        async with Plugin(short_dir) as plugin:
            plugin.send([*healthy(4), ("d0", "Healthy")])
            await plugin.register()
            await kubelet.wait_for(EPC, allocatable=4, capacity=4)
            plugin.send(healthy(2))
            await kubelet.wait_for(EPC, allocatable=2, capacity=2)
            plugin.send([])
            await kubelet.wait_for(EPC, allocatable=0, capacity=0)
            plugin.end()

    play(short_dir, work)


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({"version": "v1"}, "API version 'v1' is not supported; this kubelet speaks v1beta1"),
        ({"version": ""}, "API version '' is not supported; this kubelet speaks v1beta1"),
        ({"endpoint": "a/b.sock"}, "endpoint 'a/b.sock' is not the name of a file in the device-plugins folder"),
        ({"endpoint": ""}, "endpoint '' is not the name of a file in the device-plugins folder"),
        ({"resource": "cpu"}, "'cpu' has no domain before a slash, which an extended resource needs"),
        ({"resource": "kubernetes.io/x"}, "'kubernetes.io/x' lies in kubernetes.io, which is Kubernetes' own"),
    ],
)
def test_what_is_wrong_with_a_registration(short_dir, request_, problem):
    async def work(kubelet):
        async with Plugin(short_dir) as plugin:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await plugin.register(**request_)
            assert refused.value.details() == problem
            assert (plugin.calls, kubelet.resources) == ([], ())

    play(short_dir, work)


def test_a_missing_socket_fails_register_after_the_dial_back(short_dir, monkeypatch):
    monkeypatch.setattr("confcom.simulation.plugin_client.DIAL_BACK_SECONDS", 0.2)

    async def work(kubelet):
        async with Plugin(short_dir) as plugin:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await plugin.register(endpoint="absent.sock")
            assert refused.value.details() == f"{short_dir / 'absent.sock'}: not reachable within 0.2 s"

    play(short_dir, work)


def test_options_failure_fails_register_and_capacity_stays(short_dir):
    async def work(kubelet):
        async with Plugin(short_dir) as first, Plugin(short_dir, "second.sock", options_fail=True) as second:
            first.send(healthy(5))
            await first.register()
            await kubelet.wait_for(EPC, allocatable=5)
            with pytest.raises(grpc.aio.AioRpcError, match="GetDevicePluginOptions failed: no options here"):
                await second.register()
            assert kubelet.allocatable(EPC) == 5
            first.end()

    play(short_dir, work)


def test_options_error_can_be_played(short_dir):
    async def work(kubelet):
        async with Plugin(short_dir) as plugin:
            plugin.send(healthy(1))
            with pytest.raises(grpc.aio.AioRpcError, match="the plugin's options could not be had"):
                await plugin.register()
            await plugin.register()
            await kubelet.wait_for(EPC, allocatable=1)
            plugin.end()

    play(short_dir, work, Faults(options_errors=1))


def test_slow_dial_back_can_be_played(short_dir):
    async def work(kubelet):
        async with Plugin(short_dir) as plugin:
            start = asyncio.get_running_loop().time()
            await plugin.register()
            assert asyncio.get_running_loop().time() - start >= 0.3
            plugin.end()

    play(short_dir, work, Faults(dial_back_delay_seconds=0.3))


def test_stream_end_takes_allocatable_and_leaves_capacity_for_five_minutes(short_dir):
    now = [1000.0]

    async def work(kubelet):
        async with Plugin(short_dir) as plugin:
            plugin.send(healthy(5))
            await plugin.register()
            await kubelet.wait_for(EPC, allocatable=5)
            plugin.end()
            await kubelet.wait_for(EPC, allocatable=0, capacity=5)
            assert kubelet.stream_ends == [(EPC, "the plugin ended the stream")]
            with pytest.raises(KubeletError, match=r"^insufficient .*: 1 wanted, 0 free and healthy$"):
                await kubelet.allocate(EPC, 1)
            now[0] += 299
            assert kubelet.capacity(EPC) == 5
            now[0] += 1
            assert kubelet.capacity(EPC) == 0
            # The name stays, with the value 0; and the kubelet never came back by itself.
            assert kubelet.resources == (EPC,)
            assert plugin.calls.count("stream") == 1

    play(short_dir, work, clock=lambda: now[0])


def test_registering_again_within_the_grace_brings_everything_back(short_dir):
    async def work(kubelet):
        async with Plugin(short_dir) as plugin:
            plugin.send(healthy(5))
            await plugin.register()
            await kubelet.wait_for(EPC, allocatable=5)
            plugin.end()
            await kubelet.wait_for(EPC, allocatable=0)
            plugin.send(healthy(5))
            await plugin.register()
            await kubelet.wait_for(EPC, allocatable=5, capacity=5)
            plugin.end()

    play(short_dir, work)


@pytest.mark.parametrize("fixed", [False, True], ids=["as in 1.36", "as fixed later"])
def test_the_end_of_an_old_stream_and_a_new_one(short_dir, fixed):
    async def work(kubelet):
        async with Plugin(short_dir) as old, Plugin(short_dir, "new.sock") as new:
            old.send(healthy(5))
            await old.register()
            await kubelet.wait_for(EPC, allocatable=5)
            new.send(healthy(7))
            await new.register()
            await kubelet.wait_for(EPC, allocatable=7)
            old.end()
            if fixed:
                await asyncio.wait_for(old.stream_over.wait(), DEADLINE)
                new.send(healthy(8))
                await kubelet.wait_for(EPC, allocatable=8)
                new.end()
            else:
                await asyncio.wait_for(new.stream_over.wait(), DEADLINE)
                await kubelet.wait_for(EPC, allocatable=0, capacity=7)

    play(short_dir, work, Faults(old_stream_kills_new=not fixed))


@pytest.mark.parametrize(("limit", "taken"), [(310, True), (309, False)])
def test_a_list_that_fits_to_the_byte_is_taken_and_one_byte_more_ends_the_stream(short_dir, limit, taken):
    devices = [(f"{index:04}", "Healthy") for index in range(17)]  # 17 bytes each
    devices.append(("x" * 8, "Healthy"))  # is 21

    async def work(kubelet):
        async with Plugin(short_dir) as plugin:
            data = dp.ListAndWatchResponse(devices=[dp.Device(ID=name, health=health) for name, health in devices])
            assert data.ByteSize() == 310
            plugin.queue.put_nowait(data.SerializeToString())
            await plugin.register()
            if taken:
                await kubelet.wait_for(EPC, allocatable=18)
                plugin.end()
            else:
                await asyncio.wait_for(plugin.stream_over.wait(), DEADLINE)
                # The plugin may see the end before the kubelet has noted it.
                async with asyncio.timeout(DEADLINE):
                    while not kubelet.stream_ends:
                        await asyncio.sleep(0.01)
                assert kubelet.allocatable(EPC) == 0
                assert "received message larger than max" in kubelet.stream_ends[0][1].lower()

    play(short_dir, work, Faults(max_list_bytes=limit))


def give_null(request):
    device = dp.DeviceSpec(container_path="/dev/x", host_path="/dev/null", permissions="rw")
    return dp.AllocateResponse(
        container_responses=[dp.ContainerAllocateResponse(devices=[device]) for _ in request.container_requests]
    )


APP = Container(namespace="n", pod="p", name="app")


def test_allocate_takes_free_healthy_ids_and_release_gives_them_back(short_dir):
    async def work(kubelet):
        async with Plugin(short_dir, allocate=give_null) as plugin:
            plugin.send([*healthy(3), ("bad", "Unhealthy")])
            await plugin.register()
            await kubelet.wait_for(EPC, allocatable=3)
            response = await kubelet.allocate(EPC, 2, holder=APP)
            assert response.devices[0].host_path == "/dev/null"
            assert kubelet.taken(EPC) == {"d0", "d1"}
            assert kubelet.allocatable(EPC) == 3
            with pytest.raises(KubeletError, match=rf"^insufficient {EPC}: 2 wanted, 1 free and healthy$"):
                await kubelet.allocate(EPC, 2)
            kubelet.release(APP)
            assert kubelet.taken(EPC) == frozenset()
            await kubelet.allocate(EPC, 3)
            plugin.end()

    play(short_dir, work)


def test_a_restarted_container_gets_the_stored_answer(short_dir):
    async def work(kubelet):
        async with Plugin(short_dir, allocate=give_null) as plugin:
            plugin.send(healthy(3))
            await plugin.register()
            await kubelet.wait_for(EPC, allocatable=3)
            first = await kubelet.allocate(EPC, 2, holder=APP)
            plugin.allocate = None
            assert await kubelet.allocate(EPC, 2, holder=APP) == first
            plugin.end()

    play(short_dir, work)


@pytest.mark.parametrize(
    ("allocate", "problem"),
    [
        (None, "Allocate failed: nothing to give"),
        (lambda _request: dp.AllocateResponse(), "Allocate gave 0 answers for one container"),
    ],
)
def test_a_refused_allocate_books_nothing(short_dir, allocate, problem):
    async def work(kubelet):
        async with Plugin(short_dir, allocate=allocate) as plugin:
            plugin.send(healthy(3))
            await plugin.register()
            await kubelet.wait_for(EPC, allocatable=3)
            with pytest.raises(KubeletError, match=problem):
                await kubelet.allocate(EPC, 1)
            assert kubelet.taken(EPC) == frozenset()
            plugin.end()

    play(short_dir, work)


def test_restart_deletes_sockets_but_no_files_and_keeps_the_checkpoint(short_dir):
    async def work(kubelet):
        async with Plugin(short_dir, allocate=give_null) as plugin:
            plugin.send(healthy(3))
            await plugin.register()
            await kubelet.wait_for(EPC, allocatable=3)
            await kubelet.allocate(EPC, 2, holder=APP)
            (short_dir / "file").touch()
            (short_dir / "folder").mkdir()
            await kubelet.stop()
            assert stat.S_ISSOCK(kubelet.socket.lstat().st_mode)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_unix_connection(kubelet.socket)
            assert plugin.path.exists()
            await kubelet.start()
            assert not plugin.path.exists()
            assert {entry.name for entry in short_dir.iterdir()} == {
                "file", "folder", "kubelet.sock", "kubelet_internal_checkpoint",
            }  # fmt: skip
            assert (kubelet.capacity(EPC), kubelet.allocatable(EPC), kubelet.resources) == (0, 0, (EPC,))
            assert kubelet.taken(EPC) == {"d0", "d1"}

    play(short_dir, work)


def test_checkpointed_ids_stay_taken_even_if_the_new_list_lacks_them(short_dir):
    async def work(kubelet):
        async with Plugin(short_dir, allocate=give_null) as plugin:
            plugin.send(healthy(2))
            await plugin.register()
            await kubelet.wait_for(EPC, allocatable=2)
            await kubelet.allocate(EPC, 2, holder=APP)
            await kubelet.restart()
        async with Plugin(short_dir, "again.sock", allocate=give_null) as plugin:
            plugin.send([("e0", "Healthy"), ("d1", "Healthy")])
            await plugin.register()
            await kubelet.wait_for(EPC, allocatable=2)
            await kubelet.allocate(EPC, 1)
            assert kubelet.taken(EPC) == {"d0", "d1", "e0"}
            plugin.end()

    play(short_dir, work)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"registered":{"\xff":[]}}'], ids=["cut", "a list", "no text"])
def test_a_broken_checkpoint_is_named(short_dir, content):
    (short_dir / stand_in.CHECKPOINT_NAME).write_bytes(content)
    with pytest.raises(KubeletError, match=r"kubelet_internal_checkpoint: not a checkpoint of the kubelet stand-in"):
        play(short_dir, None)


def test_a_checkpoint_that_cannot_be_read_is_named(short_dir):
    (short_dir / stand_in.CHECKPOINT_NAME).mkdir()
    with pytest.raises(KubeletError, match=r"kubelet_internal_checkpoint: cannot be read: Is a directory$"):
        play(short_dir, None)


def test_pod_resources_has_one_message_per_device(short_dir):
    socket = short_dir / "pr" / "kubelet.sock"

    async def work(kubelet):
        async with Plugin(short_dir / "dp", allocate=give_null) as plugin:
            plugin.send(healthy(4))
            await plugin.register()
            await kubelet.wait_for(EPC, allocatable=4)
            await kubelet.allocate(EPC, 2, holder=APP)
            await kubelet.allocate(EPC, 1, holder=Container(namespace="n", pod="p", name="side"))
            async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
                call = channel.unary_unary(
                    contract.LIST_POD_RESOURCES.path,
                    request_serializer=pr.ListPodResourcesRequest.SerializeToString,
                    response_deserializer=pr.ListPodResourcesResponse.FromString,
                )
                found = await call(pr.ListPodResourcesRequest(), timeout=DEADLINE)
            (pod,) = found.pod_resources
            assert [(held.name, len(held.devices)) for held in pod.containers] == [("app", 2), ("side", 1)]
            assert list(pod.containers[0].devices[1].device_ids) == ["d1"]
            plugin.end()

    play(short_dir / "dp", work, pod_resources_socket=socket)


def test_waiting_in_vain_says_what_there_is(short_dir):
    async def work(kubelet):
        with pytest.raises(
            KubeletError, match=rf"^{EPC}: not at allocatable 1, capacity None within 0.05 s; it has 0 and 0$"
        ):
            await kubelet.wait_for(EPC, allocatable=1, deadline_seconds=0.05)
        for call in (kubelet.break_stream(EPC), kubelet.allocate(EPC, 0)):
            with pytest.raises(KubeletError, match=rf"^{EPC}: no plugin is connected$"):
                await call

    play(short_dir, work)


def test_too_long_a_folder_is_named(capsys):
    assert stand_in.main(["--device-plugin-dir", "/" + "x" * 120]) == 2
    assert capsys.readouterr().err == (
        f"kubelet stand-in: --device-plugin-dir /{'x' * 120}: too long a path for a Unix socket; name a shorter one\n"
    )


def test_a_folder_that_is_a_file_is_named(short_dir, capsys):
    (short_dir / "file").touch()
    assert stand_in.main(["--device-plugin-dir", str(short_dir / "file")]) == 3
    assert capsys.readouterr().err == (
        f"kubelet stand-in: {short_dir}/file: cannot be used as the plugins' folder: File exists\n"
    )


def test_as_a_program_it_prints_each_change(short_dir):
    import sys

    async def run():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "confcom.simulation.kubelet", "--device-plugin-dir", str(short_dir),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(DEADLINE):
                while not (short_dir / "kubelet.sock").exists():
                    await asyncio.sleep(0.02)
                async with Plugin(short_dir) as plugin:
                    plugin.send(healthy(3))
                    await plugin.register()
                    lines = [await process.stdout.readline()]
                    while b"allocatable 3" not in lines[-1]:
                        lines.append(await process.stdout.readline())
                    plugin.end()
                    process.terminate()
                    assert await process.wait() == 0
            assert lines[-1] == f"{EPC}: capacity 3, allocatable 3\n".encode()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    asyncio.run(run())
