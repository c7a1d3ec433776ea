"""The `status` of the custom resource: written by the operator; without one, the command line reckons the same live."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

# A status of a thousand nodes would be rewritten at every change of one; the rest is counted.
MAX_LISTED_NODES = 50


class _Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What every part of the status is."""


class ResourceCondition(_Part, frozen=True, kw_only=True):
    """What holds, since when, and why."""

    type: Annotated[str, Meta(max_length=316)]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, Meta(max_length=1024, description="one word")]
    message: Annotated[str, Meta(max_length=32768, description="one sentence")] = ""
    last_transition_time: Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
    observed_generation: int = 0


class Counts(_Part, frozen=True, kw_only=True):
    """Over all selected nodes."""

    nodes: Annotated[int, Meta(description="nodes that are selected")] = 0
    device_plugins_ready: Annotated[int, Meta(description="of these, with a ready device plugin")] = 0
    quote_helpers_ready: Annotated[int, Meta(description="with a ready quote helper")] = 0
    verified: Annotated[int, Meta(description="whose helper has verified a quote of its own")] = 0


class NodeLine(_Part, frozen=True, kw_only=True):
    """One node."""

    name: Annotated[str, Meta(max_length=253)]
    epc_mib: Annotated[int, Meta(description="EPC of the node")] = msgspec.field(default=0, name="epcMiB")
    device_plugin: Annotated[str, Meta(max_length=1024, description="Ready, or why it is not")] = ""
    quote_helper: Annotated[str, Meta(max_length=1024, description="Serving or Standby, or why not ready")] = ""
    generation: Annotated[int, Meta(description="of the helper that serves")] = 0
    verified: Annotated[str, Meta(max_length=1024, description="when a quote was last verified, or why not")] = ""


class ResourceStatus(_Part, frozen=True, kw_only=True):
    """What is."""

    observed_generation: Annotated[int, Meta(description="the generation of the spec that this is about")] = 0
    conditions: Annotated[
        list[ResourceCondition],
        Meta(extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = []
    counts: Counts = msgspec.field(default_factory=Counts)
    nodes: Annotated[
        list[NodeLine],
        Meta(
            max_length=MAX_LISTED_NODES,
            description="nodes that need attention first, then the others by name",
            extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []
    nodes_not_listed: Annotated[int, Meta(description="how many more there are")] = 0
