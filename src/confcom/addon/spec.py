"""The custom resource `ConfidentialComputing` as values: the one source of its schema, its defaults and its rules.

The API server enforces the schema that `addon.schema` makes of these types; `Spec.from_dict` enforces the same on a
file, where there is no API server.
"""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec
from msgspec import Meta

from confcom.addon import names
from confcom.addon.rules import (
    Rule,
    helper_needs_plugin,
    pccs_is_for_intels_client,
    some_epc,
    some_node_is_selected,
    whole_batch,
)
from confcom.errors import InputError

_SIZE_PATTERN = r"^[0-9]{1,15} ?([kKmMgGtT][iI]?)?[bB]?$"
_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_BATCH_PATTERN = r"^([1-9][0-9]?|100)%$"
_HTTP_PATTERN = r"^(https?://[^\s]+)?$"
_QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?([mkMGT]|[KMGT]i)?$"
_DIRECTORY_PATTERN = r"^/[^\s]*[^/\s]$"
# Of ConfigMaps and Secrets, or none.
_OBJECT_PATTERN = r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$"
_KEY_PATTERN = r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
_VALUE_PATTERN = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
# What container runtimes take: a registry, a path in lower case, a tag, a digest.
_IMAGE_PATTERN = (
    r"^(((\[[0-9a-fA-F:]+\]|[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?)(:[0-9]+)?/)?"
    r"[a-z0-9]+((\.|__?|-+|/)[a-z0-9]+)*(:[a-zA-Z0-9_][a-zA-Z0-9_.-]*)?(@sha(256|512):[0-9a-f]{64,128})?)?$"
)
# What a person is told in the place of a pattern.
_WORDS = {
    _SIZE_PATTERN: "is no size: write a number and a unit, for example 8GiB or 512MiB",
    _NAME_PATTERN: "is no name: lower-case letters, digits and dashes, 63 at the most",
    _OBJECT_PATTERN: "is no name: lower-case letters, digits, dashes and dots, 253 at the most",
    _KEY_PATTERN: "is no label's key: write NAME or DOMAIN/NAME",
    _VALUE_PATTERN: "is no label's value: letters, digits, dashes, dots and underscores, 63 at the most",
    _BATCH_PATTERN: "is neither a number nor a percentage from 1% to 100%",
    _HTTP_PATTERN: "is no address: it begins with https:// or http://",
    _IMAGE_PATTERN: "is no image: write REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST, the name in lower case",
    _QUANTITY_PATTERN: "is no quantity of Kubernetes: write for example 50m, 2 or 256Mi",
    _DIRECTORY_PATTERN: "is no absolute path without a slash at its end",
}
# Labels and tolerations are written by people; more is a mistake.
_MAX_ITEMS = 64
# Taken whole: merged, none of it could not be applied, and what another hand has put in would stay.
_ATOMIC_LIST = {"x-kubernetes-list-type": "atomic"}
_ATOMIC_MAP = {"x-kubernetes-map-type": "atomic"}

SizeText = Annotated[str, Meta(pattern=_SIZE_PATTERN, max_length=20)]
ImageText = Annotated[str, Meta(pattern=_IMAGE_PATTERN, max_length=1024)]
Quantities = dict[str, Annotated[str, Meta(pattern=_QUANTITY_PATTERN, max_length=20)]]
ObjectName = Annotated[str, Meta(pattern=_OBJECT_PATTERN, max_length=253)]
LabelValue = Annotated[str, Meta(pattern=_VALUE_PATTERN, max_length=63)]
Labels = dict[Annotated[str, Meta(pattern=_KEY_PATTERN)], LabelValue]
NamesOfSecrets = Annotated[
    list[Annotated[ObjectName, Meta(min_length=1)]],
    Meta(max_length=_MAX_ITEMS, extra_json_schema={"x-kubernetes-list-type": "set"}),
]

# Labels that say "SGX is on": Node Feature Discovery now and before, Intel's rule and EPC hook, and our own for a node
# that nothing has labelled.
FEATURE_LABELS = {
    "feature.node.kubernetes.io/cpu-security.sgx.enabled": "true",
    "feature.node.kubernetes.io/cpu-sgx.enabled": "true",
    "intel.feature.node.kubernetes.io/sgx": "true",
    "sgx.intel.com/capable": "true",
    "confcom.io/sgx": "true",
}
# AKS labels no node for SGX. DCsv2 was retired in June 2026; its nodes may still run elsewhere under that name.
INSTANCE_TYPES = (
    *(f"Standard_DC{size}_v2" for size in ("1s", "2s", "4s", "8")),
    *(f"Standard_DC{count}{kind}_v3" for kind in ("s", "ds") for count in (1, 2, 4, 8, 16, 24, 32, 48)),
)


class _Values(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What every part of the resource is: values that know their fields and refuse others."""

    cel: ClassVar[tuple[Rule, ...]] = ()


class Toleration(_Values, frozen=True, kw_only=True):
    """A Kubernetes toleration."""

    key: Annotated[str, Meta(pattern=_KEY_PATTERN, max_length=316)]
    operator: Literal["Exists", "Equal"] = "Exists"
    value: LabelValue = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""


class ContainerResources(_Values, frozen=True, kw_only=True):
    """Requests and limits of a container, in the place of the measured defaults where given."""

    requests: Annotated[Quantities, Meta(description="for example cpu: 50m, memory: 64Mi")] = {}
    limits: Annotated[Quantities, Meta(description="for example memory: 256Mi")] = {}


class DevicePlugin(_Values, frozen=True, kw_only=True):
    """The SGX device plugin: EPC as a resource of the node, and the devices that go with it."""

    enabled: Annotated[bool, Meta(description="run the device plugin")] = True
    reserve: Annotated[SizeText, Meta(description="EPC withheld from applications, beside the helper's own")] = "0"
    provision_units: Annotated[
        int, Meta(ge=0, le=1024, description="containers of a node that may hold the provision device")
    ] = 16
    intel_names: Annotated[bool, Meta(description="offer sgx.intel.com/enclave and /provision as well")] = False
    resources: ContainerResources = msgspec.field(default_factory=ContainerResources)


class QuoteHelper(_Values, frozen=True, kw_only=True):
    """The SGX quote helper: quotes for every enclave application of a node, over AESM."""

    enabled: Annotated[bool, Meta(description="run the quote helper; it takes CPU and memory even if unused")] = True
    workers: Annotated[int, Meta(ge=1, le=64, description="quoting processes, each with its own QE and PCE")] = 1
    slots: Annotated[
        int, Meta(ge=0, le=1024, description="quote slots of a node: how many containers may ask without a hostPath")
    ] = 16
    host_network: Annotated[
        bool, Meta(description="share the node's network, where Azure's metadata service is closed to pods")
    ] = False
    resources: ContainerResources = msgspec.field(default_factory=ContainerResources)


class PCCS(_Values, frozen=True, kw_only=True):
    """A provisioning certificate caching service of one's own."""

    url: Annotated[
        str, Meta(pattern=_HTTP_PATTERN, max_length=2048, description="base address, up to and with /v4/")
    ] = ""
    ca_config_map: Annotated[
        ObjectName, Meta(description="ConfigMap whose ca.crt is trusted, instead of the public roots")
    ] = ""
    config_secret: Annotated[
        ObjectName,
        Meta(description="Secret whose sgx_default_qcnl.conf is used as it is, for a service that wants a token"),
    ] = ""
    proxy: Annotated[str, Meta(pattern=_HTTP_PATTERN, max_length=2048, description="HTTP proxy on the way out")] = ""


# AKS's examples taint SGX pools with the EPC resource's name; Spot pools have a taint of their own.
TOLERATIONS = (
    Toleration(key=names.EPC_RESOURCE, effect="NoSchedule"),
    Toleration(key="confcom.io/sgx", effect="NoSchedule"),
    Toleration(key="kubernetes.azure.com/scalesetpriority", operator="Equal", value="spot", effect="NoSchedule"),
)


class Nodes(_Values, frozen=True, kw_only=True):
    """Which nodes get pods: those with one of the labels or instance types, or else exactly the selector's."""

    labels: Annotated[
        Labels,
        Meta(
            max_length=_MAX_ITEMS,
            description="a node with any one of these labels is selected",
            extra_json_schema=_ATOMIC_MAP,
        ),
    ] = msgspec.field(default_factory=FEATURE_LABELS.copy)
    instance_types: Annotated[
        list[LabelValue], Meta(max_length=_MAX_ITEMS, description="or of one of these", extra_json_schema=_ATOMIC_LIST)
    ] = msgspec.field(default_factory=lambda: list(INSTANCE_TYPES))
    selector: Annotated[
        Labels,
        Meta(
            max_length=_MAX_ITEMS,
            description="where given, it alone selects: all of these labels",
            extra_json_schema=_ATOMIC_MAP,
        ),
    ] = {}
    tolerations: Annotated[
        list[Toleration],
        Meta(max_length=_MAX_ITEMS, description="taints to live with", extra_json_schema=_ATOMIC_LIST),
    ] = msgspec.field(default_factory=lambda: list(TOLERATIONS))


class Images(_Values, frozen=True, kw_only=True):
    """Where the programs come from."""

    default: Annotated[ImageText, Meta(description="the image of both programs")] = ""
    device_plugin: Annotated[ImageText, Meta(description="the device plugin's, where it differs")] = ""
    quote_helper: Annotated[ImageText, Meta(description="the quote helper's, where it differs")] = ""
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    pull_secrets: NamesOfSecrets = []


class Simulation(_Values, frozen=True, kw_only=True):
    """A cluster without SGX plays one with it: for trials and tests, never for trust."""

    epc: Annotated[SizeText, Meta(description="EPC of each node")] = "8GiB"

    cel: ClassVar[tuple[Rule, ...]] = (some_epc,)


class Update(_Values, frozen=True, kw_only=True):
    """How a new version of the quote helper reaches the nodes."""

    policy: Annotated[
        Literal["Gated", "Manual"],
        Meta(description="Gated: node after node, as each new helper is ready; Manual: where a pod is deleted"),
    ] = "Gated"
    batch: Annotated[
        int | Annotated[str, Meta(pattern=_BATCH_PATTERN)],
        Meta(description="how many nodes at once, as a number or a percentage"),
    ] = 1

    cel: ClassVar[tuple[Rule, ...]] = (whole_batch,)


class Spec(_Values, frozen=True, kw_only=True):
    """What is wanted of the add-on."""

    namespace: Annotated[
        str,
        Meta(
            pattern=_NAME_PATTERN,
            max_length=63,
            description="where the objects are; it cannot be changed while the add-on is enabled",
            extra_json_schema={
                "x-kubernetes-validations": [
                    {"rule": "self == oldSelf", "message": "disable the add-on, and enable it in the other namespace"}
                ]
            },
        ),
    ] = names.DEFAULT_NAMESPACE
    images: Images = msgspec.field(default_factory=Images)
    nodes: Nodes = msgspec.field(default_factory=Nodes)
    device_plugin: DevicePlugin = msgspec.field(default_factory=DevicePlugin)
    quote_helper: QuoteHelper = msgspec.field(default_factory=QuoteHelper)
    quote_provider: Annotated[
        Literal["auto", "azure", "intel"],
        Meta(
            description="who delivers PCK certificates: Azure's client on Azure and Intel's elsewhere, or one of them"
        ),
    ] = "auto"
    pccs: PCCS = msgspec.field(default_factory=PCCS)
    kubelet_directory: Annotated[
        str,
        Meta(
            pattern=_DIRECTORY_PATTERN,
            max_length=1024,
            description="the kubelet's --root-dir on the nodes; its folder of plugin sockets never follows it",
        ),
    ] = names.KUBELET_DIR
    simulation: Annotated[Simulation | None, Meta(description="play a cluster with SGX on nodes without it")] = None
    update: Update = msgspec.field(default_factory=Update)

    cel: ClassVar[tuple[Rule, ...]] = (helper_needs_plugin, some_node_is_selected, pccs_is_for_intels_client)

    @property
    def device_plugin_image(self) -> str:
        """The device plugin's image, or "" where none is named."""
        return self.images.device_plugin or self.images.default

    @property
    def quote_helper_image(self) -> str:
        """The quote helper's image, or "" where none is named."""
        return self.images.quote_helper or self.images.default

    def to_dict(self) -> dict[str, Any]:
        """The spec with what differs from the defaults only: a record of what somebody wanted."""
        sparse: dict[str, Any] = _sparse(self)
        if self.simulation is not None:
            # Never empty: where an apply takes the last field of an object, the API server is left with null.
            sparse["simulation"] = msgspec.to_builtins(self.simulation)
        return sparse

    @classmethod
    def from_dict(cls, content: Any) -> Self:
        """The spec of a resource's `spec`.

        Raises:
            InputError: a field is unknown, of another type, out of its range, or contradicts another; the sentence
                names it.
        """
        try:
            spec = msgspec.convert(content if content is not None else {}, cls)
        except msgspec.ValidationError as error:
            raise InputError(_in_words(str(error))) from None
        broken = next(chain(_broken(spec, "spec"), _line_breaks(msgspec.to_builtins(spec), "spec")), None)
        if broken:
            raise InputError(broken)
        return spec


def _broken(value: Any, path: str) -> Any:
    """Each rule that does not hold, as a sentence, inner parts first."""
    for field in msgspec.structs.fields(value):
        part = getattr(value, field.name)
        if isinstance(part, _Values):
            yield from _broken(part, f"{path}.{field.encode_name}")
    for rule in value.cel:
        if not rule.holds(value):
            yield f"{path}{rule.field_path}: {rule.message}"


def _line_breaks(value: Any, path: str) -> Iterator[str]:
    """Each text with a line break, as YAML's `|` makes: to the API server `$` is the end, to Python the last line's."""
    if isinstance(value, str) and "\n" in value:
        yield f"{path}: holds a line break"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _line_breaks(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _line_breaks(key, f"{path}: a key")
            yield from _line_breaks(inner, f"{path}.{key}")


# msgspec's sentence: the problem, and where below the top (`$`) it is.
_PROBLEM = re.compile(r"(?P<problem>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>[^`]*)`)?", re.DOTALL)


def _in_words(sentence: str) -> str:
    """A problem with its path in front, and without a regular expression in it."""
    match = _PROBLEM.fullmatch(sentence)
    if match is None:
        return f"spec: {sentence}"
    pattern = match["problem"].partition("matching regex '")[2].removesuffix("'").replace("\\\\", "\\")
    problem = _WORDS.get(pattern, match["problem"])
    return f"spec{match['path'] or ''}: {'a key: ' if match['key'] else ''}{problem}"


def _sparse(value: Any) -> Any:
    if not isinstance(value, _Values):
        return msgspec.to_builtins(value)
    content: dict[str, Any] = {}
    for field in msgspec.structs.fields(value):
        part = getattr(value, field.name)
        default = field.default if field.default is not msgspec.NODEFAULT else None
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        if part != default:
            content[field.encode_name] = _sparse(part)
    return content
