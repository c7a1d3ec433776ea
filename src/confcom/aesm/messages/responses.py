"""The responses (package `aesm.message`, `Response`; linux-sgx `messages.proto`)."""

from dataclasses import dataclass

from confcom.aesm.messages.schema import BYTES, ERROR_CODE_DEFAULT, U32, U64, Message, fields

_ERROR = (1, "error_code", U32, True)


class Response(Message):
    """Base of the responses; each carries its error code, which must be on the wire even when it is 0."""

    __slots__ = ()
    error_code: int


@dataclass(frozen=True, kw_only=True, slots=True)
class InitQuoteResponse(Response):
    """Answer to InitQuote."""

    NUMBER = 1
    FIELDS = fields(_ERROR, (2, "target_info", BYTES), (3, "gid", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    target_info: bytes | None = None
    gid: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetQuoteResponse(Response):
    """Answer to GetQuote."""

    NUMBER = 2
    FIELDS = fields(_ERROR, (2, "quote", BYTES), (3, "qe_report", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    quote: bytes | None = None
    qe_report: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetLaunchTokenResponse(Response):
    """Answer to GetLaunchToken."""

    NUMBER = 3
    FIELDS = fields(_ERROR, (2, "token", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    token: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportAttestationErrorResponse(Response):
    """Answer to ReportAttestationError."""

    NUMBER = 4
    FIELDS = fields(_ERROR, (2, "platform_update_info", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    platform_update_info: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetWhiteListSizeResponse(Response):
    """Answer to GetWhiteListSize."""

    NUMBER = 10
    FIELDS = fields(_ERROR, (2, "white_list_size", U32))
    error_code: int = ERROR_CODE_DEFAULT
    white_list_size: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetWhiteListResponse(Response):
    """Answer to GetWhiteList."""

    NUMBER = 11
    FIELDS = fields(_ERROR, (2, "white_list", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    white_list: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SGXGetExtendedEpidGroupIdResponse(Response):
    """Answer to SGXGetExtendedEpidGroupId."""

    NUMBER = 12
    FIELDS = fields(_ERROR, (2, "x_group_id", U32))
    error_code: int = ERROR_CODE_DEFAULT
    x_group_id: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SGXSwitchExtendedEpidGroupResponse(Response):
    """Answer to SGXSwitchExtendedEpidGroup."""

    NUMBER = 13
    FIELDS = fields(_ERROR)
    error_code: int = ERROR_CODE_DEFAULT


@dataclass(frozen=True, kw_only=True, slots=True)
class SGXRegisterResponse(Response):
    """Answer to SGXRegister."""

    NUMBER = 14
    FIELDS = fields(_ERROR)
    error_code: int = ERROR_CODE_DEFAULT


@dataclass(frozen=True, kw_only=True, slots=True)
class InitQuoteExResponse(Response):
    """Answer to InitQuoteEx: 512 bytes of TARGETINFO, the size 32, and in phase 2 the key's 32-byte id."""

    NUMBER = 15
    FIELDS = fields(_ERROR, (2, "target_info", BYTES), (3, "pub_key_id_size", U64), (4, "pub_key_id", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    target_info: bytes | None = None
    pub_key_id_size: int | None = None
    pub_key_id: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetQuoteSizeExResponse(Response):
    """Answer to GetQuoteSizeEx."""

    NUMBER = 16
    FIELDS = fields(_ERROR, (2, "quote_size", U32))
    error_code: int = ERROR_CODE_DEFAULT
    quote_size: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetQuoteExResponse(Response):
    """Answer to GetQuoteEx."""

    NUMBER = 17
    FIELDS = fields(_ERROR, (2, "quote", BYTES), (3, "qe_report_info", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    quote: bytes | None = None
    qe_report_info: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckUpdateStatusResponse(Response):
    """Answer to CheckUpdateStatus."""

    NUMBER = 18
    FIELDS = fields(_ERROR, (2, "platform_update_info", BYTES), (3, "status", U32))
    error_code: int = ERROR_CODE_DEFAULT
    platform_update_info: bytes | None = None
    status: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectAttKeyIDResponse(Response):
    """Answer to SelectAttKeyID: one 256-byte id."""

    NUMBER = 19
    FIELDS = fields(_ERROR, (2, "selected_att_key_id", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    selected_att_key_id: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetSupportedAttKeyIDNumResponse(Response):
    """Answer to GetSupportedAttKeyIDNum."""

    NUMBER = 21
    FIELDS = fields(_ERROR, (2, "att_key_id_num", U32))
    error_code: int = ERROR_CODE_DEFAULT
    att_key_id_num: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetSupportedAttKeyIDsResponse(Response):
    """Answer to GetSupportedAttKeyIDs: 256 bytes for each key."""

    NUMBER = 22
    FIELDS = fields(_ERROR, (2, "att_key_ids", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    att_key_ids: bytes | None = None
