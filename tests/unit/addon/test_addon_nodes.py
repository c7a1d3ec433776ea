"""The nodes of `confcom status`: numbers as the scheduler counts them, and states in words."""

import json

import pytest

from confcom.addon import names, nodes
from confcom.addon.nodes import Heard, epc_of, out_of_process_containers, read_status, views
from confcom.addon.spec import Spec
from confcom.device_plugin.inventory import QUOTING_EPC_MIB
from confcom.runtime.status import DevicePluginStatus, QuoteHelperStatus

EPC = "kubernetes.azure.com/sgx_epc_mem_in_MiB"
SPEC = Spec.from_dict({"images": {"default": "i"}})


def container(epc=None, *, slot=False, env=(), **more):
    limits = ({EPC: str(epc)} if epc is not None else {}) | ({"confcom.io/sgx-quote": "1"} if slot else {})
    return {"resources": {"limits": limits}, "env": [{"name": name} for name in env], **more}


def tenant(*containers, init=(), node="a", phase="Running"):
    spec = {"nodeName": node, "containers": list(containers), "initContainers": list(init)}
    return {"metadata": {"name": "app"}, "spec": spec, "status": {"phase": phase}}


EPC_CASES = {
    "none": (tenant(container()), 0),
    "one": (tenant(container(10)), 10),
    "two add up": (tenant(container(10), container(5)), 15),
    "init containers by their largest": (tenant(container(10), init=[container(30), container(4)]), 30),
    "init containers below the sum": (tenant(container(10), init=[container(3)]), 10),
    "a sidecar stays": (tenant(container(10), init=[container(3, restartPolicy="Always")]), 13),
    "an init container beside an earlier sidecar": (
        tenant(container(1), init=[container(3, restartPolicy="Always"), container(20)]),
        23,
    ),
    "a round number, as the server stores it": (tenant(container("8k")), 8000),
    "a power of ten, as it was written": (tenant(container("1e3")), 1000),
    "a power of two": (tenant(container("1Ki")), 1024),
    "more than any node has": (tenant(container("2Ti")), 2 << 40),
    "a fraction, which no device is": (tenant(container("0.5")), 0),
    "requests alone": (tenant({"resources": {"requests": {EPC: "7"}}}), 7),
    "something that is no number": (tenant(container("many")), 0),
}


@pytest.mark.parametrize("name", EPC_CASES)
def test_epc_of_a_pod(name):
    pod, wanted = EPC_CASES[name]
    assert epc_of(pod) == wanted


@pytest.mark.parametrize(
    ("pod", "count"),
    [
        (tenant(container(10)), 0),
        (tenant(container(10, slot=True)), 1),
        (tenant(container(10, env=["SGX_AESM_ADDR"])), 1),
        (tenant(container(10, slot=True, env=["SGX_AESM_ADDR"])), 1),
        (tenant(container(None, slot=True)), 0),
        (tenant(container(10, slot=True), phase="Succeeded"), 0),
    ],
)
def test_who_gets_quotes_from_the_helper(pod, count):
    assert out_of_process_containers([pod]) == count


def test_one_number_for_qe_and_pce():
    assert names.QUOTING_EPC_MIB == QUOTING_EPC_MIB


def node(name="a", epc="8100", sgx="true"):
    labels = {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "confcom.io/sgx": sgx}
    return {"metadata": {"name": name, "labels": labels}, "status": {"allocatable": {EPC: epc}}}


def ours(component, *, name="", ready="True", generation="1", where="a"):
    labels = {
        "confcom.io/addon": "confcom", "confcom.io/component": component, "pod-template-generation": generation,
    }  # fmt: skip
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": ready, "message": "not yet"}]}
    return {
        "metadata": {"name": name or component, "labels": labels},
        "spec": {"nodeName": where, "containers": []},
        "status": status,
    }


PLUGIN = {"program": "sgx-device-plugin", "ready": True, "epc_mib": 8192, "reserved_mib": 92, "simulated": False}
HELPER = {
    "program": "sgx-quote-helper",
    "ready": True,
    "role": "serving",
    "workers": [{}],
    "last_check": "2026-11-25T10:00:00Z",
    "condition": {"status": True, "reason": "Verified", "message": "m"},
    "simulated": False,
}
PODS = [ours("sgx-device-plugin"), ours("sgx-quote-helper")]


def view(pods, heard, spec=SPEC):
    (found,) = views(spec, [node()], pods, {name: Heard(status=status) for name, status in heard.items()})
    return found


def test_a_node_where_all_is_well():
    users = [tenant(container(100, slot=True)), tenant(container(50, env=["SGX_AESM_ADDR"])), tenant(container(8))]
    found = view([*PODS, *users], {"sgx-device-plugin": PLUGIN, "sgx-quote-helper": HELPER})
    assert found.is_well
    assert (found.epc, found.allocatable, found.allocated, found.reserved, found.free) == (8192, 8100, 158, 92, 7942)
    assert (found.role, found.verdict, found.last_check) == ("serving", "verified", "2026-11-25T10:00:00Z")
    assert (found.out_of_process, found.saved) == (2, names.QUOTING_EPC_MIB)


def test_nothing_is_saved_in_simulation():
    users = [tenant(container(1, slot=True))] * 5
    found = view([*PODS, *users], {"sgx-device-plugin": PLUGIN, "sgx-quote-helper": HELPER | {"simulated": True}})
    assert found.saved == 0


def test_two_helpers_during_an_update_are_told_apart():
    old, new = ours("sgx-quote-helper", name="old"), ours("sgx-quote-helper", name="new", generation="2", ready="False")
    heard = {"sgx-device-plugin": PLUGIN, "old": HELPER, "new": HELPER | {"role": "standby", "ready": False}}
    assert view([PODS[0], new, old], heard).role == "serving"


STATES = {
    "no pods": ([], {}, ("no pod", "no pod"), False),
    "the helper is not ready, and says why": (
        [PODS[0], ours("sgx-quote-helper", ready="False")],
        {"sgx-device-plugin": PLUGIN, "sgx-quote-helper": HELPER | {"ready": False, "problem": "no key"}},
        ("ready", "not ready"),
        False,
    ),
    "nobody could be asked": (PODS, {}, ("ready", "ready"), True),
    "the plugin is pending": ([ours("sgx-device-plugin", ready="False"), PODS[1]], {}, ("waits", "ready"), False),
    "the plugin idles": (
        PODS,
        {"sgx-device-plugin": PLUGIN | {"problem": "no EPC"}, "sgx-quote-helper": HELPER},
        ("ready", "ready"),
        True,
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_states_in_words(name):
    pods, heard, words, well = STATES[name]
    found = view(pods, heard)
    assert (found.device_plugin.word, found.quote_helper.word) == words
    assert found.is_well is well


def test_problems_are_the_daemons_own_words():
    pods, heard, *_ = STATES["the helper is not ready, and says why"]
    assert view(pods, heard).quote_helper.detail == "no key"


def test_a_helper_that_is_off_is_no_problem():
    spec = Spec.from_dict({"images": {"default": "i"}, "quoteHelper": {"enabled": False}})
    found = view([PODS[0]], {"sgx-device-plugin": PLUGIN}, spec)
    assert (found.quote_helper.word, found.is_well) == ("off", True)


def test_a_plugin_that_is_off_is_no_problem():
    off = {"enabled": False}
    found = view([], {}, Spec.from_dict({"devicePlugin": off, "quoteHelper": off}))
    assert (found.device_plugin.word, found.quote_helper.word, found.is_well) == ("off", "off", True)


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_a_node_that_is_not_ready_says_why_it_has_no_pod(status):
    """Its taint is Kubernetes' own, no pod of a DaemonSet is made there, and no count tells."""
    item = node()
    item["status"]["conditions"] = [{"type": "Ready", "status": status}]
    (found,) = views(SPEC, [item], [], {})
    assert found.device_plugin.detail == "has no pod on this node, which is not ready; see kubectl describe node"


def test_unverified_says_why():
    condition = {"status": False, "reason": "NoCollateral", "message": "no collateral source"}
    found = view(PODS, {"sgx-device-plugin": PLUGIN, "sgx-quote-helper": HELPER | {"condition": condition}})
    assert found.verdict == "no collateral source"


def test_only_selected_nodes_are_listed():
    assert views(SPEC, [node("b", sgx="false")], [], {}) == []
    left_over = ours("sgx-device-plugin", where="b")
    assert [v.name for v in views(SPEC, [node("b", sgx="false")], [left_over], {})] == ["b"]


HELPER_HEAD = b'{"program": "sgx-quote-helper", '
NO_STATUS = [
    b"",
    b"hello",
    b"[]",
    b"{}",
    b'{"program": "nginx"}',
    b"\xff",
    b'{"program": 1}',
    HELPER_HEAD + b'"workers": 7}',
    HELPER_HEAD + b'"condition": "Verified"}',
    HELPER_HEAD + b'"ready": "yes"}',
    HELPER_HEAD + b'"role": ["serving"]}',
    b'{"program": "sgx-device-plugin", "epc_mib": "8"}',
    HELPER_HEAD + b'"more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
]


@pytest.mark.parametrize("body", NO_STATUS, ids=range(len(NO_STATUS)))
def test_what_is_no_status_is_a_problem_in_words(body):
    assert read_status(body) == Heard(problem="its HTTP port answers something else")


def test_every_field_that_is_read_is_one_that_a_daemon_writes():
    written = {field for kind in (DevicePluginStatus, QuoteHelperStatus) for field in kind.__struct_fields__}
    assert set(nodes._Read.__struct_fields__) <= written


def test_status_is_read():
    assert read_status(json.dumps(PLUGIN).encode()).status == PLUGIN
