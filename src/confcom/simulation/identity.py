"""Who a simulated platform is: the ids, the TCB and the quoting enclave that its certificates and quotes speak of."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, Self, cast, get_args

from confcom.codes import TCBStatus
from confcom.sgx.report import (
    FLAG_INITTED,
    FLAG_MODE64BIT,
    FLAG_PROVISION_KEY,
    Attributes,
    ReportBody,
    TargetInfo,
)
from confcom.simulation.reports import DEFAULT_CPU_SVN

# Which CA issued the PCK certificate: single-socket machines have the Processor CA, multi-socket ones the Platform CA.
CAKind = Literal["processor", "platform"]

# The quoting enclave imitates Intel's in all but its signer, so that it can never be taken for Intel's.
QE_MISC_SELECT: Final = 0
QE_ATTRIBUTES: Final = Attributes(flags=FLAG_INITTED | FLAG_MODE64BIT | FLAG_PROVISION_KEY, xfrm=0xE7)
QE_MR_SIGNER: Final = hashlib.sha256(b"Simulated SGX QE signer").digest()
QE_ISV_PROD_ID: Final = 1
QE_ISV_SVN: Final = 11

# The PCESVN that the quote's header states is the machine's present one; it is above the certified one on most
# machines, and no verifier compares the two.
RAW_PCE_SVN: Final = 15

_VERSION = 1
_SIZES = {
    "platform_id": 16,
    "ppid": 16,
    "qe_id": 16,
    "platform_instance_id": 16,
    "fmspc": 6,
    "pce_id": 2,
    "tcb_components": 16,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatformIdentity:
    """What is fixed when a simulated machine is made.

    Sizes in bytes: platform_id, ppid, qe_id, platform_instance_id and tcb_components 16, fmspc 6, pce_id 2.
    `tcb_components` and `pce_svn` are the TCB that the PCK certificate states; `tcb_status` is the verdict that the
    TCB info gives to it.
    """

    ca: CAKind
    tcb_status: TCBStatus
    platform_id: bytes
    ppid: bytes
    qe_id: bytes
    platform_instance_id: bytes
    fmspc: bytes
    pce_id: bytes
    tcb_components: bytes
    pce_svn: int

    @property
    def qe_mr_enclave(self) -> bytes:
        """The QE's MRENCLAVE: another one on every machine, so that a report for one is refused by all others.

        Real QEs are alike everywhere, and the CPU's secrets keep machines apart; simulated ones have no secrets.
        """
        return hashlib.sha256(b"Simulated SGX QE" + self.platform_id).digest()

    def qe_target_info(self) -> TargetInfo:
        """What an enclave needs to make a report for the QE; all but these three fields is zero, as with Intel's."""
        return TargetInfo(mr_enclave=self.qe_mr_enclave, attributes=QE_ATTRIBUTES, misc_select=QE_MISC_SELECT)

    def qe_report_body(self, report_data: bytes) -> ReportBody:
        """The body of a report of the QE itself, with 64 bytes of report data."""
        return ReportBody(
            cpu_svn=DEFAULT_CPU_SVN,
            misc_select=QE_MISC_SELECT,
            attributes=QE_ATTRIBUTES,
            mr_enclave=self.qe_mr_enclave,
            mr_signer=QE_MR_SIGNER,
            isv_prod_id=QE_ISV_PROD_ID,
            isv_svn=QE_ISV_SVN,
            report_data=report_data,
        )

    def to_json(self) -> bytes:
        """A JSON object: bytes as hex, and the version of this form."""
        values = {name: value.hex() if isinstance(value, bytes) else value for name, value in asdict(self).items()}
        return json.dumps({"version": _VERSION, **values}, indent=2).encode() + b"\n"

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """The exact inverse of `to_json`.

        Raises:
            ValueError: it is not that object; the sentence names the member.
        """
        values = json.loads(text)
        if not isinstance(values, dict) or values.pop("version", None) != _VERSION:
            raise ValueError(f"is not a simulated platform of version {_VERSION}")
        names = {field.name for field in fields(cls)}
        if wrong := names ^ values.keys():
            raise ValueError(f"member '{min(wrong)}' is {'missing' if min(wrong) in names else 'unknown'}")
        return cls(**{name: _member(name, value) for name, value in values.items()})


def parse_ca(text: str) -> CAKind:
    """The kind of CA that `text` names.

    Raises:
        ValueError: it names none.
    """
    if text not in get_args(CAKind):
        raise ValueError(f"'{text}' is not a kind of PCK CA: use {' or '.join(get_args(CAKind))}")
    return cast("CAKind", text)


def _member(name: str, value: Any) -> Any:
    if name == "pce_svn":
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 16:
            raise ValueError(f"member '{name}' is not a number of 16 bits")
        return value
    if not isinstance(value, str):
        raise ValueError(f"member '{name}' is not a string")  # noqa: TRY004 - callers know one error
    try:
        if name == "ca":
            return parse_ca(value)
        data = TCBStatus(value) if name == "tcb_status" else bytes.fromhex(value)
    except ValueError as error:
        raise ValueError(f"member '{name}': {error}") from error
    if isinstance(data, bytes) and len(data) != _SIZES[name]:
        raise ValueError(f"member '{name}' has {len(data)} bytes, not {_SIZES[name]}")
    return data
