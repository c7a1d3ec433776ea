"""TCB info, versions 2 and 3: which status a platform's component SVNs reach, and how the QE's joins in.

Sources: Intel's PCS API v3 and v4 (`/tcb`), and the behaviour of Intel's verification library.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self

import msgspec

from confcom.codes import TCBStatus
from confcom.errors import CollateralFormatError
from confcom.quote import signed_text
from confcom.quote.pck import COMPONENTS
from confcom.quote.signed_text import SVN8, SVN16, Count
from confcom.quote.times import Window

_NAME = "tcb_info"


class _Component(msgspec.Struct):
    svn: SVN8
    category: str = ""
    type: str = ""


class _TCB3(msgspec.Struct):
    sgxtcbcomponents: Annotated[list[_Component], msgspec.Meta(min_length=COMPONENTS, max_length=COMPONENTS)]
    pcesvn: SVN16


class _Level3(msgspec.Struct):
    tcb: _TCB3
    tcb_date: str = msgspec.field(name="tcbDate")
    status: TCBStatus = msgspec.field(name="tcbStatus")
    advisories: list[str] = msgspec.field(name="advisoryIDs", default_factory=list)


class _Level2(msgspec.Struct):
    # sgxtcbcomp01svn to sgxtcbcomp16svn, and pcesvn.
    tcb: dict[str, SVN16]
    tcb_date: str = msgspec.field(name="tcbDate")
    status: TCBStatus = msgspec.field(name="tcbStatus")
    advisories: list[str] = msgspec.field(name="advisoryIDs", default_factory=list)


class _Document(msgspec.Struct, tag_field="version", kw_only=True):
    issue_date: str = msgspec.field(name="issueDate")
    next_update: str = msgspec.field(name="nextUpdate")
    fmspc: str
    pce_id: str = msgspec.field(name="pceId")
    tcb_type: Count = msgspec.field(name="tcbType")
    evaluation_number: Count = msgspec.field(name="tcbEvaluationDataNumber")


class _Document2(_Document, tag=2, kw_only=True):
    id: str | msgspec.UnsetType = msgspec.UNSET
    levels: Annotated[tuple[_Level2, ...], msgspec.Meta(min_length=1)] = msgspec.field(name="tcbLevels")


class _Document3(_Document, tag=3, kw_only=True):
    id: str
    levels: Annotated[tuple[_Level3, ...], msgspec.Meta(min_length=1)] = msgspec.field(name="tcbLevels")


_DECODER: "msgspec.json.Decoder[_Document2 | _Document3]" = msgspec.json.Decoder(_Document2 | _Document3)


@dataclass(frozen=True, kw_only=True, slots=True)
class TCBLevel:
    """One level of TCB info: the least SVNs of the 16 components and of the PCE, and what reaching it means."""

    components: tuple[int, ...]
    pce_svn: int
    date: datetime
    status: TCBStatus
    advisories: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[tuple[int, ...], int]:
        """By which levels are ordered, highest first."""
        return self.components, self.pce_svn

    def is_reached_by(self, components: tuple[int, ...], pce_svn: int) -> bool:
        """Whether every component and the PCE are at least at this level."""
        return pce_svn >= self.pce_svn and all(map(int.__ge__, components, self.components))


@dataclass(frozen=True, kw_only=True, slots=True)
class TCBInfo:
    """TCB info of one CPU family. `levels` descend; `component_labels` are `category: type`, empty where unused."""

    version: int
    window: Window
    fmspc: bytes
    pce_id: bytes
    evaluation_number: int
    component_labels: tuple[str, ...]
    levels: tuple[TCBLevel, ...]

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """The TCB info in the signed text: version 3 with id "SGX", or version 2, which has no id.

        Raises:
            CollateralFormatError: malformed, for another TEE, or with a level that stands there twice.
        """
        found = signed_text.decode(text, _DECODER, _NAME)
        _check_kind(found)
        issued = signed_text.time(found.issue_date, f"{_NAME}.issueDate")
        until = signed_text.time(found.next_update, f"{_NAME}.nextUpdate")
        labels = _labels(found.levels[0]) if isinstance(found, _Document3) else ("",) * COMPONENTS
        return cls(
            version=3 if isinstance(found, _Document3) else 2,
            window=Window(name="TCB info", start=issued, end=until, renewable=True),
            fmspc=signed_text.unhex(found.fmspc, 6, f"{_NAME}.fmspc"),
            pce_id=signed_text.unhex(found.pce_id, 2, f"{_NAME}.pceId"),
            evaluation_number=found.evaluation_number,
            component_labels=labels,
            levels=_descending(found.levels),
        )

    def level_of(self, components: tuple[int, ...], pce_svn: int) -> TCBLevel | None:
        """The highest level that the PCK certificate's SVNs reach; None where they reach none."""
        return next((level for level in self.levels if level.is_reached_by(components, pce_svn)), None)


_BADNESS = {status: at for at, status in enumerate(TCBStatus)}


def badness(status: TCBStatus | None) -> int:
    """Where a status stands, 0 for the best; None, where no level is reached, is worse than each."""
    return len(_BADNESS) if status is None else _BADNESS[status]


def combine(platform: TCBStatus, qe: TCBStatus) -> TCBStatus:
    """The status of platform and QE together: what is worse in either shows, and Revoked wins."""
    if TCBStatus.REVOKED in {platform, qe}:
        return TCBStatus.REVOKED
    if qe is not TCBStatus.OUT_OF_DATE:
        return platform
    needs_configuration = {
        TCBStatus.CONFIGURATION_NEEDED,
        TCBStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED,
        TCBStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
    }
    return TCBStatus.OUT_OF_DATE_CONFIGURATION_NEEDED if platform in needs_configuration else TCBStatus.OUT_OF_DATE


def _check_kind(found: _Document2 | _Document3) -> None:
    if isinstance(found, _Document3):
        signed_text.require_id(found.id, "SGX", f"{_NAME}.id")
    if isinstance(found, _Document2) and found.id is not msgspec.UNSET:
        raise CollateralFormatError(f"{_NAME}.id", "does not belong in version 2")
    if found.tcb_type != 0:
        raise CollateralFormatError(f"{_NAME}.tcbType", f"must be 0, is {found.tcb_type}")


def _level(found: _Level2 | _Level3, at: int) -> TCBLevel:
    path = f"{_NAME}.tcbLevels[{at}]"
    if isinstance(found, _Level3):
        components, pce_svn = tuple(component.svn for component in found.tcb.sgxtcbcomponents), found.tcb.pcesvn
    else:
        components, pce_svn = _version2_svns(found.tcb, f"{path}.tcb")
    date = signed_text.time(found.tcb_date, f"{path}.tcbDate")
    advisories = tuple(found.advisories)
    return TCBLevel(components=components, pce_svn=pce_svn, date=date, status=found.status, advisories=advisories)


def _version2_svns(tcb: dict[str, int], path: str) -> tuple[tuple[int, ...], int]:
    names = [f"sgxtcbcomp{number:02}svn" for number in range(1, COMPONENTS + 1)]
    for name in (*names, "pcesvn"):
        if name not in tcb:
            raise CollateralFormatError(f"{path}.{name}", "is missing")
    components = tuple(tcb[name] for name in names)
    if max(components) > 0xFF:
        raise CollateralFormatError(path, "has a component SVN over 255")
    return components, tcb["pcesvn"]


def _descending(found: tuple[_Level2 | _Level3, ...]) -> tuple[TCBLevel, ...]:
    levels = [_level(level, at) for at, level in enumerate(found)]
    if len({level.rank for level in levels}) != len(levels):
        raise CollateralFormatError(f"{_NAME}.tcbLevels", "has the same level twice")
    return tuple(sorted(levels, key=lambda level: level.rank, reverse=True))


def _labels(level: _Level3) -> tuple[str, ...]:
    return tuple(": ".join(filter(None, (part.category, part.type))) for part in level.tcb.sgxtcbcomponents)
