"""Asking the node pods: each by its own port, and none in vain where the way to all of them is closed."""

import json
import threading

import pytest

from confcom.addon.live import PARALLEL_CALLS, hear
from confcom.errors import KubeAPIError

REFUSED = "more is not known: you may not use pods/proxy (docs/reference/rbac.md)"


class Proxy:
    """The API server's pod proxy: `answer(pod)` gives a status, or the error to raise."""

    def __init__(self, answer):
        self._answer = answer
        self._lock = threading.Lock()
        self.asked = []

    def ask_pod(self, namespace, pod, port, path):
        assert (namespace, path) == ("confcom-system", "/status")
        with self._lock:
            self.asked.append((pod, port))
        found = self._answer(pod)
        if isinstance(found, Exception):
            raise found
        return json.dumps(found).encode()


def pods(count, phase="Running"):
    labels = {"confcom.io/component": "sgx-device-plugin"}
    metadata = {"namespace": "confcom-system", "labels": labels}
    return [{"metadata": metadata | {"name": f"p{n}"}, "status": {"phase": phase}} for n in range(count)]


def well(_pod):
    return {"program": "sgx-device-plugin", "ready": True}


def silent(_pod):
    return KubeAPIError("no answer within 5 s", status=0)


def refused(_pod):
    return KubeAPIError("forbidden", status=403)


def test_every_running_pod_is_asked():
    proxy = Proxy(well)
    heard = hear(proxy, pods(3 * PARALLEL_CALLS))
    assert len(proxy.asked) == len(heard) == 3 * PARALLEL_CALLS
    assert all(said.status["ready"] for said in heard.values())
    assert {port for _, port in proxy.asked} == {9410}


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed", "Unknown"])
def test_a_pod_that_does_not_run_is_not_asked(phase):
    proxy = Proxy(well)
    assert hear(proxy, pods(2, phase)) == {}
    assert proxy.asked == []


def test_no_pod_is_no_answer():
    assert hear(Proxy(well), []) == {}


@pytest.mark.parametrize(
    ("answer", "first", "others"),
    [
        pytest.param(
            silent,
            "its HTTP port does not answer",
            f"was not asked, since none of {PARALLEL_CALLS} others answered",
            id="a policy closes the ports",
        ),
        pytest.param(refused, REFUSED, REFUSED, id="the proxy is refused"),
    ],
)
def test_where_no_pod_can_be_heard_a_thousand_are_not_waited_for(answer, first, others):
    proxy = Proxy(answer)
    heard = list(hear(proxy, pods(1000)).values())
    assert len(proxy.asked) == PARALLEL_CALLS
    assert {said.problem for said in heard[:PARALLEL_CALLS]} == {first}
    assert {said.problem for said in heard[PARALLEL_CALLS:]} == {others}
    assert len(heard) == 1000
    assert {said.is_refused for said in heard} == {answer is refused}


def test_one_that_answers_keeps_the_others_asked():
    proxy = Proxy(lambda pod: well(pod) if pod == "p15" else silent(pod))
    heard = hear(proxy, pods(PARALLEL_CALLS + 4))
    assert len(proxy.asked) == PARALLEL_CALLS + 4
    assert [name for name, said in heard.items() if said.status] == ["p15"]
