"""Collateral as JSON: dcap-qvl's form, read strictly where a part could not be used at all."""

import binascii
import json

import dcap_qvl
import pytest

from confcom.errors import CollateralFormatError
from confcom.quote import Collateral
from confcom.quote.collateral import MAX_COLLATERAL_BYTES

MEMBERS = [
    "pck_crl_issuer_chain",
    "root_ca_crl",
    "pck_crl",
    "tcb_info_issuer_chain",
    "tcb_info",
    "tcb_info_signature",
    "qe_identity_issuer_chain",
    "qe_identity",
    "qe_identity_signature",
]
HEX = ["root_ca_crl", "pck_crl", "tcb_info_signature", "qe_identity_signature"]


def encoded(members):
    return json.dumps(members).encode()


@pytest.fixture(scope="module")
def members(machine):
    return machine.members()


def test_the_file_survives_reading_and_writing(members):
    collateral = Collateral.from_json(encoded(members))
    assert json.loads(collateral.to_json()) == members
    assert Collateral.from_json(collateral.to_json()) == collateral
    assert collateral.tcb_info == members["tcb_info"].encode()


def test_dcap_qvl_reads_what_is_written(members):
    theirs = dcap_qvl.QuoteCollateralV3.from_json(Collateral.from_json(encoded(members)).to_json().decode())
    assert theirs.tcb_info == members["tcb_info"]
    assert theirs.pck_crl.hex() == members["pck_crl"]


def test_members_of_others_are_ignored(members):
    ours = Collateral.from_json(encoded(members | {"fetched_from": "a bundle", "more": [1, {"x": None}]}))
    assert ours == Collateral.from_json(encoded(members))


def test_the_chain_of_the_pck_certificate_is_kept(machine, members):
    chain = machine.platform.certificate_chain.decode()
    assert Collateral.from_json(encoded(members | {"pck_certificate_chain": chain})).pck_certificate_chain
    assert Collateral.from_json(encoded(members | {"pck_certificate_chain": None})).pck_certificate_chain is None


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "is missing"),
        (7, "must be a string"),
        (["x"], "must be a string"),
        ("", "is empty"),
        (" \n", "is empty"),
    ],
)
def test_a_member_that_cannot_be_used_is_named(members, member, value, problem):
    with pytest.raises(CollateralFormatError) as caught:
        Collateral.from_json(encoded(members | {member: value}))
    assert str(caught.value) == f"collateral: {member}: {problem}"


@pytest.mark.parametrize("member", MEMBERS)
def test_an_absent_member_is_named(members, member):
    rest = {name: value for name, value in members.items() if name != member}
    with pytest.raises(CollateralFormatError) as caught:
        Collateral.from_json(encoded(rest))
    assert str(caught.value) == f"collateral: {member}: is missing"


@pytest.mark.parametrize("member", HEX)
@pytest.mark.parametrize("value", ["abc", "zz", "30 82", "0x3082"])
def test_hex_must_be_hex(members, member, value):
    with pytest.raises(CollateralFormatError) as caught:
        Collateral.from_json(encoded(members | {member: value}))
    assert str(caught.value) == f"collateral: {member}: is not hex"


@pytest.mark.parametrize("member", ["root_ca_crl", "pck_crl"])
def test_crls_may_be_pem(members, member):
    body = binascii.b2a_base64(bytes.fromhex(members[member])).decode()
    pem = f"-----BEGIN X509 CRL-----\n{body}-----END X509 CRL-----\n"
    assert Collateral.from_json(encoded(members | {member: pem})) == Collateral.from_json(encoded(members))
    with pytest.raises(CollateralFormatError) as caught:
        Collateral.from_json(encoded(members | {member: pem * 2}))
    assert str(caught.value) == f"collateral: {member}: holds 2 CRLs, one belongs there"
    with pytest.raises(CollateralFormatError, match="has a PEM block that is not base64"):
        Collateral.from_json(encoded(members | {member: pem.replace(body[:8], "!!!!", 1)}))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b"null", "is not a JSON object"),
        (b'"text"', "is not a JSON object"),
        (b'{"x":' + b"[" * 100_000, "is not JSON"),
        (b'{"tcb_info":"\\ud800"}', "is not JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(data, problem):
    with pytest.raises(CollateralFormatError) as caught:
        Collateral.from_json(data)
    assert str(caught.value).startswith(f"collateral: $: {problem}")


def test_too_much_is_not_read():
    with pytest.raises(CollateralFormatError, match=f"at most {MAX_COLLATERAL_BYTES} are read"):
        Collateral.from_json(b" " * (MAX_COLLATERAL_BYTES + 1))
