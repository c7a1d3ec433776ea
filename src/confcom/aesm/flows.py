"""What the calls of an AESM client say and expect, without any I/O.

A flow is a generator: it yields a request, is sent the response, and returns the call's result. The two clients run
the same flows, one over a blocking socket and one over asyncio.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from confcom import codes
from confcom.aesm import messages as m
from confcom.errors import AESMError, AESMProtocolError
from confcom.sgx import (
    DEFAULT_KEY_ID,
    PUB_KEY_ID_SIZE,
    AttestationKeyID,
    AttestationKeyIDList,
    QEReportInfo,
    TargetInfo,
)

DEFAULT_SOCKET = "/var/run/aesmd/aesm.socket"
# What libsgx_quote_ex puts into every request, in milliseconds; no server acts on it.
TIMEOUT_MILLISECONDS = 15_000
# A server with more keys than this is not one.
MAX_KEY_IDS = 64

R = TypeVar("R")
# A request, and the type that its answer must have.
Call = tuple[m.Message, type[m.Response]]
Flow = Generator[Call, Any, R]


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyInfo:
    """What InitQuoteEx tells: the QE's TARGETINFO and the attestation key's id.

    `pub_key_id` is SHA-256(attestation public key || auth data), 32 bytes.
    """

    target_info: TargetInfo
    pub_key_id: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class QuoteResult:
    """A quote in exactly the asked size (zeros behind its end), and the QE's report where one was asked for."""

    quote: bytes
    qe_report_info: QEReportInfo | None


def _ask(request: m.Message, expected: type[m.M]) -> Generator[Call, Any, m.M]:
    response = yield request, expected  # type: ignore[misc]
    if response.error_code:
        code = codes.aesm(response.error_code)
        call = type(request).__name__.removesuffix("Request")
        raise AESMError(
            response.error_code, f"{call}: {code.name} ({response.error_code}): {code.meaning} {code.next_step}"
        )
    return response  # type: ignore[no-any-return]


def _expect(value: Any, what: str, size: int | None = None) -> Any:
    if value is None or (size is not None and len(value) != size):
        found = "nothing" if value is None else f"{len(value)} bytes"
        raise AESMProtocolError(f"the answer has {found} for {what}" + ("" if size is None else f", not {size} bytes"))
    return value


def key_id_num() -> Flow[int]:
    """How many attestation keys the server supports."""
    request = m.GetSupportedAttKeyIDNumRequest(timeout=TIMEOUT_MILLISECONDS)
    response = yield from _ask(request, m.GetSupportedAttKeyIDNumResponse)
    count: int = _expect(response.att_key_id_num, "att_key_id_num")
    if count > MAX_KEY_IDS:
        raise AESMProtocolError(f"the answer claims {count} keys, over {MAX_KEY_IDS}")
    return count


def key_ids() -> Flow[tuple[AttestationKeyID, ...]]:
    """The attestation keys that the server supports."""
    count = yield from key_id_num()
    size = AttestationKeyID.SIZE
    request = m.GetSupportedAttKeyIDsRequest(buf_size=count * size, timeout=TIMEOUT_MILLISECONDS)
    response = yield from _ask(request, m.GetSupportedAttKeyIDsResponse)
    data = _expect(response.att_key_ids, "att_key_ids", count * size)
    return tuple(AttestationKeyID.from_bytes(data[at : at + size]) for at in range(0, len(data), size))


def select(ids: Sequence[AttestationKeyID] | None) -> Flow[AttestationKeyID]:
    """The first of `ids` that the server supports; without a list, the server's choice."""
    listed = None if ids is None else AttestationKeyIDList(ids=tuple(ids)).to_bytes()
    request = m.SelectAttKeyIDRequest(att_key_id_list=listed, timeout=TIMEOUT_MILLISECONDS)
    response = yield from _ask(request, m.SelectAttKeyIDResponse)
    return AttestationKeyID.from_bytes(_expect(response.selected_att_key_id, "selected_att_key_id", 256))


def pub_key_id_size(key_id: AttestationKeyID = DEFAULT_KEY_ID) -> Flow[int]:
    """Phase 1 of InitQuoteEx: the size of the key's id, 32; the server initialises nothing."""
    request = m.InitQuoteExRequest(att_key_id=key_id.to_bytes(), b_pub_key_id=False, timeout=TIMEOUT_MILLISECONDS)
    response = yield from _ask(request, m.InitQuoteExResponse)
    size: int = _expect(response.pub_key_id_size, "pub_key_id_size")
    return size


def init(key_id: AttestationKeyID = DEFAULT_KEY_ID) -> Flow[KeyInfo]:
    """Phase 2 of InitQuoteEx: the server makes its key ready and tells about it."""
    request = m.InitQuoteExRequest(
        att_key_id=key_id.to_bytes(), b_pub_key_id=True, buf_size=PUB_KEY_ID_SIZE, timeout=TIMEOUT_MILLISECONDS
    )
    response = yield from _ask(request, m.InitQuoteExResponse)
    target_info = TargetInfo.from_bytes(_expect(response.target_info, "target_info", TargetInfo.SIZE))
    return KeyInfo(target_info=target_info, pub_key_id=_expect(response.pub_key_id, "pub_key_id", PUB_KEY_ID_SIZE))


def quote_size(key_id: AttestationKeyID = DEFAULT_KEY_ID) -> Flow[int]:
    """The size of a quote in bytes."""
    request = m.GetQuoteSizeExRequest(att_key_id=key_id.to_bytes(), timeout=TIMEOUT_MILLISECONDS)
    response = yield from _ask(request, m.GetQuoteSizeExResponse)
    size: int = _expect(response.quote_size, "quote_size")
    return size


def quote(
    report: bytes, size: int, qe_report_info: QEReportInfo | None = None, key_id: AttestationKeyID = DEFAULT_KEY_ID
) -> Flow[QuoteResult]:
    """The quote of a 432-byte REPORT in exactly `size` bytes."""
    request = m.GetQuoteExRequest(
        report=report,
        att_key_id=key_id.to_bytes(),
        qe_report_info=None if qe_report_info is None else qe_report_info.to_bytes(),
        buf_size=size,
        timeout=TIMEOUT_MILLISECONDS,
    )
    response = yield from _ask(request, m.GetQuoteExResponse)
    data: bytes = _expect(response.quote, "quote", size)
    if qe_report_info is None:
        return QuoteResult(quote=data, qe_report_info=None)
    info = _expect(response.qe_report_info, "qe_report_info", QEReportInfo.SIZE)
    return QuoteResult(quote=data, qe_report_info=QEReportInfo.from_bytes(info))


def whole_quote(report: bytes, qe_report_info: QEReportInfo | None = None) -> Flow[QuoteResult]:
    """Init, size and quote, as libsgx_dcap_ql does them.

    Where the server answers ATT_KEY_NOT_INITIALIZED (its key or certificate has changed), the client is expected to
    initialise again and retry; this is done once.
    """
    for last in (False, True):
        yield from init()
        size = yield from quote_size()
        try:
            return (yield from quote(report, size, qe_report_info))
        except AESMError as error:
            if last or error.code != codes.AESM.ATT_KEY_NOT_INITIALIZED:
                raise
    raise AssertionError  # The loop returns or raises.
