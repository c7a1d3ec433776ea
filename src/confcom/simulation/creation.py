"""Makes a simulated platform: new ids, keys and certificates, and the folder that holds them."""

import errno
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from confcom.codes import TCBStatus
from confcom.errors import PlatformError
from confcom.simulation.certificates import make_certificates
from confcom.simulation.identity import CAKind, PlatformIdentity
from confcom.simulation.keys import key_to_pem, new_key
from confcom.simulation.names import CERTIFICATES, IDENTITY, KEYS, SUMS

# "SIM" in ASCII, then a number for the kind of machine: multi-socket processors are another family.
_FMSPC: dict[CAKind, bytes] = {"processor": b"SIM\x00\x00\x01", "platform": b"SIM\x00\x00\x02"}

# Shaped like those of a current server processor: microcode, late microcode, TXT SINIT, BIOS; 255 where a component
# is out of the game. The seventh, as in Intel's lists, is 1 only on machines in the recommended configuration.
_TCB_COMPONENTS = bytes((7, 9, 3, 3, 255, 255, 0)) + bytes(9)
_PCE_SVN = 13


def new_identity(ca: CAKind, tcb_status: TCBStatus) -> PlatformIdentity:
    """A machine that nobody has seen before."""
    return PlatformIdentity(
        ca=ca,
        tcb_status=tcb_status,
        platform_id=secrets.token_bytes(16),
        ppid=secrets.token_bytes(16),
        qe_id=secrets.token_bytes(16),
        platform_instance_id=secrets.token_bytes(16),
        fmspc=_FMSPC[ca],
        pce_id=bytes(2),
        tcb_components=_TCB_COMPONENTS,
        pce_svn=_PCE_SVN,
    )


def make_files(ca: CAKind, tcb_status: TCBStatus, now: datetime) -> dict[str, bytes]:
    """The files of a new machine by name; its certificates are valid from a day before `now`."""
    identity = new_identity(ca, tcb_status)
    keys = {name: new_key() for name in KEYS}
    certificates = make_certificates(identity, keys, now)
    return {
        IDENTITY: identity.to_json(),
        **{CERTIFICATES[name]: pem for name, pem in certificates.items()},
        **{KEYS[name]: key_to_pem(key) for name, key in keys.items()},
    }


def write_folder(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Makes `folder` with these files (0600, the folder 0700); False where it is there already, made by another.

    The files are written to a sibling that is renamed when it is whole, so nobody ever sees half a folder, and of any
    number of processes exactly one gets True. An empty folder may be there before.

    Raises:
        PlatformError: the folder cannot be made.
    """
    try:
        # Fails where the current folder was removed.
        folder = folder.resolve()
        folder.parent.mkdir(parents=True, exist_ok=True)
        half_made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _write_files(half_made, {**files, SUMS: _sums(files)})
            return _rename(half_made, folder)
        finally:
            shutil.rmtree(half_made, ignore_errors=True)
    except OSError as error:
        hint = ": it is a mount point, name a folder inside it" if error.errno == errno.EBUSY else ""
        raise PlatformError(f"simulated platform {folder}: cannot be made: {error.strerror or error}{hint}") from error


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor, opened with its mode
            stream.write(content)
            stream.flush()
            # Without this, a power cut after the rename could leave empty files under the final name.
            os.fsync(descriptor)


def _rename(half_made: Path, folder: Path) -> bool:
    try:
        half_made.rename(folder)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            return False
        raise
    return True


def _sums(files: Mapping[str, bytes]) -> bytes:
    return "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()).encode()
