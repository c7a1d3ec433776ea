from pathlib import Path

import pytest

from confcom.device_plugin.allocation import Place, answer, respond
from confcom.device_plugin.inventory import Kind
from confcom.device_plugin.listing import unit_id
from confcom.errors import PlatformError
from confcom.kubelet import deviceplugin_pb2 as dp
from confcom.platform.device_nodes import ENCLAVE_PATHS, ISGX_PATHS, PROVISION_PATHS, DeviceNode, Driver, DriverNodes

ENCLAVE = DeviceNode(host_path="/dev/sgx_enclave", container_paths=ENCLAVE_PATHS, driver=Driver.IN_TREE)
PROVISION = DeviceNode(host_path="/dev/sgx_provision", container_paths=PROVISION_PATHS, driver=Driver.IN_TREE)
ISGX = DeviceNode(host_path="/dev/isgx", container_paths=ISGX_PATHS, driver=Driver.EPID)
SLOTS = Path("/run/confcom/slots")


def place(enclave=ENCLAVE, provision=PROVISION):
    return Place(nodes=DriverNodes(enclave=enclave, provision=provision), slots_dir=SLOTS)


def devices(found):
    return [(device.container_path, device.host_path, device.permissions) for device in found.devices]


ENCLAVE_DEVICES = [("/dev/sgx_enclave", "/dev/sgx_enclave", "rw"), ("/dev/sgx/enclave", "/dev/sgx_enclave", "rw")]
PROVISION_DEVICES = [
    ("/dev/sgx_provision", "/dev/sgx_provision", "rw"),
    ("/dev/sgx/provision", "/dev/sgx_provision", "rw"),
]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.EPC, ENCLAVE_DEVICES),
        (Kind.INTEL_ENCLAVE, ENCLAVE_DEVICES),
        (Kind.PROVISION, ENCLAVE_DEVICES + PROVISION_DEVICES),
        (Kind.HELPER, ENCLAVE_DEVICES + PROVISION_DEVICES),
        (Kind.INTEL_PROVISION, ENCLAVE_DEVICES + PROVISION_DEVICES),
    ],
)
def test_devices_of_each_resource_and_nothing_else(kind, expected):
    found = answer(kind, ["0", "1"], place())
    assert devices(found) == expected
    assert (dict(found.envs), list(found.mounts), dict(found.annotations), list(found.cdi_devices)) == ({}, [], {}, [])


def test_the_epid_driver_has_one_name_of_its_own():
    assert devices(answer(Kind.EPC, ["0"], place(enclave=ISGX, provision=None))) == [("/dev/isgx", "/dev/isgx", "rw")]


def test_a_slot_is_a_folder_and_a_variable_and_no_device():
    found = answer(Kind.SLOT, ["slot-3"], place(enclave=None, provision=None))
    assert dict(found.envs) == {"SGX_AESM_ADDR": "1"}
    assert [(mount.container_path, mount.host_path, mount.read_only) for mount in found.mounts] == [
        ("/var/run/aesmd", "/run/confcom/slots/slot-3", True)
    ]
    assert devices(found) == []


def test_more_slots_than_one_serve_as_one():
    assert len(answer(Kind.SLOT, ["slot-3", "slot-4"], place()).mounts) == 1


@pytest.mark.parametrize("ids", [[], [""], ["3"], ["../../etc"], ["slot-1024"]])
def test_what_is_no_slot_is_refused(ids):
    with pytest.raises(PlatformError, match=rf"^'{ids[0] if ids else ''}' is not the id of a quote slot$"):
        answer(Kind.SLOT, ids, place())


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.SLOT}))
def test_without_an_enclave_device_only_slots_can_be_had(kind):
    with pytest.raises(
        PlatformError, match=r"^the SGX enclave device has gone from this node's /dev; reload the SGX driver$"
    ):
        answer(kind, ["0"], place(enclave=None))


@pytest.mark.parametrize("kind", [Kind.PROVISION, Kind.HELPER, Kind.INTEL_PROVISION])
def test_without_a_provision_device_what_needs_it_is_refused(kind):
    with pytest.raises(PlatformError, match=r"^the SGX provision device has gone"):
        answer(kind, ["0"], place(provision=None))


def test_epc_needs_no_provision_device():
    assert devices(answer(Kind.EPC, ["0"], place(provision=None))) == ENCLAVE_DEVICES


def test_each_container_of_a_request_has_its_answer():
    request = dp.AllocateRequest(
        container_requests=[
            dp.ContainerAllocateRequest(devices_ids=["0"]),
            dp.ContainerAllocateRequest(devices_ids=["1", "2"]),
        ]
    )
    assert [devices(found) for found in respond(Kind.EPC, request, place()).container_responses] == [
        ENCLAVE_DEVICES
    ] * 2
    assert len(respond(Kind.EPC, dp.AllocateRequest(), place()).container_responses) == 0


def test_ids_that_were_never_listed_are_answered_all_the_same():
    assert devices(answer(Kind.EPC, ["some-plugin-of-the-past"], place())) == ENCLAVE_DEVICES


def test_env_size_and_time_are_constant_whatever_is_asked():
    everything = [unit_id(index) for index in range(262_144)]
    few, all_of_them = (
        dp.AllocateRequest(container_requests=[dp.ContainerAllocateRequest(devices_ids=ids)])
        for ids in (["0"], everything)
    )
    assert respond(Kind.EPC, few, place()) == respond(Kind.EPC, all_of_them, place())
    # What has neither a length nor items cannot be looked through.
    assert answer(Kind.EPC, object(), place()) == answer(Kind.EPC, everything, place())
