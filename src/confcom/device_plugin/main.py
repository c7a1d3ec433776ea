"""The device plugin as a program: settings, object graph, tasks, and an orderly stop."""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from functools import partial

from confcom.device_plugin.inventory import plan
from confcom.device_plugin.node import Node
from confcom.device_plugin.registration import Registrar
from confcom.device_plugin.server import remove_leftovers
from confcom.device_plugin.settings import DevicePluginSettings
from confcom.device_plugin.status import StatusReport
from confcom.errors import ConfcomError
from confcom.platform import device_nodes
from confcom.platform.epc import EPCFinding, from_sysfs
from confcom.platform.slots import make_slot_folders
from confcom.runtime import logs
from confcom.runtime.daemon import Daemon, run
from confcom.runtime.http import HTTPPort
from confcom.settings import load

logger = logging.getLogger(__name__)

PROGRAM = "sgx-device-plugin"
# How often the device nodes are looked at: two to five lstat calls.
REFRESH_SECONDS = 1.0


def find_epc(settings: DevicePluginSettings) -> EPCFinding:
    """The EPC to plan with."""
    if settings.simulate_epc is not None:
        return EPCFinding(sections=(settings.simulate_epc,), source="simulation")
    return EPCFinding(sections=from_sysfs(settings.sys_root), source="sysfs")


def build(settings: DevicePluginSettings) -> tuple[Node, StatusReport]:
    """The object graph of one start."""
    epc = find_epc(settings)
    simulated = settings.simulate_epc is not None
    inventory = plan(epc_mib=epc.mib, helper_epc_mib=0, wanted=settings.wanted)
    find = device_nodes.simulated_nodes if simulated else device_nodes.find_nodes
    node = Node(inventory, partial(find, settings.dev_root), settings.slots_dir)
    return node, StatusReport(node, epc=epc, simulated=simulated, generation=settings.generation)


async def serve(settings: DevicePluginSettings, daemon: Daemon) -> int:
    """Runs until the daemon is told to stop; the order of the stop: streams, sockets, HTTP port."""
    node, report = build(settings)
    http = HTTPPort(report.routes(), settings.http_address, (settings.http_port,))
    daemon.start("HTTP port", http.serve())
    report.log(logger)
    if node.offerings:
        make_slot_folders(settings.slots_dir, settings.slots)
        for path in remove_leftovers(settings.device_plugin_dir):
            logs.event(logger, logging.INFO, "removed the socket of a former instance", socket=path.name)
    node.refresh()
    for offering in node.offerings:
        registrar = Registrar(settings.device_plugin_dir, offering, node.place)
        daemon.start(f"registration of {offering.offer.resource}", registrar.run())
    while not daemon.stopping.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(daemon.stopping.wait(), REFRESH_SECONDS if node.offerings else None)
        node.refresh()
    http.stop()
    return 0


def main(arguments: Sequence[str]) -> int:
    """The program's entry: the exit status, with any error as one sentence on stderr."""
    try:
        settings = load(DevicePluginSettings, arguments, os.environ, program="confcom device-plugin")
        logs.configure(settings.log_format, PROGRAM)
        return run(partial(serve, settings))
    except ConfcomError as error:
        sys.stderr.write(f"confcom device-plugin: {error}\n")
        return error.exit_code
