"""Certificates and CRLs with one element replaced, all lengths made to fit: a verdict, whatever stands there.

Nothing that a quote brings along is signed before it is read, so whoever sends one may write into it what he likes.
"""

import base64
from dataclasses import replace

import pytest

from confcom.quote import Policy, examine, verification_document
from confcom.quote import der as reader
from confcom.quote.certificates import split_chain
from confcom.quote.documents import quote_document
from confcom.quote.reading import read_quote
from confcom.simulation.names import INTERMEDIATE, PCK, ROOT

CONSTRUCTED = 0x20


def element(tag, content):
    size = len(content)
    digits = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag,)) + (bytes((size,)) if size < 0x80 else bytes((0x80 | len(digits),)) + digits) + content


def holding(content):
    return lambda tag, _: element(tag, content)


# The first has more digits than Python prints.
REPLACEMENTS = {
    "a long number": holding(b"\x01" * 2500),
    "nothing": holding(b""),
    "a negative number": holding(b"\xff"),
    "zero": holding(b"\x00"),
    "no text": holding(b"\xff\xfe\x1b[2J"),
    "a cut element": holding(b"\x30\x7f"),
    "twice": lambda tag, content: element(tag, content) * 2,
    "away": lambda _tag, _content: b"",
}


def inside(tag, content):
    """What goes before the elements in an element's content, and these; None where it holds none."""
    start = 1 if tag == reader.BIT_STRING else 0
    if not (tag & CONSTRUCTED or tag in {reader.OCTET_STRING, reader.BIT_STRING}):
        return None
    try:
        parts = reader.children(content[start:])
    except reader.DERError:
        return None
    return (content[:start], parts) if parts else None


def changed(data, replacement):
    """Each form of `data`, a row of elements, in which one of them, at any depth, is replaced."""
    parts = reader.children(data)
    for at, (tag, content) in enumerate(parts):
        before = b"".join(element(*part) for part in parts[:at])
        after = b"".join(element(*part) for part in parts[at + 1 :])
        yield before + replacement(tag, content) + after
        if nested := inside(tag, content):
            head, inner = nested
            for form in changed(b"".join(element(*part) for part in inner), replacement):
                yield before + element(tag, head + form) + after


def pem(data):
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(data) + b"-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("replacement", REPLACEMENTS.values(), ids=REPLACEMENTS)
@pytest.mark.parametrize("name", [PCK, INTERMEDIATE, ROOT])
def test_a_certificate_of_any_structure_is_a_verdict(platform_machine, name, replacement):
    machine = platform_machine
    quote, collateral = machine.parsed(), machine.collateral()
    (data,) = split_chain(machine.certificates[name])
    for form in changed(data, replacement):
        chain = [pem(form) if part == name else machine.certificates[part] for part in (PCK, INTERMEDIATE, ROOT)]
        sent = replace(quote, certification_data=b"".join(chain)).to_bytes()
        found = examine(sent, collateral, machine.root, machine.now)
        assert found.verdict == (not found.reasons)
        document = verification_document(found, Policy())
        assert all(step["detail"].isprintable() for step in document["steps"])
        quote_document(sent, *read_quote(sent))


@pytest.mark.parametrize("replacement", REPLACEMENTS.values(), ids=REPLACEMENTS)
@pytest.mark.parametrize("part", ["root_ca_crl", "pck_crl"])
def test_a_crl_of_any_structure_is_a_verdict(machine, part, replacement):
    quote, collateral = machine.quote(), machine.collateral()
    for form in changed(getattr(collateral, part), replacement):
        found = examine(quote, replace(collateral, **{part: form}), machine.root, machine.now)
        assert found.verdict == (not found.reasons)
