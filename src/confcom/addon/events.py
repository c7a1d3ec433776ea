"""What the cluster's Events say: the last word on an object whose own status does not tell what holds it.

Pure functions over Event objects of `v1`, in any order: a list of them is sorted by name, which says nothing of time.
"""

from collections.abc import Iterable
from typing import Final

from confcom.kube.api import Object

# A controller was refused a pod: by Pod Security, a quota, a LimitRange or a webhook (`cluster-addon.md` 6).
REFUSED: Final = ("FailedCreate",)
# The kubelet cannot start a pod's containers: a volume or the sandbox is not to be had.
HELD: Final = ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox")
# The date and time of RFC 3339 to the second: the finer part is there in some Events only.
_SECONDS: Final = len("2026-11-25T10:00:00")


def last_word(events: Iterable[Object], kind: str, name: str, reasons: tuple[str, ...]) -> Object | None:
    """The latest Event about one object with one of the reasons, or None."""
    found = [event for event in events if event.get("reason") in reasons and _is_about(event, kind, name)]
    return max(found, key=time_of, default=None)


def time_of(event: Object) -> str:
    """When an Event last happened, as text that sorts by time; empty where it does not say."""
    series = event.get("series") or {}
    found = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return str(found or "")[:_SECONDS]


def _is_about(event: Object, kind: str, name: str) -> bool:
    involved = event.get("involvedObject") or {}
    return (involved.get("kind"), involved.get("name")) == (kind, name)
