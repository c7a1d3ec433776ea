"""The responses (package `aesm.message`, `Response`; linux-sgx `messages.proto`)."""

import functools

from confcom.aesm.messages.schema import BYTES, ERROR_CODE_DEFAULT, U32, U64, Message, fields

_ERROR = (1, "error_code", U32, True)


class Response(Message, frozen=True, kw_only=True):
    """Base of the responses; each carries its error code, which must be on the wire even when it is 0."""

    error_code: int = ERROR_CODE_DEFAULT


@functools.lru_cache(maxsize=64)
def _quote_head(size: int) -> bytes:
    """What stands before the quote in a `GetQuoteExResponse` with no more than a quote of `size` bytes."""
    whole = Message.envelope(GetQuoteExResponse(error_code=0, quote=bytes(size)))
    return whole[: len(whole) - size]


class InitQuoteResponse(Response, frozen=True, kw_only=True):
    """Answer to InitQuote."""

    NUMBER = 1
    FIELDS = fields(_ERROR, (2, "target_info", BYTES), (3, "gid", BYTES))
    target_info: bytes | None = None
    gid: bytes | None = None


class GetQuoteResponse(Response, frozen=True, kw_only=True):
    """Answer to GetQuote."""

    NUMBER = 2
    FIELDS = fields(_ERROR, (2, "quote", BYTES), (3, "qe_report", BYTES))
    quote: bytes | None = None
    qe_report: bytes | None = None


class GetLaunchTokenResponse(Response, frozen=True, kw_only=True):
    """Answer to GetLaunchToken."""

    NUMBER = 3
    FIELDS = fields(_ERROR, (2, "token", BYTES))
    token: bytes | None = None


class ReportAttestationErrorResponse(Response, frozen=True, kw_only=True):
    """Answer to ReportAttestationError."""

    NUMBER = 4
    FIELDS = fields(_ERROR, (2, "platform_update_info", BYTES))
    platform_update_info: bytes | None = None


class GetWhiteListSizeResponse(Response, frozen=True, kw_only=True):
    """Answer to GetWhiteListSize."""

    NUMBER = 10
    FIELDS = fields(_ERROR, (2, "white_list_size", U32))
    white_list_size: int | None = None


class GetWhiteListResponse(Response, frozen=True, kw_only=True):
    """Answer to GetWhiteList."""

    NUMBER = 11
    FIELDS = fields(_ERROR, (2, "white_list", BYTES))
    white_list: bytes | None = None


class SGXGetExtendedEpidGroupIdResponse(Response, frozen=True, kw_only=True):
    """Answer to SGXGetExtendedEpidGroupId."""

    NUMBER = 12
    FIELDS = fields(_ERROR, (2, "x_group_id", U32))
    x_group_id: int | None = None


class SGXSwitchExtendedEpidGroupResponse(Response, frozen=True, kw_only=True):
    """Answer to SGXSwitchExtendedEpidGroup."""

    NUMBER = 13
    FIELDS = fields(_ERROR)


class SGXRegisterResponse(Response, frozen=True, kw_only=True):
    """Answer to SGXRegister."""

    NUMBER = 14
    FIELDS = fields(_ERROR)


class InitQuoteExResponse(Response, frozen=True, kw_only=True):
    """Answer to InitQuoteEx: 512 bytes of TARGETINFO, the size 32, and in phase 2 the key's 32-byte id."""

    NUMBER = 15
    FIELDS = fields(_ERROR, (2, "target_info", BYTES), (3, "pub_key_id_size", U64), (4, "pub_key_id", BYTES))
    target_info: bytes | None = None
    pub_key_id_size: int | None = None
    pub_key_id: bytes | None = None


class GetQuoteSizeExResponse(Response, frozen=True, kw_only=True):
    """Answer to GetQuoteSizeEx."""

    NUMBER = 16
    FIELDS = fields(_ERROR, (2, "quote_size", U32))
    quote_size: int | None = None


class GetQuoteExResponse(Response, frozen=True, kw_only=True):
    """Answer to GetQuoteEx."""

    NUMBER = 17
    FIELDS = fields(_ERROR, (2, "quote", BYTES), (3, "qe_report_info", BYTES))
    quote: bytes | None = None
    qe_report_info: bytes | None = None

    def envelope(self) -> bytes:
        """The Response that holds it; under load nearly all are a quote alone, whose head depends on its size only."""
        if self.quote is None or self.qe_report_info is not None or self.error_code:
            return super().envelope()
        return _quote_head(len(self.quote)) + self.quote


class CheckUpdateStatusResponse(Response, frozen=True, kw_only=True):
    """Answer to CheckUpdateStatus."""

    NUMBER = 18
    FIELDS = fields(_ERROR, (2, "platform_update_info", BYTES), (3, "status", U32))
    platform_update_info: bytes | None = None
    status: int | None = None


class SelectAttKeyIDResponse(Response, frozen=True, kw_only=True):
    """Answer to SelectAttKeyID: one 256-byte id."""

    NUMBER = 19
    FIELDS = fields(_ERROR, (2, "selected_att_key_id", BYTES))
    selected_att_key_id: bytes | None = None


class GetSupportedAttKeyIDNumResponse(Response, frozen=True, kw_only=True):
    """Answer to GetSupportedAttKeyIDNum."""

    NUMBER = 21
    FIELDS = fields(_ERROR, (2, "att_key_id_num", U32))
    att_key_id_num: int | None = None


class GetSupportedAttKeyIDsResponse(Response, frozen=True, kw_only=True):
    """Answer to GetSupportedAttKeyIDs: 256 bytes for each key."""

    NUMBER = 22
    FIELDS = fields(_ERROR, (2, "att_key_ids", BYTES))
    att_key_ids: bytes | None = None
