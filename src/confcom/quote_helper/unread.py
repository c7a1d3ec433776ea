"""Answers larger than usual, counted until their clients have read them.

What a client does not read the kernel keeps as memory of this process, also when the helper has closed its end.
"""

import fcntl
import os
import socket
import termios

from confcom.quote_helper.connection import Client

# So many at once, of up to 128 KiB each; real quotes are never so large.
MAX_UNREAD_ANSWERS = 256


class UnreadAnswers:
    """Connections that were sent a large answer."""

    def __init__(self, limit: int) -> None:
        self._limit = min(MAX_UNREAD_ANSWERS, limit)
        self._clients: list[Client] = []

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def is_full(self) -> bool:
        """Whether no more may be added, also when those that are read by now are closed."""
        if len(self._clients) >= self._limit:
            self.close_read()
        return len(self._clients) >= self._limit

    def add(self, client: Client) -> None:
        """Takes over a connection, which ends for its client here, as by a close."""
        self._clients.append(client)
        client.origin.connections += 1
        stream = socket.socket(fileno=client.fd)
        try:
            stream.shutdown(socket.SHUT_WR)
        finally:
            stream.detach()

    def close_read(self) -> None:
        """Closes those whose clients have read all, or have gone."""
        self._close([client for client in self._clients if not _unread_bytes(client.fd)])

    def close_all(self) -> None:
        """Closes every one."""
        self._close(self._clients)

    def _close(self, clients: list[Client]) -> None:
        self._clients = [client for client in self._clients if client not in clients]
        for client in clients:
            client.origin.connections -= 1
            os.close(client.fd)


def _unread_bytes(fd: int) -> int:
    """What the kernel keeps of what was sent on a Unix socket (SIOCOUTQ, which has this terminal request's number)."""
    return int.from_bytes(fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)), "little")
