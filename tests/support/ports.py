"""A loopback port that nobody else gets while a test needs its number."""

import contextlib
import socket


@contextlib.contextmanager
def reserved_port():
    """A port that refuses connections until a daemon of the test listens on it.

    It is bound and never listened on: the kernel then gives it to nobody who asks for any free port, and still to a
    daemon that names it, since both set SO_REUSEADDR.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
