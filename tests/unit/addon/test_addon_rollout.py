"""What a roll-out waits for, in words: each case that `cluster-addon.md` 1 saw, where the DaemonSet itself says nothing."""

import pytest

from confcom.addon.events import time_of
from confcom.addon.rollout import may_say_more, node_of, pod_problem, replaced_at_once, rollout

TOKEN = (
    "0/1 nodes are available: 1 Insufficient confcom.io/sgx-quote-helper. no new claims to deallocate, "
    "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
)
PORT = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. preemption: none"


def condition(kind, status="True", reason="", message=""):
    return {"type": kind, "status": status, "reason": reason, "message": message}


def pod(name="p", node="a", generation="1", **status):
    return {
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"pod-template-generation": generation}},
        "spec": {"nodeName": node},
        "status": {"phase": "Running", "conditions": [condition("PodScheduled"), condition("Ready")], **status},
    }


def unscheduled(message):
    return pod(phase="Pending", conditions=[condition("PodScheduled", "False", "Unschedulable", message)])


def unready(message="containers with unready status: [sgx-quote-helper]", **more):
    return pod(conditions=[condition("PodScheduled"), condition("Ready", "False", "x", message)], **more)


def waiting(reason, message=""):
    state = {"name": "c", "restartCount": 4, "state": {"waiting": {"reason": reason, "message": message}}}
    return unready(containerStatuses=[state])


def ending():
    content = pod()
    content["metadata"]["deletionTimestamp"] = "2026-11-25T10:00:00Z"
    return content


PROBLEMS = {
    "ready": (pod(), None),
    "a token": (
        unscheduled(TOKEN),
        (
            "waits for a token of the device plugin, which gives one to each of two helpers "
            "(0/1 nodes are available: 1 Insufficient confcom.io/sgx-quote-helper)"
        ),
    ),
    "a port": (
        unscheduled(PORT),
        (
            "waits for a port that the old pod holds, and will wait for ever "
            "(0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports)"
        ),
    ),
    "something else of the scheduler": (
        unscheduled("0/1 nodes are available: 1 Insufficient memory. x"),
        "cannot be placed: 0/1 nodes are available: 1 Insufficient memory",
    ),
    "the scheduler, which says nothing": (unscheduled(""), "waits to be placed"),
    "no such image": (
        waiting("ImagePullBackOff", 'Back-off pulling image "x"'),
        'the image cannot be had (ImagePullBackOff: Back-off pulling image "x")',
    ),
    "a missing Secret": (
        waiting("CreateContainerConfigError", 'secret "s" not found'),
        'CreateContainerConfigError: secret "s" not found',
    ),
    "a crash loop": (waiting("CrashLoopBackOff"), "ends again and again (4 restarts); see its log"),
    "a runtime that cannot make the container": (
        waiting("CreateContainerError", "failed to generate spec:\n no device"),
        "CreateContainerError: failed to generate spec: no device",
    ),
    "an image that is never pulled": (
        waiting("ErrImageNeverPull", "x is not present with pull policy of Never"),
        "the image cannot be had (ErrImageNeverPull: x is not present with pull policy of Never)",
    ),
    "a container in the making": (waiting("ContainerCreating"), "containers with unready status: [sgx-quote-helper]"),
    "a node that is silent": (unready(""), "its node does not report; see kubectl describe node"),
    "not ready": (unready(), "containers with unready status: [sgx-quote-helper]"),
    "just created": (pod(phase="Pending", conditions=[]), "is starting"),
    "ending": (ending(), "is ending"),
    "failed": (
        pod(phase="Failed", reason="UnexpectedAdmissionError", message="no device", conditions=[]),
        "has failed: UnexpectedAdmissionError no device",
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_pod_says_why_it_is_not_ready(name):
    content, sentence = PROBLEMS[name]
    assert pod_problem(content) == sentence


def daemon_set(counter="1", strategy="RollingUpdate", **status):
    return {
        "metadata": {
            "name": "sgx-quote-helper",
            "generation": 3,
            "annotations": {"deprecated.daemonset.template.generation": counter},
        },
        "spec": {"updateStrategy": {"type": strategy}},
        "status": {
            "observedGeneration": 3,
            "desiredNumberScheduled": 1,
            "currentNumberScheduled": 1,
            "updatedNumberScheduled": 1,
            "numberAvailable": 1,
            **status,
        },
    }


DONE = {
    "all there": (daemon_set(), True),
    "no node yet": (daemon_set(desiredNumberScheduled=0, updatedNumberScheduled=0, numberAvailable=0), True),
    "not looked at by the controller": (daemon_set(observedGeneration=2), False),
    "a surge pod that is pending": (daemon_set(updatedNumberScheduled=0), False),
    "not available": (daemon_set(numberAvailable=0), False),
    "old pods that are kept until deleted": (daemon_set(strategy="OnDelete", updatedNumberScheduled=0), True),
    "no status at all": ({**daemon_set(), "status": {}}, False),
}


@pytest.mark.parametrize("name", DONE)
def test_rollout_is_done(name):
    item, wanted = DONE[name]
    assert rollout(item, [], []).done is wanted


def test_old_pod_that_is_not_ready_is_named():
    state = rollout(daemon_set(counter="2", numberAvailable=0), [unready()], [])
    assert state.problems == (
        (
            "node a: sgx-quote-helper: the old pod is not ready (containers with unready status: [sgx-quote-helper]), "
            "and an update counts it as one that is down"
        ),
    )


def test_an_old_pod_that_makes_way_is_no_failure():
    """It ends for up to its grace period in every update; it was ready until it was told to."""
    state = rollout(daemon_set(counter="2", numberAvailable=0), [ending()], [])
    assert state.problems == ("node a: sgx-quote-helper: the old pod is ending",)
    helper = ending()
    helper["metadata"]["labels"]["confcom.io/component"] = "sgx-quote-helper"
    assert replaced_at_once([helper]) is None


def event(reason, message, at="2026-11-25T10:00:00Z", kind="DaemonSet", name="sgx-quote-helper"):
    about = {"kind": kind, "name": name, "namespace": "confcom-system"}
    return {"reason": reason, "message": message, "lastTimestamp": at, "involvedObject": about}


def made_at(when, **values):
    content = pod(**values)
    content["metadata"]["creationTimestamp"] = when
    return content


LACKING = {"currentNumberScheduled": 0, "numberAvailable": 0}
# A surge pod is refused: the old one is counted, and no count lacks anything.
SURGING = {"updatedNumberScheduled": 0}
REFUSED = event("FailedCreate", "Error creating: pods is forbidden: exceeded quota", "2026-11-25T10:00:00Z")
EVENTS = {
    "a refused pod": (LACKING, [], [REFUSED], True),
    "a refused pod, and what else happened": (LACKING, [], [event("SuccessfulCreate", "no"), REFUSED], True),
    "somebody else's refusal": (LACKING, [], [event("FailedCreate", "no", name="sgx-device-plugin")], False),
    "a refusal of another kind": (LACKING, [], [event("FailedCreate", "no", kind="ReplicaSet")], False),
    "a refused surge pod": (SURGING, [made_at("2026-11-25T09:00:00Z")], [REFUSED], True),
    "refused in the second of the last pod": (SURGING, [made_at("2026-11-25T10:00:00Z")], [REFUSED], True),
    "refused before the last pod": (SURGING, [made_at("2026-11-25T10:00:01Z")], [REFUSED], False),
    "a refusal without a date": (SURGING, [], [event("FailedCreate", "no", at=None)], False),
}


@pytest.mark.parametrize("name", EVENTS)
def test_refused_pods_are_told_by_their_event(name):
    counts, pods, events, told = EVENTS[name]
    assert rollout(daemon_set(**counts), pods, events).problems == ((REFUSED["message"],) if told else ())


def test_the_last_refusal_is_told_wherever_it_stands_in_the_list():
    later = event("FailedCreate", "violates PodSecurity", "2026-11-25T10:00:09Z")
    for events in ([REFUSED, later], [later, REFUSED]):
        assert rollout(daemon_set(**LACKING), [], events).problems == ("violates PodSecurity",)


@pytest.mark.parametrize(
    ("fields", "time"),
    [
        ({"lastTimestamp": "2026-11-25T10:00:00Z"}, "2026-11-25T10:00:00"),
        ({"lastTimestamp": None, "eventTime": "2026-11-25T10:00:00.123456Z"}, "2026-11-25T10:00:00"),
        (
            {"eventTime": "2026-11-25T10:00:00.1Z", "series": {"lastObservedTime": "2026-11-25T11:00:00.1Z"}},
            "2026-11-25T11:00:00",
        ),
        ({}, ""),
    ],
)
def test_the_time_of_an_event(fields, time):
    assert time_of(fields) == time


def test_a_pod_that_cannot_start_says_why_by_its_event():
    message = 'MountVolume.SetUp failed for volume "device-plugins" : hostPath type check failed'
    creating = pod(phase="Pending", conditions=[condition("PodScheduled")])
    events = [event("FailedMount", message, kind="Pod", name="p"), event("FailedMount", "no", kind="Pod", name="q")]
    state = rollout(daemon_set(numberAvailable=0), [creating], events)
    assert state.problems == (f"node a: sgx-quote-helper: cannot start (FailedMount: {message})",)
    # Once it runs, that is history.
    assert "cannot start" not in str(rollout(daemon_set(numberAvailable=0), [unready()], events).problems)


def test_a_program_on_a_silent_node_is_not_asked():
    assert may_say_more(unready())
    assert not may_say_more(unready(""))


def test_what_is_done_has_no_problems():
    assert rollout(daemon_set(), [ending()], []).problems == ()


def test_pending_pod_knows_its_node_by_its_affinity():
    field = {"key": "metadata.name", "operator": "In", "values": ["n7"]}
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [field]}]}
        }
    }
    assert node_of({"spec": {"affinity": affinity}}) == "n7"
    assert node_of({"spec": {}}) == "?"
