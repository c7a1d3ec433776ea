"""The discovery file in a folder in which tenants may write."""

import os

import msgspec
import pytest

from confcom.quote_helper.discovery import Discovery, publish

READY = Discovery(health="ready")


def said(folder):
    path = folder / "aesm.json"
    assert path.is_file()
    assert not path.is_symlink()
    return msgspec.json.decode(path.read_bytes(), type=Discovery)


def test_link_in_its_place_is_replaced_even_where_it_leads_to_the_right_words(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    publish(folder, READY)
    (folder / "aesm.json").rename(tmp_path / "elsewhere")
    (folder / "aesm.json").symlink_to(tmp_path / "elsewhere")
    publish(folder, READY)
    assert said(folder) == READY
    publish(folder, Discovery(health="failing"))
    assert said(folder).health == "failing"
    assert b"ready" in (tmp_path / "elsewhere").read_bytes()


@pytest.mark.timeout(10)
def test_pipe_in_its_place_holds_up_nobody(tmp_path):
    os.mkfifo(tmp_path / "aesm.json")
    publish(tmp_path, READY)
    assert said(tmp_path) == READY


def test_nothing_is_written_where_it_says_so_already(tmp_path):
    publish(tmp_path, READY)
    before = (tmp_path / "aesm.json").stat()
    publish(tmp_path, READY)
    assert (tmp_path / "aesm.json").stat().st_ino == before.st_ino
