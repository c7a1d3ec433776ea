"""What a daemon runs beside and whether that works: lines of its log at the start, and entries of its `/status`."""

import logging
from collections.abc import Iterable
from typing import Final, Protocol

from confcom.runtime.logs import event
from confcom.runtime.status import Compatibility

# Everything else is worth a look.
_LEVELS: Final = {"works": logging.INFO, "does not work": logging.ERROR}


class Found(Protocol):
    """One row of what was found; the layers keep this package from the table that it is of."""

    @property
    def part(self) -> str:
        """What has a version."""

    @property
    def found(self) -> str:
        """The version."""

    @property
    def verdict(self) -> str:
        """What that means."""

    @property
    def why(self) -> str:
        """And why."""


def entries(findings: Iterable[Found]) -> tuple[Compatibility, ...]:
    """The findings as `/status` shows them."""
    return tuple(Compatibility(part=f.part, found=f.found, verdict=f.verdict, why=f.why) for f in findings)


def tell(logger: logging.Logger, findings: Iterable[Found]) -> None:
    """One event for each finding."""
    for f in findings:
        level = _LEVELS.get(f.verdict, logging.WARNING)
        event(logger, level, "runs beside", part=f.part, found=f.found, verdict=f.verdict, why=f.why)
