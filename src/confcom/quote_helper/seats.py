"""The sockets of a helper: bound under a temporary name, renamed over their paths, and given up without a loss."""

import contextlib
import logging
import os
import secrets
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from confcom.errors import PlatformError
from confcom.quote_helper.connection import ListeningSocket, Origin
from confcom.quote_helper.listeners import BACKLOG, Listeners
from confcom.quote_helper.succession import BusyError, Move, Registry, decide
from confcom.runtime.logs import event

logger = logging.getLogger(__name__)

# How often the paths are looked at: a path that is dead, or was taken, is noticed within this time.
LOOK_SECONDS = 0.25
# A replaced listener stays open so long: a client that resolved the path just before gets into its backlog yet.
LINGER_SECONDS = 1.0
# A path that was served and is lost makes the helper unready only after this time: a passing fault must not, since the
# cluster ends an old helper at once that is not ready.
PASSING_SECONDS = 3.0
# Everybody who can reach the folder may ask for quotes, as with Intel's package; who gets the mount decides.
SOCKET_MODE = 0o666
DIRECTORY_MODE = 0o755
# sun_path holds 108 bytes with its NUL, and the temporary name needs some more than the final one.
MAX_PATH_BYTES = 107


class Seat:
    """One socket path and this helper's listener on it, if it serves."""

    def __init__(self, path: Path, name: str, kind: str) -> None:
        self.path = path
        self.name = name
        self.kind = kind
        self.origin: Origin | None = None
        self.inode: tuple[int, int] | None = None
        self.dead_since: float | None = None
        self.problem: str | None = None

    def is_lost_since(self, moment: float) -> bool:
        """Whether it was never served, or not since a `moment` of the monotonic clock."""
        return self.origin is None or (self.dead_since is not None and self.dead_since <= moment)


class Seats:
    """Looks after all paths of this helper.

    Attributes:
        take_overs: how often a path was taken, the first time included.
    """

    def __init__(
        self, seats: list[Seat], registry: Registry, listeners: Listeners, linger: Callable[..., object]
    ) -> None:
        """`linger(seconds, call)` runs a call later, as `loop.call_later` does."""
        self.seats = seats
        self._registry = registry
        self._listeners = listeners
        self._linger = linger
        self._lingering: list[Origin] = []
        self.take_overs = 0

    @property
    def lingering(self) -> bool:
        """Whether a listener that was replaced is still open for clients that had just found it."""
        return bool(self._lingering)

    @property
    def problem(self) -> str | None:
        """Why a path that this helper should serve is not served, or None; a passing fault is none."""
        late = time.monotonic() - PASSING_SECONDS
        return next((seat.problem for seat in self.seats if seat.problem and seat.is_lost_since(late)), None)

    @property
    def serving(self) -> bool:
        """Whether this helper serves the shared socket; else it stands by."""
        return self.seats[0].origin is not None

    def prepare(self) -> None:
        """Makes the folders of all paths.

        Raises:
            PlatformError: one cannot be made, or a path is too long for a socket.
        """
        for seat in self.seats:
            if len(os.fsencode(str(_temporary(seat.path)))) > MAX_PATH_BYTES:
                raise PlatformError(
                    f"{seat.path}: too long for a Unix socket, which takes {MAX_PATH_BYTES} bytes with the temporary "
                    "name; choose a shorter folder"
                )
            try:
                _make_folder(seat.path.parent)
            except OSError as error:
                raise PlatformError(f"{seat.path.parent}: cannot be made: {error.strerror}") from error

    def look(self, *, ready: bool) -> None:
        """Takes, keeps or gives up each path; called at the start and every LOOK_SECONDS."""
        with contextlib.suppress(BusyError), self._registry.locked():
            self._registry.update(ready=ready)
            others = self._registry.others()
            for seat in self.seats:
                inode = _inode(seat.path)
                now = time.monotonic()
                known = [o.sockets.get(str(seat.path)) for o in (self._registry.me, *others)]
                if inode is not None and inode in known:
                    seat.dead_since = None
                elif seat.dead_since is None:
                    seat.dead_since = now
                dead = 0.0 if seat.dead_since is None else now - seat.dead_since
                move = decide(self._registry.me, others, str(seat.path), inode, dead)
                if move is Move.TAKE:
                    self._take(seat, inode)
                    continue
                # Another helper serves it, or this one does.
                seat.problem = None
                if move is Move.STAND_BY:
                    self._give_up(seat)

    def leave(self) -> bool:
        """Tells the others that this helper goes; True while there is one that can take its paths, now or soon.

        One that is not ready counts: it may be starting, and its registration says so only at its next look.
        """
        with contextlib.suppress(BusyError), self._registry.locked():
            self._registry.update(leaving=True)
            return any(not other.leaving for other in self._registry.others())
        return True

    def close(self) -> None:
        """Stops listening; a path is unlinked only while it is this helper's own socket."""
        with contextlib.ExitStack() as stack:
            # Under the lock, so that what is unlinked is not the socket of a helper that is just taking the path. A
            # lock that cannot be had must not keep this helper alive.
            with contextlib.suppress(BusyError):
                stack.enter_context(self._registry.locked())
            for seat in self.seats:
                if seat.origin is not None:
                    # Unlinked first: a client that comes now finds nothing, instead of a socket nobody reads.
                    with contextlib.suppress(OSError):
                        if _inode(seat.path) == seat.inode:
                            seat.path.unlink()
                    self._listeners.remove(seat.origin)
                    seat.origin = None
        for origin in list(self._lingering):
            self._end_lingering(origin)

    def _take(self, seat: Seat, found: tuple[int, int] | None) -> None:
        """Serves a path, at which something else was `found`, or nothing."""
        try:
            # Somebody may have removed the folder since.
            _make_folder(seat.path.parent)
            _tidy(seat.path)
            listener, inode = _bind(seat.path, lambda inode: self._record(seat, inode))
        except OSError as error:
            problem = f"{seat.path}: cannot be served: {error.strerror or error}"
            if problem != seat.problem:
                event(logger, logging.ERROR, "socket cannot be served", path=seat.path, problem=error.strerror)
            seat.problem = problem
            return
        old = seat.origin
        seat.problem, seat.dead_since = None, None
        seat.origin, seat.inode = Origin(seat.name, seat.kind, listener), inode
        self._listeners.add(seat.origin)
        self.take_overs += 1
        if old is None:
            event(logger, logging.INFO, "serving", path=seat.path, generation=self._registry.me.generation)
            return
        if found is None:
            event(logger, logging.WARNING, "serving again a path that was removed", cause="removed", path=seat.path)
        else:
            event(
                logger, logging.WARNING, "serving again a path that somebody else had taken", cause="displaced",
                path=seat.path, hint="helpers of one path need the same --state-dir",
            )  # fmt: skip
        self._listeners.remove(old)

    def _record(self, seat: Seat, inode: tuple[int, int]) -> None:
        self._registry.update(sockets={**self._registry.me.sockets, str(seat.path): inode})

    def _give_up(self, seat: Seat) -> None:
        origin, seat.origin, seat.inode = seat.origin, None, None
        if origin is None:
            return
        event(logger, logging.INFO, "replaced, standing by", path=seat.path)
        remaining = {path: inode for path, inode in self._registry.me.sockets.items() if path != str(seat.path)}
        self._registry.update(sockets=remaining)
        self._lingering.append(origin)
        self._linger(LINGER_SECONDS, lambda: self._end_lingering(origin))

    def _end_lingering(self, origin: Origin) -> None:
        if origin in self._lingering:
            self._lingering.remove(origin)
            self._listeners.remove(origin)


@contextlib.contextmanager
def _made_with(mode: int) -> Iterator[None]:
    """Files made within have this mode from their first moment, under any umask.

    Set afterwards, by a file's name, it could meet a link that a tenant has put there since.
    """
    before = os.umask(0o777 & ~mode)
    try:
        yield
    finally:
        os.umask(before)


def _make_folder(folder: Path) -> None:
    """Makes a socket's folder and those above it, open to clients of other users; one that is there stays as it is."""
    with contextlib.suppress(FileExistsError), _made_with(DIRECTORY_MODE):
        folder.mkdir(parents=True)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def _tidy(path: Path) -> None:
    """Removes what helpers have left that were killed in the middle of `_bind`; the registry's lock is held."""
    for left in path.parent.glob(f".{path.name}.*"):
        if left.is_socket():
            left.unlink(missing_ok=True)


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _bind(path: Path, before_rename: Callable[[tuple[int, int]], None]) -> tuple[ListeningSocket, tuple[int, int]]:
    """A socket that listens before anybody can see it, then stands at `path` in one step."""
    temporary = _temporary(path)
    listener = ListeningSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _made_with(SOCKET_MODE):
            listener.bind(str(temporary))
        listener.listen(BACKLOG)
        inode = _inode(temporary)
        if inode is None:
            raise FileNotFoundError(2, "the new socket vanished", str(temporary))
        before_rename(inode)
        with contextlib.suppress(OSError):
            # A container runtime that mounts a missing file makes a folder of its name.
            if stat.S_ISDIR(path.lstat().st_mode):
                path.rmdir()
        temporary.rename(path)
    except OSError:
        listener.close()
        temporary.unlink(missing_ok=True)
        raise
    return listener, inode
