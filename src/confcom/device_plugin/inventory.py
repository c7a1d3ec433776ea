"""What the plugin offers on this node: a pure function of what was found and what the operator wants."""

import enum
from dataclasses import dataclass

from confcom.platform.slots import slot_ids

EPC_RESOURCE = "kubernetes.azure.com/sgx_epc_mem_in_MiB"
PROVISION_RESOURCE = "confcom.io/sgx-provision"
SLOT_RESOURCE = "confcom.io/sgx-quote"
HELPER_RESOURCE = "confcom.io/sgx-quote-helper"
INTEL_ENCLAVE_RESOURCE = "sgx.intel.com/enclave"
INTEL_PROVISION_RESOURCE = "sgx.intel.com/provision"

# How many containers of a node may use one resource of Intel's names at a time: the kubelet's default number of pods.
INTEL_UNITS = 110


# EPC of one QE and one PCE: each is under 2 MiB by its stack and heap (QE3: 0x44000 and 0x24000).
QUOTING_EPC_MIB = 4


class Kind(enum.StrEnum):
    """What a container gets for a unit; the word is part of socket names and device ids."""

    EPC = "epc"
    PROVISION = "provision"
    SLOT = "slot"
    HELPER = "helper"
    INTEL_ENCLAVE = "intel-enclave"
    INTEL_PROVISION = "intel-provision"

    @property
    def has_provision(self) -> bool:
        """Whether the provision device belongs to it, beside the enclave device."""
        return self in (Kind.PROVISION, Kind.HELPER, Kind.INTEL_PROVISION)


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """One resource with the number of its units; for EPC one unit is 1 MiB."""

    resource: str
    kind: Kind
    units: int

    @property
    def device_ids(self) -> list[str]:
        """The ids of everything but EPC, four letters or more; EPC's are `listing.unit_id`."""
        if self.kind is Kind.SLOT:
            return slot_ids(self.units)
        return [f"{self.kind}-{index}" for index in range(self.units)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What the operator asked for; a number of 0 switches a resource off."""

    epc: bool = True
    provision_units: int = 16
    slots: int = 16
    helper_tokens: int = 2
    reserve_mib: int = 0
    intel_names: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """The offers, and how the EPC of the node is divided, in MiB."""

    epc_mib: int
    reserved_mib: int
    offers: tuple[Offer, ...]

    @property
    def problem(self) -> str | None:
        """Why there is EPC on the node, but none for applications."""
        if self.epc_mib and self.reserved_mib == self.epc_mib:
            return f"all {self.epc_mib} MiB of EPC are withheld (--reserve, --helper-epc): none is left to offer"
        return None

    @property
    def offered_mib(self) -> int:
        """The EPC that applications can ask for."""
        return sum(offer.units for offer in self.offers if offer.kind is Kind.EPC)


def plan(*, epc_mib: int, helper_epc_mib: int, wanted: Wanted) -> Inventory:
    """The inventory of a node with `epc_mib` of EPC; without EPC nothing is offered.

    `helper_epc_mib` is what QE and PCE of one quote helper take. It is withheld once for each of the helper's tokens,
    since two helpers run during an update, and none of them may wait for EPC that an application holds.
    """
    reserved = min(epc_mib, wanted.reserve_mib + helper_epc_mib * wanted.helper_tokens)
    if not epc_mib:
        return Inventory(epc_mib=0, reserved_mib=0, offers=())
    rows = (
        (EPC_RESOURCE, Kind.EPC, epc_mib - reserved if wanted.epc else 0),
        (PROVISION_RESOURCE, Kind.PROVISION, wanted.provision_units),
        (SLOT_RESOURCE, Kind.SLOT, wanted.slots),
        (HELPER_RESOURCE, Kind.HELPER, wanted.helper_tokens),
        (INTEL_ENCLAVE_RESOURCE, Kind.INTEL_ENCLAVE, INTEL_UNITS if wanted.intel_names else 0),
        (INTEL_PROVISION_RESOURCE, Kind.INTEL_PROVISION, INTEL_UNITS if wanted.intel_names else 0),
    )
    offers = tuple(Offer(resource=name, kind=kind, units=units) for name, kind, units in rows if units)
    return Inventory(epc_mib=epc_mib, reserved_mib=reserved, offers=offers)
