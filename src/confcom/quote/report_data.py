"""The forms in which applications put data into the 64 bytes of report data, as a verifier expects them.

Sources: Azure Attestation and Intel Trust Authority compare SHA-256 of what the client sends along, RA-TLS that of the
certificate's public key.
"""

import hashlib

from confcom.errors import InputError

REPORT_DATA_SIZE = 64


def raw(data: bytes) -> bytes:
    """`data` itself, 1 to 64 bytes, with zeros behind.

    Raises:
        InputError: another size.
    """
    if not 1 <= len(data) <= REPORT_DATA_SIZE:
        raise InputError(f"report data: has {len(data)} bytes; a report has {REPORT_DATA_SIZE}")
    return data.ljust(REPORT_DATA_SIZE, b"\0")


def sha256_of(data: bytes, nonce: bytes = b"") -> bytes:
    """SHA-256 of `nonce` and `data`, one behind the other, then 32 zero bytes."""
    return hashlib.sha256(nonce + data).digest().ljust(REPORT_DATA_SIZE, b"\0")


def difference(found: bytes, wanted: bytes) -> str:
    """How the report data of a quote differs from what was wanted, with the likeliest misunderstanding, if any."""
    sentence = f"report_data is {found.hex()}, expected {wanted.hex()}"
    if found[:32] == wanted[:32]:
        return f"{sentence}: the first 32 bytes agree, the last 32 do not"
    if hint := _misunderstanding(found, wanted):
        return f"{sentence}: the quote holds {hint}"
    return sentence


def _misunderstanding(found: bytes, wanted: bytes) -> str:
    short = wanted.rstrip(b"\0")
    forms = {
        "SHA-256 of the expected bytes (the form of MAA and RA-TLS)": (sha256_of(wanted), sha256_of(short)),
        "SHA-256 of the expected bytes as hex text": (
            sha256_of(wanted.hex().encode()),
            sha256_of(short.hex().encode()),
        ),
        "the expected bytes as hex text": (short.hex().encode()[:REPORT_DATA_SIZE].ljust(REPORT_DATA_SIZE, b"\0"),),
        "zeros: the application put nothing into it": (bytes(REPORT_DATA_SIZE),),
    }
    return next((form for form, values in forms.items() if found in values), "")
