"""The helper's self-check: a quote of a probe enclave, made and verified inside a worker.

Quoting itself decides the helper's readiness: the quote's own signature, the binding of its key, the QE report and its
signature. Whether the quote also verifies against collateral is a condition beside it, because missing or expired
collateral must never take a working helper out of service.
"""

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from confcom.quoting.outcome import CheckOutcome, CollateralVerdict

if TYPE_CHECKING:
    from confcom.quote.result import Verification
    from confcom.simulation.platform import SimulatedPlatform

# Steps of the verification that show that quoting works: format, certification data, QE report signature, binding,
# quote signature (docs/reference/verification.md).
QUOTING_STEPS = frozenset((1, 2, 9, 11, 12))


def check_simulated(platform: "SimulatedPlatform") -> CheckOutcome:
    """Quotes a simulated probe enclave and verifies it with the platform's own root and fresh collateral."""
    # X.509 costs megabytes and a tenth of a second: a worker loads it for its first check, not to serve.
    from confcom.quote.collateral import Collateral  # noqa: PLC0415
    from confcom.quote.roots import TrustRoot  # noqa: PLC0415
    from confcom.quote.verification import examine  # noqa: PLC0415
    from confcom.sgx import DEFAULT_KEY_ID, Quote  # noqa: PLC0415
    from confcom.simulation.reports import make_report  # noqa: PLC0415

    report_data = secrets.token_bytes(64)
    report = make_report(platform.target_info(), report_data=report_data)
    quote, _ = platform.get_quote(report.to_bytes(), DEFAULT_KEY_ID.to_bytes())
    now = datetime.now(UTC)
    collateral = Collateral.from_json(msgspec.json.encode(platform.collateral(now)))
    found = examine(quote, collateral, TrustRoot.from_bytes(platform.root_pem), now)
    outcome = msgspec.structs.replace(judge(found), quote=quote)
    if Quote.from_bytes(quote).report.report_data != report_data:
        return msgspec.structs.replace(outcome, quoting="the quote does not carry the probe's report data")
    return outcome


def judge(found: "Verification") -> CheckOutcome:
    """What a verification of the probe's quote means for the helper."""
    verdict = verdict_of(found, f"the helper's own quote was verified against {found.root_name}")
    return CheckOutcome(
        quoting=broken_steps(found, QUOTING_STEPS),
        qe_svn=found.header.qe_svn if found.header else None,
        pce_svn=found.header.pce_svn if found.header else None,
        **msgspec.structs.asdict(verdict),
    )


def verdict_of(found: "Verification", success: str) -> CollateralVerdict:
    """What a verification says; `success` is the beginning of its sentence where the quote holds."""
    # Who has verified has loaded it; a worker that has not yet must stay small.
    from confcom.quote.times import format_time  # noqa: PLC0415

    status = str(found.tcb_status) if found.tcb_status else None
    return CollateralVerdict(
        verified=found.verdict,
        reason="Verified" if found.verdict else "NotVerified",
        message=f"{success}; the TCB is {status}" if found.verdict else "; ".join(found.reasons),
        tcb_status=status,
        qe_status=str(found.qe_level.status) if found.qe_level else None,
        certificates={window.name: format_time(window.end) for window in found.windows},
    )


def broken_steps(found: "Verification", numbers: frozenset[int]) -> str | None:
    """Those of the numbered steps that failed, in words, or None."""
    broken = [f"{step.name}: {step.detail}" for step in found.steps if step.number in numbers and not step.ok]
    return "; ".join(broken) or None
