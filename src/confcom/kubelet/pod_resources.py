"""Reads an answer of PodResources `List` as raw bytes: up to 16 MiB become a few counts, never a tree of objects.

The kubelet sends one message per device, each with the resource's name: 12.6 MB for 262,144 of them. Decoding that
with protobuf takes some 70 MB; what is wanted of it are numbers.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from confcom.errors import KubeletError

_LENGTH_DELIMITED = 2
_VARINT, _FIXED64, _FIXED32 = 0, 1, 5
# A length of at most 16 MiB has four bytes; a number of 64 bits has ten.
_MAX_VARINT_BYTES = 10
# Ids are kept only of small resources, whose units differ (quote slots).
MAX_KEPT_IDS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Holding:
    """What one container holds of one resource; `device_ids` are its first ids where the resource's ids were wanted."""

    namespace: str
    pod: str
    container: str
    resource: str
    units: int
    device_ids: tuple[str, ...] = ()


def holdings(answer: bytes, *, resources: Collection[str], with_ids: Collection[str] = ()) -> Iterator[Holding]:
    """Each container's holdings of `resources`; with the ids of those in `with_ids`.

    Raises:
        KubeletError: the bytes are not a ListPodResourcesResponse.
    """
    wanted = {name.encode(): name for name in resources}
    kept = frozenset(name.encode() for name in with_ids)
    for start, end in _messages(answer, 0, len(answer), 1):
        yield from _pod(answer, start, end, wanted, kept)


def _pod(data: bytes, start: int, end: int, wanted: dict[bytes, str], kept: frozenset[bytes]) -> Iterator[Holding]:
    name = namespace = ""
    containers = []
    for number, first, last in _fields(data, start, end):
        if number == 1:
            name = _text(data, first, last)
        elif number == 2:
            namespace = _text(data, first, last)
        elif number == 3:
            containers.append((first, last))
    for first, last in containers:
        container, counts, ids = _container(data, first, last, wanted, kept)
        for resource, units in counts.items():
            yield Holding(
                namespace=namespace,
                pod=name,
                container=container,
                resource=wanted[resource],
                units=units,
                device_ids=tuple(ids.get(resource, ())),
            )


def _container(
    data: bytes, start: int, end: int, wanted: dict[bytes, str], kept: frozenset[bytes]
) -> tuple[str, dict[bytes, int], dict[bytes, list[str]]]:
    name = ""
    counts: dict[bytes, int] = {}
    ids: dict[bytes, list[str]] = {}
    for number, first, last in _fields(data, start, end):
        if number == 1:
            name = _text(data, first, last)
        elif number == 2:
            resource, devices = _devices(data, first, last)
            if resource not in wanted:
                continue
            counts[resource] = counts.get(resource, 0) + len(devices)
            if resource in kept:
                held = ids.setdefault(resource, [])
                held += [_text(data, *device) for device in devices[: MAX_KEPT_IDS - len(held)]]
    return name, counts, ids


def _devices(data: bytes, start: int, end: int) -> tuple[bytes, list[tuple[int, int]]]:
    resource = b""
    devices = []
    for number, first, last in _fields(data, start, end):
        if number == 1:
            resource = data[first:last]
        elif number == 2:
            devices.append((first, last))
    return resource, devices


def _messages(data: bytes, start: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    return ((first, last) for number, first, last in _fields(data, start, end) if number == wanted)


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The length-delimited fields between two offsets as (number, first byte, byte behind the last)."""
    while at < end:
        key = data[at]
        at += 1
        if key & 0x80:
            key, at = _varint(data, at - 1, end)
        kind = key & 7
        if kind == _LENGTH_DELIMITED:
            if at >= end:
                raise _broken(at)
            length = data[at]
            at += 1
            if length & 0x80:
                length, at = _varint(data, at - 1, end)
            if length > end - at:
                raise _broken(at)
            yield key >> 3, at, at + length
            at += length
        else:
            at = _skip(data, at, end, kind)


def _skip(data: bytes, at: int, end: int, kind: int) -> int:
    if kind == _VARINT:
        return _varint(data, at, end)[1]
    size = {_FIXED64: 8, _FIXED32: 4}.get(kind)
    if size is None or size > end - at:
        raise _broken(at)
    return at + size


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[at : min(end, at + _MAX_VARINT_BYTES)]):
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            return value, at + index + 1
    raise _broken(at)


def _text(data: bytes, start: int, end: int) -> str:
    return data[start:end].decode("utf-8", "replace")


def _broken(at: int) -> KubeletError:
    return KubeletError(f"the kubelet's PodResources answer is broken at byte {at:,}")
