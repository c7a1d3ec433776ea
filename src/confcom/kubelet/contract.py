"""What the kubelet's device-plugin API (v1beta1) fixes beside its messages: names, methods, limits."""

import re
from dataclasses import dataclass
from typing import Protocol

from confcom.kubelet import deviceplugin_pb2 as dp
from confcom.kubelet import podresources_pb2 as pr

API_VERSION = "v1beta1"
HEALTHY = "Healthy"
UNHEALTHY = "Unhealthy"
# In the device-plugins folder; the kubelet makes it anew at each start.
KUBELET_SOCKET = "kubelet.sock"
# grpc-go's default for one received message, inclusive; the kubelet sets none of its own, and a list has no pages.
MAX_LIST_BYTES = 4 * 1024 * 1024
# What the kubelet's own PodResources client accepts.
MAX_POD_RESOURCES_BYTES = 16 * 1024 * 1024
# The kernel's `sockaddr_un` holds 108 bytes with the closing zero.
MAX_SOCKET_PATH_BYTES = 107

_DNS_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DOMAIN = re.compile(rf"{_DNS_LABEL}(\.{_DNS_LABEL})*")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_QUOTA_PREFIX = "requests."


class Message(Protocol):
    """What a protobuf message class gives to both sides of a call."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's spelling
        """The message's bytes."""
        ...

    @classmethod
    def FromString(cls, data: bytes, /) -> "Message":  # noqa: N802 - protobuf's spelling
        """The message in `data`."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """One gRPC method: its service, its name, and the messages that go in and come out."""

    service: str
    name: str
    request: type[Message]
    response: type[Message]

    @property
    def path(self) -> str:
        """The path of the HTTP/2 request, `/package.Service/Method`."""
        return f"/{self.service}/{self.name}"


REGISTRATION = "v1beta1.Registration"
DEVICE_PLUGIN = "v1beta1.DevicePlugin"
POD_RESOURCES_LISTER = "v1.PodResourcesLister"

REGISTER = Method(service=REGISTRATION, name="Register", request=dp.RegisterRequest, response=dp.Empty)
GET_OPTIONS = Method(
    service=DEVICE_PLUGIN, name="GetDevicePluginOptions", request=dp.Empty, response=dp.DevicePluginOptions
)
LIST_AND_WATCH = Method(service=DEVICE_PLUGIN, name="ListAndWatch", request=dp.Empty, response=dp.ListAndWatchResponse)
ALLOCATE = Method(service=DEVICE_PLUGIN, name="Allocate", request=dp.AllocateRequest, response=dp.AllocateResponse)
PRE_START_CONTAINER = Method(
    service=DEVICE_PLUGIN,
    name="PreStartContainer",
    request=dp.PreStartContainerRequest,
    response=dp.PreStartContainerResponse,
)
GET_PREFERRED_ALLOCATION = Method(
    service=DEVICE_PLUGIN,
    name="GetPreferredAllocation",
    request=dp.PreferredAllocationRequest,
    response=dp.PreferredAllocationResponse,
)
LIST_POD_RESOURCES = Method(
    service=POD_RESOURCES_LISTER,
    name="List",
    request=pr.ListPodResourcesRequest,
    response=pr.ListPodResourcesResponse,
)


def resource_name_problem(name: str) -> str | None:
    """Why the kubelet would not take `name` as an extended resource, or None.

    The rule: `domain/name`, the domain holds no `kubernetes.io/` and does not start with `requests.`, and the name
    is still a qualified one behind the prefix `requests.`, which quotas put before it.
    """
    domain, slash, last = name.partition("/")
    if not slash or not domain:
        return f"'{name}' has no domain before a slash, which an extended resource needs"
    if domain.endswith("kubernetes.io"):
        return f"'{name}' lies in kubernetes.io, which is Kubernetes' own"
    if domain.startswith(_QUOTA_PREFIX):
        return f"'{name}' starts with '{_QUOTA_PREFIX}', which belongs to quotas"
    if len(_QUOTA_PREFIX + domain) > 253 or not _DOMAIN.fullmatch(domain):
        return f"'{name}': '{domain}' is no DNS domain in small letters"
    if len(last) > 63 or not _NAME.fullmatch(last):
        return f"'{name}': '{last}' is no qualified name (1 to 63 letters, digits, '-', '_' and '.')"
    return None
