"""The second half of the self-check: a quote of the helper's, verified against collateral of a service.

`python -m confcom.quoting.collateral_check` reads a `CollateralCheck` as JSON from stdin and writes a
`CollateralVerdict` as JSON to stdout. It is a process of its own, run now and then: a certificate service may be slow,
and must delay neither a quote nor the front; and what X.509 and HTTPS cost in memory ends with it.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from confcom.collateral import Network, Obtained, Source, SourceChoice, Wanted, open_source
from confcom.collateral.forecast import forecast, status_of
from confcom.errors import CollateralError, ConfcomError, InputError
from confcom.quote import TrustRoot, Verification, Verifier, intel_root
from confcom.quoting.check import verdict_of
from confcom.quoting.outcome import CollateralCheck, CollateralVerdict


def check(task: CollateralCheck, now: datetime) -> CollateralVerdict:
    """Verifies the quote of `task` at the time `now`; whatever is missing becomes the verdict's reason."""
    try:
        source = open_source(_choice(task))
        wanted = Wanted.for_quote(task.quote)
        found = source.obtain(wanted, now)
        root = TrustRoot.from_bytes(Path(task.trusted_root).read_bytes()) if task.trusted_root else intel_root()
    except CollateralError as error:
        return CollateralVerdict(verified=False, reason="CollateralUnavailable", message=str(error))
    except InputError as error:
        return CollateralVerdict(verified=False, reason="NotVerified", message=str(error))
    except OSError as error:
        problem = f"--trusted-root {task.trusted_root}: {error.strerror}"
        return CollateralVerdict(verified=False, reason="NotVerified", message=problem)
    verification = Verifier(found.collateral, root).examine(task.quote, now)
    early = _early(source, wanted, now)
    announced = Verifier(early.collateral, root).examine(task.quote, now) if early else None
    return _verdict(verification, found, _forecast(verification, announced))


def _choice(task: CollateralCheck) -> SourceChoice:
    service = task.service
    return SourceChoice(
        pccs=service if service.startswith(("https://", "http://")) else None,
        intel=service == "intel",
        thim=service == "thim",
        path=Path(service) if service.startswith("/") else None,
        cache=Path(task.cache) if task.cache else None,
        network=Network(ca_file=Path(task.ca_file) if task.ca_file else None, proxy=task.proxy or None),
        allow_http=False,
    )


def _verdict(verification: Verification, found: Obtained, coming: str | None) -> CollateralVerdict:
    success = f"verified against {verification.root_name} with collateral of {found.origin}"
    verdict = verdict_of(verification, success)
    return msgspec.structs.replace(verdict, message="; ".join((verdict.message, *found.notes)), forecast=coming)


def _early(source: Source, wanted: Wanted, now: datetime) -> Obtained | None:
    """Collateral of the channel that Intel gives new numbers to first, where the source has it."""
    try:
        return source.obtain(Wanted(fmspc=wanted.fmspc, ca=wanted.ca, update="early"), now)
    except (CollateralError, InputError):
        return None


def _forecast(verification: Verification, announced: Verification | None) -> str | None:
    """What becomes of the status, in a sentence."""
    standard = status_of(verification, "standard")
    if standard is None:
        return None
    early = status_of(announced, "early") if announced else None
    certificates = (window for window in verification.windows if window.name.startswith("certificate"))
    return forecast(standard, early, verification.at, certificates).sentence


def main() -> int:
    """Reads the task, writes the verdict."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=CollateralCheck)
    try:
        verdict = check(task, datetime.now(UTC))
    except ConfcomError as error:
        verdict = CollateralVerdict(verified=False, reason="NotVerified", message=str(error))
    sys.stdout.buffer.write(msgspec.json.encode(verdict))
    return 0


if __name__ == "__main__":
    sys.exit(main())
