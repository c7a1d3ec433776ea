"""REPORT, its body, TARGETINFO and qe_report_info: what EREPORT reads and writes (Intel SDM; `sgx_report.h`)."""

from dataclasses import dataclass
from typing import ClassVar

from confcom.sgx.layout import Field, Structure

# ATTRIBUTES.FLAGS (Intel SDM, table "Layout of ATTRIBUTES Structure").
FLAG_INITTED = 0x1
FLAG_DEBUG = 0x2
FLAG_MODE64BIT = 0x4
FLAG_PROVISION_KEY = 0x10
FLAG_EINITTOKEN_KEY = 0x20
FLAG_CET = 0x40
FLAG_KSS = 0x80
FLAG_AEX_NOTIFY = 0x400

_FLAG_NAMES = {
    FLAG_INITTED: "INITTED",
    FLAG_DEBUG: "DEBUG",
    FLAG_MODE64BIT: "MODE64BIT",
    FLAG_PROVISION_KEY: "PROVISION_KEY",
    FLAG_EINITTOKEN_KEY: "EINITTOKEN_KEY",
    FLAG_CET: "CET",
    FLAG_KSS: "KSS",
    FLAG_AEX_NOTIFY: "AEX_NOTIFY",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Attributes(Structure):
    """ATTRIBUTES, 16 bytes: FLAGS and XFRM, 64 bits each."""

    NAME: ClassVar = "ATTRIBUTES"
    FIELDS: ClassVar = (Field("flags", 8, int), Field("xfrm", 8, int))

    flags: int = FLAG_INITTED | FLAG_MODE64BIT
    xfrm: int = 0x3

    @property
    def debug(self) -> bool:
        """Whether the host can read the enclave's memory."""
        return bool(self.flags & FLAG_DEBUG)

    @property
    def initted(self) -> bool:
        """Whether EINIT has succeeded; hardware makes no report of an enclave without it."""
        return bool(self.flags & FLAG_INITTED)

    def flag_names(self) -> list[str]:
        """The set flags by name; a bit without a name stands as hex."""
        unknown = self.flags & ~sum(_FLAG_NAMES)
        names = [name for bit, name in _FLAG_NAMES.items() if self.flags & bit]
        return [*names, f"{unknown:#x}"] if unknown else names


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportBody(Structure):
    """REPORT body, 384 bytes: the enclave's identity and its 64 bytes of report data; what a quote signs."""

    NAME: ClassVar = "REPORT body"
    FIELDS: ClassVar = (
        Field("cpu_svn", 16),
        Field("misc_select", 4, int),
        Field("reserved1", 12),
        Field("isv_ext_prod_id", 16),
        Field("attributes", 16, Attributes),
        Field("mr_enclave", 32),
        Field("reserved2", 32),
        Field("mr_signer", 32),
        Field("reserved3", 32),
        Field("config_id", 64),
        Field("isv_prod_id", 2, int),
        Field("isv_svn", 2, int),
        Field("config_svn", 2, int),
        Field("reserved4", 42),
        Field("isv_family_id", 16),
        Field("report_data", 64),
    )

    cpu_svn: bytes = bytes(16)
    misc_select: int = 0
    reserved1: bytes = bytes(12)
    isv_ext_prod_id: bytes = bytes(16)
    attributes: Attributes = Attributes()
    mr_enclave: bytes = bytes(32)
    reserved2: bytes = bytes(32)
    mr_signer: bytes = bytes(32)
    reserved3: bytes = bytes(32)
    config_id: bytes = bytes(64)
    isv_prod_id: int = 0
    isv_svn: int = 0
    config_svn: int = 0
    reserved4: bytes = bytes(42)
    isv_family_id: bytes = bytes(16)
    report_data: bytes = bytes(64)

    @property
    def reserved_is_zero(self) -> bool:
        """Whether all 150 reserved bytes are zero, as hardware writes them."""
        return not any(self.reserved1 + self.reserved2 + self.reserved3 + self.reserved4)


@dataclass(frozen=True, kw_only=True, slots=True)
class Report(Structure):
    """REPORT, 432 bytes: the body, the KEYID and the MAC, which covers the body alone."""

    NAME: ClassVar = "REPORT"
    FIELDS: ClassVar = (Field("body", 384, ReportBody), Field("key_id", 32), Field("mac", 16))

    body: ReportBody
    key_id: bytes = bytes(32)
    mac: bytes = bytes(16)


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetInfo(Structure):
    """TARGETINFO, 512 bytes: the enclave that a REPORT is made for."""

    NAME: ClassVar = "TARGETINFO"
    FIELDS: ClassVar = (
        Field("mr_enclave", 32),
        Field("attributes", 16, Attributes),
        Field("reserved1", 2),
        Field("config_svn", 2, int),
        Field("misc_select", 4, int),
        Field("reserved2", 8),
        Field("config_id", 64),
        Field("reserved3", 384),
    )

    mr_enclave: bytes = bytes(32)
    attributes: Attributes = Attributes()
    reserved1: bytes = bytes(2)
    config_svn: int = 0
    misc_select: int = 0
    reserved2: bytes = bytes(8)
    config_id: bytes = bytes(64)
    reserved3: bytes = bytes(384)


@dataclass(frozen=True, kw_only=True, slots=True)
class QEReportInfo(Structure):
    """qe_report_info, 960 bytes: a nonce, the caller's TARGETINFO, and room for the QE's own REPORT to the caller."""

    NAME: ClassVar = "qe_report_info"
    FIELDS: ClassVar = (
        Field("nonce", 16),
        Field("app_enclave_target_info", 512, TargetInfo),
        Field("qe_report", 432, Report),
    )

    nonce: bytes = bytes(16)
    app_enclave_target_info: TargetInfo = TargetInfo()
    qe_report: Report = Report(body=ReportBody())
