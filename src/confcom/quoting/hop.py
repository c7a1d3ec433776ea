"""The messages between the front and a worker, many in one send, over a Unix stream socketpair.

A message is a 16-byte header (little endian: payload size u32, job u32, operation u16, AESM code u16, cost in
microseconds u32) and the payload. Both ends are processes of one installation, so there is no version.
"""

import struct
from enum import IntEnum

import msgspec

from confcom.sgx import AttestationKeyID, QEReportInfo, Report

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


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message of either direction; `code` and `cost` (microseconds) mean something in answers only."""

    operation: int
    job: int
    payload: bytes
    code: int = 0
    cost: int = 0

    def encode(self) -> bytes:
        """Header and payload."""
        return HEADER.pack(len(self.payload), self.job, self.operation, self.code, self.cost) + self.payload


class MessageDecoder:
    """Takes messages out of a stream of pieces; what is there of the next one is kept."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def receive(self, piece: bytes) -> list[Message]:
        """The messages that are whole with this piece.

        Raises:
            ValueError: a payload beyond the bound; the other end is broken.
        """
        data = self._rest + piece if self._rest else piece
        found = []
        start, available = HEADER.size, len(data)
        while start <= available:
            size, job, operation, code, cost = HEADER.unpack_from(data, start - HEADER.size)
            if size > MAX_PAYLOAD_BYTES:
                raise ValueError(f"a worker message claims {size} bytes, the limit is {MAX_PAYLOAD_BYTES}")
            end = start + size
            if end > available:
                break
            found.append(Message(operation, job, data[start:end], code, cost))
            start = end + HEADER.size
        self._rest = data[start - HEADER.size :]
        return found


_REPORT, _KEY_ID, _INFO = Report.SIZE, AttestationKeyID.SIZE, QEReportInfo.SIZE


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
