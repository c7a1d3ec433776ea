"""What becomes of a platform's TCB status: by `standard` today, by `early` already, and until when the first is sure.

Pure. Intel gives a new evaluation number to the channel `early` first, and to `standard` weeks to months later without
a date; what is sure is only that the present standard documents end with their nextUpdate (Intel's PCS API v4).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from confcom.codes import TCBStatus
from confcom.collateral.source import UpdateChannel
from confcom.quote.qe_identity import QEIdentity
from confcom.quote.result import Verification
from confcom.quote.tcb import TCBInfo, badness, combine
from confcom.quote.times import Window, format_time

_UNSUPPORTED = "no TCB level"


@dataclass(frozen=True, kw_only=True, slots=True)
class QuotedTCB:
    """What a quote says of its platform: the PCK certificate's 16 component SVNs and PCESVN, and the QE's ISVSVN."""

    components: tuple[int, ...]
    pce_svn: int
    qe_isv_svn: int

    @classmethod
    def of(cls, verification: Verification) -> Self | None:
        """The values that a verification read; None where the quote could not be read so far.

        The header's QE SVN is the ISVSVN of the QE that made the quote.
        """
        if verification.pck is None or verification.header is None:
            return None
        pck = verification.pck
        return cls(components=pck.components, pce_svn=pck.pce_svn, qe_isv_svn=verification.header.qe_svn)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelStatus:
    """The status by one channel's documents.

    Attributes:
        update: the channel.
        status: platform and QE together; None where one of them reaches no level.
        platform: the platform's own status.
        qe: the QE's own status.
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


def channel_status(
    quoted: QuotedTCB, tcb_info: TCBInfo, qe_identity: QEIdentity, update: UpdateChannel
) -> ChannelStatus:
    """The status that a quote's values reach in one channel; both documents were verified by the caller."""
    platform = tcb_info.level_of(quoted.components, quoted.pce_svn)
    qe = qe_identity.level_of(quoted.qe_isv_svn)
    advisories = (*(platform.advisories if platform else ()), *(qe.advisories if qe else ()))
    return ChannelStatus(
        update=update,
        status=combine(platform.status, qe.status) if platform and qe else None,
        platform=platform.status if platform else None,
        qe=qe.status if qe else None,
        advisories=tuple(dict.fromkeys(advisories)),
        evaluation_number=tcb_info.evaluation_number,
        qe_evaluation_number=qe_identity.evaluation_number,
        until=min(tcb_info.window.end, qe_identity.window.end),
    )


def status_of(verification: Verification, update: UpdateChannel) -> ChannelStatus | None:
    """The status by the documents that a verification used; None where the quote or one of them is not authentic."""
    quoted = QuotedTCB.of(verification)
    if quoted is None or verification.tcb_info is None or verification.qe_identity is None:
        return None
    return channel_status(quoted, verification.tcb_info, verification.qe_identity, update)


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
