"""REPORTs without SGX: the published key scheme of the Intel SGX SDK's simulation mode.

Enclaves built with `SGX_MODE=SIM` make their reports by this scheme, and it needs nothing but the TARGETINFO. So
anybody can make a report for any simulated machine: it proves the way of the bytes, and nothing about hardware.
"""

from dataclasses import dataclass
from hmac import compare_digest
from typing import ClassVar

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from confcom.errors import QuoteVerificationError
from confcom.sgx.layout import Field, Structure
from confcom.sgx.report import Attributes, Report, ReportBody, TargetInfo

# The scheme of the SDK's simulation mode, version 2.19 or newer: every simulated host has the same secret.
BASE_KEY = bytes.fromhex("ff00") * 8
OWNER_EPOCH = b"THISISOWNEREPOCH"
SDK_KEY_ID = BASE_KEY + bytes(16)
# The host's setting "default"; a host set to "upgraded" or "downgraded" derives other keys.
DEFAULT_CPU_SVN = bytes.fromhex("4820f3376ae6b2f2034d3b7a4b48a778")
_KEY_NAME_REPORT = 3

# The enclave that reports speak of where nobody names another: SHA-256 of "Simulated SGX enclave" and of
# "Simulated SGX enclave signer".
SIMULATED_MR_ENCLAVE = bytes.fromhex("7d3556e9d68e1c5b99725f0ef7687297ab6deb1618db941a4257316b333ee8b8")
SIMULATED_MR_SIGNER = bytes.fromhex("c7e0c701977412d217af4915c22c98139e26184272225167c5471e6fb27151f6")


@dataclass(frozen=True, kw_only=True, slots=True)
class _KeyDerivation(Structure):
    """The 192 bytes whose CMAC under the base key is the report key; `key_id` is the report's, `cpu_svn` the host's."""

    NAME: ClassVar = "report key derivation"
    FIELDS: ClassVar = (
        Field("key_name", 2, int),
        Field("padding1", 6),
        Field("attributes", 16, Attributes),
        Field("misc_select", 4, int),
        Field("owner_epoch", 16),
        Field("mr_enclave", 32),
        Field("cpu_svn", 16),
        Field("config_svn", 2, int),
        Field("config_id", 64),
        Field("key_id", 32),
        Field("padding2", 2),
    )

    key_name: int = _KEY_NAME_REPORT
    padding1: bytes = bytes(6)
    attributes: Attributes
    misc_select: int
    owner_epoch: bytes = OWNER_EPOCH
    mr_enclave: bytes
    cpu_svn: bytes
    config_svn: int
    config_id: bytes
    key_id: bytes
    padding2: bytes = bytes(2)


def report_key(target_info: TargetInfo, *, key_id: bytes = SDK_KEY_ID, cpu_svn: bytes = DEFAULT_CPU_SVN) -> bytes:
    """The 16-byte AES key of reports for `target_info` with this KEYID (32 bytes) on a host of this CPUSVN."""
    buffer = _KeyDerivation(
        attributes=target_info.attributes,
        misc_select=target_info.misc_select,
        mr_enclave=target_info.mr_enclave,
        cpu_svn=cpu_svn,
        config_svn=target_info.config_svn,
        config_id=target_info.config_id,
        key_id=key_id,
    )
    return _cmac(BASE_KEY, buffer.to_bytes())


_BODY = ReportBody.SIZE
_KEY_ID_END = _BODY + 32


class ReportTarget:
    """Makes and checks the MACs of reports for one target; meant to be kept, since it keeps the last key."""

    def __init__(self, target_info: TargetInfo) -> None:
        self.target_info = target_info
        self._last = (b"", CMAC(AES(BASE_KEY)))

    def mac(self, body: bytes, key_id: bytes) -> bytes:
        """The 16-byte MAC over a body of 384 bytes."""
        last_id, keyed = self._last
        if key_id != last_id:
            # The reports of one host share their KEYID until it starts anew, so one key is worth keeping.
            keyed = CMAC(AES(report_key(self.target_info, key_id=key_id)))
            self._last = (key_id, keyed)
        running = keyed.copy()
        running.update(body)
        return running.finalize()

    def accepts(self, report: bytes) -> bool:
        """Whether 432 bytes are a REPORT that was made for this target; reserved fields are not looked at."""
        return compare_digest(self.mac(report[:_BODY], report[_BODY:_KEY_ID_END]), report[_KEY_ID_END:])


def ereport(target_info: TargetInfo, body: ReportBody) -> Report:
    """The instruction EREPORT: the body as it stands, with the KEYID and the MAC that `target_info` can check."""
    return Report(body=body, key_id=SDK_KEY_ID, mac=ReportTarget(target_info).mac(body.to_bytes(), SDK_KEY_ID))


def make_report(
    target_info: TargetInfo,
    *,
    mr_enclave: bytes = SIMULATED_MR_ENCLAVE,
    mr_signer: bytes = SIMULATED_MR_SIGNER,
    report_data: bytes = bytes(64),
    attributes: Attributes = Attributes(),  # noqa: B008 - a frozen value
    misc_select: int = 0,
    isv_prod_id: int = 0,
    isv_svn: int = 0,
    isv_ext_prod_id: bytes = bytes(16),
    isv_family_id: bytes = bytes(16),
    config_id: bytes = bytes(64),
    config_svn: int = 0,
) -> Report:
    """A REPORT of a simulated enclave for the enclave of `target_info`, for example a quoting enclave.

    Sizes in bytes: mr_enclave and mr_signer 32, report_data 64, isv_ext_prod_id and isv_family_id 16, config_id 64.

    Raises:
        SGXFormatError: a field has another size, or a number does not fit.
    """
    body = ReportBody(
        cpu_svn=DEFAULT_CPU_SVN,
        misc_select=misc_select,
        isv_ext_prod_id=isv_ext_prod_id,
        attributes=attributes,
        mr_enclave=mr_enclave,
        mr_signer=mr_signer,
        config_id=config_id,
        isv_prod_id=isv_prod_id,
        isv_svn=isv_svn,
        config_svn=config_svn,
        isv_family_id=isv_family_id,
        report_data=report_data,
    )
    return ereport(target_info, body)


def verify_report(report: Report, target_info: TargetInfo) -> None:
    """What an enclave with `target_info` learns from its own report key, as `sgx_verify_report` does.

    Raises:
        QuoteVerificationError: the report was made for another enclave or another host, or was changed since.
    """
    if not ReportTarget(target_info).accepts(report.to_bytes()):
        raise QuoteVerificationError(
            f"REPORT: its MAC does not hold for the enclave {target_info.mr_enclave.hex()}: it was made for another "
            "enclave or another machine, or changed since"
        )


def _cmac(key: bytes, message: bytes) -> bytes:
    cmac = CMAC(AES(key))
    cmac.update(message)
    return cmac.finalize()
