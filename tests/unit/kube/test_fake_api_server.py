"""The stand-in of the API server against what `cluster-addon.md` saw the real one do, line by line."""

import copy

import pytest
from api_server import APIServer, RefusalError
from cluster_controllers import Controllers

from confcom.addon.render import render
from confcom.addon.schema import definition
from confcom.addon.spec import Spec

CR = ("confcom.io/v1alpha1", "confidentialcomputings", "", "confcom")
DS = ("apps/v1", "daemonsets", "ns", "sy")
COUNTER = "deprecated.daemonset.template.generation"


def daemon_set(**spec):
    labels = {"app": "sy"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "h", "image": "i"}]}}
    metadata = {"name": "sy", "namespace": "ns"}
    spec = {"selector": {"matchLabels": labels}, "template": template} | spec
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec}


def resource(spec=None, name="confcom"):
    return {"apiVersion": CR[0], "kind": "ConfidentialComputing", "metadata": {"name": name}, "spec": spec or {}}


@pytest.fixture
def api():
    api = APIServer()
    api.create("v1", "namespaces", {"metadata": {"name": "ns"}})
    return api


def apply(api, key, item, manager="me", *, force=False, dry_run=False, subresource=""):
    item, created = api.apply(key, copy.deepcopy(item), manager, force=force, dry_run=dry_run, subresource=subresource)
    return item, created


def refused(api, key, item, **options):
    with pytest.raises(RefusalError) as error:
        apply(api, key, item, **options)
    return error.value


def test_an_unchanged_apply_writes_nothing(api):
    first, created = apply(api, DS, daemon_set())
    second, again = apply(api, DS, daemon_set())
    assert (created, again) == (True, False)
    assert first == second


def test_generation_counts_the_spec_and_the_counter_the_template(api):
    apply(api, DS, daemon_set())
    item, _ = apply(api, DS, daemon_set(minReadySeconds=3))
    assert (item["metadata"]["generation"], item["metadata"]["annotations"][COUNTER]) == (2, "1")
    changed = daemon_set(minReadySeconds=3)
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "j"
    item, _ = apply(api, DS, changed)
    assert (item["metadata"]["generation"], item["metadata"]["annotations"][COUNTER]) == (3, "2")
    item, _ = apply(api, DS, daemon_set(minReadySeconds=3))
    assert item["metadata"]["annotations"][COUNTER] == "3", "rolling back goes up"


def test_the_counter_restarts_with_a_new_object(api):
    apply(api, DS, daemon_set())
    api.delete(DS)
    item, created = apply(api, DS, daemon_set())
    assert created
    assert item["metadata"]["annotations"][COUNTER] == "1"


def test_drift_is_a_conflict_with_its_cause_and_is_repaired_by_force(api):
    apply(api, DS, daemon_set(minReadySeconds=3))
    api.edit(*DS, lambda item: item["spec"].update(minReadySeconds=9))
    error = refused(api, DS, daemon_set(minReadySeconds=3))
    assert (error.code, error.reason) == (409, "Conflict")
    assert error.message == (
        'Apply failed with 1 conflict: conflict with "kubectl-edit" using apps/v1: .spec.minReadySeconds'
    )
    assert error.causes == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-edit" using apps/v1',
            "field": ".spec.minReadySeconds",
        }
    ]
    item, _ = apply(api, DS, daemon_set(minReadySeconds=3), force=True)
    assert item["spec"]["minReadySeconds"] == 3


def test_a_field_that_is_no_longer_applied_goes(api):
    apply(api, DS, daemon_set(minReadySeconds=3))
    item, _ = apply(api, DS, daemon_set())
    assert "minReadySeconds" not in item["spec"]


def test_force_does_not_remove_what_was_never_applied(api):
    apply(api, DS, daemon_set())
    api.edit(*DS, lambda item: item["spec"]["template"]["spec"].update(nodeSelector={"a": "b"}))
    item, _ = apply(api, DS, daemon_set(), force=True)
    assert item["spec"]["template"]["spec"]["nodeSelector"] == {"a": "b"}
    entry = next(e for e in item["metadata"]["managedFields"] if e["manager"] == "kubectl-edit")
    assert "f:spec" in entry["fieldsV1"]


def test_list_elements_are_merged_by_key(api):
    mine = daemon_set()
    mine["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": "1"}]
    apply(api, DS, mine)
    api.edit(
        *DS,
        lambda item: item["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "B", "value": "2"}),
    )
    without = daemon_set()
    item, _ = apply(api, DS, without)
    assert item["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "B", "value": "2"}]


def test_atomic_structures_conflict_as_a_whole(api):
    def with_field(**field):
        item = daemon_set()
        variable = {"name": "G", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name", **field}}}
        item["spec"]["template"]["spec"]["containers"][0]["env"] = [variable]
        return item

    apply(api, DS, with_field(apiVersion="v1"), manager="kubectl")
    error = refused(api, DS, with_field())
    assert error.causes[0]["field"] == ('.spec.template.spec.containers[name="h"].env[name="G"].valueFrom.fieldRef')


def test_an_unknown_field_is_a_500(api):
    item = daemon_set()
    item["spec"]["template"]["spec"]["containers"][0]["nosuch"] = 1
    error = refused(api, DS, item)
    assert error.code == 500
    assert error.message == (
        "failed to create typed patch object (ns/sy; apps/v1, Kind=DaemonSet): "
        '.spec.template.spec.containers[name="h"].nosuch: field not declared in schema'
    )


def test_dry_run_answers_and_writes_nothing(api):
    before, _ = apply(api, DS, daemon_set())
    item, _ = apply(api, DS, daemon_set(minReadySeconds=3), dry_run=True)
    assert item["metadata"]["generation"] == 2
    assert item["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert "minReadySeconds" not in api.get(*DS)["spec"]


def test_objects_need_their_namespace(api):
    item = daemon_set()
    item["metadata"]["namespace"] = "nowhere"
    error = refused(api, ("apps/v1", "daemonsets", "nowhere", "sy"), item)
    assert (error.code, error.message) == (404, 'namespaces "nowhere" not found')


def test_a_kind_exists_with_its_definition(api):
    assert refused(api, CR, resource()).code == 404
    key = ("apiextensions.k8s.io/v1", "customresourcedefinitions", "", "confidentialcomputings.confcom.io")
    apply(api, key, definition())
    item, _ = apply(api, CR, resource())
    assert item["spec"]["quoteHelper"]["workers"] == 1
    api.delete(key)
    assert CR not in api.objects


@pytest.fixture
def with_definition(api):
    key = ("apiextensions.k8s.io/v1", "customresourcedefinitions", "", "confidentialcomputings.confcom.io")
    apply(api, key, definition())
    return api


def test_the_resource_is_one_by_name(with_definition):
    key = (*CR[:3], "other")
    error = refused(with_definition, key, resource(name="other"))
    assert error.code == 422
    assert error.message == (
        'ConfidentialComputing.confcom.io "other" is invalid: <nil>: Invalid value: '
        "there is one ConfidentialComputing per cluster and it is named confcom"
    )


def test_values_out_of_range_are_a_422(with_definition):
    error = refused(with_definition, CR, resource({"quoteHelper": {"workers": 0}}))
    assert error.code == 422
    assert "spec.quoteHelper.workers: Invalid value: 0" in error.message


def test_main_and_status_are_written_apart(with_definition):
    apply(with_definition, CR, resource() | {"status": {"observedGeneration": 7}})
    assert "status" not in with_definition.get(*CR)
    wanted = resource({"quoteHelper": {"workers": 5}}) | {"status": {"observedGeneration": 1}}
    item, _ = apply(with_definition, CR, wanted, subresource="status")
    assert item["status"]["observedGeneration"] == 1
    assert item["spec"]["quoteHelper"]["workers"] == 1
    assert item["metadata"]["generation"] == 1


def test_owners_and_namespaces_take_their_own_along(with_definition):
    api = with_definition
    item, _ = apply(api, CR, resource())
    owned = daemon_set()
    owned["metadata"]["ownerReferences"] = [
        {"apiVersion": CR[0], "kind": "ConfidentialComputing", "name": "confcom", "uid": item["metadata"]["uid"]}
    ]
    apply(api, DS, owned)
    api.delete(CR)
    assert DS not in api.objects
    apply(api, DS, daemon_set())
    api.delete(("v1", "namespaces", "", "ns"))
    assert DS not in api.objects


def test_every_rendering_applies_twice_without_a_write(api):
    for name in ("confcom-system", "x"):
        api.create("v1", "namespaces", {"metadata": {"name": name}})
    plurals = {"NetworkPolicy": "networkpolicies"}
    for item in render(Spec.from_dict({"images": {"default": "i"}, "simulation": {}})):
        plural = plurals.get(item["kind"], item["kind"].lower() + "s")
        key = (item["apiVersion"], plural, item["metadata"].get("namespace", ""), item["metadata"]["name"])
        first, _ = apply(api, key, item, force=True)
        second, _ = apply(api, key, item)
        assert first == second


# --- the controllers -------------------------------------------------------------------------------------------------


def surging(api, **node):
    controllers = Controllers(api)
    controllers.add_node("a", **node)
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    item = daemon_set(updateStrategy=rolling)
    item["metadata"]["labels"] = {}
    item["spec"]["template"]["metadata"]["labels"]["confcom.io/component"] = "sy"
    api.apply(DS, copy.deepcopy(item), "me", force=False, dry_run=False, subresource="")
    controllers.settle()
    return controllers, item


def test_pods_come_to_the_nodes_and_carry_the_counter(api):
    surging(api)
    (pod,) = api.all("v1", "pods")
    assert pod["spec"]["nodeName"] == "a"
    assert pod["metadata"]["labels"]["pod-template-generation"] == "1"
    assert api.get(*DS)["status"]["numberAvailable"] == 1


def test_a_surge_pod_that_cannot_be_placed_leaves_the_old_one_alone(api):
    controllers, item = surging(api)
    controllers.blocked["a"] = {"unschedulable": "0/1 nodes are available: 1 Insufficient t."}
    item["spec"]["template"]["spec"]["containers"][0]["image"] = "j"
    api.apply(DS, copy.deepcopy(item), "me", force=False, dry_run=False, subresource="")
    controllers.settle()
    phases = {
        pod["metadata"]["labels"]["pod-template-generation"]: pod["status"]["phase"] for pod in api.all("v1", "pods")
    }
    assert phases == {"1": "Running", "2": "Pending"}
    status = api.get(*DS)["status"]
    assert (status["numberAvailable"], status["updatedNumberScheduled"]) == (1, 0)
    controllers.blocked.clear()
    controllers.settle()
    (pod,) = api.all("v1", "pods")
    assert pod["metadata"]["labels"]["pod-template-generation"] == "2"


def test_taints_keep_pods_away(api):
    surging(api, taints=[{"key": "k", "effect": "NoSchedule"}])
    assert api.all("v1", "pods") == []
