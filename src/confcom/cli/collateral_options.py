"""The options by which a verb is told where collateral comes from; every verb that needs some takes the same ones."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from confcom.cli.option_values import is_folder, named, named_path
from confcom.collateral import Limits, Network, Source, SourceChoice, UpdateChannel, open_source
from confcom.errors import InputError

# Seconds; a service that is not there after an hour is not waited for, but seen to.
MAX_TIMEOUT = 3600

PCCSOption = Annotated[
    str | None, typer.Option("--pccs", metavar="URL", parser=named, help="A PCCS: https://HOST:PORT.")
]
IntelOption = Annotated[bool, typer.Option("--intel", help="Intel's certification service (PCS), API v4.")]
THIMOption = Annotated[bool, typer.Option("--thim", help="Azure's THIM: on an Azure machine, or its world cache.")]
THIMURLOption = Annotated[
    str | None, typer.Option("--thim-url", metavar="URL", parser=named, help="THIM at this address only.")
]
FromOption = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE|DIR", parser=named_path, help="Collateral JSON, a bundle, or a folder."),
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="What the cache holds; nobody is asked.")]
CAFileOption = Annotated[
    Path | None,
    typer.Option(
        "--ca-file",
        metavar="FILE",
        parser=named_path,
        help="Trust these CAs beside the system's: of a PCCS of your own, PEM.",
    ),
]
ProxyOption = Annotated[
    str | None,
    typer.Option(
        "--proxy",
        metavar="URL",
        parser=named,
        help="Proxy to the service. [https_proxy and no_proxy of the environment]",
    ),
]
AllowHTTPOption = Annotated[
    bool, typer.Option("--allow-http", help="Permit http:// to a host that is not this machine or on its link.")
]
TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout", metavar="SECONDS", min=0.1, max=MAX_TIMEOUT, help="Deadline for all parts with all retries."
    ),
]
CacheDirOption = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir",
        metavar="DIR",
        parser=named_path,
        help="Where collateral is kept. [$XDG_CACHE_HOME/confcom/collateral]",
    ),
]
NoCacheOption = Annotated[bool, typer.Option("--no-cache", help="Ask the service anew, and keep nothing.")]
UpdateOption = Annotated[
    UpdateChannel, typer.Option("--update", help="Intel's channel: early is weeks to months ahead.")
]

DEFAULT_TIMEOUT = Limits().total


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceOptions:
    """The options' values, by which `open` finds the source; `path` is `--from`."""

    pccs: str | None = None
    intel: bool = False
    thim: bool = False
    thim_url: str | None = None
    path: Path | None = None
    offline: bool = False
    ca_file: Path | None = None
    proxy: str | None = None
    allow_http: bool = False
    timeout: float = DEFAULT_TIMEOUT
    cache_dir: Path | None = None
    no_cache: bool = False

    def open(self) -> Source:
        """The one source that was named.

        Raises:
            InputError: none or several, or one that cannot be used.
        """
        return open_source(
            SourceChoice(
                pccs=self.pccs,
                intel=self.intel,
                thim=self.thim or self.thim_url is not None,
                thim_url=self.thim_url,
                path=self.path,
                offline=self.offline,
                cache=None if self.no_cache else cache_folder(self.cache_dir),
                network=Network(limits=Limits(total=self.timeout), ca_file=self.ca_file, proxy=self.proxy),
                allow_http=self.allow_http,
            )
        )


def cache_folder(named: Path | None) -> Path:
    """The folder of the cache: as named, or where the XDG base directory specification puts it.

    Raises:
        InputError: what is named is no folder, or nothing is named and the user has no home.
    """
    if named:
        if os.path.exists(named) and not is_folder(named):  # noqa: PTH110
            raise InputError(f"--cache-dir {named}: is not a folder")
        return named
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        # A relative path is to be ignored (XDG base directory specification, "Environment variables").
        root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    except RuntimeError as error:
        raise InputError("--cache-dir: name one; this user has no home for it") from error
    return root / "confcom" / "collateral"
