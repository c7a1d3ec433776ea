"""QE identity, version 2: which quoting enclave Intel vouches for, and how current each ISVSVN of it is.

Source: Intel's PCS API v4 (`/qe/identity`). The hex of miscselect and attributes is in memory byte order.
"""

import itertools
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Self

import msgspec

from confcom.codes import TCBStatus
from confcom.errors import CollateralFormatError
from confcom.quote import signed_text
from confcom.quote.signed_text import SVN16, Count
from confcom.quote.times import Window
from confcom.sgx import ReportBody

_NAME = "qe_identity"


class _TCB(msgspec.Struct):
    isvsvn: SVN16


class _Level(msgspec.Struct):
    tcb: _TCB
    tcb_date: str = msgspec.field(name="tcbDate")
    # Both Intel's verifier and dcap-qvl refuse any other status of an enclave.
    status: Literal["UpToDate", "OutOfDate", "Revoked"] = msgspec.field(name="tcbStatus")
    advisories: list[str] = msgspec.field(name="advisoryIDs", default_factory=list)


class _Document(msgspec.Struct, kw_only=True):
    id: str
    version: Count
    issue_date: str = msgspec.field(name="issueDate")
    next_update: str = msgspec.field(name="nextUpdate")
    evaluation_number: Count = msgspec.field(name="tcbEvaluationDataNumber")
    miscselect: str
    miscselect_mask: str = msgspec.field(name="miscselectMask")
    attributes: str
    attributes_mask: str = msgspec.field(name="attributesMask")
    mrsigner: str
    isvprodid: SVN16
    levels: Annotated[list[_Level], msgspec.Meta(min_length=1)] = msgspec.field(name="tcbLevels")


_DECODER = msgspec.json.Decoder(_Document)


@dataclass(frozen=True, kw_only=True, slots=True)
class QELevel:
    """One level of the QE: the least ISVSVN, and what having it means."""

    isv_svn: int
    date: datetime
    status: TCBStatus
    advisories: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class QEIdentity:
    """QE identity. Sizes in bytes: misc_select and its mask 4, attributes and its mask 16, mr_signer 32."""

    window: Window
    evaluation_number: int
    misc_select: bytes
    misc_select_mask: bytes
    attributes: bytes
    attributes_mask: bytes
    mr_signer: bytes
    isv_prod_id: int
    levels: tuple[QELevel, ...]

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """The QE identity in the signed text: version 2, id "QE", levels that descend.

        Raises:
            CollateralFormatError: malformed, of another enclave, or with levels that do not descend.
        """
        found = signed_text.decode(text, _DECODER, _NAME)
        signed_text.require_id(found.id, "QE", f"{_NAME}.id")
        if found.version != 2:
            raise CollateralFormatError(f"{_NAME}.version", f"must be 2, is {found.version}")
        issued = signed_text.time(found.issue_date, f"{_NAME}.issueDate")
        until = signed_text.time(found.next_update, f"{_NAME}.nextUpdate")
        return cls(
            window=Window(name="QE identity", start=issued, end=until, renewable=True),
            evaluation_number=found.evaluation_number,
            misc_select=signed_text.unhex(found.miscselect, 4, f"{_NAME}.miscselect"),
            misc_select_mask=signed_text.unhex(found.miscselect_mask, 4, f"{_NAME}.miscselectMask"),
            attributes=signed_text.unhex(found.attributes, 16, f"{_NAME}.attributes"),
            attributes_mask=signed_text.unhex(found.attributes_mask, 16, f"{_NAME}.attributesMask"),
            mr_signer=signed_text.unhex(found.mrsigner, 32, f"{_NAME}.mrsigner"),
            isv_prod_id=found.isvprodid,
            levels=_levels(found.levels),
        )

    def level_of(self, isv_svn: int) -> QELevel | None:
        """The first level, as listed, whose ISVSVN the QE has; None where it has none."""
        return next((level for level in self.levels if level.isv_svn <= isv_svn), None)

    def mismatches(self, report: ReportBody) -> list[str]:
        """In what a QE's report differs from this identity, in words; both sides of a masked field are masked."""
        misc_select, attributes = report.misc_select.to_bytes(4, "little"), report.attributes.to_bytes()
        misc_mask, attributes_mask = self.misc_select_mask, self.attributes_mask
        compared = (
            ("MISCSELECT", _masked(misc_select, misc_mask), _masked(self.misc_select, misc_mask)),
            ("ATTRIBUTES", _masked(attributes, attributes_mask), _masked(self.attributes, attributes_mask)),
            ("MRSIGNER", report.mr_signer.hex(), self.mr_signer.hex()),
            ("ISVPRODID", str(report.isv_prod_id), str(self.isv_prod_id)),
        )
        return [f"{field} is {found}, must be {wanted}" for field, found, wanted in compared if found != wanted]


def _levels(found: list[_Level]) -> tuple[QELevel, ...]:
    """The levels as listed: verifiers take the first that fits, so a list that does not descend means nothing."""
    levels = tuple(_level(level, f"{_NAME}.tcbLevels[{at}]") for at, level in enumerate(found))
    if any(higher.isv_svn <= lower.isv_svn for higher, lower in itertools.pairwise(levels)):
        raise CollateralFormatError(f"{_NAME}.tcbLevels", "does not descend by isvsvn")
    return levels


def _level(found: _Level, path: str) -> QELevel:
    return QELevel(
        isv_svn=found.tcb.isvsvn,
        date=signed_text.time(found.tcb_date, f"{path}.tcbDate"),
        status=TCBStatus(found.status),
        advisories=tuple(found.advisories),
    )


def _masked(value: bytes, mask: bytes) -> str:
    return bytes(left & right for left, right in zip(value, mask, strict=True)).hex()
