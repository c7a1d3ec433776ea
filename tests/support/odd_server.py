"""AESM servers that do one odd thing each, on a real Unix socket, for the tests of the clients."""

import contextlib
import socket
import threading


class OddServer:
    """Runs `behave(connection)` for each connection, in threads; the connection is closed afterwards.

    `behave` reads and sends as it likes. With `accepting=False` nobody accepts, and the backlog takes one.
    """

    def __init__(self, path, behave=None, *, accepting=True):
        self.path = str(path)
        self.behave = behave
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(0 if not accepting else 64)
        self._threads = []
        self.released = threading.Event()
        if accepting:
            thread = threading.Thread(target=self._accept, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            self.behave(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.released.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)


def read_frame(connection):
    """The body of one frame."""
    data = b""
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "little"):
        piece = connection.recv(65536)
        if not piece:
            break
        data += piece
    return data[4:]
