"""The node as the plugin sees it now, and what follows for each resource: offered, with which health, or withdrawn."""

import logging
from collections.abc import Callable
from pathlib import Path

from confcom.device_plugin.allocation import Place
from confcom.device_plugin.inventory import Inventory, Kind
from confcom.device_plugin.listing import encode_devices, encode_units, size_problem
from confcom.device_plugin.offering import Offering
from confcom.platform.device_nodes import DriverNodes
from confcom.runtime.logs import event

logger = logging.getLogger(__name__)


class Node:
    """Device nodes, looked at again at each `refresh`, and the offerings that hang on them."""

    def __init__(self, inventory: Inventory, find: Callable[[], DriverNodes], slots_dir: Path) -> None:
        self.inventory = inventory
        self.offerings = tuple(Offering(offer) for offer in inventory.offers)
        self.nodes = find()
        self.slots_dir = slots_dir
        # Without a watch (no helper is ever asked) no slot is healthy.
        self.slot_health: dict[str, bool] = {}
        # Why slots cannot be offered at all, in words.
        self.slot_problem: str | None = None
        self._find = find

    def offering(self, kind: Kind) -> Offering | None:
        """The offering of this kind, if there is one."""
        return next((offering for offering in self.offerings if offering.offer.kind is kind), None)

    def place(self) -> Place:
        """What goes into answers from now on."""
        return Place(nodes=self.nodes, slots_dir=self.slots_dir)

    def refresh(self) -> None:
        """Looks at the device nodes, and offers or withdraws what hangs on them."""
        before, self.nodes = self.nodes, self._find()
        if before != self.nodes:
            there = [node.host_path for node in (self.nodes.enclave, self.nodes.provision) if node]
            event(logger, logging.WARNING, "device nodes changed", now=" ".join(there) or "none")
        for offering in self.offerings:
            if (why := self._obstacle(offering.offer.kind)) is not None:
                offering.withdraw(why)
            elif offering.offer.kind is Kind.SLOT:
                self._offer_slots(offering)
            elif offering.devices is None:
                self._offer(offering)

    def _obstacle(self, kind: Kind) -> str | None:
        if kind is Kind.SLOT:
            return self.slot_problem
        if self.nodes.enclave is None:
            return "; ".join(self.nodes.problems) or "no SGX enclave device in /dev: is the SGX driver loaded?"
        if kind.has_provision and self.nodes.provision is None:
            return "no SGX provision device in /dev"
        return None

    def _offer(self, offering: Offering) -> None:
        offer = offering.offer
        if offer.kind is not Kind.EPC:
            offering.publish(encode_devices((device_id, True) for device_id in offer.device_ids), offer.units)
        elif (problem := size_problem(offer.resource, offer.units)) is not None:
            if not offering.oversize:
                event(logger, logging.ERROR, problem)
            offering.oversize = True
            offering.withdraw(problem)
        else:
            offering.publish(encode_units(offer.units), offer.units)

    def _offer_slots(self, offering: Offering) -> None:
        health = [(slot_id, self.slot_health.get(slot_id, False)) for slot_id in offering.offer.device_ids]
        offering.publish(encode_devices(health), sum(healthy for _, healthy in health))
