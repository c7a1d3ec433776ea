"""The helper's self-check: a quote of its own, again and again, which decides readiness; and its verification.

Quoting decides readiness. Whether the quote also verifies against collateral is the condition `Verified` beside it:
missing, expired or unreachable collateral never takes a working helper out of service.
"""

import asyncio
import contextlib
import logging
import sys
import time

import msgspec

from confcom.quote_helper.front import Front
from confcom.quote_helper.settings import QuoteHelperSettings
from confcom.quoting.hop import Operation
from confcom.quoting.outcome import CheckOutcome, CollateralCheck, CollateralVerdict
from confcom.quoting.worker_process import start_process
from confcom.runtime.logs import event

logger = logging.getLogger(__name__)

# The helper's own quote is made and verified this often, and soon again after one that failed.
CHECK_SECONDS = 300.0
CHECK_AGAIN_SECONDS = 10.0
# A ready helper stays ready for fewer failed checks than this in a row.
PASSING_FAULTS = 3
# A worker is replaced in well under a second; a helper without any for so long makes no quotes.
WORKERLESS_SECONDS = 30.0
# A certificate service that has not answered by now is away; its own deadlines and retries lie within.
COLLATERAL_SECONDS = 90.0
# A verdict is a page of JSON.
MAX_VERDICT_BYTES = 1024 * 1024


class SelfCheck:
    """What is known about the helper's own quotes.

    Attributes:
        outcome: of the last check, None before the first.
        checked_at: when that was, seconds since the epoch.
        since: since when the condition has had its reason.
    """

    def __init__(self, front: Front, settings: QuoteHelperSettings) -> None:
        self._front = front
        self._settings = settings
        self.outcome: CheckOutcome | None = None
        self.checked_at: float | None = None
        self.since = time.time()
        self._was_ready = False
        self._failures = 0

    def problem(self) -> str | None:
        """Why this helper is not ready, or None.

        Standby is ready, and so is a helper that was ready and whose checks have failed a few times: during an
        update the cluster kills an old pod at once that is not.
        """
        if self.outcome is None:
            cause, _ = max(self._front.last_causes.values(), key=lambda last: last[1], default=("", 0.0))
            return "the first quote of its own is not made yet" + (f": {cause}" if cause else "")
        lost = self._front.workerless_since
        if lost is not None and time.monotonic() - lost > WORKERLESS_SECONDS:
            return f"no quoting worker could be started for {WORKERLESS_SECONDS:g} s; last_causes and the log say why"
        return self.outcome.quoting if not self._was_ready or self._failures >= PASSING_FAULTS else None

    async def run(self) -> None:
        """Checks for ever, from the moment at which there is a key."""
        while True:
            await self._front.key_seen.wait()
            outcome = await self._quote()
            # Readiness does not wait for a certificate service; a verdict of last time stands until there is a new one.
            if self._needs_collateral(outcome):
                self._note(outcome if self.outcome is None else outcome.with_verdict(self.outcome))
                self._note(await self._verify(outcome))
            else:
                self._note(outcome)
            await asyncio.sleep(CHECK_SECONDS if outcome.quoting is None else CHECK_AGAIN_SECONDS)

    def _note(self, outcome: CheckOutcome) -> None:
        now = time.time()
        if self.outcome is None or outcome.reason != self.outcome.reason:
            self.since = now
            event(logger, logging.INFO, "self-check", reason=outcome.reason, detail=outcome.message)
        self._failures = 0 if outcome.quoting is None else self._failures + 1
        self.outcome, self.checked_at = outcome, now
        self._was_ready = self._was_ready or outcome.quoting is None

    async def _quote(self) -> CheckOutcome:
        try:
            code, payload = await self._front.pool.ask(Operation.CHECK)
        except TimeoutError:
            return failed("the self-check was not answered in time")
        if code:
            return failed(payload.decode(errors="replace"))
        return msgspec.json.decode(payload, type=CheckOutcome)

    def _needs_collateral(self, outcome: CheckOutcome) -> bool:
        return self._settings.collateral != "none" and outcome.quoting is None and outcome.quote is not None

    async def _verify(self, outcome: CheckOutcome) -> CheckOutcome:
        """The outcome with the verdict of a process of its own, which asks the certificate service."""
        settings = self._settings
        task = CollateralCheck(
            quote=outcome.quote or b"",
            service=settings.collateral,
            trusted_root=str(settings.trusted_root or ""),
            ca_file=str(settings.collateral_ca or ""),
            proxy=settings.collateral_proxy,
            cache=str(settings.collateral_cache or ""),
        )
        return outcome.with_verdict(await _ask(task))


async def _ask(task: CollateralCheck) -> CollateralVerdict:
    try:
        process = await start_process(
            sys.executable, "-m", "confcom.quoting.collateral_check",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=MAX_VERDICT_BYTES,
        )  # fmt: skip
    except OSError as error:
        # What is missing at this moment is no reason to end the helper.
        return _unavailable(f"the verification of the helper's own quote could not be started: {error.strerror}")
    try:
        async with asyncio.timeout(COLLATERAL_SECONDS):
            answer, _ = await process.communicate(msgspec.json.encode(task))
        return msgspec.json.decode(answer, type=CollateralVerdict)
    except TimeoutError:
        return _unavailable(f"{task.service}: no collateral within {COLLATERAL_SECONDS:g} s")
    except msgspec.DecodeError:
        return _unavailable("the verification of the helper's own quote ended without a verdict; the log says why")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def _unavailable(message: str) -> CollateralVerdict:
    return CollateralVerdict(verified=False, reason="CollateralUnavailable", message=message)


def failed(problem: str) -> CheckOutcome:
    """The outcome of a check that made no quote."""
    return CheckOutcome(quoting=problem, verified=False, reason="NotVerified", message=problem)
