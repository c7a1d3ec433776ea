import asyncio
from pathlib import Path

import pytest

from confcom.device_plugin import slot_health
from confcom.device_plugin.slot_health import SlotHealth, SlotWatch, ask_helper
from confcom.errors import AESMUnavailableError


@pytest.mark.parametrize(
    ("answers", "healthy"),
    [
        ("", False),
        ("n", False),
        ("y", True),
        ("yn", True),
        ("ynn", True),
        ("ynnn", False),
        ("ynnynn", True),
        ("ynnnn", False),
        ("ynnny", True),
        ("nnny", True),
    ],
)
def test_healthy_from_the_first_answer_unhealthy_after_three_misses_in_a_row(answers, healthy):
    slot = SlotHealth()
    for answer in answers:
        slot.answered() if answer == "y" else slot.missed()
    assert slot.healthy is healthy


@pytest.mark.parametrize(("answers", "seconds"), [("", 1), ("n", 1), ("y", 5), ("yn", 1), ("ynnn", 1), ("ynnny", 5)])
def test_misses_are_asked_again_sooner(answers, seconds):
    slot = SlotHealth()
    for answer in answers:
        slot.answered() if answer == "y" else slot.missed()
    assert slot.interval == seconds


def test_the_watch_tells_changes_only_and_one_slot_does_not_wait_for_another(monkeypatch):
    monkeypatch.setattr(slot_health, "HEALTHY_INTERVAL_SECONDS", 0.001)
    monkeypatch.setattr(slot_health, "UNHEALTHY_INTERVAL_SECONDS", 0.001)
    changes = asyncio.Queue()
    up = {"slot-0": True, "slot-2": False}

    async def probe(path):
        if path.name == "slot-1":
            await asyncio.Event().wait()
        if not up[path.name]:
            raise AESMUnavailableError("down")

    async def run():
        watch = SlotWatch(
            [(name, Path(name)) for name in ("slot-0", "slot-1", "slot-2")],
            lambda: changes.put_nowait(watch.health),
            probe,
        )
        task = asyncio.create_task(watch.run())
        async with asyncio.timeout(30):
            assert await changes.get() == {"slot-0": True, "slot-1": False, "slot-2": False}
            up["slot-2"] = True
            assert await changes.get() == {"slot-0": True, "slot-1": False, "slot-2": True}
            up["slot-0"] = False
            assert await changes.get() == {"slot-0": False, "slot-1": False, "slot-2": True}
            up["slot-0"] = True
            assert (await changes.get())["slot-0"] is True
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert changes.empty()

    asyncio.run(run())


def test_a_missing_socket_is_a_miss(tmp_path):
    with pytest.raises(AESMUnavailableError):
        asyncio.run(ask_helper(tmp_path / "aesm.socket"))
