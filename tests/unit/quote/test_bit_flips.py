"""One bit at a time: a changed quote or collateral is refused, unless no signature covers the byte, by its format.

What is free to change is computed from the layouts, from PEM and from base64, never from what the verifier says.
"""

import base64
import re
from collections import Counter
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from confcom.quote import Verifier

PEM = re.compile(rb"(-----BEGIN CERTIFICATE-----)([^-]*)(-----END CERTIFICATE-----)")
CERTIFICATION_DATA = 1052


def flipped(data, offset, bit):
    changed = bytearray(data)
    changed[offset] ^= 1 << bit
    return bytes(changed)


def free_bytes_of_chain(text, covered):
    """Offset and name of each byte of PEM text that is no base64 of a certificate in `covered` (by position)."""
    free = dict.fromkeys(range(len(text)), "between the certificates")
    for position, block in enumerate(PEM.finditer(text)):
        body = range(*block.span(2))
        for offset in range(*block.span()):
            free[offset] = "armour" if offset not in body else f"certificate {position}"
        if position in covered:
            for offset in body:
                if text[offset : offset + 1] == b"\n":
                    free[offset] = "line ends"
                else:
                    del free[offset]
    return free


def free_bytes_of_quote(quote):
    """The bytes of a quote that no signature covers: lengths and types, PEM but for leaf and intermediate, the NUL."""
    assert int.from_bytes(quote[432:436], "little") == len(quote) - 436
    free = dict.fromkeys(range(432, 436), "signature data length")
    free |= dict.fromkeys(range(1046, CERTIFICATION_DATA), "certification data type and size")
    chain = free_bytes_of_chain(quote[CERTIFICATION_DATA:], {0, 1})
    return free | {CERTIFICATION_DATA + offset: name for offset, name in chain.items()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["machine", "platform_machine"])
def test_every_bit_of_a_quote_counts_or_is_covered_by_no_signature(kind, request):
    machine = request.getfixturevalue(kind)
    quote = machine.quote(report_data=b"\x5a" * 64)
    verifier = Verifier(machine.collateral(), machine.root)
    assert verifier.examine(quote, machine.now).verdict
    free = free_bytes_of_quote(quote)
    # Of the platform CA's longer quote every eighth bit: its bytes differ in the certificates only.
    bits = range(8) if kind == "machine" else None
    accepted = Counter()
    for offset in range(len(quote)):
        for bit in bits or (offset % 8,):
            found = verifier.examine(flipped(quote, offset, bit), machine.now)
            if found.verdict:
                assert offset in free, f"bit {bit} of byte {offset} was changed, and the quote is still genuine"
                accepted[free[offset]] += 1
    # The root is compared by its key, and text around PEM may be blanks: nothing else is free in fact.
    assert set(accepted) <= {"certificate 2", "between the certificates", "line ends"}
    assert accepted["certificate 2"] > 0


def test_the_format_leaves_about_a_fifth_of_a_quote_uncovered(machine):
    free = Counter(free_bytes_of_quote(machine.quote()).values())
    assert free["signature data length"] == 4
    assert free["certification data type and size"] == 6
    assert free["between the certificates"] == len("\n") * 3 + 1
    assert free["line ends"] < 50
    assert 700 < free["certificate 2"] < 1200


# Collateral ----------------------------------------------------------------------------------------------------------

# Which certificates of a chain a signature under the root covers where it counts: the signer of a document. The issuer
# of the PCK CRL and all roots are copies of certificates that are had from elsewhere; only their keys are compared.
COVERED = {"pck_crl_issuer_chain": set(), "tcb_info_issuer_chain": {0}, "qe_identity_issuer_chain": {0}}
PARTS = (
    "root_ca_crl",
    "pck_crl",
    "tcb_info",
    "tcb_info_signature",
    "qe_identity",
    "qe_identity_signature",
    *COVERED,
)


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_every_byte_of_collateral_counts_or_is_covered_by_no_signature(machine, part):
    quote, collateral = machine.quote(), machine.collateral()
    content = getattr(collateral, part)
    free = free_bytes_of_chain(content, COVERED[part]) if part in COVERED else {}
    # Signatures and CRLs in every bit; long text in one bit of each byte, another one from byte to byte.
    every_bit = len(content) < 512
    accepted = Counter()
    for offset in range(len(content)):
        for bit in range(8) if every_bit else (offset * 5 % 8,):
            changed = replace(collateral, **{part: flipped(content, offset, bit)})
            if Verifier(changed, machine.root).examine(quote, machine.now).verdict:
                assert offset in free, f"bit {bit} of byte {offset} of {part} was changed, and nothing is said"
                accepted[free[offset]] += 1
    assert set(accepted) <= {"certificate 0", "certificate 1", "between the certificates", "line ends"}
    assert not (accepted["certificate 0"] and 0 in COVERED.get(part, set()))


def test_a_changed_copy_of_the_root_is_accepted_only_with_the_same_key(machine):
    """The free bytes of the root's copy hold the key too, which is compared: changing it is refused."""
    quote = machine.quote()
    chain = quote[CERTIFICATION_DATA:].rstrip(b"\0")
    der = [x509.load_pem_x509_certificate(block[0]).public_bytes(Encoding.DER) for block in PEM.finditer(chain)][2]
    key = x509.load_der_x509_certificate(der).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    at = der.index(key)
    verifier = Verifier(machine.collateral(), machine.root)
    for offset in range(at + 1, at + len(key)):
        changed = machine.with_chain(*_pems(chain)[:2], _pem(flipped(der, offset, 0)))
        found = verifier.examine(changed, machine.now)
        assert not found.verdict


def _pems(chain):
    return [block[0] + b"\n" for block in PEM.finditer(chain)]


def _pem(der):
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
