import os
import stat

import pytest

from confcom.errors import PlatformError
from confcom.platform import slots


def test_ids_are_stable_distinct_and_longer_than_the_ids_of_epc_units():
    ids = slots.slot_ids(slots.MAX_SLOTS)
    assert ids[:3] == ["slot-0", "slot-1", "slot-2"]
    assert len(set(ids)) == slots.MAX_SLOTS
    assert min(map(len, ids)) >= 4
    assert ids[:16] == slots.slot_ids(16)
    assert all(map(slots.is_slot_id, ids))


@pytest.mark.parametrize("count", [-1, slots.MAX_SLOTS + 1])
def test_a_count_out_of_range_is_refused(count):
    with pytest.raises(ValueError, match=rf"^{count} slots: between 0 and 1024 can be served$"):
        slots.slot_ids(count)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "slot-",
        "slot-01",
        "slot--1",
        "slot-1024",
        "slot-99999999999",
        "slot-٣",
        "slot-1/",
        "../slot-1",
        "abc",
        "1",
        "slot-1\n",
    ],
)
def test_what_is_no_slot_id_leads_nowhere(text, tmp_path):
    assert not slots.is_slot_id(text)
    with pytest.raises(ValueError, match="is not the id of a quote slot"):
        slots.slot_socket(tmp_path, text)


def test_layout(tmp_path):
    assert slots.slot_socket(tmp_path, "slot-7") == tmp_path / "slot-7" / "aesm.socket"
    assert str(slots.slot_socket(slots.DEFAULT_SLOTS_DIR, "slot-0")) == "/run/confcom/slots/slot-0/aesm.socket"


def test_folders_have_mode_0755_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        folders = slots.make_slot_folders(tmp_path / "slots", 3)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o755] * 3


def test_a_folder_that_exists_is_kept(tmp_path):
    (folder,) = slots.make_slot_folders(tmp_path, 1)
    (folder / "aesm.socket").touch()
    inode = folder.stat().st_ino
    folder.chmod(0o700)
    assert slots.make_slot_folders(tmp_path, 1) == [folder]
    assert folder.stat().st_ino == inode
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert (folder / "aesm.socket").exists()


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "slot-0").touch()
    with pytest.raises(PlatformError, match=rf"^quote slot {tmp_path}/slot-0: cannot be made: File exists$"):
        slots.make_slot_folder(tmp_path, "slot-0")
