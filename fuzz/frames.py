"""Invariant: whatever bytes arrive, the decoder gives a value or AESMProtocolError, and the front answers or closes.

    python fuzz/frames.py [--seconds 60] [--seed N]

Half the time goes to the decoders alone, half to a running helper with real sockets: frames grown from real requests by
flips, cuts, repeats and splices, sent in pieces, half-closed, or left in the middle. After each round the helper must
still serve a good client. A failure prints the input as hex, and the seed that leads there.
"""

import argparse
import contextlib
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from confcom.aesm import messages as m
from confcom.aesm.client import Client
from confcom.aesm.framing import MAX_REQUEST_BYTES, FrameDecoder, encode_frame
from confcom.errors import AESMProtocolError
from confcom.quote_helper import service
from confcom.sgx import DEFAULT_KEY_ID
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report

KEY_ID = DEFAULT_KEY_ID.to_bytes()
READY_SECONDS = 40.0
# An answer that takes longer than this is a hang; a connection that is not whole is closed after five seconds.
ANSWER_SECONDS = 20.0
ROUND_FRAMES = 200
# Codes that an honest refusal may carry, besides success.
MAX_CODE = 51


def seeds(platform: SimulatedPlatform) -> list[bytes]:
    """One good request of each kind."""
    report = make_report(platform.target_info()).to_bytes()
    listed = bytes(4) + (1).to_bytes(4, "little") + KEY_ID
    sample = {m.Kind.BYTES: b"x" * 16, m.Kind.BOOL: True, m.Kind.UINT32: 7, m.Kind.UINT64: 32}
    every = [kind(**{field.name: sample[field.kind] for field in kind.FIELDS}) for kind in m.REQUESTS]
    real: list[m.Message] = [
        m.SelectAttKeyIDRequest(att_key_id_list=listed),
        m.InitQuoteExRequest(att_key_id=KEY_ID, b_pub_key_id=False),
        m.InitQuoteExRequest(att_key_id=KEY_ID, b_pub_key_id=True, buf_size=32),
        m.GetQuoteSizeExRequest(att_key_id=KEY_ID),
        m.GetQuoteExRequest(report=report, att_key_id=KEY_ID, buf_size=8192, timeout=15_000),
        m.GetQuoteExRequest(report=report, att_key_id=KEY_ID, buf_size=8192, qe_report_info=bytes(960)),
    ]
    return [request.envelope() for request in (*every, *real)]


def mutated(chance: random.Random, bodies: list[bytes]) -> bytes:
    """A body that differs from good ones in up to four places."""
    body = bytearray(chance.choice(bodies))
    for _ in range(chance.randint(0, 4)):
        at = chance.randint(0, len(body))
        match chance.randrange(6):
            case 0 if body:
                body[at % len(body)] ^= 1 << chance.randrange(8)
            case 1 if body:
                body[at % len(body)] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                del body[at : at + chance.randint(1, 40)]
            case 3:
                body[at:at] = chance.randbytes(chance.randint(1, 20))
            case 4:
                body[at:at] = chance.choice(bodies)
            case 5:
                body[at:at] = body[: chance.randint(0, 300)]
    return bytes(body[: MAX_REQUEST_BYTES + 10])


def check_decoders(body: bytes, cut: int) -> None:
    """The decoders and the service, without a socket."""
    decoder = FrameDecoder()
    frame = encode_frame(body)
    try:
        found = decoder.receive(frame[:cut])
        found = decoder.receive(frame[cut:]) if found is None else found
    except AESMProtocolError:
        if len(body) <= MAX_REQUEST_BYTES:
            raise
        return
    if found != body:
        raise AssertionError("the frame's body is another one")
    request = service.parse(body)
    if request is None:
        return
    if m.decode_request(request.envelope()) != request:
        raise AssertionError("the request does not survive its own encoding")
    response = service.respond(request)
    if response is not None and m.decode_response(response.envelope(), type(response)) != response:
        raise AssertionError("the answer does not survive its own encoding")


def check_service(path: str, body: bytes, chance: random.Random) -> None:
    """One connection: an answer of the request's own type, or a close, within the time of a patient client."""
    frame = encode_frame(body)
    match chance.randrange(8):
        case 0:
            frame = chance.randbytes(chance.randint(0, 200))
        case 1:
            frame = chance.randbytes(4) + body
        case 2:
            frame = frame[: chance.randint(0, len(frame))]
        case 3:
            frame += chance.randbytes(30)
    cut = chance.randint(0, len(frame))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(ANSWER_SECONDS)
        sock.connect(path)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(frame[:cut])
            sock.sendall(frame[cut:])
            if chance.random() < 0.2:
                return
            sock.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := sock.recv(65536):
                answer += piece
    if answer:
        check_answer(frame, answer)


def check_answer(frame: bytes, answer: bytes) -> None:
    size = int.from_bytes(answer[:4], "little")
    if size != len(answer) - 4:
        raise AssertionError("the answer is not one frame")
    sent = frame[4 : 4 + int.from_bytes(frame[:4], "little")]
    request = service.parse(sent)
    if request is None:
        raise AssertionError("an answer to what is no request")
    response = next(kind for kind in m.RESPONSES if kind.NUMBER == request.NUMBER)
    if m.decode_response(answer[4:], response).error_code > MAX_CODE:
        raise AssertionError("a code that AESM does not have")


def check_log(path: Path) -> None:
    """The helper caught no fault of its own; one that has ended fails the next connection."""
    log = path.read_text()
    if "Traceback" in log:
        raise AssertionError(log)


@contextlib.contextmanager
def running_helper(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A helper on a simulated machine, with its socket's path and the process."""
    path = folder / "s" / "aesm.socket"
    command = [
        sys.executable, "-m", "confcom.quote_helper", "--simulated-platform", str(folder / "machine"),
        "--socket-dir", str(path.parent), "--state-dir", str(folder / "state"), "--http-port", "0", "--workers", "2",
    ]  # fmt: skip
    log = (folder / "log").open("wb")
    with log, subprocess.Popen(command, stderr=log) as process:
        try:
            deadline = time.monotonic() + READY_SECONDS
            while not path.exists():
                if time.monotonic() > deadline or process.poll() is not None:
                    raise SystemExit((folder / "log").read_text())
                time.sleep(0.05)
            yield str(path), process
        finally:
            process.terminate()
            process.wait(READY_SECONDS)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    body, decoded, served = b"", 0, 0
    with tempfile.TemporaryDirectory(prefix="cc") as name:
        folder = Path(name)
        platform = SimulatedPlatform.create(folder / "machine")
        good, report = seeds(platform), make_report(platform.target_info()).to_bytes()
        try:
            end = time.monotonic() + arguments.seconds / 2
            while time.monotonic() < end:
                body = mutated(chance, good)
                check_decoders(body, chance.randint(0, len(body) + 4))
                decoded += 1
            with running_helper(folder) as (path, _):
                client = Client(path)
                end = time.monotonic() + arguments.seconds / 2
                while time.monotonic() < end:
                    for _ in range(ROUND_FRAMES):
                        body = mutated(chance, good)
                        check_service(path, body, chance)
                        served += 1
                    client.get_quote(report)
                    check_log(folder / "log")
        except Exception:
            print(f"seed {arguments.seed}, input {body.hex()}")
            raise
    print(f"seed {arguments.seed}: {decoded:,} bodies decoded, {served:,} connections served, nothing else happened")
    return 0


if __name__ == "__main__":
    sys.exit(main())
