"""One line per event with its fields, as text or as JSON; lines of one cause are rate-limited.

At most a hash of a report's data is ever a field, never a whole quote.
"""

import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

# Lines of one cause in one window; the next line after it says how many were left out.
BURST_PER_CAUSE = 10
WINDOW_SECONDS = 60.0
# Causes remembered for the limit; more are a stream of distinct events, and the oldest windows are dropped.
MAX_CAUSES = 1024

_root = logging.getLogger("confcom")


def configure(log_format: str, component: str, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Sends the events of this package, and of nothing else, to `stream` (stderr): `text` or `json`."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Formatter(component, as_json=log_format == "json"))
    handler.addFilter(CauseLimit())
    _root.handlers = [handler]
    _root.setLevel(level)
    _root.propagate = False


def event(logger: logging.Logger, level: int, message: str, *, cause: str | None = None, **fields: Any) -> None:
    """Logs one event; events with the same `cause` share a rate limit, those without have none."""
    logger.log(level, message, extra={"fields": fields, "cause": cause})


class CauseLimit(logging.Filter):
    """Lets `BURST_PER_CAUSE` lines of a cause through in each window, and counts the rest."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is written; the first one after a silence carries the number left out."""
        cause = getattr(record, "cause", None)
        if cause is None:
            return True
        now = self._clock()
        start, count = self._windows.pop(cause, (now, 0))
        if now - start >= WINDOW_SECONDS:
            if count > BURST_PER_CAUSE:
                record.fields = {**getattr(record, "fields", {}), "left_out_before": count - BURST_PER_CAUSE}
            start, count = now, 0
        if len(self._windows) >= MAX_CAUSES:
            del self._windows[next(iter(self._windows))]
        self._windows[cause] = (start, count + 1)
        return count < BURST_PER_CAUSE


class _Formatter(logging.Formatter):
    def __init__(self, component: str, *, as_json: bool) -> None:
        super().__init__()
        self._component = component
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields: dict[str, Any] = getattr(record, "fields", {})
        if record.exc_info:
            fields = {**fields, "traceback": self.formatException(record.exc_info)}
        message = record.getMessage()
        if self._as_json:
            line = {"time": when, "level": record.levelname, "component": self._component, "message": message}
            return json.dumps({**line, **fields}, default=str)
        tail = "".join(f" {key}={_quoted(value)}" for key, value in fields.items())
        return f"{when} {record.levelname:<7} {self._component}: {message}{tail}"


def _quoted(value: Any) -> str:
    text = str(value)
    is_plain = text and text.isprintable() and not any(c in text for c in ' "=\\')
    return text if is_plain else json.dumps(text)
