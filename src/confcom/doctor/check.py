"""The result of one check."""

import enum

import msgspec


class Verdict(enum.StrEnum):
    """How a check ended; only `FAILED` makes the whole a no."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One finding: what was looked at (`source`), what was seen (`evidence`), and what to do where it is not well."""

    name: str
    verdict: Verdict
    source: str
    evidence: str
    fix: str | None = None


def healthy(checks: tuple[Check, ...]) -> bool:
    """Whether no check failed."""
    return all(check.verdict is not Verdict.FAILED for check in checks)
