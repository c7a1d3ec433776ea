"""The messages between the front and a worker, many in one send, over a Unix stream socketpair.

A message is a 16-byte header (little endian: payload size u32, job u32, operation u16, AESM code u16, cost in
microseconds u32) and the payload. Both ends are processes of one installation, so there is no version.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

HEADER = struct.Struct("<IIHHI")
# A quote with a platform CA's chain is under 5 KB, and the type-3 quotes are smaller.
MAX_PAYLOAD_BYTES = 256 * 1024
# One read takes in all answers of a batch.
READ_BYTES = 256 * 1024
# Enough for the largest batch of requests (32 of 1.7 KB) without a partial send; the kernel may grant less.
SOCKET_BUFFER_BYTES = 1024 * 1024


class Operation(IntEnum):
    """What a message is about; an answer repeats the operation of its request."""

    READY = 1
    QUOTE = 2
    REFRESH = 3
    CHECK = 4
    # What `/simulation/` serves: the payload names it.
    SIMULATION = 5


class Message(NamedTuple):
    """One message of either direction; `code` and `cost` (microseconds) mean something in answers only."""

    operation: int
    job: int
    payload: bytes
    code: int = 0
    cost: int = 0

    def encode(self) -> bytes:
        """Header and payload."""
        return HEADER.pack(len(self.payload), self.job, self.operation, self.code, self.cost) + self.payload


def decode(buffer: bytearray) -> Iterator[Message]:
    """Takes the whole messages off the front of `buffer`, and leaves a partial one there.

    Raises:
        ValueError: a payload beyond the bound; the other end is broken.
    """
    offset = 0
    available = len(buffer)
    while available - offset >= HEADER.size:
        size, job, operation, code, cost = HEADER.unpack_from(buffer, offset)
        if size > MAX_PAYLOAD_BYTES:
            raise ValueError(f"a worker message claims {size} bytes, the limit is {MAX_PAYLOAD_BYTES}")
        end = offset + HEADER.size + size
        if end > available:
            break
        yield Message(operation, job, bytes(buffer[offset + HEADER.size : end]), code, cost)
        offset = end
    del buffer[:offset]


_REPORT, _KEY_ID, _INFO = 432, 256, 960


def pack_quote(report: bytes, att_key_id: bytes, qe_report_info: bytes | None) -> bytes:
    """The payload of a QUOTE request: report 432, key id 256, and qe_report_info 960 where it was sent."""
    return report + att_key_id[:_KEY_ID] + (qe_report_info or b"")


def unpack_quote(payload: bytes) -> tuple[bytes, bytes, bytes | None]:
    """The exact inverse of `pack_quote`."""
    info = payload[_REPORT + _KEY_ID :]
    return payload[:_REPORT], payload[_REPORT : _REPORT + _KEY_ID], info or None


def split_quote(payload: bytes, *, with_info: bool) -> tuple[bytes, bytes | None]:
    """The payload of a QUOTE answer: the quote, and behind it qe_report_info where it was asked for."""
    return (payload[:-_INFO], payload[-_INFO:]) if with_info else (payload, None)
