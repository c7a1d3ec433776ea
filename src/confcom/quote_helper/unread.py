"""Answers larger than usual, counted until their clients have read them.

What a client does not read the kernel keeps as memory of this process, also when the helper has closed its end.
"""

import fcntl
import os
import socket
import termios

from confcom.quote_helper.connection import Client

# No quote needs a larger buffer, and known clients ask for its size or for 8 KiB.
USUAL_ANSWER_BYTES = 16 * 1024
# So many at once, of up to 128 KiB each; real quotes are never so large.
MAX_UNREAD_ANSWERS = 256


class UnreadAnswers:
    """Connections that were sent a large answer."""

    def __init__(self, limit: int) -> None:
        self._limit = min(MAX_UNREAD_ANSWERS, limit)
        self._clients: set[Client] = set()

    def __len__(self) -> int:
        return len(self._clients)

    def has_room(self) -> bool:
        """Whether one more may be added; those that are read by now are closed for it."""
        if len(self._clients) >= self._limit:
            self.close_read()
        return len(self._clients) < self._limit

    def add(self, client: Client) -> None:
        """Takes over a connection, which ends for its client here, as by a close."""
        self._clients.add(client)
        client.origin.connections += 1
        stream = socket.socket(fileno=client.fd)
        try:
            stream.shutdown(socket.SHUT_WR)
        finally:
            stream.detach()

    def close_read(self) -> None:
        """Closes those whose clients have read all, or have gone."""
        for client in list(self._clients):
            if not _unread_bytes(client.fd):
                self._close(client)

    def close_all(self) -> None:
        """Closes every one."""
        for client in list(self._clients):
            self._close(client)

    def _close(self, client: Client) -> None:
        self._clients.remove(client)
        client.origin.connections -= 1
        os.close(client.fd)


def _unread_bytes(fd: int) -> int:
    """What the kernel keeps of what was sent on a Unix socket (SIOCOUTQ, which has this terminal request's number)."""
    return int.from_bytes(fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)), "little")
