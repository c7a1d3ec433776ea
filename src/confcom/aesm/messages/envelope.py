"""The two envelopes: which request a frame holds, and the response of an expected type."""

from confcom.aesm.messages import requests, responses
from confcom.aesm.messages.responses import Response
from confcom.aesm.messages.schema import M, Message
from confcom.aesm.wire import decode_fields
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


def decode_request(body: bytes) -> Message:
    """The request in a frame's body; of several sub-messages the one that Intel's server would serve.

    Raises:
        AESMProtocolError: not a protobuf message, empty, or no request that is known.
    """
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
