"""`python -m confcom.runtime.probe`: asks this container's own daemon how it is, for the kubelet's exec probes.

With hostNetwork two helpers share the node's ports during an update, so the answer must come from the right one: the
one whose `/status` shows this pod's generation. Standard library only, since it starts every few seconds.
"""

import argparse
import json
import os
import socket
import sys
import time

# For each of the two ports, so that one that is silent does not hide the other; together under the probe's own timeout
# of 5 s, so that the sentence is seen and not a kill.
DEADLINE_SECONDS = 2.0
# /status of a helper with 1,024 slots has about 20 kB.
MAX_ANSWER_BYTES = 1024 * 1024
MAX_PORT = 65535


def main(arguments: list[str], environment: dict[str, str]) -> int:
    """Exit 0: the daemon answers 200. Exit 1: it does not; one line on stderr says what was found."""
    options = _parse(arguments, environment)
    found = []
    for port in options.ports:
        deadline = time.monotonic() + DEADLINE_SECONDS
        try:
            problem = ask(options.host, port, options.path, options.generation, deadline)
        except (OSError, ValueError) as error:
            problem = str(error) or type(error).__name__
        if problem is None:
            return 0
        found.append(f"port {port}: {problem}")
    sys.stderr.write("; ".join(found) + "\n")
    return 1


def ask(host: str, port: int, path: str, generation: int | None, deadline: float) -> str | None:
    """What is wrong with the daemon on one port, or None.

    Raises:
        OSError: nobody answers there in time.
        ValueError: what answers is not one of our daemons.
    """
    if generation is not None:
        status, body = get(host, port, "/status", deadline)
        shown = _shown(body) if status == 200 else None
        if shown != generation:
            return f"is generation {shown}, not {generation}"
    status, body = get(host, port, path, deadline)
    return None if status == 200 else f"{path} says {status}: {body.decode(errors='replace').strip()}"


def _shown(body: bytes) -> object:
    """The generation in a `/status`; whatever else is on the port has none."""
    try:
        document = json.loads(body)
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None
    return document.get("generation") if isinstance(document, dict) else None


def get(host: str, port: int, path: str, deadline: float) -> tuple[int, bytes]:
    """Status and body of one GET; http.client alone would double the start of this program."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection((host, port), timeout=_left(deadline)) as connection:
        connection.sendall(request)
        answer = b""
        while len(answer) <= MAX_ANSWER_BYTES:
            connection.settimeout(_left(deadline))
            part = connection.recv(65536)
            if not part:
                break
            answer += part
    head, separator, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if not separator or len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise ValueError("the answer is not HTTP")
    return int(words[1]), body


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(f"no answer within {DEADLINE_SECONDS:g} s")
    return left


def _parse(arguments: list[str], environment: dict[str, str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m confcom.runtime.probe", description="Asks a daemon how it is.")
    parser.add_argument("--host", default="127.0.0.1", help="where the daemon listens (default 127.0.0.1)")
    parser.add_argument("--ports", required=True, type=_ports, help="its possible ports: 9411,9412")
    parser.add_argument("--path", default="/readyz", help="what is asked (default /readyz)")
    parser.add_argument(
        "--generation", type=int, default=_generation(environment), help="of this pod (default: CONFCOM_GENERATION)"
    )
    return parser.parse_args(arguments)


def _ports(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and 0 < int(part) <= MAX_PORT for part in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of ports; write them like 9411,9412")
    return [int(part) for part in parts]


def _generation(environment: dict[str, str]) -> int | None:
    text = environment.get("CONFCOM_GENERATION", "")
    return int(text) if text.isdigit() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], dict(os.environ)))
