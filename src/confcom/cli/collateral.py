"""`confcom collateral`: what verification rests on, fetched, shown, and carried to clusters that reach no service."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from confcom.cli.collateral_options import (
    DEFAULT_TIMEOUT,
    AllowHTTPOption,
    CacheDirOption,
    CAFileOption,
    FromOption,
    IntelOption,
    NoCacheOption,
    OfflineOption,
    PCCSOption,
    ProxyOption,
    SourceOptions,
    THIMOption,
    THIMURLOption,
    TimeoutOption,
    UpdateOption,
    cache_folder,
)
from confcom.cli.option_values import moment_of, named, named_path, unhex_exactly
from confcom.cli.output import OutputFormat, OutputOption, data, print_json, print_table, talk, write_output
from confcom.cli.quote_files import read_quote_file
from confcom.collateral import Cache, Obtained, UpdateChannel, Wanted, read_path, summarise, write_bundle
from confcom.collateral.cache import age_in_words
from confcom.collateral.source import FMSPC_SIZE
from confcom.collateral.summary import PartSummary
from confcom.errors import InputError
from confcom.quote import format_time
from confcom.quote.origin import PCKCAKind

app = typer.Typer(help="Fetch, show and carry collateral: CRLs, TCB info and QE identity.", no_args_is_help=True)

_AtOption = Annotated[
    str | None, typer.Option("--at", metavar="YYYY-MM-DDTHH:MM:SSZ", help="Judge windows at this time. [now]")
]
_FMSPCOption = Annotated[str | None, typer.Option("--fmspc", metavar="HEX", help="The CPU family, 12 hex digits.")]


@app.command(short_help="Get the collateral for a quote or a CPU family.")
def fetch(
    *,
    quote: Annotated[
        str | None, typer.Argument(metavar="QUOTE|-", parser=named, help="Fetch what this quote needs.")
    ] = None,
    fmspc: _FMSPCOption = None,
    ca: Annotated[PCKCAKind | None, typer.Option("--ca", help="With --fmspc: who issued the PCK certificate.")] = None,
    update: UpdateOption = "standard",
    output_file: Annotated[
        str | None,
        typer.Option("-o", metavar="FILE|-", parser=named, help="Write the collateral JSON, as verify reads it."),
    ] = None,
    pccs: PCCSOption = None,
    intel: IntelOption = False,
    thim: THIMOption = False,
    thim_url: THIMURLOption = None,
    path: FromOption = None,
    offline: OfflineOption = False,
    ca_file: CAFileOption = None,
    proxy: ProxyOption = None,
    allow_http: AllowHTTPOption = False,
    timeout: TimeoutOption = DEFAULT_TIMEOUT,
    cache_dir: CacheDirOption = None,
    no_cache: NoCacheOption = False,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Get the collateral for a quote, or for a CPU family, from one source. Exit code 3: it could not be had."""
    source = SourceOptions(
        pccs=pccs,
        intel=intel,
        thim=thim,
        thim_url=thim_url,
        path=path,
        offline=offline,
        ca_file=ca_file,
        proxy=proxy,
        allow_http=allow_http,
        timeout=timeout,
        cache_dir=cache_dir,
        no_cache=no_cache,
    ).open()
    now = datetime.now(UTC)
    found = source.obtain(_wanted(quote, fmspc, ca, update), now)
    if output_file is not None:
        write_output(output_file, found.collateral.to_json() + b"\n", "collateral")
    if output_file == "-":
        _talk_notes(found.notes)
    else:
        _print_sets([found], now, output)


@app.command()
def show(
    *,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE|DIR", parser=named_path, help="Collateral JSON or bundles. [the cache]"),
    ] = None,
    at: _AtOption = None,
    cache_dir: CacheDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show every part with its window, days left, number and issuer. Exit code 1: one does not hold, or is damaged."""
    moment = moment_of(at)
    sets, problems = _gather(paths, cache_dir)
    healthy = _print_sets(sets, moment, output, problems)
    if not healthy:
        raise typer.Exit(1)


@app.command(short_help="Pack collateral into one bundle.")
def export(
    *,
    output_file: Annotated[str, typer.Option("-o", metavar="FILE|-", parser=named, help="Where the bundle goes.")],
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE|DIR", parser=named_path, help="Collateral JSON or bundles. [the cache]"),
    ] = None,
    fmspc: _FMSPCOption = None,
    cache_dir: CacheDirOption = None,
) -> None:
    """Pack collateral into one bundle, checked when it is read, for clusters that reach no service."""
    sets, problems = _gather(paths, cache_dir)
    _talk_notes(f"left out: {problem}" for problem in problems)
    if fmspc is not None:
        sets = [found for found in sets if found.wanted.fmspc == _fmspc(fmspc)]
    if not sets:
        raise InputError("nothing to export: fetch collateral first, or name files that hold it")
    chosen = _newest(sets)
    write_output(output_file, write_bundle(chosen), "bundle")
    names = "; ".join(str(found.wanted) for found in chosen)
    talk.print(Text(f"{output_file}: {len(chosen)} {'set' if len(chosen) == 1 else 'sets'}: {names}"))


@app.command("import", short_help="Put a bundle into the cache.")
def import_(
    *,
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE|DIR", parser=named_path, help="Bundles or collateral JSON.")
    ],
    cache_dir: CacheDirOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Put the sets of a bundle into the cache, from where --offline and the services' verbs take them."""
    cache = Cache(cache_folder(cache_dir))
    sets = [found for path in paths for found in read_path(path)]
    if not sets:
        raise InputError(f"{paths[0]}: the bundle holds no sets")
    _print_sets([_kept(cache, found) for found in sets], datetime.now(UTC), output)


def _kept(cache: Cache, found: Obtained) -> Obtained:
    """Stores a set, unless the cache has a newer one already."""
    there = cache.load(found.origin, found.wanted).found
    if there and there.fetched and (found.fetched is None or found.fetched < there.fetched):
        return replace(there, notes=("the cache's is newer than the bundle's, and stays",))
    cache.store(found.origin, found)
    return found


def _gather(paths: list[Path] | None, cache_dir: Path | None) -> tuple[list[Obtained], list[str]]:
    """The sets in files or, where none are named, in the cache; and what in the cache is damaged."""
    if paths:
        return [found for path in paths for found in read_path(path)], []
    entries = Cache(cache_folder(cache_dir)).entries()
    problems = [entry.problem for entry in entries if entry.problem]
    return [entry.found for entry in entries if entry.found], problems


def _newest(sets: list[Obtained]) -> list[Obtained]:
    """One set for each thing wanted and each origin: the last that was fetched."""
    by_age = sorted(sets, key=lambda found: found.fetched.timestamp() if found.fetched else 0.0)
    newest = {(found.wanted, found.origin): found for found in by_age}
    return sorted(newest.values(), key=lambda found: (str(found.wanted), found.origin))


def _wanted(quote: str | None, fmspc: str | None, ca: PCKCAKind | None, update: UpdateChannel) -> Wanted:
    if (quote is None) == (fmspc is None):
        raise InputError("name either a quote, or --fmspc with --ca")
    if quote is not None:
        if ca is not None:
            raise InputError("--ca: belongs to --fmspc; a quote says it itself")
        found = read_quote_file(quote)
        try:
            return Wanted.for_quote(found.data, update)
        except InputError as error:
            raise InputError(f"{quote}: {error}") from error
    if ca is None:
        raise InputError("--fmspc: needs --ca too: processor (one socket) or platform (several)")
    return Wanted(fmspc=_fmspc(fmspc or ""), ca=ca, update=update)


def _fmspc(text: str) -> bytes:
    return unhex_exactly("--fmspc", text, FMSPC_SIZE)


def _print_sets(sets: list[Obtained], at: datetime, output: OutputFormat, problems: Iterable[str] = ()) -> bool:
    """Prints every set; says whether all parts hold and nothing was damaged."""
    problems = list(problems)
    documents = [_document(found, at) for found in sets]
    if output is OutputFormat.JSON:
        print_json({"at": format_time(at), "sets": documents, "problems": problems})
    else:
        for found, document in zip(sets, documents, strict=True):
            _print_set(found, document, at)
        if not sets:
            talk.print("no collateral here: fetch some with 'confcom collateral fetch'")
        _talk_notes(problems)
    return not problems and all(document["ok"] for document in documents)


def _document(found: Obtained, at: datetime) -> dict[str, Any]:
    parts = [_part_document(part, at) for part in summarise(found.collateral)]
    return {
        "fmspc": found.wanted.fmspc.hex(),
        "ca": found.wanted.ca,
        "update": found.wanted.update,
        "origin": found.origin,
        "fetched": format_time(found.fetched) if found.fetched else None,
        "ok": all(part["ok"] for part in parts),
        "parts": parts,
        "notes": list(found.notes),
    }


def _part_document(part: PartSummary, at: datetime) -> dict[str, Any]:
    return {
        "name": part.name,
        "issuer": part.issuer,
        "evaluation_number": part.number,
        "from": format_time(part.window.start),
        "until": format_time(part.window.end),
        "days_left": part.window.left(at).days,
        "ok": part.window.problem(at) is None,
        "ends_soon": part.window.ends_soon(at),
    }


def _print_set(found: Obtained, document: dict[str, Any], at: datetime) -> None:
    data.print(Text(f"{found.wanted}; from {found.origin}, fetched {age_in_words(found, at)}", style="bold"))
    table = Table(box=None, pad_edge=False)
    for column in ("part", "until", "days", "", "number", "issuer"):
        table.add_column(column, overflow="fold", no_wrap=column in {"until", ""})
    for part in document["parts"]:
        word, style = _state(part)
        number = str(part["evaluation_number"] or "")
        name = part["name"].removeprefix("certificate ").strip("'")
        cells = (name, part["until"][:16] + "Z", str(part["days_left"]), word, number, part["issuer"])
        table.add_row(*map(Text, cells), style=style)
    print_table(table)
    _talk_notes(found.notes)


def _state(part: dict[str, Any]) -> tuple[str, str]:
    if not part["ok"]:
        return ("EXPIRED" if part["days_left"] < 0 else "NOT YET VALID"), "red"
    return ("ends soon", "yellow") if part["ends_soon"] else ("ok", "")


def _talk_notes(notes: Iterable[str]) -> None:
    for note in notes:
        talk.print(Text(f"note: {note}", style="yellow"))
