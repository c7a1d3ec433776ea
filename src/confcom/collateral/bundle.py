"""A bundle: collateral of any number of CPU families in one file, for clusters that reach no service.

One JSON object. Every part is kept once, under the SHA-256 of its bytes, so that reading finds any damage; a set names
its parts. The digests tell damage from health, not forgery: that is what the signatures in the parts are for.
"""

import binascii
import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from confcom.collateral.source import Obtained, Wanted, origin_of
from confcom.errors import CollateralFormatError
from confcom.quote.collateral import BINARY_PARTS, PARTS, Collateral
from confcom.quote.origin import PCKCAKind
from confcom.quote.printing import printable
from confcom.quote.times import format_time, parse_time

FORMAT: Final = "confcom-collateral"
VERSION: Final = 1
# Sets of some 20 kB for every CPU family with SGX, both CAs and both channels have about 3 MB.
MAX_BUNDLE_BYTES = 16 * 1024 * 1024
MAX_SETS = 1024
# A stranger's words are quoted up to here; an origin may be a path.
_MAX_QUOTED = 200
_MAX_ORIGIN = 4096

_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_FMSPC = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{12}$")]


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    encoding: Literal["text", "hex"]
    content: str


class _Set(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    fmspc: _FMSPC
    ca: PCKCAKind
    update: Literal["standard", "early"]
    origin: str
    fetched: str | None
    parts: dict[str, _Digest]


class _Bundle(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    format: str
    version: int
    sets: Annotated[list[_Set], msgspec.Meta(max_length=MAX_SETS)]
    parts: dict[_Digest, _Part]


class _Kind(msgspec.Struct):
    """What is asked before all else, so that a later version is named and not called damaged."""

    format: str = ""
    version: int = 0


_KIND = msgspec.json.Decoder(_Kind)
_BUNDLE = msgspec.json.Decoder(_Bundle)


def is_bundle(data: bytes) -> bool:
    """Whether a file says of itself that it is a bundle; it may be damaged."""
    try:
        return _KIND.decode(data).format == FORMAT
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def write_bundle(sets: Iterable[Obtained]) -> bytes:
    """The bundle of these sets; the same sets always give the same bytes.

    Raises:
        CollateralFormatError: a chain or signed JSON is not text.
    """
    parts: dict[str, _Part] = {}
    entries = [_entry(found, parts) for found in sets]
    entries.sort(key=lambda entry: (entry.fmspc, entry.ca, entry.update, entry.origin))
    bundle = _Bundle(format=FORMAT, version=VERSION, sets=entries, parts=dict(sorted(parts.items())))
    return msgspec.json.format(msgspec.json.encode(bundle), indent=1) + b"\n"


def read_bundle(data: bytes) -> tuple[Obtained, ...]:
    """The sets of a bundle, after every part was checked.

    Raises:
        CollateralFormatError: it is none, of another version, damaged, or a set is not of the platform that it names.
    """
    bundle = _decode(data)
    contents = {digest: _content(digest, part) for digest, part in bundle.parts.items()}
    unused = contents.keys() - {digest for entry in bundle.sets for digest in entry.parts.values()}
    if unused:
        raise CollateralFormatError(f"parts.{min(unused)}", "belongs to no set: the bundle is damaged")
    return tuple(_set(entry, contents, f"sets[{at}]") for at, entry in enumerate(bundle.sets))


def _entry(found: Obtained, parts: dict[str, _Part]) -> _Set:
    named = {}
    for name in PARTS:
        content = getattr(found.collateral, name)
        named[name] = hashlib.sha256(content).hexdigest()
        parts[named[name]] = (
            _Part("hex", content.hex()) if name in BINARY_PARTS else _Part("text", _text(name, content))
        )
    wanted = found.wanted
    return _Set(
        fmspc=wanted.fmspc.hex(),
        ca=wanted.ca,
        update=wanted.update,
        origin=found.origin,
        fetched=format_time(found.fetched) if found.fetched else None,
        parts=named,
    )


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeError as error:
        raise CollateralFormatError(name, "is not text") from error


def _decode(data: bytes) -> _Bundle:
    if len(data) > MAX_BUNDLE_BYTES:
        raise CollateralFormatError("$", f"has {len(data)} bytes, at most {MAX_BUNDLE_BYTES} are read")
    try:
        kind = _KIND.decode(data)
        if kind.format != FORMAT:
            raise CollateralFormatError("format", f"must be '{FORMAT}': this is no bundle")
        if kind.version != VERSION:
            raise CollateralFormatError("version", f"is {kind.version}; this program reads {VERSION}")
        return _BUNDLE.decode(data)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `")
        path = where.rstrip("`").removeprefix("$.") or "$"
        raise CollateralFormatError(path, printable(problem, _MAX_QUOTED)) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise CollateralFormatError("$", f"is not whole JSON: {error}") from error


def _content(digest: str, part: _Part) -> bytes:
    try:
        content = binascii.unhexlify(part.content) if part.encoding == "hex" else part.content.encode()
    except (ValueError, UnicodeError) as error:
        raise CollateralFormatError(f"parts.{digest}", f"is not {part.encoding}: the bundle is damaged") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise CollateralFormatError(f"parts.{digest}", "has another SHA-256 than its name: the bundle is damaged")
    return content


def _set(entry: _Set, contents: Mapping[str, bytes], path: str) -> Obtained:
    if wrong := entry.parts.keys() ^ set(PARTS):
        name = min(wrong)
        problem = "is missing" if name in PARTS else "is unknown"
        raise CollateralFormatError(f"{path}.parts.{printable(name, _MAX_QUOTED)}", problem)
    for name, digest in entry.parts.items():
        if digest not in contents:
            raise CollateralFormatError(f"{path}.parts.{name}", "names a part that is not there")
    collateral = Collateral(**{name: contents[digest] for name, digest in entry.parts.items()})
    wanted = Wanted(fmspc=bytes.fromhex(entry.fmspc), ca=entry.ca, update=entry.update)
    if origin_of(collateral) != wanted.origin:
        raise CollateralFormatError(path, f"says {wanted}, but its parts are of another platform")
    origin = printable(entry.origin, _MAX_ORIGIN)
    return Obtained(collateral=collateral, wanted=wanted, origin=origin, fetched=_fetched(entry, f"{path}.fetched"))


def _fetched(entry: _Set, path: str) -> datetime | None:
    try:
        return parse_time(entry.fetched) if entry.fetched is not None else None
    except ValueError as error:
        raise CollateralFormatError(path, str(error)) from error
