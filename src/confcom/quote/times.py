"""Points in time as collateral writes them, and the windows in which its parts hold."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# The one form in TCB info and QE identity; Intel's verifier refuses fractions and offsets too.
_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def parse_time(text: str) -> datetime:
    """The time in `YYYY-MM-DDTHH:MM:SSZ`.

    Raises:
        ValueError: another form, or a day or hour that does not exist.
    """
    if not _FORM.fullmatch(text):
        raise ValueError("must be a time in the form YYYY-MM-DDTHH:MM:SSZ")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("must be a time that exists, in the form YYYY-MM-DDTHH:MM:SSZ") from error


def format_time(moment: datetime) -> str:
    """The inverse of `parse_time`; `moment` carries its zone, fractions of a second are cut off."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


# Collateral lives 30 days, and services renew it some days before its end: less than a week means that nobody did, and
# a week is what it takes to notice, to ask a service's operator, and to repair.
SOON = timedelta(days=7)


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The time in which a certificate, CRL or signed document holds; both ends belong to it.

    `renewable` says that its end is a nextUpdate, by which its issuer promises a newer one (CRLs, TCB info, QE
    identity), and not the end of a certificate.
    """

    name: str
    start: datetime
    end: datetime
    renewable: bool = False

    def problem(self, at: datetime) -> str | None:
        """Why `at` lies outside, in words for the person who verifies, or None."""
        if at < self.start:
            start = format_time(self.start)
            return f"{self.name} is valid only from {start}, {span(self.start - at)} after {format_time(at)}"
        if at > self.end:
            return f"{self.name} expired at {format_time(self.end)}, {span(at - self.end)} before {format_time(at)}"
        return None

    def left(self, at: datetime) -> timedelta:
        """How long it still holds; negative where it is over."""
        return self.end - at

    def ends_soon(self, at: datetime) -> bool:
        """Whether it still holds, but for less than a week."""
        return self.problem(at) is None and self.left(at) < SOON


def span(length: timedelta) -> str:
    """A length of time in its largest whole unit, for example `72 days`."""
    seconds = int(length.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
