"""Reads the folder that holds a simulated platform: unchanged since it was made, or not at all.

`SHA256SUMS` lists the digest of every other file, so that `sha256sum --check SHA256SUMS` says what the loader says.
"""

import hashlib
from pathlib import Path

from confcom.errors import InputError, PlatformError
from confcom.simulation.names import SUMS

# The largest file, a certificate, has under 2 KiB; what is larger is not ours and must not fill the memory.
MAX_FILE_BYTES = 64 * 1024


def read_folder(folder: Path) -> dict[str, bytes] | None:
    """The files by name, each as it was written; None where the folder is absent or empty.

    Raises:
        InputError: something else lies there.
        PlatformError: a file is missing, damaged or cannot be read; the sentence names it.
    """
    try:
        entries = {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise InputError(f"simulated platform {folder}: is not a folder") from error
    except OSError as error:
        raise PlatformError(f"simulated platform {folder}: cannot be read: {error.strerror}") from error
    if not entries:
        return None
    if SUMS not in entries:
        raise InputError(f"simulated platform {folder}: holds no {SUMS}, so it is none: name an empty or a new folder")
    return {name: _read_checked(folder / name, digest) for name, digest in _digests(folder / SUMS).items()}


def damaged(path: Path, problem: str) -> PlatformError:
    """The one sentence about a file that cannot be used."""
    return PlatformError(f"{path}: {problem}; remove the folder and make the simulated platform anew")


def _digests(path: Path) -> dict[str, str]:
    """File name to digest; names with a slash are refused, since they lead out of the folder."""
    digests = {}
    for number, line in enumerate(_read(path).decode("utf-8", "replace").splitlines(), 1):
        digest, separator, name = line.partition("  ")
        if not separator or len(digest) != 64 or not name or "/" in name:
            raise damaged(path, f"line {number} is not a digest and a file name")
        digests[name] = digest
    return digests


def _read_checked(path: Path, digest: str) -> bytes:
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != digest:
        raise damaged(path, f"is not what {SUMS} says that it was")
    return content


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise damaged(path, "is missing") from error
    except OSError as error:
        raise PlatformError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise damaged(path, f"has over {MAX_FILE_BYTES >> 10} KiB")
    return content
