import asyncio

import pytest

from confcom.device_plugin.holders import MAX_CONTAINERS, PodResources, summarise
from confcom.device_plugin.inventory import Kind, Offer
from confcom.device_plugin.offering import Offering
from confcom.device_plugin.stale_ids import StaleIDs
from confcom.errors import KubeletError
from confcom.kubelet.pod_resources import Holding

EPC, SLOT, HELPER = "kubernetes.azure.com/sgx_epc_mem_in_MiB", "confcom.io/sgx-quote", "confcom.io/sgx-quote-helper"


def hold(resource, units, pod="p", container="c", ids=()):
    return Holding(namespace="n", pod=pod, container=container, resource=resource, units=units, device_ids=ids)


def test_units_are_summed_and_the_largest_holder_comes_first():
    report = summarise(
        [hold(EPC, 5, "a"), hold(EPC, 10, "b"), hold(SLOT, 1, "a", ids=("slot-4",))], incomplete=None, at="t"
    )
    assert report.units == {EPC: 15, SLOT: 1}
    assert [(held.pod, held.resource, held.units, held.device_ids) for held in report.containers] == [
        ("b", EPC, 10, ()),
        ("a", EPC, 5, ()),
        ("a", SLOT, 1, ("slot-4",)),
    ]
    assert (report.problem, report.incomplete, report.left_out) == (None, None, 0)


# R33: in-process, N containers carry N times QE and PCE; out-of-process the node carries them once per helper.
@pytest.mark.parametrize(
    ("containers", "helpers", "saved"), [(0, 0, 0), (0, 1, -4), (1, 1, 0), (5, 1, 16), (5, 2, 12), (16, 1, 60)]
)
def test_epc_saved_by_out_of_process_quoting(containers, helpers, saved):
    found = [hold(SLOT, 2, f"app-{index}") for index in range(containers)] + [
        hold(HELPER, 1, f"h-{i}") for i in range(helpers)
    ]
    report = summarise(found, incomplete=None, at="t")
    assert (report.in_process_mib, report.out_of_process_mib, report.saved_mib) == (4 * containers, 4 * helpers, saved)


# Each worker of a helper has a QE and a PCE of its own: `--helper-epc` says what they take.
@pytest.mark.parametrize(("helper_epc", "saved"), [(4, 36), (8, 32), (40, 0), (64, -24)])
def test_epc_saved_beside_helpers_of_several_workers(helper_epc, saved):
    found = [hold(SLOT, 1, f"app-{index}") for index in range(10)] + [hold(HELPER, 1)]
    report = summarise(found, incomplete=None, at="t", helper_epc_mib=helper_epc)
    assert (report.out_of_process_mib, report.saved_mib) == (helper_epc, saved)


def test_the_report_is_bounded_and_says_what_is_left_out():
    report = summarise([hold(EPC, 1, f"p{index}") for index in range(MAX_CONTAINERS + 7)], incomplete=None, at="t")
    assert (len(report.containers), report.left_out, report.units[EPC]) == (MAX_CONTAINERS, 7, MAX_CONTAINERS + 7)


def test_without_a_socket_it_says_so(tmp_path):
    report = asyncio.run(PodResources(None, [EPC], tmp_path / "kubelet.sock").read())
    assert report.problem == "the kubelet's PodResources socket was not named (--pod-resources-socket)"


def test_a_socket_that_is_not_there_is_named(tmp_path):
    report = asyncio.run(PodResources(tmp_path / "absent.sock", [EPC], tmp_path / "kubelet.sock").read())
    assert report.problem.startswith(f"{tmp_path / 'absent.sock'}: ")
    assert report.containers == ()


class Fake(PodResources):
    """Answers from a list, on a clock of its own."""

    def __init__(self, tmp_path, held, age):
        (tmp_path / "kubelet.sock").touch()
        (tmp_path / "pr.sock").touch()
        made = (tmp_path / "kubelet.sock").stat().st_ctime
        super().__init__(tmp_path / "pr.sock", [EPC], tmp_path / "kubelet.sock", clock=lambda: made + age)
        self.held, self.asked = held, 0

    async def list(self):
        self.asked += 1
        if self.held is None:
            raise KubeletError("in a freeze")
        self.epc_held = self.held
        return [hold(EPC, self.held)]


@pytest.mark.parametrize(
    ("age", "unregistered", "incomplete"),
    [
        (3.0, [], "the kubelet started 3 s ago and may not have read all its pods yet"),
        (100.0, [EPC], f"the kubelet has not taken the list of {EPC} yet"),
        (100.0, [], None),
    ],
)
def test_it_says_when_it_may_be_incomplete(tmp_path, age, unregistered, incomplete):
    report = asyncio.run(Fake(tmp_path, 5, age).read(unregistered=unregistered))
    assert report.incomplete == incomplete
    assert report.units == {EPC: 5}


def stale_ids(tmp_path, *, units, held, age=100.0):
    offering = Offering(Offer(resource=EPC, kind=Kind.EPC, units=units))
    pod_resources = Fake(tmp_path, held, age)
    return StaleIDs(pod_resources, offering), pod_resources, offering


OLD, NEW, NEWER = (1, 1, 1), (1, 1, 2), (1, 1, 3)


def test_the_kubelet_is_asked_once_at_the_start_and_not_for_the_same_kubelet_again(tmp_path):
    stale, pods, _ = stale_ids(tmp_path, units=100, held=5)
    asyncio.run(stale.clear(OLD))
    asyncio.run(stale.clear(OLD))
    assert pods.asked == 1


@pytest.mark.parametrize(
    ("units", "held", "asked"), [(8_192, 100, 1), (8_192, 8_192, 2), (262_144, 100, 1), (262_144, 300, 2)]
)
def test_after_a_restart_it_is_asked_where_the_estimate_is_large(tmp_path, units, held, asked):
    stale, pods, _ = stale_ids(tmp_path, units=units, held=held)
    asyncio.run(stale.clear(OLD))
    asyncio.run(stale.clear(NEW))
    assert pods.asked == asked


def test_units_given_out_since_the_last_answer_count_until_the_next(tmp_path):
    stale, pods, offering = stale_ids(tmp_path, units=262_144, held=100)
    assert stale.allocated == 262_144
    asyncio.run(stale.clear(OLD))
    assert stale.allocated == 100
    offering.allocated_units += 1_000
    assert stale.allocated == 1_100
    asyncio.run(stale.clear(NEW))
    assert (stale.allocated, pods.asked) == (100, 2)


def test_a_young_kubelet_is_given_time_to_read_its_pods(tmp_path):
    stale, _, _ = stale_ids(tmp_path, units=262_144, held=300, age=3.8)

    async def run():
        await stale.clear(OLD)
        start = asyncio.get_running_loop().time()
        await stale.clear(NEW)
        return asyncio.get_running_loop().time() - start

    assert asyncio.run(run()) >= 0.15


def test_a_kubelet_that_does_not_answer_does_not_stop_the_registration(tmp_path):
    stale, pods, _ = stale_ids(tmp_path, units=262_144, held=None)
    asyncio.run(stale.clear(OLD))
    asyncio.run(stale.clear(NEW))
    assert (pods.asked, stale.allocated) == (2, 262_144)
