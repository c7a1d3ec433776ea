"""The cache: fresh entries spare the service, old ones stand in for it, damaged ones are fetched again and named."""

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from confcom.collateral import Cache, CachedSource, Obtained, OfflineSource, Wanted, cache
from confcom.collateral.cache import is_due
from confcom.errors import CollateralError

SERVICE = "https://pccs.example/sgx/certification/v4"


class StubService:
    """A service that answers with what it is given, or fails; `asked` counts."""

    name = SERVICE

    def __init__(self, collateral) -> None:
        self.collateral = collateral
        self.failure: CollateralError | None = None
        self.asked = 0

    def obtain(self, wanted, now):
        self.asked += 1
        if self.failure:
            raise self.failure
        return Obtained(collateral=self.collateral, wanted=wanted, origin=self.name, fetched=now)


@pytest.fixture
def service(collateral):
    return StubService(collateral)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "collateral"


@pytest.fixture
def source(service, folder):
    return CachedSource(source=service, cache=Cache(folder))


@pytest.fixture
def moment(now):
    """Files keep whole seconds."""
    return now.replace(microsecond=0)


def only_file(folder):
    (path,) = folder.iterdir()
    return path


class TestFreshAndDue:
    @pytest.mark.parametrize(
        ("later", "asked"),
        [
            (timedelta(0), 1),
            (timedelta(hours=23, minutes=59), 1),
            (timedelta(days=1), 2),
            (timedelta(days=-1), 2),
        ],
        ids=["at once", "within the day", "after a day", "from the future: the clock was set back"],
    )
    def test_the_service_is_asked_again_after_a_day(self, source, service, wanted, moment, later, asked):
        first = source.obtain(wanted, moment)
        second = source.obtain(wanted, moment + later)
        assert service.asked == asked
        assert second.collateral == first.collateral
        assert second.notes == ()

    def test_what_ends_soon_is_asked_for_hourly(self, collateral, wanted, moment):
        """The parts end in 30 days, less the five minutes that they are backdated."""
        fetched = moment + timedelta(days=29)
        found = Obtained(collateral=collateral, wanted=wanted, origin=SERVICE, fetched=fetched)
        assert not is_due(found, fetched + timedelta(minutes=59))
        assert is_due(found, fetched + timedelta(hours=1))

    def test_two_days_before_the_end_is_time_to_ask(self, collateral, wanted, moment):
        fetched = moment + timedelta(days=27, hours=12)
        found = Obtained(collateral=collateral, wanted=wanted, origin=SERVICE, fetched=fetched)
        assert not is_due(found, fetched + timedelta(hours=11))
        assert is_due(found, fetched + timedelta(hours=12))

    @pytest.mark.parametrize("end", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
    def test_the_first_and_the_last_date_that_there_is_are_ends_as_well(self, collateral, wanted, moment, end):
        text = json.dumps(json.loads(collateral.tcb_info) | {"nextUpdate": end}).encode()
        odd = replace(collateral, tcb_info=text)
        found = Obtained(collateral=odd, wanted=wanted, origin=SERVICE, fetched=moment)
        assert is_due(found, moment + timedelta(hours=1)) == end.startswith("0001")

    def test_every_key_has_its_own_entry(self, source, service, wanted, moment, folder):
        source.obtain(wanted, moment)
        source.obtain(replace(wanted, update="early"), moment)
        other = StubService(service.collateral)
        other.name = "https://other.example"
        CachedSource(source=other, cache=Cache(folder)).obtain(wanted, moment)
        assert len(list(folder.iterdir())) == 3
        assert (service.asked, other.asked) == (2, 1)


class TestWhileTheServiceIsAway:
    def test_an_entry_stands_in_and_says_how_old_it_is(self, source, service, wanted, moment):
        source.obtain(wanted, moment)
        service.failure = CollateralError("pccs.example: refused the connection")
        found = source.obtain(wanted, moment + timedelta(days=3, hours=2))
        end = (moment + timedelta(days=30, minutes=-5)).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert found.notes == (
            (
                f"the service is away: what was fetched from {SERVICE} 3 days ago and holds until {end} is used. The "
                "service's problem: pccs.example: refused the connection"
            ),
        )

    def test_an_expired_entry_stands_in_too_and_says_so(self, source, service, wanted, moment):
        source.obtain(wanted, moment)
        service.failure = CollateralError("pccs.example: refused the connection")
        (note,) = source.obtain(wanted, moment + timedelta(days=40)).notes
        assert "40 days ago and EXPIRED at " in note

    def test_without_an_entry_the_services_error_is_the_answer(self, source, service, wanted, moment):
        service.failure = CollateralError("pccs.example: refused the connection")
        with pytest.raises(CollateralError) as failed:
            source.obtain(wanted, moment)
        assert failed.value is service.failure

    def test_when_it_is_back_the_entry_is_renewed(self, source, service, wanted, moment):
        source.obtain(wanted, moment)
        service.failure = CollateralError("away")
        source.obtain(wanted, moment + timedelta(days=2))
        service.failure = None
        later = moment + timedelta(days=2, seconds=1)
        assert source.obtain(wanted, later).fetched == later
        assert source.obtain(wanted, later).notes == ()
        assert service.asked == 3


class TestDamage:
    def test_a_damaged_entry_is_fetched_again_and_said(self, source, service, wanted, moment, folder):
        source.obtain(wanted, moment)
        path = only_file(folder)
        path.write_bytes(path.read_bytes()[:-40])
        found = source.obtain(wanted, moment)
        assert found.notes == (
            f"cache entry {path}: is damaged: $: is not whole JSON: Input data was truncated; it was fetched again",
        )
        assert source.obtain(wanted, moment).notes == ()
        assert service.asked == 2

    def test_an_entry_under_another_key_is_not_believed(self, source, service, wanted, moment, folder):
        source.obtain(wanted, moment)
        content = only_file(folder).read_bytes()
        source.obtain(replace(wanted, update="early"), moment)
        for path in folder.iterdir():
            path.write_bytes(content)
        (note,) = source.obtain(replace(wanted, update="early"), moment).notes
        assert note.endswith(": is damaged: it is of another key; it was fetched again")

    def test_an_empty_bundle_is_damage(self, source, wanted, moment, folder):
        from confcom.collateral import write_bundle

        source.obtain(wanted, moment)
        only_file(folder).write_bytes(write_bundle([]))
        (note,) = source.obtain(wanted, moment).notes
        assert "is damaged: holds not exactly one set" in note

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
    @given(data=st.data())
    def test_any_changed_byte_gives_the_same_parts_or_a_refetch(self, service, wanted, moment, tmp_path, data):
        source = CachedSource(source=service, cache=Cache(tmp_path / "cache"))
        entry = source.obtain(wanted, moment)
        path = only_file(tmp_path / "cache")
        whole = path.read_bytes()
        at = data.draw(st.integers(0, len(whole) - 1))
        path.write_bytes(whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :])
        assert source.obtain(wanted, moment).collateral == entry.collateral
        path.write_bytes(whole)


class TestTheFolder:
    def test_modes_are_private(self, source, wanted, moment, folder):
        source.obtain(wanted, moment)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(only_file(folder).stat().st_mode) == 0o600

    def test_a_folder_that_cannot_be_made_is_a_note_not_a_failure(self, service, wanted, moment, tmp_path):
        (tmp_path / "file").write_text("in the way")
        source = CachedSource(source=service, cache=Cache(tmp_path / "file" / "cache"))
        (note,) = source.obtain(wanted, moment).notes
        assert note == f"cache {tmp_path}/file/cache: cannot be written: Not a directory: it will be fetched each time"

    def test_the_oldest_entries_go_beyond_the_bound(self, source, wanted, moment, folder, monkeypatch):
        source.obtain(wanted, moment)
        first = only_file(folder)
        os.utime(first, (0, 0))
        monkeypatch.setattr(cache, "MAX_CACHE_BYTES", first.stat().st_size + 100)
        source.obtain(replace(wanted, update="early"), moment)
        assert first not in list(folder.iterdir())
        assert len(list(folder.iterdir())) == 1

    def test_what_a_killed_process_left_is_swept_after_an_hour(self, source, wanted, moment, folder):
        folder.mkdir(parents=True)
        old, young, foreign = (folder / name for name in (".half-made.old", ".half-made.young", "README"))
        for path in (old, young, foreign):
            path.write_bytes(b"x")
        os.utime(old, (0, 0))
        source.obtain(wanted, moment)
        assert not old.exists()
        assert young.exists()
        assert foreign.exists()

    def test_processes_that_write_at_once_leave_one_whole_entry(
        self, source, wanted, moment, folder, collateral, tmp_path
    ):
        (tmp_path / "collateral.json").write_bytes(collateral.to_json())
        program = (
            "import sys; from pathlib import Path; from datetime import datetime, UTC\n"
            "from confcom.collateral import *\n"
            "found = read_path(Path(sys.argv[1]))[0]\n"
            "from dataclasses import replace\n"
            "found = replace(found, fetched=datetime.now(UTC))\n"
            f"[Cache(Path(sys.argv[2])).store('{SERVICE}', found) for _ in range(50)]\n"
        )
        command = [sys.executable, "-c", program, str(tmp_path / "collateral.json"), str(folder)]
        writers = [subprocess.Popen(command) for _ in range(3)]
        problems = set()
        while any(writer.poll() is None for writer in writers):
            problems.add(Cache(folder).load(SERVICE, wanted).problem)
        assert [writer.returncode for writer in writers] == [0, 0, 0]
        assert problems == {None}, "a reader never sees half an entry"
        assert len(list(folder.iterdir())) == 1


class TestOffline:
    def test_the_newest_entry_of_any_service_is_used(self, source, service, wanted, moment, folder):
        source.obtain(wanted, moment - timedelta(days=2))
        other = StubService(service.collateral)
        other.name = "https://other.example"
        CachedSource(source=other, cache=Cache(folder)).obtain(wanted, moment - timedelta(hours=5))
        found = OfflineSource(cache=Cache(folder)).obtain(wanted, moment)
        assert found.origin == "https://other.example"
        assert found.notes[0].startswith("what was fetched from https://other.example 5 hours ago and holds until ")
        assert found.notes[0].endswith("Z is used, nobody was asked")

    def test_what_is_there_is_named_where_nothing_fits(self, source, wanted, moment, folder):
        source.obtain(wanted, moment)
        other = Wanted(fmspc=bytes(6), ca="platform", update="early")
        with pytest.raises(CollateralError) as failed:
            OfflineSource(cache=Cache(folder)).obtain(other, moment)
        assert str(failed.value) == (
            f"cache {folder}: holds no collateral for FMSPC 000000000000, platform CA, early; it holds FMSPC "
            "53494d000001, processor CA, standard"
        )

    def test_an_empty_cache(self, wanted, moment, folder):
        with pytest.raises(CollateralError, match=r"it holds nothing$"):
            OfflineSource(cache=Cache(folder)).obtain(wanted, moment)

    def test_a_folder_that_is_a_file(self, wanted, moment, tmp_path):
        (tmp_path / "file").write_text("x")
        with pytest.raises(CollateralError, match=r"cannot be read: Not a directory$"):
            OfflineSource(cache=Cache(tmp_path / "file")).obtain(wanted, moment)
