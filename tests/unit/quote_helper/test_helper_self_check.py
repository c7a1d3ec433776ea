"""What a helper's own quotes mean for its readiness, and what is told beside its sockets."""

from types import SimpleNamespace

import msgspec
import pytest

from confcom.quote_helper.discovery import Discovery
from confcom.quote_helper.main import QuoteHelper
from confcom.quote_helper.self_check import SelfCheck, failed
from confcom.quoting.outcome import CheckOutcome

GOOD = CheckOutcome(quoting=None, verified=True, reason="Verified", message="")
BROKEN = failed("broken")


@pytest.mark.parametrize(
    ("outcomes", "problem"),
    [
        ([BROKEN], "broken"),
        ([GOOD], None),
        ([BROKEN, GOOD], None),
        # The cluster ends an old helper at once that is not ready: a passing fault must not make it so.
        ([GOOD, BROKEN, BROKEN], None),
        ([GOOD, BROKEN, BROKEN, BROKEN], "broken"),
        ([GOOD, BROKEN, BROKEN, GOOD, BROKEN], None),
        ([GOOD, BROKEN, BROKEN, BROKEN, GOOD], None),
    ],
)
def test_a_helper_that_was_ready_is_unready_after_three_faults_in_a_row(outcomes, problem):
    check = SelfCheck(SimpleNamespace(last_causes={}, workerless_since=None), None)
    for outcome in outcomes:
        check._note(outcome)
    assert check.problem() == problem


@pytest.mark.parametrize(
    ("problem", "outcome", "health"),
    [("no key", None, "starting"), (None, GOOD, "ready"), ("broken", BROKEN, "failing")],
)
def test_discovery_file_tells_whether_quotes_are_to_be_had(tmp_path, problem, outcome, health):
    seat = SimpleNamespace(origin=object(), path=tmp_path / "aesm.socket")
    helper = SimpleNamespace(
        problem=lambda: problem,
        check=SimpleNamespace(outcome=outcome),
        backend=SimpleNamespace(kind="dcap"),
        seats=SimpleNamespace(seats=[seat]),
    )
    QuoteHelper._publish(helper)
    told = msgspec.json.decode((tmp_path / "aesm.json").read_bytes(), type=Discovery)
    assert (told.health, told.simulated) == (health, False)
