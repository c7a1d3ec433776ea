"""How entries hang together: what one layer's code becomes in the next, and which entries say the same."""

from collections.abc import Iterator
from dataclasses import dataclass

from confcom.codes.aesm_service import aesm
from confcom.codes.entry import Code, Family
from confcom.codes.quote_generation import GENERATION_CODES
from confcom.codes.table import CODES, lookup, quote3
from confcom.codes.translation import (
    QUOTE3_UNEXPECTED,
    SGX_UNEXPECTED,
    AESMCall,
    aesm_from_quote3,
    client_view,
    intel_aesm_from_quote3,
    qcnl_from_http,
    quote3_from_qcnl,
    quote3_from_sgx_status,
)
from confcom.codes.verdicts import TCBStatus, tcb_status

# TCB status, result of Intel's verifier, quote3_error_t of older verifiers: one verdict under three names.
_VERDICTS: tuple[tuple[TCBStatus, int, int], ...] = (
    (TCBStatus.UP_TO_DATE, 0x0000, 0x0000),
    (TCBStatus.SW_HARDENING_NEEDED, 0xA007, 0xE03C),
    (TCBStatus.CONFIGURATION_NEEDED, 0xA001, 0xE033),
    (TCBStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED, 0xA008, 0xE03D),
    (TCBStatus.OUT_OF_DATE, 0xA002, 0xE027),
    (TCBStatus.OUT_OF_DATE_CONFIGURATION_NEEDED, 0xA003, 0xE028),
    (TCBStatus.REVOKED, 0xA005, 0xE032),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """Another entry, and how it is related: `relation` says how, for example "the quote helper answers its client"."""

    relation: str
    code: Code


def links(code: Code) -> list[Link]:
    """What the reader of `code` may meet on other layers for the same cause, nearest first."""
    if code.number == 0:
        return []
    if code.family in {Family.TCB_STATUS, Family.VERIFICATION}:
        return _verdict_links(code)
    if code.number is None:
        return []
    match code.family:
        case Family.AESM:
            return _client_links(code.number)
        case Family.QUOTE3:
            return _verdict_links(code) or _helper_links(code)
        case Family.SGX_STATUS:
            return _status_links(code.number)
        case Family.QCNL:
            return [_quote3("the quote library returns", quote3_from_qcnl(code.number))]
        case Family.HTTP:
            return _http_links(code.number)
    return []


def _verdict_links(code: Code) -> list[Link]:
    for status, result, error in _VERDICTS:
        same = [tcb_status(status), lookup(Family.VERIFICATION, result), lookup(Family.QUOTE3, error)]
        if code in same:
            return [
                Link(relation="the same verdict is called", code=other)
                for other in same
                if other is not None and other is not code and other.number != 0
            ]
    return []


def _helper_links(code: Code) -> list[Link]:
    if code not in GENERATION_CODES or code.number is None:
        return []
    ours, intels = aesm_from_quote3(code.number), intel_aesm_from_quote3(code.number)
    answered = [Link(relation="the quote helper answers its client", code=aesm(ours))]
    if intels is not ours:
        answered.append(Link(relation="Intel's aesmd answers its client", code=aesm(intels)))
    behind = [
        Link(relation="out-of-process there may stand behind it", code=cause)
        for cause in CODES[Family.AESM]
        if cause.number is not None and code.number in client_view(cause.number).dcap_ql.values()
    ]
    # Nearly every AESM code can end as "unexpected": a list of them all tells nothing.
    return answered if code.number == QUOTE3_UNEXPECTED else answered + behind


def _client_links(number: int) -> list[Link]:
    view = client_view(number)
    return [
        *_seen("a client of libsgx_quote_ex sees", view.sgx_status, Family.SGX_STATUS),
        *_seen("a client of libsgx_dcap_ql sees", view.dcap_ql, Family.QUOTE3),
    ]


def _seen(relation: str, view: dict[AESMCall, int], family: Family) -> Iterator[Link]:
    """The values of `view`, the telling ones first and with the calls that give them."""
    values = sorted(set(view.values()), key=lambda value: value in {SGX_UNEXPECTED, QUOTE3_UNEXPECTED})
    for position, value in enumerate(values):
        calls = ", ".join(call for call, seen in view.items() if seen == value)
        when = f" after {calls}" if position == 0 else " after its other calls"
        if code := lookup(family, value):
            yield Link(relation=relation if len(values) == 1 else relation + when, code=code)


def _status_links(number: int) -> list[Link]:
    behind = [
        Link(relation="behind it may stand", code=code)
        for code in CODES[Family.AESM]
        if code.number is not None and number in client_view(code.number).sgx_status.values()
    ]
    # Nearly every AESM code can end as "unexpected": a list of them all tells nothing.
    telling = [] if number == SGX_UNEXPECTED else behind
    return [*telling, _quote3("libsgx_dcap_ql returns for it", quote3_from_sgx_status(number))]


def _http_links(status: int) -> list[Link]:
    qcnl = qcnl_from_http(status)
    error = quote3_from_qcnl(qcnl)
    own = lookup(Family.QCNL, qcnl)
    seen = "Intel's provider library logs"
    return [*([Link(relation=seen, code=own)] if own else []), _quote3("the quote library returns", error)]


def _quote3(relation: str, number: int) -> Link:
    return Link(relation=relation, code=quote3(number))
