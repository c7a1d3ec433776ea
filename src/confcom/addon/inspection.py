"""What `confcom addon show` tells: the record, the roll-out, what was changed by hand, and what runs beside what."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from confcom.addon.live import hear
from confcom.addon.nodes import Heard, beside
from confcom.addon.observation import (
    KIND_BY_NAME,
    Observation,
    helm_release,
    is_applied_by_us,
    other_managers,
    says_the_same,
    title,
)
from confcom.addon.placement import kept_away
from confcom.addon.provider import missing_service
from confcom.addon.rollout import Rollout
from confcom.addon.spec import Spec
from confcom.addon.switch import render_for, settle_for, stored_spec
from confcom.addon.waiting import read_rollouts
from confcom.errors import KubeAPIError
from confcom.kube.api import KubeAPI, Object
from confcom.platform.compatibility import Finding, Part, look_up

# Controllers of Kubernetes that write into our objects by design.
_EXPECTED_MANAGERS: Final = ("kube-controller-manager", "kubelet", "kube-apiserver")


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """The state of the switch; `problems` are what a person should act on."""

    enabled: bool
    spec: Spec | None
    facts: dict[str, str]
    rollouts: tuple[Rollout, ...]
    drift: tuple[str, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    compatibility: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON: the spec sparse, everything else as it is."""
        content = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return content | {"spec": self.spec.to_dict() if self.spec else None}


def inspect_addon(api: KubeAPI, found: Observation) -> Inspection:
    """Looks at everything, and changes nothing: drift is asked of the API server by dry runs.

    Raises:
        KubeAPIError: the cluster cannot be read.
    """
    spec = stored_spec(found)
    compatibility = compatibility_of(found, simulated=spec is not None and spec.simulation is not None)
    if spec is None:
        return Inspection(
            enabled=False,
            spec=None,
            facts={},
            rollouts=(),
            drift=(),
            problems=(),
            notes=tuple(_other_owners(found)),
            compatibility=compatibility,
        )
    rollouts = tuple(read_rollouts(api, spec))
    drift, notes = _drift(api, render_for(spec, found), found)
    heard = hear(api, list(found.pods))
    if any(said.is_refused for said in heard.values()):
        notes.append("What the daemons run beside is not known: you may not use pods/proxy (docs/reference/rbac.md).")
    notes += (*kept_away(spec, found.nodes), *filter(None, (missing_service(settle_for(spec, found)),)))
    problems = [problem for state in rollouts for problem in state.problems]
    return Inspection(
        enabled=True,
        spec=spec,
        facts=_facts(spec, found, rollouts),
        rollouts=rollouts,
        drift=tuple(drift),
        problems=(*problems, *drift),
        notes=tuple(notes),
        compatibility=told_by_daemons(compatibility, heard.values()),
    )


def _facts(spec: Spec, found: Observation, rollouts: tuple[Rollout, ...]) -> dict[str, str]:
    created = (found.resource or {}).get("metadata", {}).get("creationTimestamp", "")
    facts = {
        "enabled": f"since {created}",
        "namespace": spec.namespace,
        "image": spec.quote_helper_image,
        "quote helper": f"on, {spec.quote_helper.workers} worker(s)" if spec.quote_helper.enabled else "off",
        "nodes": _selection(spec),
        "simulation": f"{spec.simulation.epc} of EPC on each node; it proves nothing" if spec.simulation else "no",
    }
    if spec.device_plugin_image != spec.quote_helper_image:
        facts["plugin's image"] = spec.device_plugin_image
    for state in rollouts:
        facts[state.component] = f"{state.available} of {state.wanted} node(s), {_progress(state)}"
    return facts


def _progress(state: Rollout) -> str:
    if not state.done:
        return "rolling out"
    old = state.wanted - state.updated
    return "rolled out" if old <= 0 else f"{old} of them of the former version until their pods are deleted"


def _selection(spec: Spec) -> str:
    if spec.nodes.selector:
        return ",".join(f"{key}={value}" for key, value in spec.nodes.selector.items())
    return "every Linux node on amd64" if spec.simulation is not None else "with SGX, by label or instance type"


def _other_owners(found: Observation) -> list[str]:
    """Who else may have put the objects there, where the record is missing."""
    notes = []
    releases = {release for item in found.ours if (release := helm_release(item))}
    notes += [f"The Helm release {release} has its objects here; ask helm status." for release in sorted(releases)]
    # A namespace that others use stays when the add-on goes.
    objects = [item for item in found.ours if item["kind"] != "Namespace"]
    if objects and not releases:
        applied = "by an interrupted enable or disable" if any(map(is_applied_by_us, objects)) else "from a rendering"
        notes.append(f"{title(objects[0])} is here all the same, {applied}.")
    notes += [f"{title(item)} is of another add-on." for item in found.namesakes]
    return notes


def _drift(api: KubeAPI, rendered: list[Object], found: Observation) -> tuple[list[str], list[str]]:
    """What differs from what would be applied, and what could not be found out."""
    live = {title(item): item for item in found.ours}
    drift: list[str] = []
    for item in rendered:
        before = live.get(title(item))
        if before is None:
            if item["kind"] != "Namespace":
                drift.append(f"{title(item)} is missing; confcom addon enable makes it again")
            continue
        try:
            drift += _object_drift(api, item, before)
        except KubeAPIError as error:
            why = _no_dry_run(error)
            if why is None:
                raise
            return drift, [f"Whether anything was changed by hand is not known: {why}."]
    return drift, []


def _no_dry_run(error: KubeAPIError) -> str | None:
    """Why the API server will not try an apply for us, where that says nothing of the object."""
    if error.status == HTTPStatus.FORBIDDEN:
        return "you may not apply (docs/reference/rbac.md)"
    # Its word for a webhook of the cluster that would do something all the same.
    return str(error) if error.status == HTTPStatus.BAD_REQUEST and "does not support dry run" in str(error) else None


def _object_drift(api: KubeAPI, item: Object, before: Object) -> list[str]:
    found = [
        f"{title(item)}: {manager} has set fields of its own; replace it to be rid of them"
        for manager in other_managers(before)
        if manager not in _EXPECTED_MANAGERS
    ]
    try:
        after = api.apply(KIND_BY_NAME[item["kind"]], item, dry_run=True).object
    except KubeAPIError as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
        return [f"{title(item)}: changed by hand: {cause}" for cause in error.causes]
    if not says_the_same(before, after):
        found.append(
            f"{title(item)} differs from what this version of confcom renders; confcom addon update applies it"
        )
    return found


def compatibility_of(found: Observation, *, simulated: bool) -> tuple[Finding, ...]:
    """The API server's version and every kubelet's, and every kernel, which means nothing to a simulation."""
    infos = [node.get("status", {}).get("nodeInfo") or {} for node in found.nodes]
    kubelets = {str(info.get("kubeletVersion", "")) for info in infos} | {found.version}
    kernels = set() if simulated else {str(info.get("kernelVersion", "")) for info in infos}
    pairs = [(Part.KUBERNETES, text) for text in sorted(kubelets)] + [(Part.LINUX, text) for text in sorted(kernels)]
    return tuple(look_up(part, text) for part, text in pairs if text)


def told_by_daemons(seen: tuple[Finding, ...], heard: Iterable[Heard]) -> tuple[Finding, ...]:
    """What was seen from outside, and beside it what only the daemons can see: drivers and PSW, each once."""
    told = {row for said in heard for row in beside(said.status or {}) if row.part is not Part.LINUX}
    return (*seen, *sorted(told, key=lambda row: (row.part, row.found, row.why)))
