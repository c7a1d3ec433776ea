"""Where collateral comes from: Intel PCS, a PCCS, Azure's THIM, files and bundles, and a cache before them.

source = open_source(SourceChoice(pccs="https://pccs.example:8081", cache=folder))
found = source.obtain(Wanted.for_quote(quote), datetime.now(UTC))
verify(quote, found.collateral, intel_root(), datetime.now(UTC))
"""

from confcom.collateral.bundle import read_bundle, write_bundle
from confcom.collateral.cache import Cache, CachedSource, OfflineSource
from confcom.collateral.files import FileSource, read_path
from confcom.collateral.limits import Limits
from confcom.collateral.network import Network
from confcom.collateral.opening import SourceChoice, open_source
from confcom.collateral.services import PCCS, THIM, IntelPCS
from confcom.collateral.source import Obtained, Source, UpdateChannel, Wanted
from confcom.collateral.summary import PartSummary, earliest_end, summarise

__all__ = [
    "PCCS",
    "THIM",
    "Cache",
    "CachedSource",
    "FileSource",
    "IntelPCS",
    "Limits",
    "Network",
    "Obtained",
    "OfflineSource",
    "PartSummary",
    "Source",
    "SourceChoice",
    "UpdateChannel",
    "Wanted",
    "earliest_end",
    "open_source",
    "read_bundle",
    "read_path",
    "summarise",
    "write_bundle",
]
