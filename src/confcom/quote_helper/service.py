"""What each AESM request gets as its answer, from data to data (semantics of Intel's server without EPID and launch).

A request is always answered with its own response type: real clients crash on any other. What needs no QE is
answered at once, whatever the load and before any worker is ready: clients such as Open Enclave ask for the keys
once and remember a failure for ever.
"""

from confcom.aesm import messages as m
from confcom.codes import AESM
from confcom.errors import AESMProtocolError, SGXFormatError
from confcom.quoting.backend import KeyReport
from confcom.sgx import (
    DEFAULT_KEY_ID,
    PUB_KEY_ID_SIZE,
    AttestationKeyID,
    AttestationKeyIDList,
    QEReportInfo,
    Report,
    TargetInfo,
)

# On hardware the QE copies the buffer into a heap of 144 KiB and runs out of memory a little below that. Real clients
# ask for the quote's size (under 5 KB) or 8 KiB; an answer of this size still leaves in one send.
MAX_QUOTE_BUFFER_BYTES = 128 * 1024

_BASE = DEFAULT_KEY_ID.base()
_KEY_ID = DEFAULT_KEY_ID.to_bytes()
_ZERO_TARGET_INFO = bytes(TargetInfo.SIZE)

# A request that the front must defer: it needs the key, or a quoting enclave.
Deferred = m.InitQuoteExRequest | m.GetQuoteSizeExRequest | m.GetQuoteExRequest


def parse(body: bytes) -> m.Message | None:
    """The request in a frame, or None where the connection is best closed: it cannot be said what was asked."""
    try:
        return m.decode_request(body)
    except AESMProtocolError:
        return None


def respond(request: m.Message) -> m.Response | None:
    """The answer to a request, or None if it needs the key or a quoting enclave (`Deferred`)."""
    if request.missing() is not None:
        return refuse(request, AESM.UNEXPECTED)
    match request:
        case m.GetQuoteExRequest():
            return _refused_if(request, _size_problem(request) or _key_problem(request))
        case m.GetQuoteSizeExRequest():
            return _refused_if(request, _key_problem(request))
        case m.InitQuoteExRequest():
            return _init(request)
        case m.GetSupportedAttKeyIDNumRequest():
            return m.GetSupportedAttKeyIDNumResponse(error_code=AESM.SUCCESS, att_key_id_num=1)
        case m.GetSupportedAttKeyIDsRequest():
            if request.buf_size != AttestationKeyID.SIZE:
                return refuse(request, AESM.PARAMETER)
            return m.GetSupportedAttKeyIDsResponse(error_code=AESM.SUCCESS, att_key_ids=_KEY_ID)
        case m.SelectAttKeyIDRequest():
            return _select(request)
        case m.SGXRegisterRequest() if request.data_type != 0:
            return refuse(request, AESM.PARAMETER)
    return refuse(request, AESM.SERVICE_UNAVAILABLE)


def _select(request: m.SelectAttKeyIDRequest) -> m.SelectAttKeyIDResponse:
    if request.att_key_id_list is None:
        return m.SelectAttKeyIDResponse(error_code=AESM.SUCCESS, selected_att_key_id=_KEY_ID)
    try:
        listed = AttestationKeyIDList.from_bytes(request.att_key_id_list)
    except SGXFormatError:
        return m.SelectAttKeyIDResponse(error_code=AESM.PARAMETER)
    # The client's own entry is echoed: what stands behind the base (an SPID) is kept.
    chosen = next((key_id for key_id in listed.ids if key_id.base() == _BASE), None)
    if chosen is None:
        return m.SelectAttKeyIDResponse(error_code=AESM.UNSUPPORTED_ATT_KEY_ID)
    return m.SelectAttKeyIDResponse(error_code=AESM.SUCCESS, selected_att_key_id=chosen.to_bytes())


def _init(request: m.InitQuoteExRequest) -> m.Response | None:
    problem = _key_problem(request)
    if request.b_pub_key_id and request.buf_size != PUB_KEY_ID_SIZE:
        problem = problem or AESM.PARAMETER
    if problem or request.b_pub_key_id:
        return _refused_if(request, problem)
    # Phase 1 initialises nothing and must not carry pub_key_id, on which libsgx_dcap_ql crashes. Its buf_size is
    # uninitialised memory of the client.
    return m.InitQuoteExResponse(
        error_code=AESM.SUCCESS, target_info=_ZERO_TARGET_INFO, pub_key_id_size=PUB_KEY_ID_SIZE
    )


# A real stack checks the sizes first, then the key, and then asks the QE.


def _size_problem(request: m.GetQuoteExRequest) -> AESM | None:
    if len(request.report or b"") != Report.SIZE:
        return AESM.PARAMETER
    if request.qe_report_info is not None and len(request.qe_report_info) != QEReportInfo.SIZE:
        return AESM.PARAMETER
    if (request.buf_size or 0) > MAX_QUOTE_BUFFER_BYTES:
        return AESM.OUT_OF_MEMORY
    return None


def _key_problem(request: Deferred) -> AESM | None:
    if request.att_key_id is None or len(request.att_key_id) < AttestationKeyID.SIZE:
        return AESM.PARAMETER
    if request.att_key_id[: AttestationKeyID.BASE_SIZE] != _BASE:
        return AESM.UNSUPPORTED_ATT_KEY_ID
    return None


def _refused_if(request: Deferred, problem: AESM | None) -> m.Response | None:
    return None if problem is None else refuse(request, problem)


def answer_init(key: KeyReport) -> m.InitQuoteExResponse:
    """Phase 2 of InitQuoteEx, once a worker has its key."""
    return m.InitQuoteExResponse(
        error_code=AESM.SUCCESS,
        target_info=key.target_info,
        pub_key_id_size=PUB_KEY_ID_SIZE,
        pub_key_id=key.pub_key_id,
    )


def answer_size(key: KeyReport) -> m.GetQuoteSizeExResponse:
    """GetQuoteSizeEx, once a worker has its key."""
    return m.GetQuoteSizeExResponse(error_code=AESM.SUCCESS, quote_size=key.quote_size)


def answer_quote(request: m.GetQuoteExRequest, quote: bytes, qe_report_info: bytes | None) -> m.GetQuoteExResponse:
    """GetQuoteEx: the quote in exactly `buf_size` bytes, zeros behind it; a buffer too small is refused."""
    size = request.buf_size or 0
    if len(quote) > size:
        return m.GetQuoteExResponse(error_code=AESM.PARAMETER, qe_report_info=request.qe_report_info)
    padded = quote + bytes(size - len(quote))
    return m.GetQuoteExResponse(error_code=AESM.SUCCESS, quote=padded, qe_report_info=qe_report_info)


def refuse(request: m.Message, code: int) -> m.Response:
    """The failure of a request, with the fields that Intel's server sends beside the code."""
    match request:
        case m.InitQuoteExRequest():
            echo = 0 if code == AESM.UNEXPECTED and request.b_pub_key_id is None else request.buf_size or 0
            return m.InitQuoteExResponse(error_code=code, pub_key_id_size=echo)
        case m.GetQuoteSizeExRequest():
            return m.GetQuoteSizeExResponse(error_code=code, quote_size=0)
        case m.GetQuoteExRequest():
            return m.GetQuoteExResponse(error_code=code, qe_report_info=request.qe_report_info)
        case m.GetSupportedAttKeyIDNumRequest():
            return m.GetSupportedAttKeyIDNumResponse(error_code=code, att_key_id_num=0)
        case m.GetWhiteListSizeRequest():
            return m.GetWhiteListSizeResponse(error_code=code, white_list_size=0)
        case m.SGXGetExtendedEpidGroupIdRequest():
            return m.SGXGetExtendedEpidGroupIdResponse(error_code=code, x_group_id=0)
        case m.CheckUpdateStatusRequest():
            return m.CheckUpdateStatusResponse(error_code=code, status=0)
    return _RESPONSES[request.NUMBER](error_code=code)


_RESPONSES = {response.NUMBER: response for response in m.RESPONSES}
