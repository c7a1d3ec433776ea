"""The helper's own quote, verified against collateral of a certificate service; readiness never depends on it."""

import json
import select
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from confcom.codes import TCBStatus
from confcom.quote_helper.settings import QuoteHelperSettings
from confcom.quoting.collateral_check import check
from confcom.quoting.outcome import CollateralCheck
from confcom.settings import SettingsError, load
from confcom.sgx import DEFAULT_KEY_ID
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    return SimulatedPlatform.create(
        tmp_path_factory.mktemp("machine") / "platform", tcb_status=TCBStatus.SW_HARDENING_NEEDED
    )


@pytest.fixture
def quote(machine):
    report = make_report(machine.target_info()).to_bytes()
    return machine.get_quote(report, DEFAULT_KEY_ID.to_bytes())[0]


@pytest.fixture
def service(machine):
    """Starts simulated certificate services; each is ended by its own handle."""
    started = []

    def start(*flags):
        command = [sys.executable, "-m", "confcom.cli", "simulate", "pccs", "--output", "json"]
        process = subprocess.Popen(
            [*command, "--simulated-platform", str(machine.folder), *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        ready, _, _ = select.select([process.stdout], [], [], 60)
        assert ready, "the service did not say its address"
        return json.loads(process.stdout.readline())["url"].removesuffix("/sgx/certification/v4")

    yield start
    for process in started:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def task(quote, machine, service, **changes):
    return CollateralCheck(quote=quote, service=service, **({"trusted_root": str(machine.root_path)} | changes))


class TestVerdict:
    def test_verified_with_what_is_announced(self, quote, machine, service):
        verdict = check(task(quote, machine, service("--early-status", "OutOfDate")), datetime.now(UTC))

        assert verdict.verified
        assert verdict.reason == "Verified"
        assert (verdict.tcb_status, verdict.qe_status) == ("SWHardeningNeeded", "UpToDate")
        assert "but OutOfDate by early" in verdict.forecast
        assert "TCB info" in verdict.certificates

    def test_nothing_is_announced(self, quote, machine, service):
        verdict = check(task(quote, machine, service()), datetime.now(UTC))

        assert "no fall is announced" in verdict.forecast

    def test_intels_root_does_not_verify_the_simulation(self, quote, machine, service):
        verdict = check(task(quote, machine, service(), trusted_root=""), datetime.now(UTC))

        assert (verdict.verified, verdict.reason) == (False, "NotVerified")
        assert "made by the simulator" in verdict.message

    def test_expired_collateral(self, quote, machine, service):
        verdict = check(task(quote, machine, service("--fault", "expired")), datetime.now(UTC))

        assert (verdict.verified, verdict.reason) == (False, "NotVerified")

    @pytest.mark.parametrize("fault", ["not-found", "v3-only", "no-chain", "wrong-fmspc"])
    def test_service_that_cannot_answer(self, quote, machine, service, fault):
        verdict = check(task(quote, machine, service("--fault", fault)), datetime.now(UTC))

        assert (verdict.verified, verdict.reason) == (False, "CollateralUnavailable")
        assert "127.0.0.1" in verdict.message

    def test_root_that_is_not_there(self, quote, machine, service, tmp_path):
        missing = tmp_path / "none.pem"
        verdict = check(task(quote, machine, service(), trusted_root=str(missing)), datetime.now(UTC))

        assert verdict.message == f"--trusted-root {missing}: No such file or directory"

    def test_bundle_that_is_not_there(self, quote, machine, tmp_path):
        verdict = check(task(quote, machine, str(tmp_path / "none")), datetime.now(UTC))

        assert (verdict.verified, str(tmp_path / "none") in verdict.message) == (False, True)

    def test_bytes_that_are_no_quote(self, machine):
        verdict = check(task(b"no quote", machine, "intel"), datetime.now(UTC))

        assert (verdict.verified, verdict.reason) == (False, "NotVerified")


class TestHelper:
    def test_status_tells_verdict_and_forecast(self, start_helper, machine, service):
        helper = start_helper(
            *("--simulated-platform", str(machine.folder)),
            *("--collateral", service("--early-status", "OutOfDate"), "--trusted-root", str(machine.root_path)),
        )
        status = helper.wait_until(lambda s: s["forecast"] is not None)

        assert status["condition"]["reason"] == "Verified"
        assert (status["tcb_status"], status["qe_status"]) == ("SWHardeningNeeded", "UpToDate")
        assert helper.metric("verified") == 1

    def test_service_that_is_away_leaves_the_helper_ready(self, start_helper, refused_port):
        helper = start_helper("--collateral", f"https://127.0.0.1:{refused_port}")
        status = helper.wait_until(lambda s: s["condition"]["reason"] == "CollateralUnavailable", seconds=90)

        assert status["ready"]
        assert status["condition"]["status"] is False
        assert "refused the connection" in status["condition"]["message"]
        assert helper.metric("verified") == 0

    @pytest.mark.parametrize("value", ["", "azure", "pccs.example:8081", "relative/bundle"])
    def test_source_that_is_none(self, value):
        with pytest.raises(SettingsError, match=r"--collateral .*is none of none, intel, thim, the URL of a PCCS"):
            load(QuoteHelperSettings, ["--collateral", value], {}, program="quote-helper")
