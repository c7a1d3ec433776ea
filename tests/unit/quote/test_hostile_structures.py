"""Certificates and CRLs with one element replaced, all lengths made to fit: a verdict, whatever stands there.

Nothing that a quote brings along is signed before it is read, so whoever sends one may write into it what he likes.
"""

import base64
import textwrap
from dataclasses import replace

import pytest

from confcom.quote import Policy, examine, verification_document
from confcom.quote import der as reader
from confcom.quote.certificates import split_chain
from confcom.quote.documents import quote_document
from confcom.quote.reading import read_quote
from confcom.simulation.names import INTERMEDIATE, PCK, ROOT

CONSTRUCTED = 0x20
# The first has more digits than Python prints.
CONTENTS = {
    "a long number": b"\x01" * 2500,
    "nothing": b"",
    "a negative number": b"\xff",
    "zero": b"\x00",
    "text that is none": b"\xff\xfe\x1b[2J",
    "an element that is cut": b"\x30\x7f",
}


def element(tag, content):
    size = len(content)
    digits = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag,)) + (bytes((size,)) if size < 0x80 else bytes((0x80 | len(digits),)) + digits) + content


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


def changed(data, content):
    """Each form of `data`, a row of elements, in which one of them has `content`, or is away, or is there twice."""
    parts = reader.children(data)
    for at, (tag, old) in enumerate(parts):
        before = b"".join(element(*part) for part in parts[:at])
        after = b"".join(element(*part) for part in parts[at + 1 :])
        same = element(tag, old)
        yield from (before + other + after for other in (element(tag, content), same + same, b""))
        if nested := inside(tag, old):
            head, inner = nested
            for form in changed(b"".join(element(*part) for part in inner), content):
                yield before + element(tag, head + form) + after


def pem(data):
    text = "\n".join(textwrap.wrap(base64.b64encode(data).decode(), 64))
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n".encode()


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("name", [PCK, INTERMEDIATE, ROOT])
def test_a_certificate_of_any_structure_is_a_verdict(platform_machine, name, content):
    machine = platform_machine
    quote, collateral = machine.parsed(), machine.collateral()
    (data,) = split_chain(machine.certificates[name])
    for form in changed(data, content):
        chain = [pem(form) if part == name else machine.certificates[part] for part in (PCK, INTERMEDIATE, ROOT)]
        sent = replace(quote, certification_data=b"".join(chain)).to_bytes()
        found = examine(sent, collateral, machine.root, machine.now)
        assert found.verdict == (not found.reasons)
        document = verification_document(found, Policy())
        assert all(step["detail"].isprintable() for step in document["steps"])
        quote_document(sent, *read_quote(sent))


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("part", ["root_ca_crl", "pck_crl"])
def test_a_crl_of_any_structure_is_a_verdict(machine, part, content):
    quote, collateral = machine.quote(), machine.collateral()
    for form in changed(getattr(collateral, part), content):
        found = examine(quote, replace(collateral, **{part: form}), machine.root, machine.now)
        assert found.verdict == (not found.reasons)
