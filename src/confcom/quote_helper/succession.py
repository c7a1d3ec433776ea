"""Who serves a socket path when several helpers live on a node, as during every update.

Each helper registers in a private folder by a file on which it holds a lock for life, so the dead are told from the
living without pids, which mean nothing across containers. Generations are compared between the living only. The
decision itself is a pure function; it is taken under one lock, by one helper at a time.
"""

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import BinaryIO

import msgspec

from confcom.errors import PlatformError
from confcom.runtime.logs import event

logger = logging.getLogger(__name__)

# A helper that should take a dead path, and does not within this time, hangs; then any other may.
PATIENCE_SECONDS = 1.0
# More registrations than this are not helpers of one node.
MAX_HELPERS = 64
MAX_FILE_BYTES = 256 * 1024

# A look at the folder takes well under a millisecond; who finds it locked tries for so long, then at the next tick.
LOCK_SECONDS = 0.02
# A lock that is held for so long is held by a stopped process.
STUCK_SECONDS = 5.0

_MUTEX = "mutex"
_HELPER_PREFIX = "helper-"


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What one living helper tells the others.

    `sockets` maps each path that it serves to the device and inode of its socket there.
    """

    name: str
    generation: int
    started: float
    ready: bool = False
    leaving: bool = False
    sockets: dict[str, tuple[int, int]] = {}


class Move(Enum):
    """What a helper does about a path."""

    KEEP = "keep serving"
    TAKE = "take the path"
    STAND_BY = "stand by"


def decide(
    me: Registration, others: list[Registration], path: str, inode: tuple[int, int] | None, dead_seconds: float
) -> Move:
    """What to do about `path`, whose socket is `inode` (None: nothing is there), dead for so long.

    A path is dead when no living, registered helper serves it: tenants may rename files of their own over it.
    """
    if inode is not None and me.sockets.get(path) == inode:
        return Move.KEEP
    owner = next((other for other in others if inode is not None and other.sockets.get(path) == inode), None)
    if owner is not None:
        may_replace = me.ready and not me.leaving and (me.generation > owner.generation or owner.leaving)
        return Move.TAKE if may_replace else Move.STAND_BY
    if me.leaving:
        return Move.STAND_BY
    best = max([me, *others], key=lambda h: (not h.leaving, h.ready, h.generation, -h.started))
    return Move.TAKE if best is me or dead_seconds >= PATIENCE_SECONDS else Move.STAND_BY


class BusyError(Exception):
    """The registry is locked by another helper at this moment; try again."""


class Registry:
    """The private folder: this helper's own registration, and the others'."""

    def __init__(self, folder: Path, generation: int, started: float) -> None:
        """Makes the folder (mode 0700) and registers.

        Raises:
            PlatformError: the folder cannot be made or written.
        """
        self._folder = folder
        self._busy_since: float | None = None
        self.me = Registration(name=f"{_HELPER_PREFIX}{secrets.token_hex(8)}", generation=generation, started=started)
        try:
            self._mutex, self._file = self._register()
        except OSError as error:
            raise PlatformError(f"--state-dir {folder}: cannot be written: {error.strerror}; name another") from error

    def _register(self) -> tuple[BinaryIO, BinaryIO]:
        """The open files of the folder's lock and of this helper's registration."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        hidden = self._folder / f".{self.me.name}"
        with contextlib.ExitStack() as undo:
            mutex = undo.enter_context((self._folder / _MUTEX).open("ab", buffering=0))
            # The lock is taken before the file has its name: nobody sees a registration that looks dead.
            file = undo.enter_context(hidden.open("w+b", buffering=0))
            undo.callback(hidden.unlink, missing_ok=True)
            fcntl.flock(file, fcntl.LOCK_EX)
            _write(file, self.me)
            hidden.rename(self._folder / self.me.name)
            undo.pop_all()
        self._told = self.me
        return mutex, file

    def _register_again(self) -> None:
        """After somebody has removed the folder's files: the others neither see this helper nor share its lock."""
        files = ((_MUTEX, self._mutex), (self.me.name, self._file))
        if all(_is_at(file, self._folder / name) for name, file in files):
            return
        with contextlib.suppress(OSError):
            old = (self._mutex, self._file)
            self._mutex, self._file = self._register()
            for file in old:
                file.close()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder's lock; whoever has it does nothing slow.

        Raises:
            BusyError: another helper has it, and has had it for a moment only.
        """
        self._register_again()
        self._acquire()
        try:
            yield
        finally:
            fcntl.flock(self._mutex, fcntl.LOCK_UN)

    def _acquire(self) -> None:
        # Never a blocking lock: this runs in the loop that serves clients. A helper that is stopped while it holds the
        # lock must not stop the others for good, so after a while they go on without it.
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self._mutex, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                now = time.monotonic()
                self._busy_since = self._busy_since or now
                if now - self._busy_since > STUCK_SECONDS:
                    return
                if now > deadline:
                    raise BusyError from None
                time.sleep(LOCK_SECONDS / 10)
            else:
                self._busy_since = None
                return

    def update(self, **changes: object) -> None:
        """Changes this helper's registration; the caller holds the lock.

        Where that cannot be written, on a full disk for example, this helper goes on with what it knows: clients come
        first, and each later call tries again to tell the others.
        """
        self.me = msgspec.structs.replace(self.me, **changes)
        if self.me == self._told:
            return
        try:
            _write(self._file, self.me)
        except OSError as error:
            event(
                logger, logging.ERROR, "registration cannot be written", cause="registration",
                folder=self._folder, problem=error.strerror,
            )  # fmt: skip
        else:
            self._told = self.me

    def others(self) -> list[Registration]:
        """The other helpers that live; what the dead have left is removed. The caller holds the lock."""
        found = []
        for path in sorted(self._folder.glob(f"{_HELPER_PREFIX}*"))[:MAX_HELPERS]:
            if path.name == self.me.name:
                continue
            with contextlib.suppress(OSError, msgspec.DecodeError), path.open("rb") as file:
                if _is_free(file):
                    path.unlink()
                    continue
                found.append(msgspec.json.decode(file.read(MAX_FILE_BYTES), type=Registration))
        return found

    def close(self) -> None:
        """Ends the registration."""
        with contextlib.suppress(OSError):
            (self._folder / self.me.name).unlink()
        self._file.close()
        self._mutex.close()


def _write(file: BinaryIO, registration: Registration) -> None:
    """Writes over what is there and cuts the rest off, so that a full disk does not take what was told before."""
    data = msgspec.json.encode(registration)
    if os.pwrite(file.fileno(), data, 0) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    file.truncate(len(data))


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether an open file is still the one at its path."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _is_free(file: BinaryIO) -> bool:
    """Whether nobody holds the lock of a registration: its helper is dead."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def default_state_dir(environment: dict[str, str]) -> Path:
    """/var/lib/confcom, or the user's state folder where that cannot be written."""
    system = Path("/var/lib/confcom")
    nearest = next(path for path in (system, *system.parents) if path.exists())
    if os.access(nearest, os.W_OK):
        return system
    base = environment.get("XDG_STATE_HOME") or str(Path(environment.get("HOME", "/tmp")) / ".local/state")  # noqa: S108
    return Path(base) / "confcom"
