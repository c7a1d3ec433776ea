"""Every code of the field in one table: what it means, why it appears, and whose move it is. Standard library only.

What daemons and clients need (`AESM`, `aesm`, `TCBStatus`, the translations) is loaded with the package; the rest of
the table and the search in it are loaded when they are first asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

from confcom.codes.aesm_number import AESM
from confcom.codes.aesm_service import AESM_CODES, aesm
from confcom.codes.entry import Code, Family, Who
from confcom.codes.translation import (
    AESMCall,
    ClientView,
    aesm_from_quote3,
    client_view,
    intel_aesm_from_quote3,
    qcnl_from_http,
    quote3_from_qcnl,
    quote3_from_sgx_status,
)
from confcom.codes.verdicts import TCBStatus, advisory, tcb_status

if TYPE_CHECKING:
    from confcom.codes.relations import Link, links
    from confcom.codes.search import find, nearest
    from confcom.codes.table import ALL_CODES, CODES, lookup, quote3, symptom

__all__ = [
    "AESM",
    "AESM_CODES",
    "ALL_CODES",
    "CODES",
    "AESMCall",
    "ClientView",
    "Code",
    "Family",
    "Link",
    "TCBStatus",
    "Who",
    "advisory",
    "aesm",
    "aesm_from_quote3",
    "client_view",
    "find",
    "intel_aesm_from_quote3",
    "links",
    "lookup",
    "nearest",
    "qcnl_from_http",
    "quote3",
    "quote3_from_qcnl",
    "quote3_from_sgx_status",
    "symptom",
    "tcb_status",
]

_LOADED_LATE = {
    "ALL_CODES": "table",
    "CODES": "table",
    "Link": "relations",
    "find": "search",
    "links": "relations",
    "lookup": "table",
    "nearest": "search",
    "quote3": "table",
    "symptom": "table",
}


def __getattr__(name: str) -> Any:
    if name not in _LOADED_LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LOADED_LATE[name]}"), name)
