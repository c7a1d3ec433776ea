"""All messages of AESM as frozen values (package `aesm.message`, proto2; linux-sgx `messages.proto`).

`Request` and `Response` are envelopes with exactly one sub-message set, under the same field number in both
directions. A field that is absent on the wire is None here: whether it was required is asked with `missing`, since
Intel's server answers a request that lacks one with errorCode 1 and does not drop it.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Self, TypeVar

from confcom.aesm.wire import decode_fields, encode_field
from confcom.errors import AESMProtocolError

# What a response that lacks its errorCode means: the field's proto2 default.
ERROR_CODE_DEFAULT = 1


class Kind(Enum):
    """Scalar types of the schema, by what a decoder does with the wire's 64 bits."""

    UINT32 = "uint32"
    UINT64 = "uint64"
    BOOL = "bool"
    BYTES = "bytes"

    def value_from(self, wire: int | bytes | None) -> Any:
        """The field's value, or None where the wire type is another one (an unknown field for protobuf)."""
        if isinstance(wire, bytes):
            return wire if self is Kind.BYTES else None
        if wire is None or self is Kind.BYTES:
            return None
        if self is Kind.BOOL:
            return wire != 0
        return wire & 0xFFFFFFFF if self is Kind.UINT32 else wire


@dataclass(frozen=True, slots=True)
class FieldType:
    """One field of a message: number, name, type, and whether proto2 requires it."""

    number: int
    name: str
    kind: Kind
    required: bool = False


def _fields(*rows: tuple[int, str, Kind] | tuple[int, str, Kind, bool]) -> tuple[FieldType, ...]:
    return tuple(FieldType(*row) for row in rows)


class Message:
    """Base of all sub-messages: `NUMBER` is the envelope's field, `FIELDS` the schema in order of number."""

    __slots__ = ()
    NUMBER: ClassVar[int]
    FIELDS: ClassVar[tuple[FieldType, ...]]
    _BY_NUMBER: ClassVar[dict[int, FieldType]]

    def __init_subclass__(cls) -> None:
        if "FIELDS" in cls.__dict__:
            cls._BY_NUMBER = {field.number: field for field in cls.FIELDS}

    @classmethod
    def decode(cls, *pieces: bytes) -> Self:
        """The message in one piece or merged from several; unknown fields are ignored, of a repeated one the last.

        Raises:
            AESMProtocolError: a piece is not a protobuf message.
        """
        values: dict[str, Any] = {}
        for piece in pieces:
            for number, wire in decode_fields(piece):
                field = cls._BY_NUMBER.get(number)
                if field is not None and (value := field.kind.value_from(wire)) is not None:
                    values[field.name] = value
        return cls(**values)

    def encode(self) -> bytes:
        """The sub-message's bytes, fields in order of number, absent ones left out."""
        values = ((field.number, getattr(self, field.name)) for field in self.FIELDS)
        return b"".join(encode_field(number, value) for number, value in values if value is not None)

    def envelope(self) -> bytes:
        """The Request or Response that holds this sub-message."""
        return encode_field(self.NUMBER, self.encode())

    def missing(self) -> str | None:
        """The first required field that is absent."""
        return next((f.name for f in self.FIELDS if f.required and getattr(self, f.name) is None), None)


M = TypeVar("M", bound=Message)
U32, U64, BOOL, BYTES = Kind.UINT32, Kind.UINT64, Kind.BOOL, Kind.BYTES
_TIMEOUT = (9, "timeout", U32)


# --- requests ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class InitQuoteRequest(Message):
    """EPID: target info and group id."""

    NUMBER = 1
    FIELDS = _fields(_TIMEOUT)
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetQuoteRequest(Message):
    """EPID: a quote."""

    NUMBER = 2
    FIELDS = _fields(
        (1, "report", BYTES, True),
        (2, "quote_type", U32, True),
        (3, "spid", BYTES, True),
        (4, "nonce", BYTES),
        (5, "sig_rl", BYTES),
        (6, "buf_size", U32, True),
        (7, "qe_report", BOOL),
        _TIMEOUT,
    )
    report: bytes | None = None
    quote_type: int | None = None
    spid: bytes | None = None
    nonce: bytes | None = None
    sig_rl: bytes | None = None
    buf_size: int | None = None
    qe_report: bool | None = None
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetLaunchTokenRequest(Message):
    """A launch token; not needed with flexible launch control. `mr_signer` holds the 384-byte RSA modulus."""

    NUMBER = 3
    FIELDS = _fields(
        (1, "mr_enclave", BYTES, True), (2, "mr_signer", BYTES, True), (3, "se_attributes", BYTES, True), _TIMEOUT
    )
    mr_enclave: bytes | None = None
    mr_signer: bytes | None = None
    se_attributes: bytes | None = None
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportAttestationErrorRequest(Message):
    """EPID: what the platform must update."""

    NUMBER = 4
    FIELDS = _fields(
        (1, "platform_info", BYTES, True),
        (2, "attestation_error_code", U32, True),
        (3, "update_info_size", U32, True),
        _TIMEOUT,
    )
    platform_info: bytes | None = None
    attestation_error_code: int | None = None
    update_info_size: int | None = None
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetWhiteListSizeRequest(Message):
    """Launch control: the size of the white list."""

    NUMBER = 10
    FIELDS = _fields(_TIMEOUT)
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetWhiteListRequest(Message):
    """Launch control: the white list."""

    NUMBER = 11
    FIELDS = _fields((1, "white_list_size", U32), _TIMEOUT)
    white_list_size: int | None = None
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SGXGetExtendedEpidGroupIdRequest(Message):
    """EPID: the extended group id."""

    NUMBER = 12
    FIELDS = _fields(_TIMEOUT)
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SGXSwitchExtendedEpidGroupRequest(Message):
    """EPID: another extended group."""

    NUMBER = 13
    FIELDS = _fields((1, "x_group_id", U32), _TIMEOUT)
    x_group_id: int | None = None
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SGXRegisterRequest(Message):
    """Launch control: a white list's certificate chain (`data_type` 0)."""

    NUMBER = 14
    FIELDS = _fields((1, "buf", BYTES, True), (2, "data_type", U32, True), _TIMEOUT)
    buf: bytes | None = None
    data_type: int | None = None
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class InitQuoteExRequest(Message):
    """The QE's target info and the size of the key's id (phase 1), or also the id itself (phase 2)."""

    NUMBER = 15
    FIELDS = _fields((1, "att_key_id", BYTES), (3, "b_pub_key_id", BOOL, True), (4, "buf_size", U64), _TIMEOUT)
    att_key_id: bytes | None = None
    b_pub_key_id: bool | None = None
    buf_size: int | None = None
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetQuoteSizeExRequest(Message):
    """The size of a quote in bytes."""

    NUMBER = 16
    FIELDS = _fields((1, "att_key_id", BYTES), _TIMEOUT)
    att_key_id: bytes | None = None
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetQuoteExRequest(Message):
    """A quote of a 432-byte REPORT, in exactly `buf_size` bytes."""

    NUMBER = 17
    FIELDS = _fields(
        (1, "report", BYTES, True),
        (2, "att_key_id", BYTES),
        (3, "qe_report_info", BYTES),
        (4, "buf_size", U32, True),
        _TIMEOUT,
    )
    report: bytes | None = None
    att_key_id: bytes | None = None
    qe_report_info: bytes | None = None
    buf_size: int | None = None
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckUpdateStatusRequest(Message):
    """EPID: whether an update is needed."""

    NUMBER = 18
    FIELDS = _fields(
        (1, "platform_info", BYTES), (2, "update_info_size", U32, True), (3, "config", U32, True), _TIMEOUT
    )
    platform_info: bytes | None = None
    update_info_size: int | None = None
    config: int | None = None
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectAttKeyIDRequest(Message):
    """Which of the client's keys the server supports; the only message whose timeout is field 2."""

    NUMBER = 19
    FIELDS = _fields((1, "att_key_id_list", BYTES), (2, "timeout", U32))
    att_key_id_list: bytes | None = None
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetSupportedAttKeyIDNumRequest(Message):
    """How many keys the server supports."""

    NUMBER = 21
    FIELDS = _fields(_TIMEOUT)
    timeout: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetSupportedAttKeyIDsRequest(Message):
    """The supported keys, in a buffer of exactly 256 bytes each."""

    NUMBER = 22
    FIELDS = _fields((1, "buf_size", U32, True), _TIMEOUT)
    buf_size: int | None = None
    timeout: int | None = None


# --- responses --------------------------------------------------------------------------------------------------------

_ERROR = (1, "error_code", U32, True)


class Response(Message):
    """Base of the responses; each carries its error code, which must be on the wire even when it is 0."""

    __slots__ = ()
    error_code: int


@dataclass(frozen=True, kw_only=True, slots=True)
class InitQuoteResponse(Response):
    """Answer to InitQuote."""

    NUMBER = 1
    FIELDS = _fields(_ERROR, (2, "target_info", BYTES), (3, "gid", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    target_info: bytes | None = None
    gid: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetQuoteResponse(Response):
    """Answer to GetQuote."""

    NUMBER = 2
    FIELDS = _fields(_ERROR, (2, "quote", BYTES), (3, "qe_report", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    quote: bytes | None = None
    qe_report: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetLaunchTokenResponse(Response):
    """Answer to GetLaunchToken."""

    NUMBER = 3
    FIELDS = _fields(_ERROR, (2, "token", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    token: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportAttestationErrorResponse(Response):
    """Answer to ReportAttestationError."""

    NUMBER = 4
    FIELDS = _fields(_ERROR, (2, "platform_update_info", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    platform_update_info: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetWhiteListSizeResponse(Response):
    """Answer to GetWhiteListSize."""

    NUMBER = 10
    FIELDS = _fields(_ERROR, (2, "white_list_size", U32))
    error_code: int = ERROR_CODE_DEFAULT
    white_list_size: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetWhiteListResponse(Response):
    """Answer to GetWhiteList."""

    NUMBER = 11
    FIELDS = _fields(_ERROR, (2, "white_list", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    white_list: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SGXGetExtendedEpidGroupIdResponse(Response):
    """Answer to SGXGetExtendedEpidGroupId."""

    NUMBER = 12
    FIELDS = _fields(_ERROR, (2, "x_group_id", U32))
    error_code: int = ERROR_CODE_DEFAULT
    x_group_id: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SGXSwitchExtendedEpidGroupResponse(Response):
    """Answer to SGXSwitchExtendedEpidGroup."""

    NUMBER = 13
    FIELDS = _fields(_ERROR)
    error_code: int = ERROR_CODE_DEFAULT


@dataclass(frozen=True, kw_only=True, slots=True)
class SGXRegisterResponse(Response):
    """Answer to SGXRegister."""

    NUMBER = 14
    FIELDS = _fields(_ERROR)
    error_code: int = ERROR_CODE_DEFAULT


@dataclass(frozen=True, kw_only=True, slots=True)
class InitQuoteExResponse(Response):
    """Answer to InitQuoteEx: 512 bytes of TARGETINFO, the size 32, and in phase 2 the key's 32-byte id."""

    NUMBER = 15
    FIELDS = _fields(_ERROR, (2, "target_info", BYTES), (3, "pub_key_id_size", U64), (4, "pub_key_id", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    target_info: bytes | None = None
    pub_key_id_size: int | None = None
    pub_key_id: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetQuoteSizeExResponse(Response):
    """Answer to GetQuoteSizeEx."""

    NUMBER = 16
    FIELDS = _fields(_ERROR, (2, "quote_size", U32))
    error_code: int = ERROR_CODE_DEFAULT
    quote_size: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetQuoteExResponse(Response):
    """Answer to GetQuoteEx."""

    NUMBER = 17
    FIELDS = _fields(_ERROR, (2, "quote", BYTES), (3, "qe_report_info", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    quote: bytes | None = None
    qe_report_info: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckUpdateStatusResponse(Response):
    """Answer to CheckUpdateStatus."""

    NUMBER = 18
    FIELDS = _fields(_ERROR, (2, "platform_update_info", BYTES), (3, "status", U32))
    error_code: int = ERROR_CODE_DEFAULT
    platform_update_info: bytes | None = None
    status: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectAttKeyIDResponse(Response):
    """Answer to SelectAttKeyID: one 256-byte id."""

    NUMBER = 19
    FIELDS = _fields(_ERROR, (2, "selected_att_key_id", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    selected_att_key_id: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetSupportedAttKeyIDNumResponse(Response):
    """Answer to GetSupportedAttKeyIDNum."""

    NUMBER = 21
    FIELDS = _fields(_ERROR, (2, "att_key_id_num", U32))
    error_code: int = ERROR_CODE_DEFAULT
    att_key_id_num: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GetSupportedAttKeyIDsResponse(Response):
    """Answer to GetSupportedAttKeyIDs: 256 bytes for each key."""

    NUMBER = 22
    FIELDS = _fields(_ERROR, (2, "att_key_ids", BYTES))
    error_code: int = ERROR_CODE_DEFAULT
    att_key_ids: bytes | None = None


# The order in which Intel's server looks for the sub-message of a Request that holds several.
REQUESTS: tuple[type[Message], ...] = (
    GetLaunchTokenRequest,
    InitQuoteRequest,
    GetQuoteRequest,
    ReportAttestationErrorRequest,
    CheckUpdateStatusRequest,
    GetWhiteListSizeRequest,
    GetWhiteListRequest,
    SGXGetExtendedEpidGroupIdRequest,
    SGXSwitchExtendedEpidGroupRequest,
    SGXRegisterRequest,
    InitQuoteExRequest,
    GetQuoteSizeExRequest,
    GetQuoteExRequest,
    SelectAttKeyIDRequest,
    GetSupportedAttKeyIDNumRequest,
    GetSupportedAttKeyIDsRequest,
)
RESPONSES: tuple[type[Response], ...] = (
    InitQuoteResponse,
    GetQuoteResponse,
    GetLaunchTokenResponse,
    ReportAttestationErrorResponse,
    GetWhiteListSizeResponse,
    GetWhiteListResponse,
    SGXGetExtendedEpidGroupIdResponse,
    SGXSwitchExtendedEpidGroupResponse,
    SGXRegisterResponse,
    InitQuoteExResponse,
    GetQuoteSizeExResponse,
    GetQuoteExResponse,
    CheckUpdateStatusResponse,
    SelectAttKeyIDResponse,
    GetSupportedAttKeyIDNumResponse,
    GetSupportedAttKeyIDsResponse,
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
