"""The device plugin as a program: settings, object graph, tasks, and an orderly stop."""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from functools import partial

from confcom.device_plugin.holders import PodResources
from confcom.device_plugin.inventory import QUOTING_EPC_MIB, Kind, plan
from confcom.device_plugin.local_socket import LocalSocket
from confcom.device_plugin.node import Node
from confcom.device_plugin.registration import Registrar
from confcom.device_plugin.server import remove_leftovers
from confcom.device_plugin.settings import DevicePluginSettings
from confcom.device_plugin.slot_health import SlotWatch, ask_helper
from confcom.device_plugin.stale_ids import StaleIDs
from confcom.device_plugin.status import Finding, StatusReport
from confcom.errors import ConfcomError, PlatformError
from confcom.kubelet.contract import KUBELET_SOCKET
from confcom.platform import compatibility
from confcom.platform.device_nodes import find_nodes, simulated_nodes
from confcom.platform.epc import EPCFinding
from confcom.platform.slots import make_slot_folders, slot_socket
from confcom.platform.survey import Roots, survey
from confcom.platform.versions import look_around
from confcom.runtime import logs
from confcom.runtime.daemon import Daemon, run
from confcom.runtime.http import HTTPPort
from confcom.settings import load

logger = logging.getLogger(__name__)

PROGRAM = "sgx-device-plugin"
# How often the device nodes are looked at: two to five lstat calls.
REFRESH_SECONDS = 1.0
# How often a node without SGX is looked at again: a driver may be loaded later, by another DaemonSet.
IDLE_SECONDS = 15.0


class Plugin:
    """The object graph of one start."""

    def __init__(self, settings: DevicePluginSettings) -> None:
        self.settings = settings
        self.stale_ids: StaleIDs | None = None
        epc, no_epc, beside = self._look()
        inventory = plan(epc_mib=epc.mib, helper_epc_mib=settings.helper_epc_mib, wanted=settings.wanted)
        simulated = settings.simulate_epc is not None
        find = partial(simulated_nodes if simulated else find_nodes, settings.dev_root)
        self.node = Node(inventory, find, settings.slots_dir)
        self.pod_resources = PodResources(
            settings.pod_resources_socket,
            [offering.offer.resource for offering in self.node.offerings],
            settings.device_plugin_dir / KUBELET_SOCKET,
            # A simulated helper takes none, and stands for one of hardware.
            helper_epc_mib=settings.helper_epc_mib or QUOTING_EPC_MIB,
        )
        if (offering := self.node.offering(Kind.EPC)) is not None:
            self.stale_ids = StaleIDs(self.pod_resources, offering)
        self.finding = Finding(node=self.node, epc=epc, no_epc=no_epc, allocated=self._allocated, beside=beside)

    def _look(self) -> tuple[EPCFinding, str | None, tuple[compatibility.Finding, ...]]:
        settings = self.settings
        if settings.simulate_epc is not None:
            return EPCFinding(sections=(settings.simulate_epc,), source="simulation"), None, ()
        roots = Roots(dev=settings.dev_root, sys=settings.sys_root, proc=settings.proc_root)
        found = survey(roots, configured=settings.epc)
        return found.epc, found.problem, look_around(settings.proc_root, found.nodes, quoting=False)

    def _allocated(self) -> int:
        return self.stale_ids.allocated if self.stale_ids is not None else 0

    def start(self, daemon: Daemon) -> None:
        """Prepares the slots, and starts the registration of each resource."""
        settings, node = self.settings, self.node
        for path in remove_leftovers(settings.device_plugin_dir):
            logs.event(logger, logging.INFO, "removed the socket of a former instance", socket=path.name)
        if node.offering(Kind.SLOT) is not None:
            self._start_slots(daemon)
        node.refresh()
        for offering in node.offerings:
            before = self.stale_ids.clear if self.stale_ids and offering.offer.kind is Kind.EPC else None
            registrar = Registrar(settings.device_plugin_dir, offering, node.place, before=before)
            daemon.start(f"registration of {offering.offer.resource}", registrar.run())
        holders = LocalSocket(settings.holders_path, self.pod_resources, node)
        daemon.start("local socket", holders.run())

    def _start_slots(self, daemon: Daemon) -> None:
        try:
            folders = make_slot_folders(self.settings.slots_dir, self.settings.slots)
        except PlatformError as error:
            # EPC is worth having without slots; readiness and the log say what is missing.
            self.node.slot_problem = f"{error}; name another folder with --slots-dir, or --slots 0 for none"
            logs.event(logger, logging.ERROR, self.node.slot_problem)
            return
        sockets = [(folder.name, slot_socket(self.settings.slots_dir, folder.name)) for folder in folders]

        def changed() -> None:
            self.node.slot_health = watch.health
            self.node.refresh()
            healthy = sum(watch.health.values())
            logs.event(logger, logging.INFO, "quote slots", cause="slots", healthy=healthy, of=len(sockets))

        watch = SlotWatch(sockets, changed, ask_helper)
        daemon.start("slots", watch.run())


async def serve(settings: DevicePluginSettings, daemon: Daemon) -> int:
    """Runs until the daemon is told to stop; then streams end first, and the HTTP port last."""
    plugin = Plugin(settings)
    report = StatusReport(plugin.finding, simulated=settings.simulate_epc is not None, generation=settings.generation)
    report.log(logger)
    _refuse(plugin)
    http = HTTPPort(report.routes(), settings.http_address, (settings.http_port,))
    daemon.start("HTTP port", http.serve())
    while not plugin.node.offerings and not await _stopping(daemon, IDLE_SECONDS):
        plugin = Plugin(settings)
        report.finding = plugin.finding
        if plugin.node.offerings:
            report.log(logger)
            _refuse(plugin)
    if plugin.node.offerings:
        plugin.start(daemon)
    while not await _stopping(daemon, REFRESH_SECONDS):
        plugin.node.refresh()
    http.stop()
    return 0


def _refuse(plugin: Plugin) -> None:
    """Ends the program where it runs beside something with which it does not work."""
    if sentence := compatibility.refusal(plugin.finding.beside):
        raise PlatformError(sentence)


async def _stopping(daemon: Daemon, seconds: float) -> bool:
    """Whether the daemon was told to stop within the time."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(daemon.stopping.wait(), seconds)
    return daemon.stopping.is_set()


def main(arguments: Sequence[str]) -> int:
    """The program's entry: the exit status, with any error as one sentence on stderr."""
    try:
        settings = load(DevicePluginSettings, arguments, os.environ, program="confcom device-plugin")
        logs.configure(settings.log_format, PROGRAM)
        return run(partial(serve, settings))
    except ConfcomError as error:
        sys.stderr.write(f"confcom device-plugin: {error}\n")
        return error.exit_code
