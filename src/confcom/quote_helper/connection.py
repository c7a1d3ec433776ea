"""One AESM connection, which is at the same time the job that a worker does for it, and the socket it came from."""

import os
import socket
import time
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from confcom.aesm.framing import encode_frame
from confcom.aesm.messages import Message, Response
from confcom.quoting.hop import Operation


class ListeningSocket(socket.socket):
    """A socket whose new connections are bare descriptors: an object for each costs as much as accepting it."""

    def accept_descriptor(self) -> int:
        """The descriptor of the next connection, which the caller owns."""
        # What `accept` itself calls; the stubs do not know it.
        descriptor: int = self._accept()[0]  # type: ignore[attr-defined]
        return descriptor


@dataclass(slots=True, eq=False)
class Origin:
    """One listening socket, whose clients share a queue: `shared`, or a slot's id."""

    name: str
    kind: str
    listener: ListeningSocket
    connections: int = 0
    paused: bool = False


class ClientTable(Protocol):
    """Who keeps the clients: `quote_helper.listeners`."""

    counts: Counter[str]

    def on_answer(self, client: "Client", code: int, payload: bytes) -> None:
        """Takes what a worker answered to a client that is still there: an AESM code and a payload."""

    def forget(self, client: "Client") -> None:
        """Takes a client that is about to be closed out of the tables."""

    def keep_unread(self, client: "Client") -> None:
        """Takes over a client's connection, on which a large answer was sent."""


class Client:
    """One connection, and at the same time the job that a worker does for it.

    Attributes:
        frame: what has been read of the request; None once it is whole.
        gone: whether the connection is closed, by either side.
        is_given: whether a worker has it; it is not watched for leaving any more then, since its quote is under way.
    """

    __slots__ = ("attempts", "fd", "frame", "gone", "is_given", "origin", "payload", "request", "since", "table")

    operation = Operation.QUOTE

    def __init__(self, fd: int, origin: Origin, table: ClientTable) -> None:
        self.fd = fd
        self.origin = origin
        self.table = table
        self.since = time.monotonic()
        self.frame: bytes | None = b""
        self.gone = False
        self.is_given = False
        self.request: Message | None = None
        self.payload = b""
        self.attempts = 0

    @property
    def is_reading(self) -> bool:
        """Whether its request is not whole yet."""
        return self.frame is not None and not self.gone

    def finish(self, code: int, payload: bytes) -> None:
        """Takes a worker's answer."""
        if not self.gone:
            self.table.on_answer(self, code, payload)

    def send(self, response: Response, *, is_large: bool = False) -> None:
        """Answers in one send, which the kernel takes whole up to 200 KB, and closes; a large one once it is read."""
        try:
            os.write(self.fd, encode_frame(response.envelope()))
        except OSError:
            self.table.counts["left"] += 1
            is_large = False
        if is_large:
            self.gone = True
            self.table.keep_unread(self)
        else:
            self.close()

    def close(self) -> None:
        """Closes the connection; safe to call again."""
        if not self.gone:
            self.gone = True
            self.table.forget(self)
            os.close(self.fd)
