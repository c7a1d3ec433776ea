"""Turning the switch: enable, update and disable, against a cluster. What is decided is decided by pure functions."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Final

from confcom.addon import names, refusals
from confcom.addon.changes import Changes, change
from confcom.addon.observation import (
    KIND_BY_NAME,
    RENDERED_KINDS,
    RESOURCE,
    Observation,
    helm_release,
    is_ours,
    observe,
    says_the_same,
    title,
)
from confcom.addon.provider import missing_service, settle_provider
from confcom.addon.render import render
from confcom.addon.resource import write_resource
from confcom.addon.rollout import replaced_at_once
from confcom.addon.schema import definition
from confcom.addon.spec import Spec
from confcom.errors import AddonRefusedError, InputError, KubeAPIError
from confcom.kube import kinds
from confcom.kube.api import KubeAPI, Object
from confcom.kube.kinds import Kind

# A definition is served 0.1 to 0.2 s after its creation.
DEFINITION_SECONDS: Final = 15.0
# A node's numbers follow its device plugin's end at the kubelet's next status update, every 10 s.
FORGET_SECONDS: Final = 25.0
# What `disable` removed is gone after the helpers' grace period of 30 s, and the namespace some seconds later.
ENDING_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.5
# What every namespace is given: by Kubernetes, by OpenShift, by Istio.
_NAMESPACE_FURNITURE: Final = {
    ("ConfigMap", "kube-root-ca.crt"),
    ("ConfigMap", "openshift-service-ca.crt"),
    ("ConfigMap", "istio-ca-root-cert"),
}

# What somebody would miss; the claims first, whose data would go.
_NAMESPACE_CONTENT: Final = (
    kinds.VOLUME_CLAIM,
    kinds.POD,
    kinds.DAEMON_SET,
    kinds.DEPLOYMENT,
    kinds.STATEFUL_SET,
    kinds.JOB,
    kinds.CRON_JOB,
    kinds.SERVICE,
    kinds.CONFIG_MAP,
    kinds.SECRET,
)

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What became of one object: created, changed, unchanged, repaired (with the fields taken back), removed."""

    object: str
    outcome: str
    fields: tuple[str, ...] = ()


@dataclass(kw_only=True, slots=True)
class Switch:
    """One cluster, and what was done to it; `say` tells of waits."""

    api: KubeAPI
    say: Say
    dry_run: bool = False
    done: list[Done] = field(default_factory=list)

    def enable(self, changes: Changes, base: Spec | None = None) -> Spec:
        """Switches the add-on on, or changes what is on; what is not named stays as it is, or is the default.

        Raises:
            AddonRefusedError: the cluster is not as it must be; nothing was changed.
            InputError: the wish itself cannot be fulfilled: no image, no node.
            KubeAPIError: the API server refused or failed.
        """
        found = self._wait_while(
            refusals.still_ending, observe(self.api), ENDING_SECONDS, "waiting for what the last disable removes"
        )
        for sentence in (
            refusals.unsupported_version(found),
            refusals.foreign_objects(found),
            refusals.owned_by_helm(found),
            refusals.applied_by_others(found),
            refusals.newer_definition(found),
        ):
            _refuse(sentence)
        stored = stored_spec(found)
        spec = change(base or stored or Spec(), changes)
        _refuse(refusals.another_namespace(stored, spec))
        _check_wish(refusals.no_node(found, spec))
        rendered = render_for(spec, found)
        live = [self._live(item) for item in rendered]
        _refuse(refusals.namesakes_of(rendered, live))
        self._wait_while(
            partial(refusals.foreign_resources, spec=spec),
            found,
            FORGET_SECONDS,
            "a node still offers SGX resources; waiting for its kubelet to notice that no plugin runs",
        )
        if lacks := missing_service(settle_for(spec, found)):
            self.say(lacks)
        self._try(rendered, live)
        self._apply_resource(spec, fresh=self._apply_definition())
        for item, before in zip(rendered, live, strict=True):
            if item["kind"] != "Namespace" or before is None or is_ours(before):
                self._apply(item, before)
        self._prune(rendered, found)
        rolls = spec.update.policy == "Gated" and self._has_changed(names.QUOTE_HELPER)
        if rolls and (notice := replaced_at_once(found.pods)):
            self.say(notice)
        return spec

    def update(self, changes: Changes) -> Spec:
        """As `enable`, for a cluster that has the add-on."""
        found = observe(self.api)
        _refuse(refusals.owned_by_helm(found))
        if not found.is_enabled:
            raise AddonRefusedError("the add-on is not enabled in this cluster; use confcom addon enable")
        return self.enable(changes)

    def disable(self) -> Observation:
        """Removes everything that `enable` made, and only that; returns what was there.

        Raises:
            AddonRefusedError: a Helm release owns the objects.
            KubeAPIError: the API server refused or failed.
        """
        found = observe(self.api)
        _refuse(refusals.owned_by_helm(found))
        _refuse(refusals.applied_by_others(found))
        if found.resource is not None:
            self._delete(RESOURCE, found.resource)
        for kind in RENDERED_KINDS:
            for item in found.ours:
                if item["kind"] == kind.kind and kind is not kinds.NAMESPACE:
                    self._delete(kind, item)
        if found.definition is not None and is_ours(found.definition):
            self._delete(kinds.DEFINITION, found.definition)
        for item in found.ours:
            if item["kind"] == "Namespace":
                self._delete_namespace(item)
        return found

    # --- enable -------------------------------------------------------------------------------------------------------

    def _wait_while(
        self, refusal: Callable[[Observation], str | None], found: Observation, seconds: float, told: str
    ) -> Observation:
        """Looks again while something is refused that may pass by itself.

        Raises:
            AddonRefusedError: it did not pass in time.
        """
        deadline = time.monotonic() + seconds
        sentence = refusal(found)
        if sentence:
            self.say(told)
        while sentence and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            found = observe(self.api)
            sentence = refusal(found)
        _refuse(sentence)
        return found

    def _apply_definition(self) -> bool:
        """Keeps the definition current, and returns whether it was not.

        By force, since it may have come with a chart, and Helm never updates it.
        """
        item = definition()
        before = self.api.get(kinds.DEFINITION, names.CRD_NAME)
        self._apply(item, before, force=True)
        fresh = self.done[-1].outcome != "unchanged"
        if self.dry_run:
            return fresh
        deadline = time.monotonic() + DEFINITION_SECONDS
        while not _is_established(self.api.get(kinds.DEFINITION, names.CRD_NAME)):
            if time.monotonic() > deadline:
                raise KubeAPIError(
                    f"the resource definition {names.CRD_NAME} is not served after {DEFINITION_SECONDS:g} s; "
                    f"see kubectl describe crd {names.CRD_NAME}",
                    status=0,
                )
            time.sleep(POLL_SECONDS)
        return fresh

    def _apply_resource(self, spec: Spec, *, fresh: bool) -> None:
        """The record; where its definition is `fresh`, not every server of the cluster knows it at once."""
        item, before = write_resource(spec), self.api.get(RESOURCE, names.RESOURCE_NAME)
        if self.dry_run and fresh:
            # The API server can try it only by the old definition.
            self.done.append(Done(object=title(item), outcome="changed" if before else "created"))
            return
        deadline = time.monotonic() + (DEFINITION_SECONDS if fresh else 0.0)
        applied: Object | None = None
        while applied is None:
            try:
                applied = self._apply(item, before)
            except KubeAPIError as error:
                sentence = refusals.old_definition(str(error))
                if time.monotonic() > deadline or not (sentence or error.status == HTTPStatus.NOT_FOUND):
                    _refuse(sentence)
                    raise
                time.sleep(POLL_SECONDS)
        _refuse(refusals.fields_of_others(applied, spec))

    def _try(self, rendered: list[Object], live: list[Object | None]) -> None:
        """Has the API server try what changes: a value that it refuses must not be found when half is written."""
        for item, before in zip(rendered, live, strict=True):
            if self.dry_run or before is None or not is_ours(before):
                continue
            try:
                self.api.apply(KIND_BY_NAME[item["kind"]], item, force=True, dry_run=True)
            except KubeAPIError as error:
                # Whatever else it says, as of a webhook that knows no dry run, the apply itself will meet or not.
                if error.status == HTTPStatus.UNPROCESSABLE_ENTITY:
                    raise

    def _live(self, item: Object) -> Object | None:
        metadata = item["metadata"]
        return self.api.get(KIND_BY_NAME[item["kind"]], metadata["name"], metadata.get("namespace", ""))

    def _apply(self, item: Object, before: Object | None, *, force: bool = False) -> Object:
        """One object, as it is then; fields that somebody changed behind our back are taken back, and named."""
        if self.dry_run and before is None:
            # Where the namespace or the definition is not there yet, the API server cannot try it.
            self.done.append(Done(object=title(item), outcome="created"))
            return item
        kind = KIND_BY_NAME[item["kind"]]
        taken_back: tuple[str, ...] = ()
        try:
            applied = self.api.apply(kind, item, force=force, dry_run=self.dry_run)
        except KubeAPIError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
            taken_back = error.causes
            applied = self.api.apply(kind, item, force=True, dry_run=self.dry_run)
        outcome = "repaired" if taken_back else _outcome(before, applied.object, created=applied.created)
        self.done.append(Done(object=title(item), outcome=outcome, fields=taken_back))
        return applied.object

    def _has_changed(self, component: str) -> bool:
        """Whether a DaemonSet that was there is now another."""
        changed = [done.object for done in self.done if done.outcome in ("changed", "repaired")]
        return any(text.startswith("DaemonSet ") and text.endswith(f"/{component}") for text in changed)

    def _prune(self, rendered: list[Object], found: Observation) -> None:
        """Removes what was rendered once and is no longer: the helper's objects when it is switched off."""
        wanted = {title(item) for item in rendered}
        for kind in RENDERED_KINDS:
            for item in found.ours:
                if item["kind"] == kind.kind != "Namespace" and title(item) not in wanted and not helm_release(item):
                    self._delete(kind, item)

    # --- disable ------------------------------------------------------------------------------------------------------

    def _delete(self, kind: Kind, item: Object) -> None:
        metadata = item["metadata"]
        if not self.dry_run:
            self.api.delete(kind, metadata["name"], metadata.get("namespace", ""), propagation="Foreground")
        self.done.append(Done(object=title(item), outcome="removed"))

    def _delete_namespace(self, item: Object) -> None:
        """A namespace takes all that is in it along, so it stays where anything is that is not ours."""
        name = item["metadata"]["name"]
        others = [
            title(other)
            for kind in _NAMESPACE_CONTENT
            for other in self.api.list(kind, name)
            if not is_ours(other) and (other["kind"], other["metadata"]["name"]) not in _NAMESPACE_FURNITURE
        ]
        if others:
            self.done.append(Done(object=title(item), outcome="kept", fields=(f"holds {others[0]}",)))
            return
        self._delete(kinds.NAMESPACE, item)


def stored_spec(found: Observation) -> Spec | None:
    """The spec that the cluster has on record, or None.

    Raises:
        AddonRefusedError: it has fields that this program does not know.
    """
    if found.resource is None:
        return None
    try:
        return Spec.from_dict(found.resource.get("spec"))
    except InputError as error:
        raise AddonRefusedError(
            f"the {names.KIND} in the cluster cannot be read ({error}); it may be of a newer confcom"
        ) from None


def settle_for(spec: Spec, found: Observation) -> Spec:
    """The spec for this cluster, whose nodes settle what `auto` means."""
    return settle_provider(spec, [str(node.get("spec", {}).get("providerID", "")) for node in found.nodes])


def render_for(spec: Spec, found: Observation) -> list[Object]:
    """The objects for this cluster."""
    return render(settle_for(spec, found))


def _refuse(sentence: str | None) -> None:
    if sentence:
        raise AddonRefusedError(sentence)


def _check_wish(sentence: str | None) -> None:
    if sentence:
        raise InputError(sentence)


def _outcome(before: Object | None, after: Object, *, created: bool) -> str:
    if created or before is None:
        return "created"
    return "unchanged" if says_the_same(before, after) else "changed"


def _is_established(item: Object | None) -> bool:
    conditions = (item or {}).get("status", {}).get("conditions") or ()
    return any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions)
