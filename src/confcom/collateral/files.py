"""Collateral out of files: dcap-qvl's JSON, a bundle, or a folder of both."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from confcom.collateral.bundle import MAX_BUNDLE_BYTES, is_bundle, read_bundle
from confcom.collateral.source import Obtained, UpdateChannel, Wanted, origin_of
from confcom.errors import CollateralError, CollateralFormatError, InputError
from confcom.quote.collateral import Collateral

# A folder with more is another one; each file costs some milliseconds.
MAX_FILES = 256


def read_sets(data: bytes, name: str, update: UpdateChannel = "standard") -> tuple[Obtained, ...]:
    """The sets in one file's bytes: all of a bundle, or the only one of dcap-qvl's JSON.

    That JSON does not say its channel, so it counts as `update`, whichever is asked for.

    Raises:
        InputError: neither, or damaged; `name` begins the sentence.
    """
    try:
        if is_bundle(data):
            return read_bundle(data)
        collateral = Collateral.from_json(data)
        origin = origin_of(collateral)
    except CollateralFormatError as error:
        raise InputError(f"{name}: {error}") from error
    wanted = Wanted(fmspc=origin.fmspc, ca=origin.ca, update=update)
    return (Obtained(collateral=collateral, wanted=wanted, origin=name),)


def read_path(path: Path, update: UpdateChannel = "standard") -> tuple[Obtained, ...]:
    """The sets of a file, or of every `*.json` in a folder, by name.

    Raises:
        InputError: it cannot be read, holds no collateral, or a file in it is malformed.
    """
    try:
        if not path.is_dir():
            return read_sets(_read(path), str(path), update)
        names = sorted(found for found in path.iterdir() if found.suffix == ".json" and found.is_file())
    except OSError as error:
        raise InputError(f"collateral {path}: {error.strerror or error}") from error
    if not names:
        raise InputError(f"collateral {path}: the folder holds no *.json")
    if len(names) > MAX_FILES:
        raise InputError(f"collateral {path}: the folder holds {len(names)} *.json; at most {MAX_FILES} are read")
    return tuple(found for name in names for found in read_sets(_read(name), str(name), update))


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSource:
    """A file or folder as a source; it is read anew each time, since others may replace it."""

    path: Path

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def obtain(self, wanted: Wanted, now: datetime) -> Obtained:
        """The set that fits; of several the one that was fetched last. See `Source`.

        Raises:
            InputError: the file is malformed.
            CollateralError: none fits; the sentence says what is there.
        """
        del now
        return choose(read_path(self.path, wanted.update), wanted, str(self.path))


def choose(sets: tuple[Obtained, ...], wanted: Wanted, where: str) -> Obtained:
    """The set for `wanted`, the newest of several.

    Raises:
        CollateralError: none fits; `where` begins the sentence.
    """
    fitting = [found for found in sets if found.wanted == wanted]
    if not fitting:
        there = "; ".join(sorted({str(found.wanted) for found in sets})) or "nothing"
        raise CollateralError(f"{where}: holds no collateral for {wanted}; it holds {there}")
    best = max(fitting, key=_age_key)
    return replace(best, wanted=wanted)


def _age_key(found: Obtained) -> tuple[bool, float]:
    return found.fetched is not None, found.fetched.timestamp() if found.fetched else 0.0


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BUNDLE_BYTES + 1)
    except OSError as error:
        raise InputError(f"collateral {path}: {error.strerror or error}") from error
    if len(data) > MAX_BUNDLE_BYTES:
        raise InputError(f"collateral {path}: over {MAX_BUNDLE_BYTES >> 20} MiB, which no collateral has")
    return data
