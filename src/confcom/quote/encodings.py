"""Finding a quote in what people have at hand: the bytes, hex, base64, base64url, or JSON that holds one of them.

What programs put around a quote in binary (Open Enclave, RA-TLS) is taken off by `wrappings`.
"""

import binascii
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from confcom.errors import InputError
from confcom.quote.printing import printable
from confcom.quote.reading import other_kind
from confcom.quote.wrappings import is_certificate, unwrap
from confcom.sgx import Quote, QuoteHeader
from confcom.sgx.quote import INTEL_QE_VENDOR_ID, KEY_TYPE_ECDSA_P256, TEE_TYPE_SGX

# PEM around a certificate around CBOR around bytes has three layers, in JSON and hex five; deeper nesting is nobody's
# format.
_MAX_LAYERS = 6
# The largest quote that is read, as hex in base64 in JSON, has less; the search looks at each layer as a whole.
MAX_WRAPPED_BYTES = 4 * 1024 * 1024
# JSON may hold many strings that could be quotes; the first few are looked at.
_MAX_CANDIDATES = 64
# How deep a quote may lie in JSON.
_MAX_JSON_DEPTH = 8
_MAX_PATH = 100
# Members that carry quotes (Azure's samples write `QuoteHex`, attestation requests `quote`), compared without case
# and underscores.
_QUOTE_MEMBERS = frozenset({"quote", "quotehex", "quotebase64", "sgxquote", "rawquote"})
# Of the four header fields that every SGX quote of version 3 shares, so many must be right; one may be damaged.
_MARKS_NEEDED = 3

_HEX = re.compile(rb"(?:0[xX])?((?:[0-9A-Fa-f]{2})+)")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]+={0,2}")


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundQuote:
    """A quote's bytes, and the layers that were taken off them, the outermost first."""

    data: bytes
    unwrapped: tuple[str, ...] = ()


def find_quote(data: bytes) -> FoundQuote:
    """The SGX quote of version 3 in `data`; it may be damaged, but it is recognisable.

    Raises:
        InputError: there is none, it is too short, or it is of another kind, which is named.
    """
    if not data.strip():
        raise InputError("no quote found: the input is empty")
    if len(data) > MAX_WRAPPED_BYTES:
        raise InputError(f"no quote found: the input has {len(data)} bytes; at most {MAX_WRAPPED_BYTES} are read")
    hint = ""
    candidates = _candidates(FoundQuote(data=data), _MAX_LAYERS)
    for candidate in itertools.islice(candidates, _MAX_CANDIDATES):
        if problem := _unusable(candidate.data):
            hint = hint or problem
        elif looks_like_quote(candidate.data):
            return candidate
    raise InputError(hint or _nothing_found(data))


def looks_like_quote(data: bytes) -> bool:
    """Whether bytes are an SGX quote of version 3, be it damaged: long enough, with most of its header's marks."""
    return len(data) >= Quote.MIN_SIZE and _marks(data) >= _MARKS_NEEDED


def _marks(data: bytes) -> int:
    header = QuoteHeader.from_bytes(data[: QuoteHeader.SIZE])
    wanted = (
        (header.version, 3),
        (header.att_key_type, KEY_TYPE_ECDSA_P256),
        (header.tee_type, TEE_TYPE_SGX),
        (header.vendor_id, INTEL_QE_VENDOR_ID),
    )
    return sum(found == right for found, right in wanted)


def _unusable(data: bytes) -> str | None:
    """Why bytes with a quote's header cannot be verified here, or None."""
    if len(data) < QuoteHeader.SIZE:
        return None
    if kind := other_kind(data):
        return f"this is a {kind}; SGX quotes of version 3 are verified here"
    if len(data) < Quote.MIN_SIZE and _marks(data) >= _MARKS_NEEDED:
        return (
            f"no quote found: the input begins like one and ends after {len(data)} bytes; the least is {Quote.MIN_SIZE}"
        )
    return None


def _candidates(found: FoundQuote, layers: int) -> Iterator[FoundQuote]:
    """`found` itself, then whatever its bytes may be an encoding of."""
    yield found
    if not layers:
        return
    for name, inner in _decodings(found.data):
        yield from _candidates(FoundQuote(data=inner, unwrapped=(*found.unwrapped, name)), layers - 1)


def _decodings(data: bytes) -> Iterator[tuple[str, bytes]]:
    yield from unwrap(data)
    text = data.removeprefix(b"\xef\xbb\xbf").strip()
    if text[:1] in {b"{", b"[", b'"'}:
        yield from _json_members(text)
        return
    compact = b"".join(text.split())
    if found := _HEX.fullmatch(compact):
        yield "hex", binascii.unhexlify(found[1])
    if _BASE64.fullmatch(compact):
        try:
            padded = compact.rstrip(b"=") + b"=" * (-len(compact.rstrip(b"=")) % 4)
            name = "base64url" if {*b"-_"} & {*compact} else "base64"
            yield name, binascii.a2b_base64(padded.translate(bytes.maketrans(b"-_", b"+/")), strict_mode=True)
        except binascii.Error:
            return


def _json_members(text: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return
    if isinstance(document, str):
        yield "a JSON string", document.encode(errors="replace")
    for path, value in _strings(document, "", _MAX_JSON_DEPTH):
        yield f"the JSON member {printable(path, _MAX_PATH)}", value.encode(errors="replace")


def _strings(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """Every string under a member whose name says that it is a quote, with its path."""
    if not depth:
        return
    if isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _strings(inner, f"{path}[{at}]", depth - 1)
    elif isinstance(value, dict):
        for name, inner in value.items():
            here = f"{path}.{name}" if path else name
            if isinstance(inner, str) and name.lower().replace("_", "") in _QUOTE_MEMBERS:
                yield here, inner
            else:
                yield from _strings(inner, here, depth - 1)


def _nothing_found(data: bytes) -> str:
    if data.lstrip()[:1] in {b"{", b"["}:
        return "no quote found: the JSON has no member 'quote' or 'QuoteHex' that holds one"
    if is_certificate(data):
        return "no quote found: the certificate has no extension that holds one; RA-TLS certificates have"
    return f"no quote found in {len(data)} bytes: they are neither a quote nor hex, base64 or JSON of one"
