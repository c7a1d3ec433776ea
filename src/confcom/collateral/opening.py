"""From what a user names to a source: one place for the flags of every verb and daemon that needs collateral."""

from dataclasses import dataclass, field
from pathlib import Path

from confcom.collateral.address import THIM_PATH, service_base
from confcom.collateral.cache import Cache, CachedSource, OfflineSource
from confcom.collateral.files import FileSource
from confcom.collateral.network import Network
from confcom.collateral.services import PCCS, THIM, IntelPCS
from confcom.collateral.source import Source
from confcom.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceChoice:
    """What was named; exactly one of `pccs`, `intel`, `thim`, `path` and `offline`.

    `thim_url` takes the place of the metadata service's address, and then no other is asked. `cache` is the folder of
    the cache; None keeps nothing. `allow_http` permits plain HTTP to hosts that are not nearby.
    """

    pccs: str | None = None
    intel: bool = False
    thim: bool = False
    thim_url: str | None = None
    path: Path | None = None
    offline: bool = False
    cache: Path | None = None
    network: Network = field(default_factory=Network)
    allow_http: bool = False


_FLAGS = "--pccs URL, --intel, --thim, --from FILE|DIR or --offline"


def open_source(choice: SourceChoice) -> Source:
    """The source that was chosen, behind the cache where there is one; files need none.

    Raises:
        InputError: none or several are named, or the URL cannot be used.
    """
    named = (choice.pccs, choice.intel, choice.thim, choice.path, choice.offline)
    if (count := sum(1 for value in named if value)) != 1:
        raise InputError(f"name exactly one source of collateral ({_FLAGS}); {count or 'none'} given")
    if choice.path:
        return FileSource(path=choice.path)
    if choice.offline:
        if choice.cache is None:
            raise InputError("--offline: uses the cache alone, so it cannot go without one")
        return OfflineSource(cache=Cache(choice.cache))
    service = _service(choice)
    return service if choice.cache is None else CachedSource(source=service, cache=Cache(choice.cache))


def _service(choice: SourceChoice) -> Source:
    if choice.pccs:
        return PCCS(choice.pccs, choice.network, allow_http=choice.allow_http)
    if choice.intel:
        return IntelPCS(choice.network)
    if choice.thim_url:
        primary = service_base(choice.thim_url, "--thim-url", allow_http=choice.allow_http, path=THIM_PATH)
        return THIM(choice.network, primary=primary, secondary=None)
    return THIM(choice.network)
