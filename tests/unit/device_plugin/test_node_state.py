from pathlib import Path

import pytest

from confcom.device_plugin.inventory import Kind, Wanted, plan
from confcom.device_plugin.node import Node
from confcom.kubelet import deviceplugin_pb2 as dp
from confcom.platform.device_nodes import ENCLAVE_PATHS, PROVISION_PATHS, DeviceNode, Driver, DriverNodes

ENCLAVE = DeviceNode(host_path="/dev/sgx_enclave", container_paths=ENCLAVE_PATHS, driver=Driver.IN_TREE)
PROVISION = DeviceNode(host_path="/dev/sgx_provision", container_paths=PROVISION_PATHS, driver=Driver.IN_TREE)
BOTH = DriverNodes(enclave=ENCLAVE, provision=PROVISION)


def make(nodes=BOTH, epc_mib=64, **wanted):
    box = [nodes]
    inventory = plan(epc_mib=epc_mib, helper_epc_mib=0, wanted=Wanted(**wanted))
    node = Node(inventory, lambda: box[0], Path("/slots"))
    node.refresh()
    return node, box


def listed(node):
    return {offering.offer.kind for offering in node.offerings if offering.devices is not None}


EVERYTHING = {Kind.EPC, Kind.PROVISION, Kind.SLOT, Kind.HELPER}


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (BOTH, EVERYTHING),
        (DriverNodes(enclave=ENCLAVE, provision=None), {Kind.EPC, Kind.SLOT}),
        (DriverNodes(enclave=None, provision=PROVISION), {Kind.SLOT}),
        (DriverNodes(enclave=None, provision=None), {Kind.SLOT}),
    ],
    ids=["both", "no provision", "no enclave", "none"],
)
def test_what_a_missing_device_withdraws(nodes, expected):
    node, _ = make(nodes)
    assert listed(node) == expected


def test_device_node_vanishes_and_returns_with_another_path():
    node, box = make()
    box[0] = DriverNodes(enclave=None, provision=None)
    node.refresh()
    assert listed(node) == {Kind.SLOT}
    assert node.offering(Kind.EPC).problem == "no SGX enclave device in /dev: is the SGX driver loaded?"
    assert node.offering(Kind.PROVISION).problem == "no SGX enclave device in /dev: is the SGX driver loaded?"
    moved = DeviceNode(host_path="/dev/sgx/enclave", container_paths=ENCLAVE_PATHS, driver=Driver.DCAP)
    box[0] = DriverNodes(enclave=moved, provision=PROVISION)
    node.refresh()
    assert listed(node) == EVERYTHING
    assert node.place().nodes.enclave is moved


def test_what_is_wrong_with_the_device_node_is_told_where_it_is_known():
    """In a simulation the device is /dev/null, and there is no driver to ask about."""
    node, _ = make(DriverNodes(enclave=None, provision=None, problems=("/dev/null is missing",)))
    assert node.offering(Kind.EPC).problem == "/dev/null is missing"


def test_a_refresh_without_a_change_sends_no_new_list():
    node, _ = make()
    before = {offering.offer.kind: offering.devices for offering in node.offerings}
    node.refresh()
    assert all(offering.devices is before[offering.offer.kind] for offering in node.offerings)


def test_slots_are_unhealthy_until_the_helper_answers():
    node, _ = make(slots=3)
    slots = node.offering(Kind.SLOT)
    assert slots.healthy == 0
    node.slot_health = {"slot-0": True, "slot-1": False, "slot-2": True}
    node.refresh()
    assert slots.healthy == 2
    devices = dp.ListAndWatchResponse.FromString(slots.devices).devices
    assert [(device.ID, device.health) for device in devices] == [
        ("slot-0", "Healthy"),
        ("slot-1", "Unhealthy"),
        ("slot-2", "Healthy"),
    ]


@pytest.mark.parametrize(
    ("epc_mib", "fits"), [(262_144, True), (262_145, True), (262_408, True), (262_409, False), (1 << 20, False)]
)
def test_one_unit_more_than_fits_is_not_sent(epc_mib, fits):
    node, _ = make(epc_mib=epc_mib)
    epc = node.offering(Kind.EPC)
    assert (epc.devices is not None, epc.oversize) == (fits, not fits)
    assert (Kind.SLOT in listed(node), Kind.PROVISION in listed(node)) == (True, True)
    if not fits:
        assert f"a list of {epc_mib:,} units" in epc.problem
