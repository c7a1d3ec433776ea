"""A quoting worker that does what a request's report data tells it, to stand in for backends that go wrong.

Started like `confcom.quoting.worker`: with a descriptor and the backend's settings, whose folder is where it writes
down each operation, where the file `start` may say how its start goes wrong, and the file `power` takes the enclaves
of the workers that lived when it was written, and `go` lets those go on that wait.
"""

import json
import os
import sys
import time
from pathlib import Path

import msgspec

from confcom.quoting.backend import KeyReport
from confcom.quoting.hop import Message, MessageDecoder, Operation

QUOTE_SIZE = 4000
TARGET_INFO = b"t" * 512
COMMAND = slice(320, 328)


class ScriptedWorker:
    def __init__(self, descriptor, folder):
        import socket

        self.sock = socket.socket(fileno=descriptor)
        self.folder = Path(folder)
        self.certified = True
        self.key_number = 1
        self.started_ns = time.time_ns()

    def key(self):
        report = KeyReport(target_info=TARGET_INFO, pub_key_id=bytes([self.key_number]) * 32, quote_size=QUOTE_SIZE)
        return msgspec.json.encode(report)

    def note(self, text):
        with (self.folder / "operations").open("a") as file:
            file.write(f"{os.getpid()} {text}\n")

    def lost_power(self):
        power = self.folder / "power"
        return power.exists() and power.stat().st_mtime_ns > self.started_ns

    def start(self):
        script = self.folder / "start"
        if script.exists():
            code, _, cause = script.read_text().partition(" ")
            self.sock.sendall(Message(Operation.READY, 0, cause.encode(), int(code)).encode())
            if code == "0":
                time.sleep(3600)
            sys.exit(3)
        self.sock.sendall(Message(Operation.READY, 0, self.key()).encode())

    def serve(self):
        decoder = MessageDecoder()
        while data := self.sock.recv(65536):
            for request in decoder.receive(data):
                code, payload = self.answer(request)
                self.sock.sendall(Message(request.operation, request.job, payload, code, 100).encode())

    def answer(self, request):
        self.note(Operation(request.operation).name)
        if self.lost_power():
            return 46, b"power event"
        if request.operation == Operation.REFRESH:
            time.sleep(0.1)
            self.certified = True
            self.key_number += 1
            return 0, self.key()
        command = request.payload[COMMAND].rstrip(b"\0").decode()
        if command == "die":
            os._exit(1)
        elif command == "hang":
            time.sleep(3600)
        elif command == "junk":
            self.sock.sendall(b"\xff" * 64)
        elif command == "slow":
            time.sleep(0.2)
        elif command == "wait":
            while not (self.folder / "go").exists():
                time.sleep(0.005)
        elif command == "lose" and not (self.folder / "lost").exists():
            (self.folder / "lost").touch()
            return 46, b"power event"
        elif command == "forget":
            self.certified = False
        elif command.startswith("code"):
            return int(command[4:]), b"told to"
        if not self.certified:
            return 42, b"the key is not certified"
        return 0, b"Q" * QUOTE_SIZE


if __name__ == "__main__":
    worker = ScriptedWorker(int(sys.argv[1]), json.loads(sys.argv[2])["simulated_platform"])
    worker.start()
    worker.serve()
