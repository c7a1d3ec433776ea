"""Bundles: what is written is read, and any damage is found when it is read."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from confcom.collateral import Obtained, Wanted, read_bundle, write_bundle
from confcom.collateral.bundle import MAX_BUNDLE_BYTES, is_bundle
from confcom.errors import CollateralFormatError


@pytest.fixture(scope="module")
def found(platform) -> Obtained:
    from datetime import UTC, datetime

    import msgspec

    from confcom.quote import Collateral

    moment = datetime(2026, 11, 25, 12, tzinfo=UTC)
    collateral = Collateral.from_json(msgspec.json.encode(platform.collateral(moment)))
    wanted = Wanted(fmspc=platform.identity.fmspc, ca="processor")
    return Obtained(collateral=collateral, wanted=wanted, origin="https://pccs.example", fetched=moment)


@pytest.fixture(scope="module")
def bundle(found) -> bytes:
    return write_bundle([found, replace(found, wanted=replace(found.wanted, update="early"), fetched=None)])


def problem(data: bytes) -> str:
    with pytest.raises(CollateralFormatError) as failed:
        read_bundle(data)
    return str(failed.value)


def edited(bundle: bytes, **changes) -> bytes:
    return json.dumps({**json.loads(bundle), **changes}).encode()


def test_what_is_written_is_read(found, bundle):
    early, standard = read_bundle(bundle)
    assert standard == found
    assert early == replace(found, wanted=replace(found.wanted, update="early"), fetched=None)
    assert is_bundle(bundle)


def test_the_same_sets_give_the_same_bytes_in_any_order(found, bundle):
    assert write_bundle(reversed(read_bundle(bundle))) == bundle


def test_shared_parts_are_kept_once(found, bundle):
    parts = json.loads(bundle)["parts"]
    # Nine parts, of which the two signer chains are alike.
    assert len(parts) == 8


def test_an_empty_bundle_is_one():
    assert read_bundle(write_bundle([])) == ()


@pytest.mark.parametrize("data", [b"", b"x", b"[]", b"{}", b'"confcom-collateral"', b"\xff\xfe", b"[" * 10_000])
def test_other_files_are_not_called_bundles(data):
    assert not is_bundle(data)
    assert problem(data)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"version": 2}, "collateral: version: is 2; this program reads 1"),
        ({"version": "1"}, "collateral: version: Expected `int`, got `str`"),
        ({"format": "other"}, "collateral: format: must be 'confcom-collateral': this is no bundle"),
        ({"comment": "x"}, "collateral: $: Object contains unknown field `comment`"),
        ({"parts": {"00": {"encoding": "hex", "content": ""}}}, "collateral: parts[...]: "),
        ({"parts": {}}, "collateral: sets[0].parts.pck_crl: names a part that is not there"),
        ({"sets": []}, "belongs to no set: the bundle is damaged"),
        ({"sets": 3}, "collateral: sets: Expected `array`, got `int`"),
    ],
)
def test_what_does_not_belong_is_named(bundle, changes, sentence):
    told = problem(edited(bundle, **changes))
    if sentence == "collateral: parts[...]: ":
        assert "matching regex" in told
    elif "belongs to no set" in sentence:
        assert told.endswith(sentence)
    elif "names a part" in sentence:
        assert told.startswith("collateral: sets[0].parts.")
        assert told.endswith("names a part that is not there")
    else:
        assert told == sentence


@pytest.mark.parametrize(
    ("member", "value", "sentence"),
    [
        ("fmspc", "53494d0000ff", "collateral: sets[0]: says FMSPC 53494d0000ff, processor CA, early, but its parts are of another platform"),
        ("fmspc", "53494D000001", "Expected `str` matching regex"),
        ("ca", "platform", "collateral: sets[0]: says FMSPC 53494d000001, platform CA, early, but its parts are of another platform"),
        ("ca", "other", "Invalid enum value 'other'"),
        ("update", "later", "Invalid enum value 'later'"),
        ("fetched", "yesterday", "collateral: sets[0].fetched: must be a time in the form YYYY-MM-DDTHH:MM:SSZ"),
        ("parts", {}, "collateral: sets[0].parts.pck_crl: is missing"),
        ("more", 1, "Object contains unknown field `more`"),
        ("\x1b[2J", 1, "Object contains unknown field `?[2J`"),
        ("parts", {"a\x1b[2J": "0" * 64}, "collateral: sets[0].parts.a?[2J: is unknown"),
    ],
)  # fmt: skip
def test_a_set_that_is_not_what_it_says(bundle, member, value, sentence):
    sets = json.loads(bundle)["sets"]
    sets[0][member] = value
    assert sentence in problem(edited(bundle, sets=sets))


def test_an_origin_is_fit_to_be_printed(bundle):
    sets = json.loads(bundle)["sets"]
    sets[0]["origin"] = "https://pccs\x1b[2J\n.example"
    assert read_bundle(edited(bundle, sets=sets))[0].origin == "https://pccs?[2J?.example"


def test_a_part_of_another_content_is_damage(bundle):
    parts = json.loads(bundle)["parts"]
    digest = min(parts)
    parts[digest] = {"encoding": "text", "content": "other"}
    assert problem(edited(bundle, parts=parts)) == (
        f"collateral: parts.{digest}: has another SHA-256 than its name: the bundle is damaged"
    )


def test_a_part_that_is_not_hex(bundle):
    parts = json.loads(bundle)["parts"]
    digest = next(name for name, part in parts.items() if part["encoding"] == "hex")
    parts[digest]["content"] = "zz"
    assert problem(edited(bundle, parts=parts)) == f"collateral: parts.{digest}: is not hex: the bundle is damaged"


def test_a_bundle_beyond_the_cap_is_not_read():
    assert problem(b" " * (MAX_BUNDLE_BYTES + 1)) == (
        f"collateral: $: has {MAX_BUNDLE_BYTES + 1} bytes, at most {MAX_BUNDLE_BYTES} are read"
    )


@settings(max_examples=300)
@given(data=st.data())
def test_one_changed_byte_is_found_or_changes_no_part(bundle, data):
    """Only what tells about a set (origin, time, channel) can change unseen; its parts cannot."""
    at = data.draw(st.integers(0, len(bundle) - 1))
    byte = data.draw(st.integers(0, 255))
    changed = bundle[:at] + bytes([byte]) + bundle[at + 1 :]
    try:
        sets = read_bundle(changed)
    except CollateralFormatError:
        return
    originals = read_bundle(bundle)
    assert [found.collateral for found in sets] == [found.collateral for found in originals]
    assert [found.wanted.origin for found in sets] == [found.wanted.origin for found in originals]


@settings(max_examples=100)
@given(data=st.data())
def test_a_cut_bundle_is_found(bundle, data):
    end = data.draw(st.integers(0, len(bundle.rstrip()) - 1))
    assert problem(bundle[:end])


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
NAMES = st.sampled_from(["fmspc", "ca", "update", "origin", "fetched", "parts", "encoding", "content", "0" * 64])
ANY_JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6), max_leaves=12
)


@settings(max_examples=200)
@given(sets=ANY_JSON, parts=ANY_JSON)
def test_any_json_in_the_form_of_a_bundle_gives_one_error(sets, parts):
    data = json.dumps({"format": "confcom-collateral", "version": 1, "sets": sets, "parts": parts}).encode()
    if (sets, parts) == ([], {}):
        assert read_bundle(data) == ()
    else:
        assert problem(data).startswith("collateral: ")
