"""What a roll-out waits for, in words: each case that `cluster-addon.md` 1 saw, where the DaemonSet itself says nothing."""

import pytest

from confcom.addon.rollout import node_of, pod_problem, rollout

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


def test_refused_pods_are_told_by_their_event():
    events = [
        {"reason": "SuccessfulCreate", "message": "created"},
        {"reason": "FailedCreate", "message": "Error creating: pods is forbidden: violates PodSecurity"},
    ]
    state = rollout(daemon_set(currentNumberScheduled=0, numberAvailable=0), [], events)
    assert state.problems == ("Error creating: pods is forbidden: violates PodSecurity",)
    assert rollout(daemon_set(numberAvailable=0), [], events).problems == ()


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
