"""What the quoting libraries return, as the AESM code that lets the client act and a cause in words."""

from confcom.codes import aesm_from_quote3
from confcom.errors import QuotingError

# What the library itself makes of raw statuses of the QE (0xD00n) and of the SGX runtime before it returns; one that
# slips through means the same. Any failure to load an enclave is 0xE016, but for lack of EPC.
_QUOTE3_FROM_RAW = dict.fromkeys(range(0x2001, 0x2011), 0xE016) | {
    0xD002: 0xE002,
    0xD003: 0xE003,
    0xD008: 0xE015,
    0xD009: 0xE017,
    0x0004: 0xE014,
    0x2005: 0xE012,
    0x4004: 0xE035,
}
# A line of the library's own log stands in the cause, shortened to this many characters.
MAX_SAID = 300


def quote3_from_raw(status: int) -> int:
    """The quote3_error_t behind a returned number, which may be a raw status of the QE or of the SGX runtime."""
    return _QUOTE3_FROM_RAW.get(status, status)


def failure(call: str, status: int, said: str | None = None) -> QuotingError:
    """The error of a library call that returned `status` (not 0); `said` is the library's last word in its log."""
    # The sentences of all codes are loaded only by the worker that needs one.
    from confcom.codes.table import quote3  # noqa: PLC0415

    number = quote3_from_raw(status)
    raw = "" if number == status else f" (0x{status:04X})"
    heard = f" The library's log says: {said[:MAX_SAID]}" if said else ""
    return QuotingError(aesm_from_quote3(number), f"{call}{raw}: {quote3(number).sentence}{heard}")
