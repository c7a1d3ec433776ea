"""What a platform lacks for a better TCB status: which components are behind, by how much, and whose business they are.

Source of the components' categories: `category` and `type` in TCB info, version 3 (Intel PCS API v4, `/tcb`).
"""

from dataclasses import dataclass

from confcom.quote.pck import PCKExtension
from confcom.quote.tcb import TCBInfo, TCBLevel, badness


@dataclass(frozen=True, kw_only=True, slots=True)
class BehindComponent:
    """One of the 16 components, counted from 1. `label` is `category: type` of TCB info, empty where it has none."""

    number: int
    label: str
    svn: int
    needed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Shortfall:
    """What lies between a platform and a better level of its TCB info.

    Attributes:
        level: the level that is best for the least change.
        components: those of the 16 that are below it.
        pce_svn: the PCESVN that it asks for, where the platform's is below; else None.
    """

    level: TCBLevel
    components: tuple[BehindComponent, ...]
    pce_svn: int | None


def shortfall(info: TCBInfo, pck: PCKExtension, reached: TCBLevel | None) -> Shortfall | None:
    """What the platform lacks for the best level that it does not reach; None where Intel lists no better one.

    `reached` is the level of the platform, None where it reaches none: then any level is better.
    """
    limit = badness(reached.status if reached else None)
    better = [
        _distance(info, pck, level)
        for level in info.levels
        if badness(level.status) < limit and not level.is_reached_by(pck.components, pck.pce_svn)
    ]
    return min(better, key=_effort, default=None)


def _effort(found: Shortfall) -> tuple[int, int, tuple[tuple[int, ...], int]]:
    """The best status first, then the fewest parts to change, then the lowest level."""
    parts = len(found.components) + (found.pce_svn is not None)
    return badness(found.level.status), parts, found.level.rank


def _distance(info: TCBInfo, pck: PCKExtension, level: TCBLevel) -> Shortfall:
    rows = zip(pck.components, level.components, info.component_labels, strict=True)
    behind = tuple(
        BehindComponent(number=number, label=label, svn=svn, needed=needed)
        for number, (svn, needed, label) in enumerate(rows, start=1)
        if svn < needed
    )
    needed = level.pce_svn if pck.pce_svn < level.pce_svn else None
    return Shortfall(level=level, components=behind, pce_svn=needed)
