"""The discovery file beside each socket: how anything that finds the folder learns what serves it (R41)."""

import base64
import contextlib
import os
import secrets
from pathlib import Path
from typing import Literal

import msgspec

from confcom.platform.slots import SOCKET_NAME
from confcom.sgx import DEFAULT_KEY_ID

FILE_NAME = "aesm.json"
DISCOVERY_VERSION = 1


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """What `aesm.json` says.

    `key_ids` are attestation key ids of 256 bytes in base64, as GetSupportedAttKeyIDs gives them. `health` is `ready`
    once a quote of the helper's own has held.
    """

    version: int = DISCOVERY_VERSION
    protocol: Literal["aesm"] = "aesm"
    socket: str = SOCKET_NAME
    key_ids: tuple[str, ...] = (base64.b64encode(DEFAULT_KEY_ID.to_bytes()).decode(),)
    health: Literal["ready", "starting", "failing"] = "starting"
    simulated: bool = False
    program: str = ""


def publish(folder: Path, discovery: Discovery) -> None:
    """Puts the file into a socket's folder in one step; nothing is written where it says so already.

    Tenants may write in a shared folder: the file is made under a name that cannot exist, then renamed, so that no
    link of theirs is ever followed.

    Raises:
        OSError: the folder cannot be written.
    """
    path = folder / FILE_NAME
    content = msgspec.json.encode(discovery) + b"\n"
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if os.read(descriptor, len(content) + 1) == content:
                return
        finally:
            os.close(descriptor)
    temporary = folder / f".{FILE_NAME}.{secrets.token_hex(4)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            # Readable for everybody, whatever the umask says.
            os.fchmod(descriptor, 0o644)
            os.write(descriptor, content)
        finally:
            os.close(descriptor)
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def withdraw(folder: Path) -> None:
    """Removes the file of a socket that nobody serves any more."""
    with contextlib.suppress(OSError):
        (folder / FILE_NAME).unlink()
