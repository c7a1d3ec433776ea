"""Large, deep and crafted input: an answer or the promised error, in little time, and in time that does not explode."""

import json
import time
from dataclasses import replace

import pytest
from cryptography import x509

from confcom.errors import CollateralFormatError, InputError
from confcom.quote import Collateral, Verifier, find_quote
from confcom.quote import der as reader
from confcom.quote.certificates import split_chain
from confcom.quote.chain import MAX_CERTIFICATION_DATA
from confcom.quote.collateral import MAX_COLLATERAL_BYTES
from confcom.quote.encodings import MAX_WRAPPED_BYTES
from confcom.quote.reading import MAX_QUOTE_BYTES
from confcom.simulation import der
from confcom.simulation.certificates import SGX_EXTENSION, sgx_extension

# Of the processor, for one input; each takes a tenth of it on a slow machine.
SECONDS = 2.0
MEGABYTE = 1024 * 1024


@pytest.fixture(autouse=True)
def within_seconds():
    start = time.process_time()
    yield
    assert time.process_time() - start < SECONDS


def nested(depth, quote):
    for _ in range(depth):
        quote = b"\x01\0\0\0\x02\0\0\0" + len(quote).to_bytes(8, "little") + quote
    return quote


INPUTS = {
    "zeros": bytes(MAX_WRAPPED_BYTES),
    "hex digits": b"a" * MAX_WRAPPED_BYTES,
    "hex of hex of hex": b"61" * (MAX_WRAPPED_BYTES // 2),
    "base64 letters": b"QUFB" * (MAX_WRAPPED_BYTES // 4),
    "white space": b" \n" * (MAX_WRAPPED_BYTES // 2),
    "single letters": b"x " * (MAX_WRAPPED_BYTES // 2),
    "lists": b"[" * MAX_WRAPPED_BYTES,
    "objects": b'{"a":' * (MAX_WRAPPED_BYTES // 5),
    "many members": json.dumps({f"m{n}": {"quote": "00"} for n in range(50_000)}).encode(),
    "many quotes": json.dumps([{"quote": "A" * 5000}] * 700).encode(),
    "a long name": json.dumps({"x" * (3 * MEGABYTE): {"quote": "00"}}).encode(),
    "control characters": json.dumps({"\x1b[2J" * 10_000: {"quote": "00"}}).encode(),
    "headers in headers": nested(1000, bytes(MEGABYTE)),
    "empty certificates": b"\x30\x84\x00\x3f\xff\xf0" + b"\x30\x00" * (2 * MEGABYTE - 10),
    "armour": b"-----BEGIN CERTIFICATE-----" * 100_000,
    "cbor": bytes.fromhex("d9ea60") * MEGABYTE,
}


@pytest.mark.parametrize("name", INPUTS)
def test_nothing_is_found_in_time(name):
    with pytest.raises(InputError) as caught:
        find_quote(INPUTS[name])
    sentence = str(caught.value)
    assert sentence.isprintable()
    assert len(sentence) < 300


# Quotes ------------------------------------------------------------------------------------------------------------------


def with_chain(machine, chain):
    return replace(machine.parsed(), certification_data=chain).to_bytes()


CHAINS = {
    "zeros": lambda m: bytes(MAX_CERTIFICATION_DATA),
    "armour": lambda m: b"-----BEGIN CERTIFICATE-----" * 1000,
    "many certificates": lambda m: m.certificates["root"] * 40,
    "beyond the bound": lambda m: b"A" * (MAX_CERTIFICATION_DATA + 1),
    "very long": lambda m: b"-" * (MAX_QUOTE_BYTES - 5000),
    "blanks": lambda m: b"\n" * MAX_CERTIFICATION_DATA,
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_hostile_chain_is_a_reason_with_a_bounded_sentence(machine, name):
    found = machine.examine(with_chain(machine, CHAINS[name](machine)))
    assert not found.verdict
    assert not found.steps[1].ok
    assert all(len(step.detail) <= 1000 and step.detail.isprintable() for step in found.steps)


def test_a_number_that_python_cannot_print_is_a_reason(machine):
    """Whoever sends a quote may write what he likes into a certificate, until its signature is asked for."""
    usual, huge = (
        der.sequence(der.object_identifier(f"{SGX_EXTENSION}.5"), der.enumerated(n)) for n in (0, 1 << 20_000)
    )
    members = reader.read_only(sgx_extension(machine.platform.identity), reader.SEQUENCE)
    extension = x509.UnrecognizedExtension(
        x509.ObjectIdentifier(SGX_EXTENSION), der.sequence(members.replace(usual, huge))
    )
    leaf = machine.reissue("pck", issuer="intermediate", drop=(x509.UnrecognizedExtension,), add=[(extension, False)])
    found = machine.examine(machine.with_chain(leaf, *(machine.certificates[n] for n in ("intermediate", "root"))))
    assert found.steps[1].detail == (
        "its leaf certificate has a malformed SGX extension: a number of 2501 bytes; at most 8 are read"
    )


@pytest.mark.parametrize("size", [MAX_QUOTE_BYTES, MAX_QUOTE_BYTES + 1, 16 * MEGABYTE])
def test_a_padded_quote_is_judged_up_to_the_bound(machine, size):
    quote = machine.quote()
    found = machine.examine(quote + bytes(size - len(quote)))
    assert found.verdict == (size <= MAX_QUOTE_BYTES)


def test_many_different_quotes_do_not_pile_up_in_a_verifier(machine):
    verifier = Verifier(machine.collateral(), machine.root)
    chain = machine.platform.certificate_chain
    for number in range(300):
        changed = chain[:-40] + f"{number:04}".encode() + chain[-36:]
        verifier.examine(with_chain(machine, changed), machine.now)
    endorsements = verifier._endorsements
    for remembered in (
        endorsements.split,
        endorsements.certificate,
        endorsements.is_signed,
        endorsements.pck_extension,
    ):
        assert remembered.cache_info().currsize <= 64


# Collateral --------------------------------------------------------------------------------------------------------------


COLLATERAL = {
    "deep": b'{"tcb_info":' + b"[" * MEGABYTE,
    "beyond the bound": b" " * (MAX_COLLATERAL_BYTES + 1),
    "no object": b"[]",
    "null": b"null",
}


@pytest.mark.parametrize("name", COLLATERAL)
def test_what_is_no_collateral_is_refused_in_time(name):
    with pytest.raises(CollateralFormatError):
        Collateral.from_json(COLLATERAL[name])


MEMBERS = {
    "tcb_info": ['{"a":' * 200_000, "[" * 500_000, '"' + "\\u0000" * 100_000 + '"', "9" * 500_000],
    "qe_identity": ['{"a":' * 200_000, '{"id":"' + "Q" * 500_000 + '"}'],
    "pck_crl_issuer_chain": ["-----BEGIN CERTIFICATE-----" * 20_000, "\n" * MEGABYTE],
    "tcb_info_issuer_chain": ["A" * MEGABYTE],
    "root_ca_crl": ["30" * 500_000, "3080" * 200_000, "00"],
}


@pytest.mark.parametrize(("name", "content"), [(name, content) for name, many in MEMBERS.items() for content in many])
def test_hostile_members_are_reasons_in_time(machine, name, content):
    try:
        collateral = machine.collateral(**{name: content})
    except CollateralFormatError:
        return
    found = machine.examine(collateral=collateral)
    assert not found.verdict
    assert all(len(step.detail) <= 1000 and step.detail.isprintable() for step in found.steps)


def many_levels(count):
    def change(content):
        level = content["tcbLevels"][0]
        content["tcbLevels"] = [level | {"tcb": level["tcb"] | {"pcesvn": number}} for number in range(count)]

    return change


def test_five_thousand_levels_are_sorted_in_time(machine):
    found = machine.examine(collateral=machine.resigned("tcb_info", many_levels(5_000)))
    assert found.verdict
    assert found.shortfall is None


def test_time_grows_no_faster_than_the_input():
    """A chain of twice the length takes about twice the time; a quadratic reader would take four times."""
    spent = {}
    for size in (MEGABYTE, 4 * MEGABYTE):
        text = b"-----BEGIN CERTIFICATE-----" + b"A\n" * (size // 2)
        start = time.process_time()
        for _ in range(3):
            with pytest.raises(InputError):
                split_chain(text)
        spent[size] = time.process_time() - start
    assert spent[4 * MEGABYTE] < 12 * max(spent[MEGABYTE], 0.001)
