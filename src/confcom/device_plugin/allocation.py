"""What a container gets for the units it was given: a pure function, in constant time whatever their number.

Ids of EPC units are never looked at: the kubelet chose them from our list, and any is as good as another. They are
never put into the environment either, where a long list of them keeps a container from starting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from confcom.device_plugin.inventory import Kind
from confcom.errors import PlatformError
from confcom.kubelet import deviceplugin_pb2 as dp
from confcom.platform.device_nodes import DeviceNode, DriverNodes
from confcom.platform.slots import is_slot_id, slot_folder

AESM_FOLDER = "/var/run/aesmd"
# With this variable the SDK's quoting library asks the AESM service instead of loading QE and PCE itself.
AESM_VARIABLE = ("SGX_AESM_ADDR", "1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What of this machine goes into an answer."""

    nodes: DriverNodes
    slots_dir: Path


def respond(kind: Kind, request: dp.AllocateRequest, place: Place) -> dp.AllocateResponse:
    """One answer for each container of the request.

    Raises:
        PlatformError: the device that the answer needs is not there, or no slot of ours was asked for.
    """
    answers = [answer(kind, container.devices_ids, place) for container in request.container_requests]
    return dp.AllocateResponse(container_responses=answers)


def answer(kind: Kind, device_ids: Sequence[str], place: Place) -> dp.ContainerAllocateResponse:
    """What one container gets; see `respond`."""
    if kind is Kind.SLOT:
        return _slot_answer(device_ids, place.slots_dir)
    devices = _specs(place.nodes.enclave, "enclave")
    if kind.has_provision:
        devices += _specs(place.nodes.provision, "provision")
    return dp.ContainerAllocateResponse(devices=devices)


def _specs(node: DeviceNode | None, name: str) -> list[dp.DeviceSpec]:
    """The real node under each path where applications of any age look for it."""
    if node is None:
        raise PlatformError(f"the SGX {name} device has gone from this node's /dev; reload the SGX driver")
    return [
        dp.DeviceSpec(container_path=path, host_path=node.host_path, permissions="rw") for path in node.container_paths
    ]


def _slot_answer(device_ids: Sequence[str], slots_dir: Path) -> dp.ContainerAllocateResponse:
    """The first slot serves: a container has one AESM socket, however many slots it asks for."""
    slot_id = next(iter(device_ids), "")
    if not is_slot_id(slot_id):
        raise PlatformError(f"'{slot_id}' is not the id of a quote slot")
    mount = dp.Mount(container_path=AESM_FOLDER, host_path=str(slot_folder(slots_dir, slot_id)), read_only=True)
    return dp.ContainerAllocateResponse(envs=dict([AESM_VARIABLE]), mounts=[mount])
