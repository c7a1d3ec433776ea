"""Quote slots: the folders through which pods reach the quote helper without a hostPath.

The layout `DIR/ID/aesm.socket` is shared by the device plugin, which hands a slot's folder to a container, and the
quote helper, which listens in it. A slot's folder is never removed or made anew while a container may hold it: the
container's mount would go on showing the old one.
"""

import stat
from pathlib import Path

from confcom.errors import PlatformError

DEFAULT_SLOTS_DIR = Path("/run/confcom/slots")
SOCKET_NAME = "aesm.socket"
DEFAULT_SLOT_COUNT = 16
# Each slot is a listening socket and a queue of the helper. More pods than this ask for quotes on no real node: the
# kubelet's own default is 110 pods.
MAX_SLOTS = 1024
# Every user of the node's pods must reach the socket, and only the daemons may change the folder.
FOLDER_MODE = 0o755

_PREFIX = "slot-"


def slot_ids(count: int) -> list[str]:
    """The ids of `count` slots, the same at each start: `slot-0`, `slot-1`, ...

    They have more than three characters, which keeps them apart from the ids of EPC units (1 to 3).

    Raises:
        ValueError: `count` is not between 0 and `MAX_SLOTS`.
    """
    if not 0 <= count <= MAX_SLOTS:
        raise ValueError(f"{count} slots: between 0 and {MAX_SLOTS} can be served")
    return [f"{_PREFIX}{index}" for index in range(count)]


def is_slot_id(text: str) -> bool:
    """Whether `text` is the id of a slot that `slot_ids` can give."""
    number = text.removeprefix(_PREFIX)
    return (
        number != text
        and number.isascii()
        and number.isdigit()
        and str(int(number[:5])) == number
        and int(number) < MAX_SLOTS
    )


def slot_folder(directory: Path, slot_id: str) -> Path:
    """The folder of one slot, which a container gets as its /var/run/aesmd.

    Raises:
        ValueError: `slot_id` is not the id of a slot, and could lead out of `directory`.
    """
    if not is_slot_id(slot_id):
        raise ValueError(f"'{slot_id}' is not the id of a quote slot")
    return directory / slot_id


def slot_socket(directory: Path, slot_id: str) -> Path:
    """The socket of one slot, on which the quote helper listens."""
    return slot_folder(directory, slot_id) / SOCKET_NAME


def make_slot_folder(directory: Path, slot_id: str) -> Path:
    """Makes the folder of one slot where it is missing, with mode 0755, and returns it; one that exists is kept.

    Raises:
        PlatformError: it cannot be made, or something that is no folder is in its place.
    """
    folder = slot_folder(directory, slot_id)
    try:
        directory.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        # The umask took part in mkdir, and a container runtime that was faster makes folders with modes of its own.
        if stat.S_IMODE(folder.lstat().st_mode) != FOLDER_MODE:
            folder.chmod(FOLDER_MODE, follow_symlinks=True)
    except OSError as error:
        raise PlatformError(f"quote slot {folder}: cannot be made: {error.strerror or error}") from error
    return folder


def make_slot_folders(directory: Path, count: int) -> list[Path]:
    """Makes the folders of `count` slots; see `make_slot_folder`."""
    return [make_slot_folder(directory, slot_id) for slot_id in slot_ids(count)]
