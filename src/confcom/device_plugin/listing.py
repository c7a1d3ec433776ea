"""The list of devices as the bytes of one `ListAndWatchResponse`, and what fits into the kubelet's 4,194,304 of them.

Pure, and by hand: a list of 262,144 protobuf objects takes 32 MB and a quarter of a second, these bytes take 4 MiB and
some ten milliseconds. An EPC unit's id is its index in a 64-letter alphabet, in one to three letters, so that the same
unit has the same id after every restart: the kubelet's books of running pods hang on it. Without topology a device
takes 13 bytes beside its id.
"""

import io
import itertools
from collections.abc import Iterable, Iterator

from confcom.kubelet.contract import HEALTHY, MAX_LIST_BYTES, UNHEALTHY

ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
MAX_ID_LENGTH = 3
# Tag and length of the device, of its id and of its health, and the word `Healthy`.
OVERHEAD = 13

_ID = b"\x0a"
_DEVICE = b"\x0a"
_HEALTHY = b"\x12" + bytes([len(HEALTHY)]) + HEALTHY.encode()


def unit_id(index: int) -> str:
    """The id of the EPC unit with this index: `0` to `_`, then `00` to `__`, then `000` to `___`."""
    for length in range(1, MAX_ID_LENGTH + 1):
        if index < len(ALPHABET) ** length:
            letters = (index // len(ALPHABET) ** place % len(ALPHABET) for place in reversed(range(length)))
            return "".join(chr(ALPHABET[letter]) for letter in letters)
        index -= len(ALPHABET) ** length
    raise ValueError("there are no more ids of three letters")


def list_bytes(units: int) -> int:
    """The exact size, in bytes, of the list of `units` healthy EPC units."""
    return sum((OVERHEAD + length) * count for length, count in _lengths(units))


def _lengths(units: int) -> Iterator[tuple[int, int]]:
    """How many of the first `units` ids have each length."""
    for length in itertools.count(1):
        count = min(units, len(ALPHABET) ** length)
        if not count:
            return
        yield length, count
        units -= count


def most_units(limit: int = MAX_LIST_BYTES) -> int:
    """The most units whose list is not over `limit` bytes."""
    units = 0
    for length in range(1, MAX_ID_LENGTH + 1):
        fit = min(len(ALPHABET) ** length, limit // (OVERHEAD + length))
        units += fit
        limit -= fit * (OVERHEAD + length)
    return units


def size_problem(resource: str, units: int, limit: int = MAX_LIST_BYTES) -> str | None:
    """Why a list of `units` is not sent, with the way out, or None where it fits."""
    most = most_units(limit)
    if units <= most:
        return None
    return (
        f"{resource}: a list of {units:,} units takes {list_bytes(units):,} bytes, and the kubelet takes at most "
        f"{limit:,}, which is {most:,} units; it is not sent: withhold at least {units - most:,} MiB more (--reserve)"
    )


def encode_units(units: int) -> bytes:
    """The list of `units` healthy EPC units, exactly `list_bytes(units)` long.

    Raises:
        ValueError: more than the kubelet takes; see `size_problem`.
    """
    if units > most_units():
        raise ValueError(f"{units:,} units are over the {MAX_LIST_BYTES:,} bytes of one list")
    # BytesIO gives its buffer away without a copy, and each block of 64 devices is garbage as soon as it is written.
    buffer = io.BytesIO()
    for length, count in _lengths(units):
        for prefix in map(bytes, itertools.product(ALPHABET, repeat=length - 1)):
            buffer.write(prefix.join(_pieces(length, min(count, len(ALPHABET)))))
            count -= len(ALPHABET)  # noqa: PLW2901 - what is left of this length
            if count <= 0:
                break
    return buffer.getvalue()


def _pieces(length: int, count: int) -> list[bytes]:
    """What stands between the places of a common prefix in a block of `count` devices with ids of `length`."""
    return _ALL_PIECES[length] if count == len(ALPHABET) else _make_pieces(length, count)


def _make_pieces(length: int, count: int) -> list[bytes]:
    head = _DEVICE + bytes([OVERHEAD + length - 2]) + _ID + bytes([length])
    tails = [bytes([letter]) + _HEALTHY for letter in ALPHABET[:count]]
    return [head, *(tail + head for tail in tails[:-1]), tails[-1]]


_ALL_PIECES = {length: _make_pieces(length, len(ALPHABET)) for length in range(1, MAX_ID_LENGTH + 1)}


def encode_devices(devices: Iterable[tuple[str, bool]]) -> bytes:
    """The list of a few devices as (id, healthy); for slots and tokens, whose health is each one's own.

    Raises:
        ValueError: an id has no room in one length byte; ids of this plugin have a few letters.
    """
    return b"".join(_encode_device(device_id.encode(), healthy=healthy) for device_id, healthy in devices)


def _encode_device(device_id: bytes, *, healthy: bool) -> bytes:
    health = (HEALTHY if healthy else UNHEALTHY).encode()
    body = _ID + bytes([len(device_id)]) + device_id + b"\x12" + bytes([len(health)]) + health
    if len(body) > 127:
        raise ValueError(f"a device id of {len(device_id)} bytes is too long")
    return _DEVICE + bytes([len(body)]) + body
