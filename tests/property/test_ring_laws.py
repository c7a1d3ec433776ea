"""Laws of the fair queue: bounded, complete, in order within an origin, and no origin starves another."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from confcom.quote_helper.ring import MAX_QUEUED_PER_ORIGIN, Ring

ORIGINS = st.sampled_from(["shared", "slot-0", "slot-1", "slot-2"])


class Item:
    def __init__(self, origin, number, gone=False):
        self.origin, self.number, self.gone = origin, number, gone

    def __repr__(self):
        return f"{self.origin}/{self.number}"


class RingMachine(RuleBasedStateMachine):
    """Any order of calls: the ring agrees with the plain lists of what was put."""

    BOUND = 4

    def __init__(self):
        super().__init__()
        self.ring = Ring(self.BOUND)
        self.model = {}
        self.number = 0
        self.dropped = 0

    @rule(origin=ORIGINS)
    def put(self, origin):
        waiting = self.model.setdefault(origin, [])
        item = Item(origin, self.number)
        self.number += 1
        assert self.ring.put(origin, item) == (len(waiting) < self.BOUND)
        if len(waiting) < self.BOUND:
            waiting.append(item)

    @rule(origin=ORIGINS, position=st.integers(0, 3))
    def leave(self, origin, position):
        waiting = self.model.get(origin, [])
        if position < len(waiting):
            waiting[position].gone = True

    @rule()
    def get(self):
        item = self.ring.get()
        if item is None:
            assert all(i.gone for waiting in self.model.values() for i in waiting)
            self.dropped += sum(len(waiting) for waiting in self.model.values())
            self.model = {}
            return
        assert not item.gone
        waiting = self.model[item.origin]
        ahead = waiting[: waiting.index(item)]
        assert all(i.gone for i in ahead), "a request was overtaken within its origin"
        # The gone ones of other origins may have been dropped on the way as well.
        del waiting[: len(ahead) + 1]
        self.dropped = self.ring.dropped
        for origin, others in self.model.items():
            while others and len(others) > self.ring.length_of(origin):
                assert others[0].gone
                del others[0]

    @rule()
    def sweep(self):
        gone = sum(i.gone for waiting in self.model.values() for i in waiting)
        assert self.ring.remove_gone() == gone
        for waiting in self.model.values():
            waiting[:] = [i for i in waiting if not i.gone]

    @invariant()
    def lengths_agree(self):
        assert len(self.ring) == sum(len(waiting) for waiting in self.model.values())
        for origin, waiting in self.model.items():
            assert self.ring.length_of(origin) == len(waiting)


RingMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestRingMachine = RingMachine.TestCase


@pytest.mark.parametrize("quiet", range(1, 8))
def test_flood_keeps_its_share_beside_any_number_of_quiet_origins(quiet):
    """Each quiet origin asks again as soon as it was served: the flood still gets one turn in quiet + 1."""
    ring = Ring()
    for number in range(4000):
        ring.put("flood", Item("flood", number))
    for index in range(quiet):
        ring.put(f"quiet-{index}", Item(f"quiet-{index}", 0))
    served = Counter()
    for number in range(3000):
        item = ring.get()
        served[item.origin] += 1
        if item.origin != "flood":
            ring.put(item.origin, Item(item.origin, number))
    assert served["flood"] >= 3000 // (quiet + 1)
    assert all(served[f"quiet-{index}"] >= 3000 // (quiet + 1) - 1 for index in range(quiet))


def test_origin_that_was_idle_for_a_whole_round_goes_first():
    ring = Ring()
    for number in range(10):
        ring.put("flood", Item("flood", number))
    assert ring.get().origin == "flood"
    ring.put("quiet", Item("quiet", 0))
    assert ring.get().origin == "quiet"


def test_two_quiet_origins_that_alternate_do_not_starve_a_third():
    """New is who had an empty turn, not who has an empty queue: else these two would go first for ever."""
    ring = Ring()
    for number in range(100):
        ring.put("flood", Item("flood", number))
    order = []
    ring.put("a", Item("a", 0))
    for _ in range(60):
        item = ring.get()
        order.append(item.origin)
        if item.origin in "ab":
            other = "b" if item.origin == "a" else "a"
            ring.put(other, Item(other, 0))
    assert order.count("flood") >= 20
    assert max(len(run) for run in "".join("f" if o == "flood" else "q" for o in order).split("f")) <= 3


@given(st.lists(ORIGINS, min_size=1, max_size=60))
def test_backlogs_are_served_one_in_turn(origins):
    """While two origins both wait, neither is served twice before the other is served once."""
    ring = Ring()
    waiting = Counter(origins)
    for number, origin in enumerate(origins):
        ring.put(origin, Item(origin, number))
    since = Counter()
    while (item := ring.get()) is not None:
        for origin in waiting:
            if waiting[origin] and origin != item.origin:
                since[origin] += 1
                assert since[origin] < len(set(origins)), f"{origin} was passed over"
        since[item.origin] = 0
        waiting[item.origin] -= 1
    assert not +waiting


def test_bound_is_the_origin_s_own():
    ring = Ring(bound=2)
    assert [ring.put("flood", Item("flood", n)) for n in range(3)] == [True, True, False]
    assert ring.put("quiet", Item("quiet", 0))
    assert ring.length_of("flood") == 2
    assert ring.length_of("nobody") == 0


def test_default_bound_is_waited_out_within_a_client_s_patience():
    """At 1 ms a quote and one worker the last one in the queue is served long before 14 s."""
    assert MAX_QUEUED_PER_ORIGIN * 0.001 < 14


def test_gone_requests_are_dropped_and_counted():
    ring = Ring()
    items = [Item("shared", n, gone=n % 2 == 0) for n in range(6)]
    for item in items:
        ring.put("shared", item)
    assert [ring.get().number for _ in range(3)] == [1, 3, 5]
    assert ring.get() is None
    assert ring.dropped == 3
    assert len(ring) == 0
