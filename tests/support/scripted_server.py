"""A loopback server that answers each connection with bytes of the test's own, where no real server would."""

import contextlib
import socket
import threading

DEADLINE_SECONDS = 30


class ScriptedServer:
    """Answers the nth request with the nth of `answers` (the last one again and again) and closes the connection.

    An answer is bytes, or a function that gets the connected socket. `requests` are the request heads as they came.
    """

    def __init__(self, *answers) -> None:
        self._answers = answers
        self.requests: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._stopped.set()
        # accept() does not wake up by close() alone.
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            pass
        self._socket.close()
        for thread in self._threads:
            thread.join(DEADLINE_SECONDS)
            assert not thread.is_alive(), "the scripted server did not stop"

    def trickle(self, data: bytes, seconds: float = 0.05):
        """An answer that sends one byte every `seconds`, until the client or the test has enough."""

        def send(connection: socket.socket) -> None:
            for at in range(len(data)):
                if self._stopped.wait(seconds):
                    return
                connection.sendall(data[at : at + 1])

        return send

    def _start(self, work, *arguments) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                # `stop` closes the socket, at times before this thread has come back to it.
                assert self._stopped.is_set()
                return
            if self._stopped.is_set():
                connection.close()
                return
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(DEADLINE_SECONDS)
            head = b""
            while b"\r\n\r\n" not in head:
                if not (data := connection.recv(65536)):
                    return
                head += data
            answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
            self.requests.append(head)
            if callable(answer):
                answer(connection)
            else:
                connection.sendall(answer)


def http(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    """A whole HTTP answer; underscores in header names stand for dashes."""
    lines = [f"HTTP/1.1 {status} -", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def silence(connection: socket.socket) -> None:
    """An answer that never comes: waits for the client to give up."""
    connection.recv(1)
