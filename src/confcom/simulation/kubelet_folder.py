"""The folder of a kubelet's device manager on disk: the sockets that it removes or leaves, and its checkpoint."""

import contextlib
import socket
import stat
from pathlib import Path

import msgspec

from confcom.errors import KubeletError, PlatformError
from confcom.simulation.device_manager import Checkpoint

CHECKPOINT_NAME = "kubelet_internal_checkpoint"


def make_without_sockets(folder: Path) -> None:
    """Makes the folder where there is none, and removes every socket in it, as a kubelet does when it starts.

    Raises:
        PlatformError: it cannot be made, read or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for entry in folder.iterdir():
            if stat.S_ISSOCK(entry.lstat().st_mode):
                entry.unlink()
    except OSError as error:
        raise PlatformError(f"{folder}: cannot be used as the plugins' folder: {error.strerror}") from error


def leave_socket_behind(path: Path) -> None:
    """A socket file on which nobody listens, as a stopped kubelet leaves it."""
    path.unlink(missing_ok=True)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(path))


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint in a file, or None where there is none.

    Raises:
        KubeletError: the file cannot be read, or is not a checkpoint of this stand-in.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Checkpoint)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KubeletError(f"{path}: cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise KubeletError(f"{path}: not a checkpoint of the kubelet stand-in: {error}; remove it") from None


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replaces the checkpoint file."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(msgspec.json.encode(checkpoint))
    fresh.replace(path)
