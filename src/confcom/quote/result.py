"""What a verification found: every step, what it rests on, and what it says of platform and enclave."""

from dataclasses import dataclass, field
from datetime import datetime

from confcom.codes import TCBStatus
from confcom.quote.allowance import EXACT, Allowance
from confcom.quote.pck import PCKExtension
from confcom.quote.qe_identity import QEIdentity, QELevel
from confcom.quote.shortfall import Shortfall, shortfall
from confcom.quote.tcb import TCBInfo, TCBLevel
from confcom.quote.times import Window
from confcom.sgx import Quote, QuoteHeader, ReportBody


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One numbered step. `judged` is False where an earlier failure left nothing to judge; `ok` is False then too."""

    number: int
    name: str
    ok: bool
    detail: str
    judged: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """The result of examining one quote. What the enclave must be is for the policy; this says only if it is genuine.

    Attributes:
        verdict: whether the quote is genuine: all fifteen steps held.
        tcb_status: platform and QE together; None where signatures do not lead from a TCB level to the trusted root.
        advisories: of the platform's and the QE's level, without repetition.
        identity: the enclave's report body as the quote gives it, readable though not to be trusted where the
            verdict is no; None where the bytes end before.
        steps: all fifteen, in order.
        warnings: what no verifier refuses, but a person may want to know.
        windows: every window that was checked.
        at: the time of the verification.
        root_name: common name of the trusted root.
        simulated: whether the trusted root, or the quote's own, is the simulator's: it proves nothing about hardware.
        header: the quote's header, where it could be read.
        pck: what the PCK certificate says of the platform, where it could be read.
        pck_ca: common name of the PCK certificate's issuer.
        tcb_info: the TCB info, where it is authentic.
        platform_level: the TCB level that the platform reaches.
        qe_identity: the QE identity, where it is authentic.
        qe_level: the level that the QE reaches.
        quote: the parsed quote, where it could be read; not shown, since its certificate identifies a machine.
        allowance: how far outside of a window `at` was allowed to lie.
    """

    verdict: bool
    tcb_status: TCBStatus | None
    advisories: tuple[str, ...]
    identity: ReportBody | None
    steps: tuple[Step, ...]
    warnings: tuple[str, ...]
    windows: tuple[Window, ...]
    at: datetime
    root_name: str
    simulated: bool
    header: QuoteHeader | None
    pck: PCKExtension | None
    pck_ca: str | None
    tcb_info: TCBInfo | None
    platform_level: TCBLevel | None
    qe_identity: QEIdentity | None
    qe_level: QELevel | None
    quote: Quote | None = field(default=None, repr=False)
    allowance: Allowance = EXACT

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the quote is not genuine: one sentence for each step that was judged and did not hold."""
        missed = [step for step in self.steps if not step.ok]
        # A step is not judged because an earlier one did not hold; were it otherwise, no quote may pass by that.
        failed = [step for step in missed if step.judged] or missed
        return tuple(f"step {step.number} ({step.name}): {step.detail}" for step in failed)

    @property
    def shortfall(self) -> Shortfall | None:
        """What the platform lacks for a better TCB level; None where there is none, or where nothing is known."""
        if self.tcb_info is None or self.pck is None or self.tcb_info.fmspc != self.pck.fmspc:
            return None
        return shortfall(self.tcb_info, self.pck, self.platform_level)

    @property
    def holds(self) -> tuple[datetime, datetime] | None:
        """From when until when all windows hold together; None where they never do."""
        start, end = max(part.start for part in self.windows), min(part.end for part in self.windows)
        return (start, end) if start <= end else None
