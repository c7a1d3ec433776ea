"""`confcom addon` and `confcom status` against the stand-in of an API server: as the acceptance of a cluster would go."""

import json
import subprocess
import sys

import pytest
import yaml
from addon_cluster import ENABLE, HELPER, PLUGIN, RESOURCE, SGX, SIMULATE, STARTING, daemons_answer
from api_server import APIServer, RefusalError, Running
from cluster_controllers import status_of

from confcom.addon import switch, waiting
from confcom.addon.spec import Spec
from confcom.cli.main import main
from confcom.errors import KubeAPIError
from confcom.kube.api import KubeAPI
from confcom.kube.config import find_config

IMAGE = Spec.from_dict({"images": {"default": "i"}})
LABEL = {"confcom.io/addon": "confcom"}
EPC = "kubernetes.azure.com/sgx_epc_mem_in_MiB"


def outcomes(out):
    return {line.rpartition(" ")[2] for line in out.splitlines()}


# --- the life of an add-on ---------------------------------------------------------------------------------------------


def test_enable_brings_both_daemon_sets_to_the_sgx_nodes_and_no_other(cluster):
    code, out, err = cluster.run(*ENABLE, "--wait")
    assert code == 0, err
    assert outcomes(out) == {"created"}
    assert "Done: sgx-device-plugin on 2 of 2 node(s), sgx-quote-helper on 2 of 2 node(s)." in err
    nodes = {pod["spec"]["nodeName"] for pod in cluster.api.all("v1", "pods")}
    assert nodes == {"sgx-1", "sgx-2"}
    assert "sgx-1: sgx-quote-helper: ready" in err


def test_enable_again_changes_nothing(cluster):
    cluster.run(*ENABLE)
    before = cluster.snapshot()
    code, out, _ = cluster.run(*ENABLE)
    assert code == 0
    assert outcomes(out) == {"unchanged"}
    assert cluster.snapshot() == before
    code, out, _ = cluster.run("addon", "enable")
    assert (code, outcomes(out)) == (0, {"unchanged"})
    assert cluster.snapshot() == before


def test_simulation_goes_to_every_linux_node(cluster):
    code, _, err = cluster.run(*SIMULATE, "--wait")
    assert code == 0, err
    assert {pod["spec"]["nodeName"] for pod in cluster.api.all("v1", "pods")} == {"sgx-1", "sgx-2", "plain"}


def test_node_selector_alone_decides(cluster):
    cluster.controllers.add_node("chosen", labels={"pool": "trial"})
    code, _, err = cluster.run(*SIMULATE, "--node-selector", "pool=trial", "--wait")
    assert code == 0, err
    assert {pod["spec"]["nodeName"] for pod in cluster.api.all("v1", "pods")} == {"chosen"}


def test_enable_before_there_is_a_node(cluster):
    """R4: 0 desired, and n as nodes come, with no user action."""
    for name in ("sgx-1", "sgx-2"):
        cluster.api.delete(("v1", "nodes", "", name))
    code, _, err = cluster.run(*ENABLE, "--wait")
    assert code == 0
    assert "No node is selected yet; nodes with SGX that are added later get the add-on by themselves." in err
    cluster.controllers.add_node("sgx-3", labels=SGX)
    assert {pod["spec"]["nodeName"] for pod in cluster.api.all("v1", "pods")} == {"sgx-3"}


def test_enable_and_show_say_that_no_certificate_service_is_named(cluster):
    start = "No certificate service is named: Intel's client will look for a PCCS at localhost:8081"
    assert cluster.run(*ENABLE)[2].startswith(start)
    code, out, _ = cluster.run("addon", "show")
    assert code == 0
    assert start in out
    code, _, err = cluster.run("addon", "update", "--simulate-epc", "8GiB")
    assert (code, err) == (0, "")


TAINT = {"key": "team", "value": "x", "effect": "NoSchedule"}
CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}


def test_a_taint_that_keeps_the_pods_away_is_named(cluster):
    """The DaemonSet does not count such a node, so nothing in the cluster says why it gets no pod."""
    for name in ("sgx-1", "sgx-2"):
        cluster.api.delete(("v1", "nodes", "", name))
    cluster.controllers.add_node("sgx-3", labels=SGX, taints=[TAINT])
    sentence = "1 selected node(s) get no pod for their taint team=x:NoSchedule; to have them, add it to spec.nodes.tolerations"
    code, _, err = cluster.run(*ENABLE, "--wait")
    assert code == 0
    assert err.splitlines()[-2:] == [
        "Done: sgx-device-plugin on 0 of 0 node(s), sgx-quote-helper on 0 of 0 node(s).",
        sentence,
    ]
    assert sentence in cluster.run("addon", "show")[1].splitlines()
    code, out, err = cluster.run("status")
    assert code == 1
    (line,) = [line for line in out.splitlines() if "sgx-3" in line]
    assert line.count("no pod") == 2
    assert (
        "sgx-3: sgx-device-plugin: has no pod on this node: its taint team=x:NoSchedule is not in "
        "spec.nodes.tolerations" in err
    )


def test_a_simulation_leaves_a_control_plane_alone_and_all_is_well(cluster):
    cluster.controllers.add_node("control-plane", taints=[CONTROL_PLANE])
    code, _, err = cluster.run(*SIMULATE, "--wait")
    assert code == 0
    assert "1 selected node(s) get no pod for their taint node-role.kubernetes.io/control-plane:NoSchedule" in err
    code, out, _ = cluster.run("status", "--output", "json")
    assert code == 0
    assert [node["name"] for node in json.loads(out)["nodes"]] == ["plain", "sgx-1", "sgx-2"]


def test_dry_run_writes_nothing(cluster):
    before = cluster.snapshot()
    code, out, _ = cluster.run(*ENABLE, "--dry-run")
    assert code == 0
    assert "DaemonSet confcom-system/sgx-quote-helper would be created" in out
    assert cluster.snapshot() == before
    cluster.run(*ENABLE)
    before = cluster.snapshot()
    code, out, _ = cluster.run("addon", "update", "--image", "other:2", "--dry-run")
    assert code == 0
    assert "DaemonSet confcom-system/sgx-quote-helper would be changed" in out
    assert "ServiceAccount confcom-system/sgx-quote-helper would be unchanged" in out
    code, out, _ = cluster.run("addon", "disable", "--dry-run")
    assert "Namespace confcom-system would be removed" in out
    assert cluster.snapshot() == before


def test_update_changes_the_image_in_place(cluster):
    cluster.run(*ENABLE)
    code, out, err = cluster.run("addon", "update", "--image", "registry.example/confcom:2", "--wait")
    assert code == 0, err
    assert "DaemonSet confcom-system/sgx-quote-helper changed" in out
    item = cluster.api.get(*HELPER)
    assert item["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/confcom:2"
    assert item["metadata"]["annotations"]["deprecated.daemonset.template.generation"] == "2"


def test_quote_helper_off_and_on_in_place(cluster):
    """The device plugin stays, and is replaced: without a helper it has neither tokens nor slots, and withholds no EPC."""
    cluster.run(*ENABLE)
    code, out, _ = cluster.run("addon", "update", "--disable-sgxquotehelper", "--wait")
    assert code == 0
    assert "DaemonSet confcom-system/sgx-quote-helper removed" in out
    assert cluster.api.get(*HELPER) is None
    assert {"--helper-tokens=0", "--slots=0"} < set(_arguments(cluster.api.get(*PLUGIN)))
    assert cluster.api.get(*PLUGIN)["status"]["numberAvailable"] == 2
    assert not [k for k in cluster.api.objects if k[3] == "sgx-quote-helper"]
    code, out, _ = cluster.run("addon", "update", "--enable-sgxquotehelper", "--wait")
    assert code == 0
    assert cluster.api.get(*HELPER)["status"]["numberAvailable"] == 2
    assert "--helper-tokens=2" in _arguments(cluster.api.get(*PLUGIN))


def _arguments(daemon_set):
    return daemon_set["spec"]["template"]["spec"]["containers"][0]["args"]


def test_what_is_not_named_stays(cluster, tmp_path):
    file = tmp_path / "cc.yaml"
    spec = {"quoteHelper": {"workers": 3}, "images": {"default": "i"}}
    head = {"apiVersion": RESOURCE[0], "kind": "ConfidentialComputing", "metadata": {"name": "confcom"}}
    file.write_text(yaml.safe_dump(head | {"spec": spec}))
    assert cluster.run("addon", "enable", "-f", str(file))[0] == 0
    assert cluster.run("addon", "update", "--image", "j")[0] == 0
    stored = cluster.api.get(*RESOURCE)["spec"]
    assert (stored["quoteHelper"]["workers"], stored["images"]["default"]) == (3, "j")


def test_disable_leaves_what_was_there_before(cluster):
    before = set(cluster.api.objects)
    cluster.run(*ENABLE)
    code, _, err = cluster.run("addon", "disable", "--wait")
    assert code == 0
    assert set(cluster.api.objects) == before
    assert (
        "What Kubernetes keeps: 2 node(s) go on listing the resources, with 0 of each, until they are made anew; and "
        "on their disks /var/lib/confcom, /run/confcom and /var/run/aesmd." in err
    )
    code, out, err = cluster.run("addon", "disable")
    assert (code, out) == (0, "")
    assert err == "The add-on is not enabled in this cluster; there is nothing to remove.\n"
    assert cluster.run(*ENABLE, "--wait")[0] == 0


@pytest.mark.parametrize(
    ("version", "plural", "kind"),
    [
        ("v1", "configmaps", "ConfigMap"),
        ("v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
        ("apps/v1", "statefulsets", "StatefulSet"),
        ("batch/v1", "jobs", "Job"),
        ("batch/v1", "cronjobs", "CronJob"),
    ],
)
def test_disable_keeps_a_namespace_that_others_use(cluster, version, plural, kind):
    cluster.run(*ENABLE)
    cluster.api.create(version, plural, {"metadata": {"name": "theirs", "namespace": "confcom-system"}})
    code, out, _ = cluster.run("addon", "disable", "--wait")
    assert code == 0
    assert f"Namespace confcom-system kept (holds {kind} confcom-system/theirs)" in out
    assert cluster.api.get(version, plural, "confcom-system", "theirs")
    assert cluster.kinds() == {plural}
    assert cluster.run("addon", "show") == (1, "The add-on is not enabled in this cluster.\n", "")


def test_a_namespace_of_others_is_neither_changed_nor_removed(cluster):
    cluster.api.create("v1", "namespaces", {"metadata": {"name": "confcom-system", "labels": {"team": "x"}}})
    assert cluster.run(*ENABLE)[0] == 0
    assert cluster.api.get("v1", "namespaces", "", "confcom-system")["metadata"]["labels"] == {"team": "x"}
    assert cluster.run("addon", "disable", "--wait")[0] == 0
    assert cluster.api.get("v1", "namespaces", "", "confcom-system")


# --- drift -------------------------------------------------------------------------------------------------------------


def test_drift_is_shown_and_enable_repairs_it(cluster):
    cluster.run(*ENABLE)
    assert cluster.run("addon", "show")[0] == 0
    cluster.api.edit(*HELPER, lambda item: item["spec"].update(minReadySeconds=99))
    code, out, _ = cluster.run("addon", "show")
    assert code == 1
    assert (
        "DaemonSet confcom-system/sgx-quote-helper: changed by hand: .spec.minReadySeconds: conflict with "
        '"kubectl-edit" using apps/v1' in out
    )
    code, out, _ = cluster.run("addon", "enable")
    assert code == 0
    assert "DaemonSet confcom-system/sgx-quote-helper repaired (.spec.minReadySeconds: conflict with" in out
    assert cluster.api.get(*HELPER)["spec"]["minReadySeconds"] == 5


def test_a_deleted_object_is_shown_and_comes_back(cluster):
    cluster.run(*ENABLE)
    cluster.api.delete(HELPER)
    code, out, _ = cluster.run("addon", "show")
    assert code == 1
    assert "DaemonSet confcom-system/sgx-quote-helper is missing; confcom addon enable makes it again" in out
    cluster.run("addon", "enable")
    assert cluster.api.get(*HELPER)


def test_brackets_of_a_field_and_of_a_message_are_shown_as_they_are(cluster):
    """They are no markup: a field's path lost its container, and a closing one was a traceback."""

    def change(item):
        item["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "Never"

    cluster.run(*ENABLE)
    cluster.api.edit(*HELPER, change)
    path = '.spec.template.spec.containers[name="sgx-quote-helper"].imagePullPolicy'
    assert path in cluster.run("addon", "show")[1]
    assert f"repaired ({path}" in cluster.run("addon", "enable")[1]
    image = {"waiting": {"reason": "ErrImagePull", "message": "manifest [/x] of [bold]"}}
    cluster.controllers.blocked["sgx-1", "sgx-quote-helper"] = image
    _, _, err = cluster.run("addon", "update", "--image", "other:2", "--wait", "--timeout", "1")
    assert "sgx-1: sgx-quote-helper: the image cannot be had (ErrImagePull: manifest [/x] of [bold])" in err
    assert "(ErrImagePull: manifest [/x] of [bold])" in cluster.run("addon", "show")[1]


def test_brackets_of_what_daemons_say_are_shown_as_they_are(cluster):
    cluster.run(*ENABLE)
    row = {"part": "Intel PSW", "found": "2.[/x]", "verdict": "not tried", "why": "odd [bold]"}
    daemons_answer(cluster, ready=False, problem="no [/x] of [bold]", compatibility=[row])
    _, out, err = cluster.run("status")
    assert "sgx-1: sgx-quote-helper: no [/x] of [bold]" in err
    assert "2 node(s) run beside Intel PSW 2.[/x]: not tried: odd [bold]" in err
    assert "sgx-1" in out
    (line,) = [line for line in cluster.run("addon", "show")[1].splitlines() if "Intel PSW" in line]
    assert [cell.strip() for cell in line.strip("│").split("│")] == ["Intel PSW", "2.[/x]", "not tried", "odd [bold]"]


def test_fields_that_others_added_are_shown(cluster):
    cluster.run(*ENABLE)
    cluster.api.edit(*HELPER, lambda item: item["spec"]["template"]["spec"].update(hostPID=True))
    code, out, _ = cluster.run("addon", "show")
    assert code == 1
    assert "sgx-quote-helper: kubectl-edit has set fields of its own; replace it to be rid of them" in out


def test_a_webhook_that_knows_no_dry_run_leaves_drift_unknown(cluster):
    cluster.run(*ENABLE)
    real, sentence = cluster.api.answer, 'admission webhook "w.example" does not support dry run'

    def answer(method, path, query, *rest):
        if query.get("dryRun") == "All":
            raise RefusalError(400, "BadRequest", sentence)
        return real(method, path, query, *rest)

    cluster.api.answer = answer
    code, out, _ = cluster.run("addon", "show")
    assert code == 0
    assert f"Whether anything was changed by hand is not known: {sentence}." in out


def noted(item, key, value):
    """As `kubectl rollout restart` does, and as others may."""
    item["spec"]["template"]["metadata"].setdefault("annotations", {})[key] = value


@pytest.mark.parametrize(("key", "code"), [("kubectl.kubernetes.io/restartedAt", 0), ("example.com/x", 1)])
def test_a_restart_is_no_drift(cluster, key, code):
    cluster.run(*ENABLE)
    cluster.api.edit(*HELPER, lambda item: noted(item, key, "2026-11-25T10:00:00Z"), manager="kubectl-rollout")
    found, out, _ = cluster.run("addon", "show")
    assert found == code
    assert ("kubectl-rollout has set fields of its own" in out) is (code == 1)
    before = cluster.api.get(*HELPER)
    assert cluster.run(*ENABLE)[0] == 0
    assert cluster.api.get(*HELPER) == before


def test_an_update_says_which_helpers_no_batch_bounds(cluster):
    cluster.run(*ENABLE)
    notice = (
        "1 quote helper(s) were not ready, on sgx-1; Kubernetes replaces those at once, whatever spec.update.batch says"
    )
    pod = cluster.api.objects["v1", "pods", "confcom-system", "sgx-quote-helper-sgx-1-1"].item
    pod["status"]["conditions"][1]["status"] = "False"
    assert notice not in cluster.run("addon", "update")[2]
    pod["status"]["conditions"][1]["status"] = "False"
    assert notice in cluster.run("addon", "update", "--image", "registry.example/confcom:2")[2]
    assert notice not in cluster.run("addon", "update", "--image", "registry.example/confcom:3")[2]


def test_a_wait_tells_the_old_pod_of_a_node_from_the_new_one(cluster):
    cluster.run(*ENABLE)
    cluster.controllers.blocked["sgx-1", "sgx-quote-helper"] = STARTING
    cluster.run("addon", "update", "--image", "registry.example/confcom:2")
    old = cluster.api.objects["v1", "pods", "confcom-system", "sgx-quote-helper-sgx-1-1"].item
    _, _, err = cluster.run("addon", "enable", "--wait", "--timeout", "1")
    lines = [line for line in err.splitlines() if line.startswith("sgx-1: sgx-quote-helper: ")]
    assert len(lines) == 1, "that the old one is ready is no news"
    old["metadata"]["deletionTimestamp"] = ENDING
    _, _, err = cluster.run("addon", "enable", "--wait", "--timeout", "1")
    assert "sgx-1: sgx-quote-helper: the old pod is ending" in err.splitlines()


def test_show_counts_the_pods_that_a_manual_update_leaves(cluster, tmp_path):
    file = tmp_path / "cc.yaml"
    head = {"apiVersion": RESOURCE[0], "kind": "ConfidentialComputing", "metadata": {"name": "confcom"}}
    spec = {"images": {"default": "a:1"}, "update": {"policy": "Manual"}, "quoteProvider": "azure"}
    file.write_text(yaml.safe_dump(head | {"spec": spec}))
    cluster.run("addon", "enable", "-f", str(file), "--wait")
    assert "sgx-quote-helper   2 of 2 node(s), rolled out" in cluster.run("addon", "show")[1]
    cluster.run("addon", "update", "--image", "a:2", "--wait")
    code, out, _ = cluster.run("addon", "show")
    assert code == 0
    assert "sgx-quote-helper   2 of 2 node(s), 2 of them of the former version until their pods are deleted" in out
    cluster.controllers.delete_pod(cluster.api.get("v1", "pods", "confcom-system", "sgx-quote-helper-sgx-1-1"))
    cluster.api.settle()
    assert "sgx-quote-helper   2 of 2 node(s), 1 of them of the former version" in cluster.run("addon", "show")[1]


def test_show_says_what_it_may_not_find_out(cluster):
    cluster.run(*ENABLE)
    cluster.api.denied.add(("patch", "namespaces"))
    code, out, _ = cluster.run("addon", "show")
    assert code == 0
    assert "Whether anything was changed by hand is not known: you may not apply (docs/reference/rbac.md)." in out


def test_show_as_json(cluster):
    assert json.loads(cluster.run("addon", "show", "--output", "json")[1])["enabled"] is False
    cluster.run(*SIMULATE)
    code, out, _ = cluster.run("addon", "show", "--output", "json")
    content = json.loads(out)
    assert (code, content["enabled"], content["problems"]) == (0, True, [])
    assert content["spec"]["simulation"] == {"epc": "8GiB"}
    assert [row["part"] for row in content["compatibility"]] == ["Kubernetes"]


DRIVER = {"part": "SGX driver", "found": "in-tree", "verdict": "works", "why": "Linux 5.11 and newer"}
OLD_PSW = {"part": "Intel PSW", "found": "2.16.1", "verdict": "works with limits", "why": "below TCB baseline 13"}
KERNEL = {"part": "Linux", "found": "6.8.0-1021-azure", "verdict": "works", "why": "in-tree driver"}


def test_show_and_status_tell_what_the_daemons_run_beside(cluster):
    cluster.run(*ENABLE)
    daemons_answer(cluster, compatibility=[KERNEL, DRIVER, OLD_PSW])
    code, out, _ = cluster.run("addon", "show", "--output", "json")
    found = [(row["part"], row["found"], row["verdict"]) for row in json.loads(out)["compatibility"]]
    assert (code, found) == (
        0,
        [
            ("Kubernetes", "v1.36.2", "works with limits"),
            ("Linux", "6.8.0-1021-azure", "works"),
            ("Intel PSW", "2.16.1", "works with limits"),
            ("SGX driver", "in-tree", "works"),
        ],
    )
    code, _, err = cluster.run("status")
    assert (code, err) == (0, "2 node(s) run beside Intel PSW 2.16.1: works with limits: below TCB baseline 13\n")


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param("odd", id="no list"),
        pytest.param([1], id="no objects"),
        pytest.param([DRIVER | {"verdict": "splendid"}], id="a verdict of a later version"),
        pytest.param([{"part": "SGX driver"}], id="fields that are missing"),
        pytest.param(None, id="an older daemon"),
    ],
)
def test_what_a_daemon_of_another_version_tells_is_left_out(cluster, entries):
    cluster.run(*ENABLE)
    daemons_answer(cluster, compatibility=entries)
    code, out, _ = cluster.run("addon", "show", "--output", "json")
    assert code == 0
    assert {row["part"] for row in json.loads(out)["compatibility"]} == {"Kubernetes", "Linux"}
    assert cluster.run("status")[0] == 0


def test_show_says_that_it_may_not_ask_the_daemons(cluster):
    cluster.run(*ENABLE)
    cluster.api.denied.add(("get", "pods/proxy"))
    code, out, _ = cluster.run("addon", "show")
    assert code == 0
    assert "What the daemons run beside is not known: you may not use pods/proxy (docs/reference/rbac.md)." in out


# --- waits -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(cluster, monkeypatch):
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.01)
    with KubeAPI(find_config(None, cluster.running.kubeconfig, {}), field_manager="me") as api:
        yield api


def test_a_wait_outlives_an_api_server_that_is_away(cluster, client):
    cluster.run(*ENABLE)
    said = []
    cluster.api.away = 3
    states = waiting.wait_for_rollout(client, IMAGE, said.append, seconds=30)
    assert all(state.done for state in states)
    assert cluster.api.away == 0
    assert said[0] == "no server is available; looking again"
    assert not any("looking again" in text for text in said[1:])
    cluster.run("addon", "disable")
    cluster.api.away = 2
    waiting.wait_until_gone(client, said.append, seconds=30)
    assert cluster.api.away == 0


def test_disable_names_the_node_that_keeps_a_pod(cluster, monkeypatch):
    cluster.run(*ENABLE)
    cluster.api.create("v1", "configmaps", {"metadata": {"name": "theirs", "namespace": "confcom-system"}})
    delete = cluster.controllers.delete_pod

    def only_with_its_kubelet(pod):
        if pod["spec"]["nodeName"] != "sgx-1":
            delete(pod)
        pod["metadata"]["deletionTimestamp"] = ENDING
        pod["status"]["conditions"][1]["status"] = "False"

    monkeypatch.setattr(cluster.controllers, "delete_pod", only_with_its_kubelet)
    code, _, err = cluster.run("addon", "disable", "--wait", "--timeout", "1")
    assert code == 3
    assert err.splitlines()[-1] == (
        "confcom: not gone after 1 s: Pod sgx-device-plugin-sgx-1-1 on node sgx-1, which does not report: bring it "
        "back, or delete it; Pod sgx-quote-helper-sgx-1-1 on node sgx-1, which does not report: bring it back, or "
        "delete it"
    )


def test_an_api_server_that_stays_away_ends_the_wait(cluster, client):
    cluster.api.away = 10**9
    with pytest.raises(KubeAPIError, match=r"^no server is available$"):
        waiting.wait_for_rollout(client, IMAGE, lambda _: None, seconds=0.1)


def test_a_right_that_is_missing_ends_the_wait_at_once(cluster, client):
    cluster.run(*ENABLE)
    cluster.api.denied.add(("list", "pods"))
    with pytest.raises(KubeAPIError, match="cannot list resource") as error:
        waiting.wait_for_rollout(client, IMAGE, lambda _: None, seconds=3600)
    assert error.value.status == 403


TOKEN = (
    "0/3 nodes are available: 1 Insufficient confcom.io/sgx-quote-helper. no new claims to deallocate, preemption: x"
)
PORT = "0/3 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. preemption: x"
BLOCKS = {
    "a token": (
        {"unschedulable": TOKEN},
        "node sgx-1: sgx-quote-helper: waits for a token of the device plugin, which gives one to each of two helpers",
    ),
    "a port": (
        {"unschedulable": PORT},
        "node sgx-1: sgx-quote-helper: waits for a port that the old pod holds, and will wait for ever",
    ),
    "an image": (
        {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
        "node sgx-1: sgx-quote-helper: the image cannot be had (ImagePullBackOff: no such image)",
    ),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_wait_and_show_name_what_holds_the_update(cluster, name):
    block, sentence = BLOCKS[name]
    cluster.run(*ENABLE)
    cluster.controllers.blocked["sgx-1", "sgx-quote-helper"] = block
    code, _, err = cluster.run("addon", "update", "--image", "other:2", "--wait", "--timeout", "1")
    assert code == 3
    assert "the roll-out is not done after 1 s (sgx-quote-helper 1 of 2 nodes)" in err
    assert sentence in err
    code, out, _ = cluster.run("addon", "show")
    assert code == 1
    assert sentence in out


def test_wait_and_show_have_a_running_pod_say_why_it_is_not_ready(cluster):
    """The kubelet says only that a container is not ready; the helper knows why."""
    cluster.controllers.blocked["sgx-1", "sgx-quote-helper"] = STARTING
    body = status_of("sgx-quote-helper", ready=False, generation=1, problem="no device /dev/sgx_provision")
    cluster.api.pod_answers["sgx-quote-helper-sgx-1-1", 9411, "/status"] = body
    sentence = "node sgx-1: sgx-quote-helper: no device /dev/sgx_provision"
    code, _, err = cluster.run(*ENABLE, "--wait", "--timeout", "1")
    assert code == 3
    assert "sgx-1: sgx-quote-helper: no device /dev/sgx_provision" in err.splitlines()
    assert err.splitlines()[-1].endswith(f"(sgx-quote-helper 1 of 2 nodes); {sentence}")
    code, out, _ = cluster.run("addon", "show")
    assert code == 1
    assert sentence in out


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        pytest.param(
            lambda api: api.denied.add(("get", "pods/proxy")),
            "containers with unready status: [sgx-quote-helper]; more is not known: you may not use pods/proxy (docs/reference/rbac.md)",
            id="the proxy is refused",
        ),
        pytest.param(
            lambda api: None, "containers with unready status: [sgx-quote-helper]", id="its port does not answer"
        ),
        pytest.param(
            lambda api: api.pod_answers.update({("sgx-quote-helper-sgx-1-1", 9411, "/status"): b"hello"}),
            "containers with unready status: [sgx-quote-helper]",
            id="something else answers",
        ),
        pytest.param(
            lambda api: api.pod_answers.update(
                {
                    ("sgx-quote-helper-sgx-1-1", 9411, "/status"): status_of(
                        "sgx-quote-helper", ready=True, problem="old"
                    )
                }
            ),
            "containers with unready status: [sgx-quote-helper]",
            id="it has just become ready",
        ),
    ],
)
def test_without_the_pods_own_words_there_are_the_kubelets(cluster, prepare, sentence):
    cluster.controllers.blocked["sgx-1", "sgx-quote-helper"] = STARTING
    cluster.run(*ENABLE)
    prepare(cluster.api)
    _, out, _ = cluster.run("addon", "show")
    assert f"! node sgx-1: sgx-quote-helper: {sentence}" in out.splitlines()


def test_an_old_pod_that_is_not_ready_is_named(cluster):
    cluster.run(*ENABLE)
    cluster.controllers.blocked["sgx-1", "sgx-quote-helper"] = {"unschedulable": TOKEN}
    cluster.run("addon", "update", "--image", "other:2")
    old = next(p for p in cluster.api.all("v1", "pods") if p["metadata"]["name"] == "sgx-quote-helper-sgx-1-1")
    old["status"]["conditions"][1] = {"type": "Ready", "status": "False", "message": "broken"}
    _, out, _ = cluster.run("addon", "show")
    assert "the old pod is not ready (broken), and an update counts it as one that is down" in out


# --- refusals ----------------------------------------------------------------------------------------------------------


def foreign(api, name="sgx-quote-helper", namespace="kube-system", labels=None, annotations=None):
    labels = labels or {"app": name}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations or {}}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template, "updateStrategy": {}}
    api.create("apps/v1", "daemonsets", {"metadata": metadata, "spec": spec})


def offer(api):
    def change(item):
        item["status"]["allocatable"][EPC] = "16384"
        item["metadata"]["annotations"] = {"foreign": "yes"}

    api.edit("v1", "nodes", "", "sgx-1", change)


def helm(api):
    notes = {"meta.helm.sh/release-name": "cc", "meta.helm.sh/release-namespace": "ops"}
    api.create("v1", "namespaces", {"metadata": {"name": "confcom-system"}})
    foreign(api, "sgx-quote-helper", "confcom-system", LABEL, notes)


def gitops(api):
    api.create("v1", "namespaces", {"metadata": {"name": "confcom-system", "labels": LABEL}}, manager="argocd")


def namesake(api):
    api.create("v1", "namespaces", {"metadata": {"name": "confcom-system"}})
    api.create("v1", "serviceaccounts", {"metadata": {"name": "sgx-device-plugin", "namespace": "confcom-system"}})


def newer(api):
    metadata = {"name": "confidentialcomputings.confcom.io", "annotations": {"confcom.io/version": "7.0.0"}}
    names = {"kind": "ConfidentialComputing", "plural": "confidentialcomputings"}
    version = {"schema": {"openAPIV3Schema": {"type": "object", "properties": {}}}}
    spec = {"names": names, "scope": "Cluster", "versions": [version]}
    api.create("apiextensions.k8s.io/v1", "customresourcedefinitions", {"metadata": metadata, "spec": spec})


def old_kubernetes(api):
    api.version = "v1.28.3"


REFUSALS = {
    "AKS's own add-on": (
        foreign,
        ENABLE,
        1,
        (
            "DaemonSet kube-system/sgx-quote-helper is not of this add-on; if this is AKS's own add-on, switch it off "
            "first: az aks disable-addons --addons confcom"
        ),
    ),
    "AKS's own add-on, by its later name": (
        lambda api: foreign(api, "sgx-plugin"),
        ENABLE,
        1,
        "DaemonSet kube-system/sgx-plugin is not of this add-on",
    ),
    "another device plugin": (
        offer,
        ENABLE,
        1,
        f"node sgx-1 offers {EPC} by a device plugin that is not of this add-on; remove that plugin first",
    ),
    "a Helm release": (
        helm,
        ENABLE,
        1,
        "the Helm release cc (namespace ops) owns this add-on; change its values instead: helm upgrade cc",
    ),
    "a Helm release, update": (
        helm,
        ("addon", "update", "--image", "j"),
        1,
        "the Helm release cc (namespace ops) owns",
    ),
    "a Helm release, disable": (helm, ("addon", "disable"), 1, "the Helm release cc (namespace ops) owns"),
    "GitOps": (gitops, ENABLE, 1, "Namespace confcom-system was applied by argocd; change it where it comes from"),
    "an object of the same name": (
        namesake,
        ENABLE,
        1,
        (
            "ServiceAccount confcom-system/sgx-device-plugin exists and is not of this add-on; remove it, or use another "
            "namespace"
        ),
    ),
    "a definition of a newer program": (
        newer,
        ENABLE,
        1,
        "the resource definition is of confcom 7.0.0, this program is",
    ),
    "an old Kubernetes": (old_kubernetes, ENABLE, 1, "Kubernetes v1.28.3 does not work with this version of confcom"),
    "no image": (None, ("addon", "enable"), 2, "spec.images: no image is named for devicePlugin; give --image IMAGE"),
    "no node": (
        None,
        (*ENABLE, "--node-selector", "pool=none"),
        2,
        "no node is selected: none is Linux on amd64 with pool=none; see kubectl get nodes --show-labels",
    ),
    "no size": (None, (*ENABLE, "--simulate-epc", "big"), 2, "--simulate-epc: 'big' is not a size"),
    "no selector": (None, (*ENABLE, "--node-selector", "pool"), 2, "--node-selector pool: 'pool' is no label"),
    "no such file": (None, ("addon", "enable", "-f", "/no/file"), 2, "file /no/file: No such file or directory"),
    "nothing to update": (
        None,
        ("addon", "update", "--image", "j"),
        1,
        "the add-on is not enabled in this cluster; use confcom addon enable",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusal_is_one_sentence_and_nothing_is_written(cluster, name):
    prepare, arguments, wanted, sentence = REFUSALS[name]
    if prepare:
        prepare(cluster.api)
    before = cluster.snapshot()
    code, out, err = cluster.run(*arguments)
    assert (code, out) == (wanted, "")
    lines = err.splitlines()
    assert lines[-1].startswith(f"confcom: {sentence}"), err
    assert len(lines) <= 2
    assert cluster.snapshot() == before
    assert cluster.writes() == []


def test_numbers_of_a_plugin_that_has_just_ended_are_waited_for(cluster, monkeypatch):
    monkeypatch.setattr(switch, "FORGET_SECONDS", 30)
    offer(cluster.api)
    list_nodes, calls = cluster.api.list, []

    def later(version, plural, namespace, query):
        if plural == "nodes":
            calls.append(1)
            if len(calls) == 3:
                cluster.api.objects["v1", "nodes", "", "sgx-1"].item["status"]["allocatable"][EPC] = "0"
        return list_nodes(version, plural, namespace, query)

    cluster.api.list = later
    code, _, err = cluster.run(*ENABLE)
    assert code == 0, err
    assert "a node still offers SGX resources; waiting for its kubelet to notice that no plugin runs" in err


ENDING = "2026-11-25T10:00:00Z"


def end_slowly(cluster, key, looks):
    """Has an object be removed after so many looks at its kind, as a real cluster does."""
    cluster.api.objects[key].item["metadata"]["deletionTimestamp"] = ENDING
    list_all, calls = cluster.api.list, []

    def later(version, plural, namespace, query):
        if plural == key[1]:
            calls.append(1)
            if len(calls) == looks:
                cluster.api.delete(key)
        return list_all(version, plural, namespace, query)

    cluster.api.list = later


def test_enable_waits_for_what_the_last_disable_still_removes(cluster, monkeypatch):
    monkeypatch.setattr(switch, "ENDING_SECONDS", 30)
    cluster.run(*ENABLE)
    cluster.run("addon", "disable")
    cluster.api.create("v1", "namespaces", {"metadata": {"name": "confcom-system", "labels": LABEL}})
    end_slowly(cluster, ("v1", "namespaces", "", "confcom-system"), looks=3)
    code, out, err = cluster.run(*ENABLE, "--wait")
    assert code == 0, err
    assert err.splitlines()[0] == "waiting for what the last disable removes"
    assert "Namespace confcom-system created" in out


@pytest.mark.parametrize(
    ("key", "title"),
    [
        pytest.param(("v1", "namespaces", "", "confcom-system"), "Namespace confcom-system", id="the namespace"),
        pytest.param(HELPER, "DaemonSet confcom-system/sgx-quote-helper", id="a DaemonSet"),
        pytest.param(RESOURCE, "ConfidentialComputing confcom", id="the record"),
        pytest.param(
            ("apiextensions.k8s.io/v1", "customresourcedefinitions", "", "confidentialcomputings.confcom.io"),
            "CustomResourceDefinition confidentialcomputings.confcom.io",
            id="the definition",
        ),
    ],
)
def test_enable_refuses_what_does_not_go_and_writes_nothing(cluster, key, title):
    cluster.run(*ENABLE)
    cluster.api.objects[key].item["metadata"]["deletionTimestamp"] = ENDING
    cluster.api.requests.clear()
    code, out, err = cluster.run(*ENABLE)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == f"confcom: {title} is still being removed; try again when it is gone"
    assert cluster.writes() == []


def test_a_namespace_of_others_that_is_going_is_refused(cluster):
    metadata = {"name": "confcom-system", "labels": {"team": "x"}}
    cluster.api.create("v1", "namespaces", {"metadata": metadata})
    cluster.api.objects["v1", "namespaces", "", "confcom-system"].item["metadata"]["deletionTimestamp"] = ENDING
    code, _, err = cluster.run(*ENABLE)
    assert code == 1
    assert err == (
        "confcom: Namespace confcom-system is being removed; try again when it is gone, or use another namespace\n"
    )
    assert cluster.writes() == []


def test_disable_waits_for_the_definition_as_well(cluster):
    cluster.run(*ENABLE)
    key = ("apiextensions.k8s.io/v1", "customresourcedefinitions", "", "confidentialcomputings.confcom.io")
    delete = cluster.api.delete

    def later(wanted):
        if wanted == key:
            cluster.api.objects[key].item["metadata"]["deletionTimestamp"] = ENDING
            cluster.api.delete = delete
        else:
            delete(wanted)

    cluster.api.delete = later
    code, _, err = cluster.run("addon", "disable", "--wait", "--timeout", "1")
    assert code == 3
    assert err.splitlines()[-1] == (
        "confcom: not gone after 1 s: CustomResourceDefinition confidentialcomputings.confcom.io"
    )


def test_disable_says_what_keeps_a_namespace(cluster):
    cluster.run(*ENABLE)
    key = ("v1", "namespaces", "", "confcom-system")
    condition = {
        "type": "NamespaceDeletionDiscoveryFailure",
        "status": "True",
        "message": "metrics.k8s.io/v1beta1: stale",
    }
    delete = cluster.api.delete

    def never(wanted):
        if wanted != key:
            delete(wanted)
            return
        cluster.api.objects[key].item["metadata"]["deletionTimestamp"] = ENDING
        cluster.api.objects[key].item["status"] = {"conditions": [condition]}

    cluster.api.delete = never
    code, _, err = cluster.run("addon", "disable", "--wait", "--timeout", "1")
    assert code == 3
    assert err.splitlines() == [
        "waiting for Namespace confcom-system (metrics.k8s.io/v1beta1: stale) to go",
        "confcom: not gone after 1 s: Namespace confcom-system (metrics.k8s.io/v1beta1: stale)",
    ]


@pytest.mark.parametrize("name", ["kube-root-ca.crt", "openshift-service-ca.crt", "istio-ca-root-cert"])
def test_what_every_namespace_is_given_does_not_keep_it(cluster, name):
    cluster.run(*ENABLE)
    cluster.api.create("v1", "configmaps", {"metadata": {"name": name, "namespace": "confcom-system"}})
    code, out, _ = cluster.run("addon", "disable", "--wait")
    assert code == 0
    assert "Namespace confcom-system removed" in out
    assert cluster.api.get("v1", "namespaces", "", "confcom-system") is None


def test_what_another_hand_wrote_into_the_record_is_not_passed_over(cluster):
    """Apply removes only what we once applied: the simulation would come back with the next enable."""
    cluster.run(*ENABLE)
    cluster.api.edit(*RESOURCE, lambda item: item["spec"].update(simulation={"epc": "8GiB"}))
    before = cluster.api.get(*PLUGIN)
    code, _, err = cluster.run("addon", "update", "--simulate-epc", "")
    assert code == 1
    assert err.splitlines()[-1] == (
        "confcom: ConfidentialComputing confcom has spec.simulation from another hand, which apply does not take away; "
        "remove it: kubectl edit confidentialcomputings confcom"
    )
    assert cluster.api.get(*PLUGIN) == before
    assert cluster.run("addon", "update")[0] == 0
    assert "--simulate-epc=8GiB" in cluster.api.get(*PLUGIN)["spec"]["template"]["spec"]["containers"][0]["args"]


def test_the_namespace_cannot_be_changed_while_the_add_on_is_on(cluster):
    cluster.run(*ENABLE)
    before = cluster.snapshot()
    code, out, err = cluster.run("addon", "enable", "--namespace", "elsewhere")
    assert (code, out) == (1, "")
    assert err == (
        "confcom: the add-on is enabled in the namespace confcom-system and cannot move to elsewhere; confcom addon "
        "disable it first\n"
    )
    assert cluster.snapshot() == before


LATE = {
    "a server that does not know the kind yet": (404, "NotFound", "the server could not find the requested resource"),
    "a server that has the former schema": (
        500,
        "InternalError",
        "failed to create typed patch object (/confcom): .spec.images: field not declared in schema",
    ),
}


def answer_late(cluster, failure, times):
    """Has some applies of the record fail, as behind several API servers."""
    real, calls = cluster.api.apply, []

    def apply(target, *arguments, **options):
        if target == RESOURCE:
            calls.append(target)
            if len(calls) <= times:
                raise RefusalError(*failure)
        return real(target, *arguments, **options)

    cluster.api.apply = apply
    return calls


@pytest.mark.parametrize("name", LATE)
def test_a_new_definition_reaches_every_server_in_time(cluster, name):
    calls = answer_late(cluster, LATE[name], 3)
    code, _, err = cluster.run(*ENABLE)
    assert code == 0, err
    assert len(calls) == 4


@pytest.mark.parametrize("name", LATE)
def test_a_definition_that_is_not_new_is_not_waited_for(cluster, name):
    cluster.run(*ENABLE)
    calls = answer_late(cluster, LATE[name], 1000)
    code, _, _ = cluster.run("addon", "update", "--image", "j")
    assert code != 0
    assert len(calls) == 1


def test_dry_run_with_a_definition_that_would_change_asks_nothing_of_the_old_one(cluster):
    cluster.run(*ENABLE)
    key = ("apiextensions.k8s.io/v1", "customresourcedefinitions", "", "confidentialcomputings.confcom.io")
    schema = cluster.api.objects[key].item["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["quoteHelper"]
    code, out, err = cluster.run("addon", "update", "--disable-sgxquotehelper", "--dry-run")
    assert code == 0, err
    assert "CustomResourceDefinition confidentialcomputings.confcom.io would be changed" in out
    assert "ConfidentialComputing confcom would be changed" in out


def test_definition_that_cannot_be_renewed_is_named(cluster):
    """Somebody who may not write definitions, on a cluster whose definition lacks a field."""
    cluster.run(*ENABLE)
    key = ("apiextensions.k8s.io/v1", "customresourcedefinitions", "", "confidentialcomputings.confcom.io")
    schema = cluster.api.objects[key].item["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["quoteHelper"]
    real = cluster.api.apply

    def apply(target, wanted, *arguments, **options):
        if target == key:
            return cluster.api.view(key[0], cluster.api.objects[key]), False
        return real(target, wanted, *arguments, **options)

    cluster.api.apply = apply
    code, _, err = cluster.run("addon", "update", "--disable-sgxquotehelper")
    assert code == 1
    assert (
        "confcom: the resource definition in the cluster is older than this program and lacks spec.quoteHelper" in err
    )


def test_a_chart_that_brought_an_older_definition_is_no_hindrance(cluster):
    newer(cluster.api)
    key = ("apiextensions.k8s.io/v1", "customresourcedefinitions", "", "confidentialcomputings.confcom.io")
    cluster.api.objects[key].item["metadata"]["annotations"]["confcom.io/version"] = "0.0.1"
    assert cluster.run(*ENABLE)[0] == 0
    assert cluster.api.get(*key)["metadata"]["annotations"]["confcom.io/version"] != "0.0.1"


@pytest.mark.parametrize(
    ("denied", "sentence"),
    [
        (("list", "nodes"), 'confcom: nodes "" is forbidden: User "tester" cannot list resource "nodes"'),
        (("patch", "daemonsets"), 'confcom: daemonsets "sgx-device-plugin" is forbidden'),
    ],
)
def test_missing_rights_are_the_clusters_own_sentence(cluster, denied, sentence):
    cluster.api.denied.add(denied)
    code, _, err = cluster.run(*ENABLE)
    assert code == 3
    assert err.splitlines()[-1].startswith(sentence)


def test_what_was_done_before_an_error_is_told(cluster):
    cluster.api.denied.add(("patch", "daemonsets"))
    code, out, err = cluster.run(*ENABLE)
    assert code == 3
    assert err.splitlines()[-1].startswith('confcom: daemonsets "sgx-device-plugin" is forbidden')
    assert out.splitlines()[0] == "CustomResourceDefinition confidentialcomputings.confcom.io created"
    assert "DaemonSet" not in out


def test_a_cluster_that_cannot_be_reached(tmp_path, capsys):
    running = Running(APIServer(), tmp_path)
    running._http.server_close()
    assert main(["addon", "show", "--kubeconfig", str(running.kubeconfig)]) == 3
    assert (
        capsys.readouterr().err
        == f"confcom: cluster {running.url}: cannot be reached: [Errno 111] Connection refused\n"
    )


# --- status ------------------------------------------------------------------------------------------------------------


def test_status_without_the_add_on(cluster):
    assert cluster.run("status") == (
        1,
        "The add-on is not enabled in this cluster; see confcom addon enable --help.\n",
        "",
    )


def test_status_of_a_cluster_where_all_is_well(cluster):
    cluster.run(*ENABLE)
    daemons_answer(cluster)
    limits = {"limits": {EPC: "100", "confcom.io/sgx-quote": "1"}}
    app = {"nodeName": "sgx-1", "containers": [{"name": "c", "resources": limits}] * 2}
    status = {"phase": "Running"}
    cluster.api.create(
        "v1", "pods", {"metadata": {"name": "app", "namespace": "default"}, "spec": app, "status": status}
    )
    code, out, err = cluster.run("status", "--output", "json")
    assert (code, err) == (0, "")
    first, second = json.loads(out)["nodes"]
    assert (first["name"], first["epc"], first["allocatable"], first["allocated"], first["free"]) == (
        "sgx-1", 8284, 8192, 200, 7992,
    )  # fmt: skip
    assert (first["role"], first["verdict"], first["out_of_process"], first["saved"]) == ("serving", "verified", 2, 4)
    assert (second["name"], second["saved"], second["well"]) == ("sgx-2", 0, True)
    code, out, _ = cluster.run("status")
    assert code == 0
    assert "sgx-1" in out
    assert "plain" not in out


def test_status_names_the_helpers_own_problem(cluster):
    cluster.run(*ENABLE)
    daemons_answer(cluster, ready=False, problem="the QE cannot be loaded")
    code, _, err = cluster.run("status")
    assert code == 1
    assert "sgx-1: sgx-quote-helper: the QE cannot be loaded" in err


def test_status_says_where_the_proxy_is_refused(cluster):
    cluster.run(*ENABLE)
    cluster.api.denied.add(("get", "pods/proxy"))
    code, out, err = cluster.run("status")
    assert code == 0
    assert "ready" in out
    assert "sgx-1: sgx-quote-helper: more is not known: you may not use pods/proxy (docs/reference/rbac.md)" in err


def test_status_says_that_simulation_proves_nothing(cluster):
    cluster.run(*SIMULATE)
    daemons_answer(cluster)
    body = status_of("sgx-device-plugin", ready=True, generation=1, epc_mib=8192, reserved_mib=0, simulated=True)
    cluster.api.pod_answers["sgx-device-plugin-sgx-1-1", 9410, "/status"] = body
    assert "Simulated SGX: for trials and tests, never for trust." in cluster.run("status")[2]


def test_with_host_network_each_pod_is_found_by_its_generation(cluster):
    """Two helpers of a node share its address: port 9411 may be the other one's."""
    cluster.run(*ENABLE)
    daemons_answer(cluster)
    pod = "sgx-quote-helper-sgx-1-1"
    mine = cluster.api.pod_answers[pod, 9411, "/status"]
    cluster.api.pod_answers[pod, 9412, "/status"] = mine
    cluster.api.pod_answers[pod, 9411, "/status"] = mine.replace(b'"generation": 1', b'"generation": 9').replace(
        b'"serving"', b'"standby"'
    )
    nodes = json.loads(cluster.run("status", "--output", "json")[1])["nodes"]
    assert nodes[0]["role"] == "serving"


# --- render ------------------------------------------------------------------------------------------------------------


def test_render_asks_no_cluster_and_prints_what_enable_applies(cluster, tmp_path):
    program = [sys.executable, "-m", "confcom.cli", "addon", "render", "--image", "i", "--simulate-epc", "8GiB"]
    environment = {"PATH": "/usr/bin", "HOME": str(tmp_path), "KUBECONFIG": "/no/such"}
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    cluster.run("addon", "enable", "--image", "i", "--simulate-epc", "8GiB")
    for item in yaml.safe_load_all(done.stdout):
        plural = {"NetworkPolicy": "networkpolicies"}.get(item["kind"], item["kind"].lower() + "s")
        live = cluster.api.get(
            item["apiVersion"], plural, item["metadata"].get("namespace", ""), item["metadata"]["name"]
        )
        assert live["metadata"]["labels"] == item["metadata"]["labels"]


def test_render_reads_standard_input_and_prints_the_definition(capsys, monkeypatch):
    assert main(["addon", "render", "--definition"]) == 0
    (item,) = yaml.safe_load_all(capsys.readouterr().out)
    assert item["kind"] == "CustomResourceDefinition"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "confcom: file {}: is not YAML: "),
        ("", "confcom: file {}: holds no object; write a ConfidentialComputing (confcom.io/v1alpha1)"),
        ("kind: Pod\napiVersion: v1", "confcom: file {}: holds a Pod (v1); wanted is a ConfidentialComputing"),
    ],
)
def test_render_refuses_bad_files(content, sentence, tmp_path, capsys):
    file = tmp_path / "x.yaml"
    file.write_text(content)
    assert main(["addon", "render", "-f", str(file)]) == 2
    assert capsys.readouterr().err.startswith(sentence.format(file))
