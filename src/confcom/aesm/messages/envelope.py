"""The two envelopes: which request a frame holds, and the response of an expected type."""

import functools
import re

from confcom.aesm.messages import requests, responses
from confcom.aesm.messages.responses import Response
from confcom.aesm.messages.schema import M, Message
from confcom.aesm.wire import decode_fields, decode_varint
from confcom.errors import AESMProtocolError

# The order in which Intel's server looks for the sub-message of a Request that holds several.
REQUESTS: tuple[type[Message], ...] = (
    requests.GetLaunchTokenRequest,
    requests.InitQuoteRequest,
    requests.GetQuoteRequest,
    requests.ReportAttestationErrorRequest,
    requests.CheckUpdateStatusRequest,
    requests.GetWhiteListSizeRequest,
    requests.GetWhiteListRequest,
    requests.SGXGetExtendedEpidGroupIdRequest,
    requests.SGXSwitchExtendedEpidGroupRequest,
    requests.SGXRegisterRequest,
    requests.InitQuoteExRequest,
    requests.GetQuoteSizeExRequest,
    requests.GetQuoteExRequest,
    requests.SelectAttKeyIDRequest,
    requests.GetSupportedAttKeyIDNumRequest,
    requests.GetSupportedAttKeyIDsRequest,
)
RESPONSES: tuple[type[Response], ...] = (
    responses.InitQuoteResponse,
    responses.GetQuoteResponse,
    responses.GetLaunchTokenResponse,
    responses.ReportAttestationErrorResponse,
    responses.GetWhiteListSizeResponse,
    responses.GetWhiteListResponse,
    responses.SGXGetExtendedEpidGroupIdResponse,
    responses.SGXSwitchExtendedEpidGroupResponse,
    responses.SGXRegisterResponse,
    responses.InitQuoteExResponse,
    responses.GetQuoteSizeExResponse,
    responses.GetQuoteExResponse,
    responses.CheckUpdateStatusResponse,
    responses.SelectAttKeyIDResponse,
    responses.GetSupportedAttKeyIDNumResponse,
    responses.GetSupportedAttKeyIDsResponse,
)
_REQUEST_NUMBERS = frozenset(request.NUMBER for request in REQUESTS)

# GetQuoteEx as every known client writes it: the fields in order, each once and of its right size. Under load this one
# request is nearly all there is, and reading it by this shape takes a third of the time.
_USUAL_QUOTE = re.compile(
    rb"\x8a\x01([\x80-\xff][\x00-\x7f])"
    rb"\x0a\xb0\x03(.{432})"  # report
    rb"\x12\x80\x02(.{256})"  # att_key_id
    rb"(?:\x1a\xc0\x07(.{960}))?"  # qe_report_info
    rb"\x20([\x80-\xff]{0,3}[\x00-\x7f])"  # buf_size
    rb"(?:\x48([\x80-\xff]{0,3}[\x00-\x7f]))?",  # timeout
    re.DOTALL,
)
_USUAL_PREFIX_BYTES = 4


def decode_request(body: bytes) -> Message:
    """The request in a frame's body; of several sub-messages the one that Intel's server would serve.

    Raises:
        AESMProtocolError: not a protobuf message, empty, or no request that is known.
    """
    return _decode_usual_quote(body) or _decode_any(body)


def _decode_usual_quote(body: bytes) -> requests.GetQuoteExRequest | None:
    match = _USUAL_QUOTE.fullmatch(body)
    if match is None:
        return None
    size, report, att_key_id, qe_report_info, buf_size, timeout = match.groups()
    if _integer(size) != len(body) - _USUAL_PREFIX_BYTES:
        return None
    return requests.GetQuoteExRequest(
        report=report,
        att_key_id=att_key_id,
        qe_report_info=qe_report_info,
        buf_size=_integer(buf_size),
        timeout=None if timeout is None else _integer(timeout),
    )


@functools.lru_cache(maxsize=256)
def _integer(encoded: bytes) -> int:
    """The integer of at most four bytes that `_USUAL_QUOTE` has found; clients send few different ones."""
    return decode_varint(encoded, 0)[0]


def _decode_any(body: bytes) -> Message:
    found = _sub_messages(body)
    # Protobuf parses them all, and a damaged one spoils the whole message.
    decoded = {t.NUMBER: t.decode(*found[t.NUMBER]) for t in REQUESTS if t.NUMBER in found}
    for request_type in REQUESTS:
        if request_type.NUMBER in decoded:
            return decoded[request_type.NUMBER]
    raise AESMProtocolError("no known request in the message" if body else "empty message")


def decode_response(body: bytes, expected: type[M]) -> M:
    """The response of the expected type in a frame's body.

    Raises:
        AESMProtocolError: not a protobuf message, or an answer of another type.
    """
    found = _sub_messages(body)
    if expected.NUMBER not in found:
        raise AESMProtocolError(f"the answer is no {expected.__name__}: it holds the fields {sorted(found)}")
    return expected.decode(*found[expected.NUMBER])


def _sub_messages(body: bytes) -> dict[int, list[bytes]]:
    """Known sub-messages by number; what occurs twice is merged, but each piece must be a message by itself."""
    found: dict[int, list[bytes]] = {}
    for number, value in decode_fields(body):
        if number in _REQUEST_NUMBERS and isinstance(value, bytes):
            found.setdefault(number, []).append(value)
    return found
