"""The types of `/status`: JSON for operators and for `confcom status`, versioned, with no tenant's name in it."""

from typing import Literal

import msgspec

STATUS_VERSION = 1


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A Kubernetes-style condition: what holds, since when, and why in one word and one sentence."""

    type: str
    status: bool
    reason: str
    message: str
    since: str


class ResourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One resource that the device plugin offers to the kubelet; all counts are devices of that resource."""

    name: str
    registered: bool
    total: int
    healthy: int
    list_bytes: int
    registrations: int
    allocations: int
    last_list_seconds_ago: float | None
    problem: str | None


class DevicePluginStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`/status` of the device plugin."""

    version: int
    program: Literal["sgx-device-plugin"]
    confcom: str
    generation: int
    simulated: bool
    ready: bool
    problem: str | None
    epc_mib: int
    epc_source: str
    reserved_mib: int
    offered_mib: int
    devices: tuple[str, ...]
    resources: tuple[ResourceStatus, ...]
    freeze_seconds: float
    advice: tuple[str, ...]
