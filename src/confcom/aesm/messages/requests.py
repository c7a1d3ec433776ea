"""The requests (package `aesm.message`, `Request`; linux-sgx `messages.proto`)."""

from confcom.aesm.messages.schema import BOOL, BYTES, U32, U64, Message, fields

_TIMEOUT = (9, "timeout", U32)


class InitQuoteRequest(Message, frozen=True, kw_only=True):
    """EPID: target info and group id."""

    NUMBER = 1
    FIELDS = fields(_TIMEOUT)
    timeout: int | None = None


class GetQuoteRequest(Message, frozen=True, kw_only=True):
    """EPID: a quote."""

    NUMBER = 2
    FIELDS = fields(
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


class GetLaunchTokenRequest(Message, frozen=True, kw_only=True):
    """A launch token; not needed with flexible launch control. `mr_signer` holds the 384-byte RSA modulus."""

    NUMBER = 3
    FIELDS = fields(
        (1, "mr_enclave", BYTES, True), (2, "mr_signer", BYTES, True), (3, "se_attributes", BYTES, True), _TIMEOUT
    )
    mr_enclave: bytes | None = None
    mr_signer: bytes | None = None
    se_attributes: bytes | None = None
    timeout: int | None = None


class ReportAttestationErrorRequest(Message, frozen=True, kw_only=True):
    """EPID: what the platform must update."""

    NUMBER = 4
    FIELDS = fields(
        (1, "platform_info", BYTES, True),
        (2, "attestation_error_code", U32, True),
        (3, "update_info_size", U32, True),
        _TIMEOUT,
    )
    platform_info: bytes | None = None
    attestation_error_code: int | None = None
    update_info_size: int | None = None
    timeout: int | None = None


class GetWhiteListSizeRequest(Message, frozen=True, kw_only=True):
    """Launch control: the size of the white list."""

    NUMBER = 10
    FIELDS = fields(_TIMEOUT)
    timeout: int | None = None


class GetWhiteListRequest(Message, frozen=True, kw_only=True):
    """Launch control: the white list."""

    NUMBER = 11
    FIELDS = fields((1, "white_list_size", U32), _TIMEOUT)
    white_list_size: int | None = None
    timeout: int | None = None


class SGXGetExtendedEpidGroupIdRequest(Message, frozen=True, kw_only=True):
    """EPID: the extended group id."""

    NUMBER = 12
    FIELDS = fields(_TIMEOUT)
    timeout: int | None = None


class SGXSwitchExtendedEpidGroupRequest(Message, frozen=True, kw_only=True):
    """EPID: another extended group."""

    NUMBER = 13
    FIELDS = fields((1, "x_group_id", U32), _TIMEOUT)
    x_group_id: int | None = None
    timeout: int | None = None


class SGXRegisterRequest(Message, frozen=True, kw_only=True):
    """Launch control: a white list's certificate chain (`data_type` 0)."""

    NUMBER = 14
    FIELDS = fields((1, "buf", BYTES, True), (2, "data_type", U32, True), _TIMEOUT)
    buf: bytes | None = None
    data_type: int | None = None
    timeout: int | None = None


class InitQuoteExRequest(Message, frozen=True, kw_only=True):
    """The QE's target info and the size of the key's id (phase 1), or also the id itself (phase 2)."""

    NUMBER = 15
    FIELDS = fields((1, "att_key_id", BYTES), (3, "b_pub_key_id", BOOL, True), (4, "buf_size", U64), _TIMEOUT)
    att_key_id: bytes | None = None
    b_pub_key_id: bool | None = None
    buf_size: int | None = None
    timeout: int | None = None


class GetQuoteSizeExRequest(Message, frozen=True, kw_only=True):
    """The size of a quote in bytes."""

    NUMBER = 16
    FIELDS = fields((1, "att_key_id", BYTES), _TIMEOUT)
    att_key_id: bytes | None = None
    timeout: int | None = None


class GetQuoteExRequest(Message, frozen=True, kw_only=True):
    """A quote of a 432-byte REPORT, in exactly `buf_size` bytes."""

    NUMBER = 17
    FIELDS = fields(
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


class CheckUpdateStatusRequest(Message, frozen=True, kw_only=True):
    """EPID: whether an update is needed."""

    NUMBER = 18
    FIELDS = fields((1, "platform_info", BYTES), (2, "update_info_size", U32, True), (3, "config", U32, True), _TIMEOUT)
    platform_info: bytes | None = None
    update_info_size: int | None = None
    config: int | None = None
    timeout: int | None = None


class SelectAttKeyIDRequest(Message, frozen=True, kw_only=True):
    """Which of the client's keys the server supports; the only message whose timeout is field 2."""

    NUMBER = 19
    FIELDS = fields((1, "att_key_id_list", BYTES), (2, "timeout", U32))
    att_key_id_list: bytes | None = None
    timeout: int | None = None


class GetSupportedAttKeyIDNumRequest(Message, frozen=True, kw_only=True):
    """How many keys the server supports."""

    NUMBER = 21
    FIELDS = fields(_TIMEOUT)
    timeout: int | None = None


class GetSupportedAttKeyIDsRequest(Message, frozen=True, kw_only=True):
    """The supported keys, in a buffer of exactly 256 bytes each."""

    NUMBER = 22
    FIELDS = fields((1, "buf_size", U32, True), _TIMEOUT)
    buf_size: int | None = None
    timeout: int | None = None
