"""The daemons of the demo as real processes, each with a log, a deadline and an orderly end."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from confcom.errors import PlatformError

READY_SECONDS = 30.0
STOP_SECONDS = 20.0
APPLICATION_SECONDS = 30.0
_POLL_SECONDS = 0.05
# The last lines of a log say why a daemon has ended.
_LOG_LINES = 5


class DaemonProcess:
    """One daemon, started with `--log-format json` and its HTTP port on any free one."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @classmethod
    async def start(cls, name: str, module: str, log: Path, *arguments: str) -> "DaemonProcess":
        """Starts the daemon; `until_ready` waits for it."""
        command = ("-m", module, "--log-format", "json", "--http-port", "0", *arguments)
        with log.open("wb") as stream:
            process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=stream, stderr=stream)
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def until_ready(self) -> None:
        """Waits for `/readyz`.

        Raises:
            PlatformError: the daemon ended, or was not ready in time; the sentence carries its last words.
        """
        answer = "it has not opened its HTTP port"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS):
                while self._process.returncode is None:
                    if port := self._port():
                        status, answer = await asyncio.to_thread(_get, f"http://127.0.0.1:{port}/readyz")
                        if status == 200:
                            return
                    await asyncio.sleep(_POLL_SECONDS)
        if self._process.returncode is not None:
            answer = f"it ended with status {self._process.returncode}: {self._last_words()}"
        raise PlatformError(f"{self.name} is not ready: {answer.strip()}")

    async def status(self) -> dict[str, object]:
        """What `/status` says."""
        _, text = await asyncio.to_thread(_get, f"http://127.0.0.1:{self._port()}/status")
        document: dict[str, object] = json.loads(text)
        return document

    async def stop(self) -> int:
        """Ends the daemon with SIGTERM and returns its exit status; one that does not end is killed."""
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            self._process.kill()
            return await self._process.wait()

    def _port(self) -> int | None:
        for line in self._log.read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                if (event := json.loads(line)).get("message") == "HTTP port open":
                    return int(event["port"])
        return None

    def _last_words(self) -> str:
        return " | ".join(self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:])


async def run_application(module: str, environment: dict[str, str], *arguments: str) -> bytes:
    """Runs a program with just this environment, and returns what it wrote.

    Raises:
        PlatformError: it failed, or took too long; the sentence carries its last words.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(APPLICATION_SECONDS):
            output, talk = await process.communicate()
    except TimeoutError:
        process.kill()
        raise PlatformError(f"{module} took over {APPLICATION_SECONDS:g} s") from None
    if process.returncode:
        raise PlatformError(f"{module}: {talk.decode(errors='replace').strip()}")
    return output


def _get(url: str) -> tuple[int, str]:
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310 - a loopback address of our own
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)
