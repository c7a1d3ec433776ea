"""Frames: a 32-bit little-endian length and that many bytes, the same in both directions; no magic, no version."""

from confcom.errors import AESMProtocolError

HEADER_BYTES = 4
# The largest legitimate request is a SelectAttKeyID with ten ids, about 2.6 KB; the largest answer a quote in a
# client's buffer. Neither of Intel's sides has a limit, and a header of 1 GiB costs its server 1 GiB.
MAX_REQUEST_BYTES = 64 * 1024
MAX_RESPONSE_BYTES = 1024 * 1024


def encode_frame(body: bytes) -> bytes:
    """The frame of one message, to be sent in one piece: real clients fail on an answer in many small writes."""
    return len(body).to_bytes(HEADER_BYTES, "little") + body


class FrameDecoder:
    """Collects one frame from pieces of any size.

    Bytes behind the frame are ignored, as Intel's server ignores them: a connection carries one transaction.
    """

    __slots__ = ("_limit", "received")

    def __init__(self, limit: int = MAX_REQUEST_BYTES) -> None:
        self._limit = limit
        self.received = b""

    def receive(self, data: bytes) -> bytes | None:
        """Takes the next bytes and returns the frame's body once it is whole, else None.

        Raises:
            AESMProtocolError: the header claims more than the limit.
        """
        self.received = self.received + data if self.received else data
        if len(self.received) < HEADER_BYTES:
            return None
        size = int.from_bytes(self.received[:HEADER_BYTES], "little")
        if size > self._limit:
            raise AESMProtocolError(f"frame claims {size} bytes, the limit is {self._limit}")
        end = HEADER_BYTES + size
        return self.received[HEADER_BYTES:end] if len(self.received) >= end else None

    @property
    def missing(self) -> str:
        """What has not come yet, in words."""
        if len(self.received) < HEADER_BYTES:
            return f"{len(self.received)} of {HEADER_BYTES} header bytes"
        size = int.from_bytes(self.received[:HEADER_BYTES], "little")
        return f"{len(self.received) - HEADER_BYTES} of {size} bytes"
