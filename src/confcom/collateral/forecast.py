"""What becomes of a platform's TCB status: by `standard` today, by `early` already, and until when the first is sure.

Pure. Intel gives a new evaluation number to the channel `early` first, and to `standard` weeks to months later without
a date; what is sure is only that the present standard documents end with their nextUpdate (Intel's PCS API v4).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from confcom.codes import TCBStatus
from confcom.collateral.source import UpdateChannel
from confcom.quote.result import Verification
from confcom.quote.tcb import badness
from confcom.quote.times import Window, format_time

_UNSUPPORTED = "no TCB level"
# The steps of a verification that find the levels of platform and QE.
_LEVEL_STEPS = frozenset({13, 14})


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelStatus:
    """The status by one channel's documents.

    Attributes:
        update: the channel.
        status: platform and QE together; None where the platform reaches no level.
        platform: the platform's own status; None where it reaches no level.
        qe: the QE's own status; None where it reaches no level, and so counts as Revoked.
        advisories: of both levels.
        evaluation_number: of the TCB info.
        qe_evaluation_number: of the QE identity; the two may differ.
        until: when the first of both documents ends.
    """

    update: UpdateChannel
    status: TCBStatus | None
    platform: TCBStatus | None
    qe: TCBStatus | None
    advisories: tuple[str, ...]
    evaluation_number: int
    qe_evaluation_number: int
    until: datetime

    def __str__(self) -> str:
        return f"{self.status or _UNSUPPORTED} by {self.update} (evaluation {self.evaluation_number})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What comes.

    Attributes:
        standard: the status that most verifiers reach today.
        early: the status that all will reach; None where the channel could not be asked.
        falls: whether `early` is worse, so that a fall is announced.
        date: the last moment at which today's status is sure: the end of the standard documents or of a certificate.
        sentence: all of it in words.
    """

    standard: ChannelStatus
    early: ChannelStatus | None
    falls: bool
    date: datetime
    sentence: str


def status_of(verification: Verification, update: UpdateChannel) -> ChannelStatus | None:
    """The status that a verification reached with one channel's documents; None where its signatures led to none."""
    tcb_info, qe_identity = verification.tcb_info, verification.qe_identity
    judged = all(step.judged for step in verification.steps if step.number in _LEVEL_STEPS)
    if tcb_info is None or qe_identity is None or not judged:
        return None
    platform, qe = verification.platform_level, verification.qe_level
    return ChannelStatus(
        update=update,
        status=verification.tcb_status,
        platform=platform.status if platform else None,
        qe=qe.status if qe else None,
        advisories=verification.advisories,
        evaluation_number=tcb_info.evaluation_number,
        qe_evaluation_number=qe_identity.evaluation_number,
        until=min(tcb_info.window.end, qe_identity.window.end),
    )


def forecast(
    standard: ChannelStatus, early: ChannelStatus | None, at: datetime, certificates: Iterable[Window] = ()
) -> Forecast:
    """What follows from both channels at the time `at`; `certificates` are the windows of the quote's own chain."""
    first_end = min(certificates, key=lambda window: window.end, default=None)
    falls = early is not None and badness(early.status) > badness(standard.status)
    sentences = [_comparison(standard, early, at, falls=falls)]
    date = standard.until
    if first_end and first_end.end < date:
        date = first_end.end
        sentences.append(f"Before that {first_end.name} ends, at {format_time(date)}: the machine needs a new one.")
    return Forecast(standard=standard, early=early, falls=falls, date=date, sentence=" ".join(sentences))


def _comparison(standard: ChannelStatus, early: ChannelStatus | None, at: datetime, *, falls: bool) -> str:
    due = _due(standard, at)
    if early is None:
        return f"{standard}; early could not be asked, so a coming fall is not known. {due}"
    if falls:
        return (
            f"{standard}, but {early}, because of {_blame(standard, early)}: verifiers that use early say so already, "
            f"those that use standard will once it takes over evaluation {early.evaluation_number}. {due}"
        )
    if badness(early.status) < badness(standard.status):
        return f"{standard}, and better already: {early}. {due}"
    return f"{standard}, and {early}: no fall is announced. {due}"


def _due(standard: ChannelStatus, at: datetime) -> str:
    if standard.until < at:
        return f"The standard documents ended at {format_time(standard.until)}: fetch newer ones."
    return f"The present standard documents hold until {format_time(standard.until)}; no later date is sure."


def _blame(standard: ChannelStatus, early: ChannelStatus) -> str:
    """Which of the two falls, and so who has to act."""
    platform = badness(early.platform) > badness(standard.platform)
    qe = badness(early.qe) > badness(standard.qe)
    if platform and qe:
        return "both the platform (microcode or BIOS) and the QE"
    return "the QE, which the quote helper's update replaces" if qe else "the platform (microcode or BIOS)"
