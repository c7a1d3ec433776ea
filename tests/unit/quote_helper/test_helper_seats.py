"""A replaced socket is closed late, and never with a client in it."""

import asyncio
import socket

import pytest

from confcom.quote_helper.listeners import Listeners
from confcom.quote_helper.seats import Seat, Seats
from confcom.quote_helper.succession import Registry


def nothing(*_):
    pass


class Helper:
    """The sockets of one helper, without its workers; what it would do after lingering is kept in `later`."""

    def __init__(self, folder, generation):
        self.later = []
        self.registry = Registry(folder / "state", generation, float(generation))
        self.listeners = Listeners(nothing, nothing, nothing)
        self.seats = Seats(
            [Seat(folder / "aesm.socket", "shared", "shared")],
            self.registry,
            self.listeners,
            lambda seconds, call: self.later.append((seconds, call)),
        )

    def look(self):
        self.seats.look(ready=True)

    def close(self):
        self.seats.close()
        self.listeners.close()
        self.registry.close()


def test_client_that_had_found_the_path_before_it_was_taken_is_served_by_the_helper_it_found(short_dir):
    async def scenario():
        old, new = Helper(short_dir, 1), Helper(short_dir, 2)
        old.look()
        # A second name leads to the first socket when the path leads to the next: there is no other way to be so late.
        (short_dir / "found").hardlink_to(short_dir / "aesm.socket")
        new.look()
        old.look()
        assert (old.seats.serving, old.seats.lingering, new.seats.serving) == (False, True, True)

        ((seconds, end_lingering),) = old.later
        assert seconds > 0
        with socket.socket(socket.AF_UNIX) as late, socket.socket(socket.AF_UNIX) as too_late:
            late.connect(str(short_dir / "found"))
            end_lingering()
            assert (len(old.listeners.clients), old.seats.lingering) == (1, False)
            with pytest.raises(ConnectionRefusedError):
                too_late.connect(str(short_dir / "found"))
        old.close()
        new.close()

    asyncio.run(scenario())
