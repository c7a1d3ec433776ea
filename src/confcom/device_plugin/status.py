"""What the plugin tells about itself: `/livez`, `/readyz`, `/status`, `/metrics`, and the first lines of its log."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from confcom import __version__
from confcom.device_plugin import freeze
from confcom.device_plugin.listing import list_bytes
from confcom.device_plugin.node import Node
from confcom.device_plugin.offering import Offering
from confcom.platform import compatibility
from confcom.platform.epc import EPCFinding
from confcom.runtime import beside
from confcom.runtime.http import Answer, Route
from confcom.runtime.logs import event
from confcom.runtime.status import STATUS_VERSION, DevicePluginStatus, ResourceStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one look at the machine led to; `allocated` gives the EPC ids that may count as allocated now."""

    node: Node
    epc: EPCFinding
    # Why there is no EPC, from every source together.
    no_epc: str | None
    allocated: Callable[[], int]
    beside: tuple[compatibility.Finding, ...] = ()


class StatusReport:
    """Reads the node's state when asked, and keeps none of its own but the finding, which `main` may replace."""

    def __init__(self, finding: Finding, *, simulated: bool, generation: int) -> None:
        self.finding = finding
        self._simulated = simulated
        self._generation = generation
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Metrics(self))

    def routes(self) -> Mapping[str, Route]:
        """The routes of the HTTP port."""
        return {
            "/livez": lambda: Answer.verdict(None),
            "/readyz": lambda: Answer.verdict(self.problem()),
            "/status": lambda: Answer.json(self.status()),
            "/metrics": lambda: Answer.metrics(generate_latest(self._registry)),
        }

    def log(self, logger: logging.Logger) -> None:
        """The lines of the start: what was found, what is offered, and why not more."""
        self._log_node(logger)
        beside.tell(logger, self.finding.beside)

    def _log_node(self, logger: logging.Logger) -> None:
        status = self.status()
        if not self.finding.node.offerings:
            event(logger, logging.WARNING, "idle, with nothing to offer", why=self.idle_reason())
            return
        event(
            logger,
            logging.INFO,
            "simulated node" if status.simulated else "SGX node",
            epc_mib=status.epc_mib,
            source=status.epc_source,
            offered_mib=status.offered_mib,
            reserved_mib=status.reserved_mib,
            devices=" ".join(status.devices),
        )
        for sentence in status.advice:
            event(logger, logging.WARNING, sentence)

    def idle_reason(self) -> str | None:
        """Why nothing is offered on this node, or None where something is."""
        if self.finding.node.offerings:
            return None
        if self.finding.node.inventory.epc_mib:
            return "every resource is switched off"
        return self.finding.no_epc or "this node has no EPC"

    def advice(self) -> tuple[str, ...]:
        """Sentences for the operator about a node that works, but could hurt."""
        inventory = self.finding.node.inventory
        return tuple(filter(None, (inventory.problem, freeze.advice(inventory.offered_mib))))

    def problem(self) -> str | None:
        """Why the plugin is not ready, or None: each resource is registered and its stream has lasted a moment."""
        late = [_resource_problem(offering) for offering in self.finding.node.offerings if not offering.is_registered]
        return "; ".join(late) or None

    def status(self) -> DevicePluginStatus:
        """`/status` of this moment."""
        problem = self.problem()
        inventory, nodes = self.finding.node.inventory, self.finding.node.nodes
        return DevicePluginStatus(
            version=STATUS_VERSION,
            program="sgx-device-plugin",
            confcom=__version__,
            generation=self._generation,
            simulated=self._simulated,
            ready=problem is None,
            problem=problem or self.idle_reason(),
            epc_mib=inventory.epc_mib,
            epc_source=self.finding.epc.source,
            reserved_mib=inventory.reserved_mib,
            offered_mib=inventory.offered_mib,
            devices=tuple(dict.fromkeys(node.host_path for node in (nodes.enclave, nodes.provision) if node)),
            resources=tuple(map(_resource_status, self.finding.node.offerings)),
            freeze_seconds=freeze.freeze_seconds(inventory.offered_mib, self.finding.allocated()),
            advice=self.advice(),
            compatibility=beside.entries(self.finding.beside),
        )


def _resource_problem(offering: Offering) -> str:
    why = offering.problem or "the kubelet has not taken its list yet"
    return f"{offering.offer.resource}: {why}"


def _resource_status(offering: Offering) -> ResourceStatus:
    last = offering.last_list_at
    return ResourceStatus(
        name=offering.offer.resource,
        registered=offering.is_registered,
        total=offering.offer.units,
        healthy=offering.healthy,
        list_bytes=list_bytes(offering.offer.units) if offering.oversize else len(offering.devices or b""),
        registrations=offering.registrations,
        allocations=offering.allocations,
        last_list_seconds_ago=None if last is None else offering.clock() - last,
        problem=None if offering.is_registered else offering.problem,
    )


class _Metrics(Collector):
    """The numbers of `/status` for Prometheus, read at each scrape."""

    def __init__(self, report: StatusReport) -> None:
        self._report = report

    def collect(self) -> Iterable[Metric]:
        """Every metric family."""
        status = self._report.status()
        yield GaugeMetricFamily("confcom_device_plugin_epc_mib", "EPC of the node", value=status.epc_mib)
        yield GaugeMetricFamily(
            "confcom_device_plugin_epc_reserved_mib", "EPC withheld from applications", value=status.reserved_mib
        )
        yield GaugeMetricFamily("confcom_device_plugin_ready", "1 when /readyz says ok", value=int(status.ready))
        yield GaugeMetricFamily(
            "confcom_device_plugin_kubelet_freeze_seconds",
            "Estimate: how long a kubelet of 1.36 or newer admits no pod after its restart",
            value=status.freeze_seconds,
        )
        yield _units(status)
        yield self._refused()
        for name, text, field in (
            ("registered", "1 when the kubelet has taken the list", "registered"),
            ("list_bytes", "Size of the list", "list_bytes"),
            ("last_list_seconds", "Seconds since the last list was sent", "last_list_seconds_ago"),
        ):
            yield _per_resource(GaugeMetricFamily, name, text, field, status)
        for name, text, field in (
            ("registrations", "Registrations the kubelet took", "registrations"),
            ("allocations", "Allocate calls answered", "allocations"),
        ):
            yield _per_resource(CounterMetricFamily, name, text, field, status)

    def _refused(self) -> Metric:
        text = "1 when the list is over what the kubelet takes, and is not sent"
        family = GaugeMetricFamily("confcom_device_plugin_list_refused", text, labels=("resource",))
        for offering in self._report.finding.node.offerings:
            family.add_metric((offering.offer.resource,), float(offering.oversize))
        return family


def _units(status: DevicePluginStatus) -> Metric:
    family = GaugeMetricFamily("confcom_device_plugin_units", "Units by state", labels=("resource", "state"))
    for resource in status.resources:
        family.add_metric((resource.name, "healthy"), resource.healthy)
        family.add_metric((resource.name, "unhealthy"), resource.total - resource.healthy)
    return family


def _per_resource(
    family_type: type[GaugeMetricFamily] | type[CounterMetricFamily],
    name: str,
    text: str,
    field: str,
    status: DevicePluginStatus,
) -> Metric:
    family = family_type(f"confcom_device_plugin_{name}", text, labels=("resource",))
    for resource in status.resources:
        value = getattr(resource, field)
        if value is not None:
            family.add_metric((resource.name,), float(value))
    return family
