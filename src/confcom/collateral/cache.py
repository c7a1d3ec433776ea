"""Collateral kept on disk: shared by processes, refreshed before it ends, and still there while the service is not.

An entry is a bundle of one set, so that damage is found when it is read. Files are replaced, never written into; what
holds which file is its name, a digest of service, FMSPC, CA and channel.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from confcom.collateral.bundle import read_bundle, write_bundle
from confcom.collateral.files import choose
from confcom.collateral.limits import MAX_BODY_BYTES
from confcom.collateral.source import Obtained, Source, Wanted
from confcom.collateral.summary import earliest_end
from confcom.errors import CollateralError, CollateralFormatError
from confcom.quote.times import format_time, span

# Intel publishes new evaluation numbers without notice; a day is what PCCS waits too.
REFRESH_AFTER = timedelta(days=1)
# Services renew their parts some days before the end; what is about to end is asked for more often, yet not each time.
REFRESH_BEFORE_END = timedelta(days=2)
REFRESH_AT_MOST_EVERY = timedelta(hours=1)

# An entry has about 25 kB; the oldest ones go first.
MAX_CACHE_BYTES = 16 * 1024 * 1024
# Room for four answers of the largest size taken, the two CRLs as hex.
MAX_ENTRY_BYTES = 8 * MAX_BODY_BYTES
# What a process that was killed left behind is swept after this many seconds.
_ABANDONED_SECONDS = 3600

_SUFFIX = ".collateral"
_HALF_MADE = ".half-made."


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What the cache holds for one key: the set, or why the file that should hold it cannot be used."""

    path: Path
    found: Obtained | None
    problem: str | None = None


class Cache:
    """One folder, mode 0700, its files 0600; made when it is first written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, service: str, wanted: Wanted) -> Entry:
        """The entry of a service's answer for `wanted`; damage is reported, never raised."""
        return _load(self._path(service, wanted), service, wanted)

    def store(self, service: str, found: Obtained) -> None:
        """Keeps an answer of a service in the place of the former one, and drops the oldest beyond the bound.

        Raises:
            CollateralError: the folder cannot be written.
        """
        content = write_bundle([replace(found, origin=service, notes=())])
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _replace(self._path(service, found.wanted), content)
            self._sweep()
        except OSError as error:
            raise CollateralError(f"cache {self.folder}: cannot be written: {error.strerror or error}") from error

    def entries(self) -> tuple[Entry, ...]:
        """Everything that is there, by file name.

        Raises:
            CollateralError: the folder cannot be read.
        """
        try:
            names = sorted(path for path in self.folder.iterdir() if path.suffix == _SUFFIX)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise CollateralError(f"cache {self.folder}: cannot be read: {error.strerror or error}") from error
        return tuple(_load(path) for path in names)

    def _path(self, service: str, wanted: Wanted) -> Path:
        key = "\n".join((service, wanted.fmspc.hex(), wanted.ca, wanted.update))
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()}{_SUFFIX}"

    def _sweep(self) -> None:
        """Removes abandoned files, and the oldest entries beyond the bound; others may do so at the same time."""
        kept = 0
        newest_first = sorted(self._states(), key=lambda item: item[1].st_mtime, reverse=True)
        for path, state in newest_first:
            half_made = path.name.startswith(_HALF_MADE)
            # The newest file was written just now, by the clock of whatever holds the folder.
            abandoned = half_made and newest_first[0][1].st_mtime - state.st_mtime > _ABANDONED_SECONDS
            kept += 0 if half_made else state.st_size
            if abandoned or (not half_made and kept > MAX_CACHE_BYTES):
                path.unlink(missing_ok=True)

    def _states(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self.folder.iterdir():
            if path.suffix == _SUFFIX or path.name.startswith(_HALF_MADE):
                with contextlib.suppress(FileNotFoundError):
                    yield path, path.stat()


@dataclass(frozen=True, kw_only=True, slots=True)
class CachedSource:
    """A source behind a cache.

    A fresh entry is used without asking; an older one is used while the service is away, which a note says. Only where
    there is none is the service's error raised.
    """

    source: Source
    cache: Cache

    @property
    def name(self) -> str:
        """The name of the source behind."""
        return self.source.name

    def obtain(self, wanted: Wanted, now: datetime) -> Obtained:
        """See `Source`.

        Raises:
            CollateralError: the service has no answer, and neither has the cache.
        """
        entry = self.cache.load(self.name, wanted)
        if entry.found and not is_due(entry.found, now):
            return entry.found
        damage = (f"{entry.problem}; it was fetched again",) if entry.problem else ()
        try:
            fresh = self.source.obtain(wanted, now)
        except CollateralError as error:
            if entry.found is None:
                raise
            return replace(entry.found, notes=(_away_note(entry.found, now, error),))
        return replace(fresh, notes=(*fresh.notes, *damage, *self._kept(fresh)))

    def _kept(self, fresh: Obtained) -> tuple[str, ...]:
        try:
            self.cache.store(self.name, fresh)
        except CollateralError as error:
            return (f"{error}: it will be fetched each time",)
        return ()


@dataclass(frozen=True, kw_only=True, slots=True)
class OfflineSource:
    """What the cache holds, whichever service or bundle it came from; asks nobody."""

    cache: Cache

    @property
    def name(self) -> str:
        """The cache's folder."""
        return f"cache {self.cache.folder}"

    def obtain(self, wanted: Wanted, now: datetime) -> Obtained:
        """The newest fitting entry. See `Source`.

        Raises:
            CollateralError: there is none; the sentence says what is there.
        """
        entries = self.cache.entries()
        found = choose(tuple(entry.found for entry in entries if entry.found), wanted, self.name)
        notes = tuple(entry.problem for entry in entries if entry.problem)
        return replace(found, notes=(f"{_origin_and_age(found, now)} is used, nobody was asked", *notes))


def is_due(found: Obtained, now: datetime) -> bool:
    """Whether a service should be asked again for what was fetched once."""
    if found.fetched is None or found.fetched > now:
        return True
    # Lengths of time are compared, since a date that a service invents may be the first or the last that there is.
    age, left = now - found.fetched, earliest_end(found.collateral) - now
    return age >= REFRESH_AT_MOST_EVERY and (age >= REFRESH_AFTER or left <= REFRESH_BEFORE_END)


def age_in_words(found: Obtained, now: datetime) -> str:
    """How long ago it was fetched, for example `3 days ago`."""
    if found.fetched is None:
        return "at an unknown time"
    age = now - found.fetched
    return "just now" if age < timedelta(minutes=1) else f"{span(age)} ago"


def _away_note(found: Obtained, now: datetime, error: CollateralError) -> str:
    return f"the service is away: {_origin_and_age(found, now)} is used. The service's problem: {error}"


def _origin_and_age(found: Obtained, now: datetime) -> str:
    end = earliest_end(found.collateral)
    words = "holds until" if end >= now else "EXPIRED at"
    return f"what was fetched from {found.origin} {age_in_words(found, now)} and {words} {format_time(end)}"


def _load(path: Path, service: str | None = None, wanted: Wanted | None = None) -> Entry:
    """Reads one entry; where `service` and `wanted` are given it must be theirs."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_ENTRY_BYTES + 1)
        (found,) = read_bundle(content)
        earliest_end(found.collateral)
    except (FileNotFoundError, NotADirectoryError):
        return Entry(path=path, found=None)
    except OSError as error:
        return Entry(path=path, found=None, problem=f"cache entry {path}: cannot be read: {error.strerror or error}")
    except CollateralFormatError as error:
        return Entry(path=path, found=None, problem=f"cache entry {path}: is damaged: {error.path}: {error.problem}")
    except ValueError:
        return Entry(path=path, found=None, problem=f"cache entry {path}: is damaged: holds not exactly one set")
    if wanted and (found.wanted, found.origin) != (wanted, service):
        return Entry(path=path, found=None, problem=f"cache entry {path}: is damaged: it is of another key")
    return Entry(path=path, found=found)


def _replace(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=_HALF_MADE, dir=path.parent)  # mode 0600
    half_made = Path(name)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor, opened with its mode
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        half_made.replace(path)
    except OSError:
        half_made.unlink(missing_ok=True)
        raise
