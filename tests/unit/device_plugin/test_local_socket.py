import asyncio
import contextlib

from confcom.device_plugin.holders import PodResources
from confcom.device_plugin.inventory import Inventory
from confcom.device_plugin.local_socket import LocalSocket
from confcom.device_plugin.node import Node
from confcom.platform.device_nodes import DriverNodes

NODE = Node(
    Inventory(epc_mib=0, reserved_mib=0, offers=()),
    lambda: DriverNodes(enclave=None, provision=None),
    slots_dir=None,
)


async def started(path):
    """An instance of the plugin that serves `path`."""
    serving = asyncio.create_task(LocalSocket(path, PodResources(None, (), path), NODE).run())
    # It listens in its first step, before it waits for anything.
    await asyncio.sleep(0)
    assert path.is_socket()
    return serving


async def stopped(serving):
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def test_a_former_instance_that_stops_leaves_the_socket_of_its_successor(short_dir):
    path = short_dir / "device-plugin.sock"

    async def work():
        former = await started(path)
        successor = await started(path)
        await stopped(former)
        assert path.is_socket()
        await stopped(successor)
        assert not path.exists()

    asyncio.run(work())
