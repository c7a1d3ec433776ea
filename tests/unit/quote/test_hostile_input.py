"""Whatever bytes arrive as quote or collateral: an answer or the one error, and never a forgery taken for true."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from confcom.errors import CollateralFormatError, InputError
from confcom.quote import Collateral, Policy, Verifier, find_quote, intel_root, parse_time, verification_document

LIMITED = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
REAL = "sgx-00606a000000-268c0681-tcb3-eval17-20250815"

mutations = st.lists(
    st.tuples(
        st.sampled_from(["flip", "set", "insert", "delete", "cut", "repeat"]),
        st.integers(0, 2**32),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=4,
)


def mutate(data, steps):
    data = bytearray(data)
    for kind, place, value in steps:
        at = place % (len(data) or 1)
        if kind == "cut":
            del data[at:]
        elif kind == "delete":
            del data[at : at + value]
        elif kind == "insert":
            data[at:at] = bytes((value,)) * (value % 5 + 1)
        elif kind == "repeat":
            data[at:at] = data[at : at + value]
        elif data:
            data[at] = data[at] ^ (1 << value % 8) if kind == "flip" else value
    return bytes(data)


def check(found, quote, original):
    assert len(found.steps) == 15
    assert found.verdict == all(step.ok for step in found.steps) == (not found.reasons)
    json.dumps(verification_document(found, Policy()))
    if found.verdict:
        assert quote[:432] == original[:432], "a changed header or report body was taken for true"


@LIMITED
@given(steps=mutations)
def test_mutated_simulated_quotes(machine, steps):
    original = machine.quote()
    quote = mutate(original, steps)
    check(machine.examine(quote), quote, original)


@LIMITED
@given(steps=mutations)
def test_mutated_real_quotes(real_set, steps):
    chosen = real_set(REAL)
    verifier = Verifier(chosen.collateral, intel_root())
    original = chosen.quote
    quote = mutate(original, steps)
    check(verifier.examine(quote, parse_time("2025-08-30T05:09:06Z")), quote, original)


@LIMITED
@given(data=st.binary(max_size=3000))
def test_any_bytes_as_quote(machine, data):
    found = machine.examine(data)
    assert not found.verdict
    assert len(found.steps) == 15


@LIMITED
@given(steps=mutations)
def test_mutated_collateral_files(machine, steps):
    members = machine.members()
    try:
        collateral = Collateral.from_json(mutate(json.dumps(members).encode(), steps))
    except CollateralFormatError:
        return
    quote = machine.quote()
    found = machine.examine(quote, collateral)
    check(found, quote, quote)
    if found.verdict:
        assert collateral.tcb_info.decode() == members["tcb_info"]
        assert collateral.qe_identity.decode() == members["qe_identity"]
        assert collateral.pck_crl.hex() == members["pck_crl"]
        assert collateral.root_ca_crl.hex() == members["root_ca_crl"]


@pytest.mark.parametrize(
    "member",
    [
        "pck_crl_issuer_chain",
        "root_ca_crl",
        "pck_crl",
        "tcb_info_issuer_chain",
        "tcb_info",
        "tcb_info_signature",
        "qe_identity_issuer_chain",
        "qe_identity",
        "qe_identity_signature",
    ],
)
@settings(LIMITED, max_examples=60)
@given(steps=mutations)
def test_mutated_members(machine, member, steps):
    original = getattr(machine.collateral(), member)
    parts = {name: getattr(machine.collateral(), name) for name in Collateral.__dataclass_fields__}
    changed = mutate(original, steps)
    quote = machine.quote()
    found = machine.examine(quote, Collateral(**parts | {member: changed}))
    check(found, quote, quote)
    if found.verdict and "chain" not in member:
        assert changed.strip(b"\r\n\0") == original.strip(b"\r\n\0")


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@LIMITED
@given(document=documents)
def test_any_json_as_signed_document(machine, document):
    text = json.dumps(document)
    collateral = machine.collateral(tcb_info=text, qe_identity=text)
    assert not machine.examine(collateral=collateral).verdict


@LIMITED
@given(changes=st.dictionaries(st.integers(0, 20), documents, min_size=1, max_size=3), document=st.booleans())
def test_signed_documents_with_any_member_replaced(machine, changes, document):
    def change(content):
        names = sorted(content)
        for place, value in changes.items():
            content[names[place % len(names)]] = value

    found = machine.examine(collateral=machine.resigned("tcb_info" if document else "qe_identity", change))
    assert len(found.steps) == 15


@LIMITED
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | documents.map(json.dumps).map(str.encode))
def test_finding_a_quote_gives_bytes_or_the_one_error(data):
    with pytest.raises(InputError, match=r"no quote found|this is a"):
        find_quote(data)


@LIMITED
@given(at=st.datetimes(timezones=st.just(UTC)))
def test_any_time(machine, at):
    found = machine.examine(at=at)
    windows_hold = all(window.problem(at) is None for window in found.windows)
    assert found.verdict == windows_hold


def test_times_at_the_ends_of_the_calendar(machine):
    assert not machine.examine(at=datetime.max.replace(tzinfo=UTC)).verdict
    assert not machine.examine(at=datetime.min.replace(tzinfo=UTC)).verdict
