"""The verifier that a quote needs: collateral from a file, folder, bundle or service, read once for many quotes."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from confcom.cli.collateral_options import SourceOptions
from confcom.cli.option_values import is_folder
from confcom.cli.output import read_input
from confcom.collateral import FileSource, Source, UpdateChannel, Wanted
from confcom.collateral.bundle import is_bundle
from confcom.errors import InputError
from confcom.quote import Allowance, Collateral, TrustRoot, Verifier
from confcom.quote.collateral import NO_COLLATERAL

# Each keeps the parsed collateral of one CPU family and CA, some 100 kB.
MAX_VERIFIERS = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """A verifier, and what the person who relies on it should know of its collateral."""

    verifier: Verifier
    notes: tuple[str, ...] = ()


class Verifiers:
    """Verifiers under one root at one time, each made when a quote first needs it."""

    def __init__(
        self, *, source: Source | None, fixed: Collateral | None, root: TrustRoot, allowance: Allowance, now: datetime,
        update: UpdateChannel,
    ) -> None:  # fmt: skip
        """`fixed` is the one collateral for every quote, so that the steps say what does not fit; else `source`."""
        self._source = source
        self._root = root
        self._allowance = allowance
        self._now = now
        self._update: UpdateChannel = update
        self._fixed = Chosen(verifier=self._make(fixed)) if fixed else None
        self._made: dict[Wanted, Chosen] = {}

    def for_quote(self, quote: bytes) -> Chosen:
        """The verifier for the platform that `quote` names.

        Raises:
            CollateralError: the source has nothing for it.
            InputError: a file of the source is malformed.
        """
        if self._fixed:
            return self._fixed
        try:
            wanted = Wanted.for_quote(quote, self._update)
        except InputError as error:
            note = f"no collateral could be asked for: {error}"
            # Of a quote that does not say what it needs nothing can be asked; its own steps are still judged.
            return Chosen(verifier=self._make(NO_COLLATERAL), notes=(note,))
        found = self._made.pop(wanted, None) or self._obtain(wanted)
        while len(self._made) >= MAX_VERIFIERS:
            del self._made[next(iter(self._made))]
        self._made[wanted] = replace(found, notes=())
        return found

    def _obtain(self, wanted: Wanted) -> Chosen:
        if self._source is None:
            raise InputError("--collateral: is missing")
        found = self._source.obtain(wanted, self._now)
        notes = (f"collateral for {wanted} from {found.origin}", *found.notes)
        return Chosen(verifier=self._make(found.collateral), notes=notes)

    def _make(self, collateral: Collateral) -> Verifier:
        return Verifier(collateral, self._root, self._allowance)


def open_collateral(path: str | None, options: SourceOptions) -> tuple[Source | None, Collateral | None]:
    """The source, or the one collateral, that the flags name; `path` is `--collateral`.

    Raises:
        InputError: none or several are named, or the file cannot be used.
    """
    if (count := _count(options) + (path is not None)) != 1:
        raise InputError(
            "name exactly one source of collateral (--collateral FILE|DIR, --pccs URL, --intel, --thim or --offline); "
            f"{count or 'none'} given"
        )
    if path is None:
        return options.open(), None
    if is_folder(path):
        return FileSource(path=Path(path)), None
    content = read_input(path, "collateral")
    if is_bundle(content):
        return FileSource(path=Path(path)), None
    try:
        return None, Collateral.from_json(content)
    except InputError as error:
        raise InputError(f"--collateral {path}: {error}") from error


def _count(options: SourceOptions) -> int:
    named = (options.pccs, options.intel, options.thim or options.thim_url, options.offline)
    return sum(1 for value in named if value)
