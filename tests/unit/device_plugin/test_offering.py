import asyncio

from confcom.device_plugin.inventory import Kind, Offer
from confcom.device_plugin.offering import SETTLED_SECONDS, Offering

OFFER = Offer(resource="a.io/b", kind=Kind.EPC, units=3)


def play(work):
    async def run():
        async with asyncio.timeout(30):
            await work(Offering(OFFER))

    asyncio.run(run())


async def collect(offering, closing, into):
    async for devices in offering.lists(closing):
        into.append(devices)


async def settle():
    """Lets every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_reader_gets_the_list_of_now_and_each_later_one():
    async def work(offering):
        offering.publish(b"1", 1)
        seen = []
        reader = asyncio.create_task(collect(offering, asyncio.Event(), seen))
        await settle()
        offering.publish(b"2", 2)
        await settle()
        offering.publish(b"2", 2)
        await settle()
        assert (seen, offering.healthy) == ([b"1", b"2"], 2)
        offering.withdraw("gone")
        await reader
        assert (seen, offering.healthy, offering.problem) == ([b"1", b"2"], 0, "gone")

    play(work)


def test_a_slow_reader_gets_the_newest_list_only():
    async def work(offering):
        offering.publish(b"1", 1)
        lists = offering.lists(asyncio.Event())
        assert await anext(lists) == b"1"
        offering.publish(b"2", 1)
        offering.publish(b"3", 1)
        assert await anext(lists) == b"3"
        await lists.aclose()

    play(work)


def test_closing_ends_one_reader_and_leaves_the_offer():
    async def work(offering):
        offering.publish(b"1", 1)
        closing, seen = asyncio.Event(), []
        reader = asyncio.create_task(collect(offering, closing, seen))
        await settle()
        closing.set()
        offering.wake()
        await reader
        assert (seen, offering.devices) == ([b"1"], b"1")

    play(work)


def test_nothing_offered_is_no_list():
    async def work(offering):
        seen = []
        await collect(offering, asyncio.Event(), seen)
        assert seen == []
        waiting = asyncio.create_task(offering.until(offered=True))
        await settle()
        assert not waiting.done()
        offering.publish(b"1", 1)
        await waiting
        await offering.until(offered=True)

    play(work)


def test_registered_is_a_stream_that_has_lasted_a_moment():
    now = [100.0]
    offering = Offering(OFFER, clock=lambda: now[0])
    offering.registered()
    assert not offering.is_registered
    offering.stream_opened()
    assert not offering.is_registered
    now[0] += SETTLED_SECONDS
    assert offering.is_registered
    offering.stream_ended()
    assert (offering.is_registered, offering.stream_seconds) == (False, 0.0)
    offering.stream_opened()
    now[0] += SETTLED_SECONDS
    offering.unregistered("the kubelet restarted")
    assert (offering.is_registered, offering.problem) == (False, "the kubelet restarted")
