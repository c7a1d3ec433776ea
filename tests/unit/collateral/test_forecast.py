"""What becomes of a status: by both channels, whose fault a fall is, and until when today's status is sure."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from confcom.codes import TCBStatus
from confcom.collateral.forecast import ChannelStatus, forecast, status_of
from confcom.quote import Collateral, TrustRoot, Window, examine, intel_root
from confcom.simulation.collateral import CollateralOptions
from confcom.simulation.keys import raw_signature
from confcom.simulation.names import TCB_SIGNER

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
END = datetime(2026, 12, 25, 12, tzinfo=UTC)
HOLD = "The present standard documents hold until 2026-12-25T12:00:00Z; no later date is sure."
GOOD, HARDEN, OLD = TCBStatus.UP_TO_DATE, TCBStatus.SW_HARDENING_NEEDED, TCBStatus.OUT_OF_DATE


def status(update, platform, qe=GOOD, number=21):
    from confcom.quote.tcb import combine

    return ChannelStatus(
        update=update,
        status=combine(platform, qe) if platform and qe else None,
        platform=platform,
        qe=qe,
        advisories=(),
        evaluation_number=number,
        qe_evaluation_number=number,
        until=END,
    )


@pytest.mark.parametrize(
    ("standard", "early", "falls", "sentence"),
    [
        (
            status("standard", HARDEN),
            status("early", HARDEN, number=22),
            False,
            (
                "SWHardeningNeeded by standard (evaluation 21), and SWHardeningNeeded by early (evaluation 22): no fall is "
                f"announced. {HOLD}"
            ),
        ),
        (
            status("standard", HARDEN),
            status("early", OLD, number=22),
            True,
            (
                "SWHardeningNeeded by standard (evaluation 21), but OutOfDate by early (evaluation 22), because of the "
                "platform (microcode or BIOS): verifiers that use early say so already, those that use standard will once "
                f"it takes over evaluation 22. {HOLD}"
            ),
        ),
        (
            status("standard", GOOD),
            status("early", GOOD, qe=OLD, number=22),
            True,
            (
                "UpToDate by standard (evaluation 21), but OutOfDate by early (evaluation 22), because of the QE, which "
                "the quote helper's update replaces: verifiers that use early say so already, those that use standard will "
                f"once it takes over evaluation 22. {HOLD}"
            ),
        ),
        (
            status("standard", GOOD),
            status("early", OLD, qe=OLD, number=22),
            True,
            (
                "UpToDate by standard (evaluation 21), but OutOfDate by early (evaluation 22), because of both the "
                "platform (microcode or BIOS) and the QE: verifiers that use early say so already, those that use standard "
                f"will once it takes over evaluation 22. {HOLD}"
            ),
        ),
        (
            status("standard", GOOD),
            status("early", None, number=22),
            True,
            (
                "UpToDate by standard (evaluation 21), but no TCB level by early (evaluation 22), because of the platform "
                "(microcode or BIOS): verifiers that use early say so already, those that use standard will once it takes "
                f"over evaluation 22. {HOLD}"
            ),
        ),
        (
            status("standard", OLD),
            status("early", GOOD, number=22),
            False,
            "OutOfDate by standard (evaluation 21), and better already: UpToDate by early (evaluation 22). " + HOLD,
        ),
        (
            status("standard", GOOD),
            None,
            False,
            "UpToDate by standard (evaluation 21); early could not be asked, so a coming fall is not known. " + HOLD,
        ),
    ],
    ids=["same", "platform", "QE", "both", "unsupported", "better", "no early"],
)
def test_what_follows_from_both_channels(standard, early, falls, sentence):
    found = forecast(standard, early, AT)
    assert (found.falls, found.date, found.sentence) == (falls, END, sentence)


@pytest.mark.parametrize("worse", list(TCBStatus)[1:])
def test_every_status_is_a_fall_from_up_to_date(worse):
    assert forecast(status("standard", GOOD), status("early", worse), AT).falls
    assert not forecast(status("standard", worse), status("early", GOOD), AT).falls


def test_documents_that_have_ended():
    found = forecast(status("standard", GOOD), None, END + timedelta(days=1))
    assert found.sentence.endswith("The standard documents ended at 2026-12-25T12:00:00Z: fetch newer ones.")


def test_a_certificate_that_ends_first():
    windows = [
        Window(name="certificate 'PCK'", start=AT, end=AT + timedelta(days=3)),
        Window(name="certificate 'CA'", start=AT, end=AT + timedelta(days=300)),
    ]
    found = forecast(status("standard", GOOD), status("early", GOOD), AT, windows)
    assert found.date == AT + timedelta(days=3)
    assert found.sentence.endswith(
        "Before that certificate 'PCK' ends, at 2026-11-28T12:00:00Z: the machine needs a new one."
    )


class TestFromVerifications:
    @pytest.fixture
    def examined(self, platform, quote, now):
        def examine_with(*, tcb_info=None, qe_identity=None, signed=True, **options):
            """With the options of a simulated platform, and functions that change a signed document."""
            made = platform.collateral(now, CollateralOptions(**options))
            for name, change in (("tcb_info", tcb_info), ("qe_identity", qe_identity)):
                if change:
                    content = msgspec.json.decode(made[name])
                    change(content)
                    made[name] = msgspec.json.encode(content).decode()
                    if signed:
                        signature = raw_signature(platform._keys[TCB_SIGNER], made[name].encode())
                        made[f"{name}_signature"] = signature.hex()
            collateral = Collateral.from_json(msgspec.json.encode(made))
            return examine(quote, collateral, TrustRoot.from_bytes(platform.root_pem), now)

        return examine_with

    def test_a_simulated_fall(self, examined, now):
        standard = status_of(examined(), "standard")
        early = status_of(examined(tcb_status=OLD, evaluation_number=22), "early")
        assert (standard.status, standard.evaluation_number, standard.advisories) == (GOOD, 21, ())
        assert (early.status, early.platform, early.qe) == (OLD, OLD, GOOD)
        assert early.advisories == ("INTEL-SA-00960", "INTEL-SA-01153")
        assert forecast(standard, early, now).falls

    def test_the_same_as_the_verifier_says(self, examined):
        for wanted in TCBStatus:
            verification = examined(tcb_status=wanted)
            assert status_of(verification, "standard").status == verification.tcb_status

    @pytest.mark.parametrize(
        ("isv_svn", "status", "qe"),
        [(11, OLD, OLD), (12, TCBStatus.REVOKED, None)],
        ids=["an older QE", "a QE below every level"],
    )
    def test_the_qe_is_judged_as_the_verifier_does(self, examined, isv_svn, status, qe):
        def raised(content):
            newest, oldest = content["tcbLevels"]
            newest["tcb"]["isvsvn"] = 20
            oldest["tcb"]["isvsvn"] = isv_svn

        verification = examined(qe_identity=raised)
        found = status_of(verification, "standard")
        assert (found.status, found.platform, found.qe) == (status, GOOD, qe)
        assert found.status == verification.tcb_status

    def test_a_revoked_platform_is_revoked_whatever_its_level(self, examined):
        found = status_of(examined(revoke_pck=True), "standard")
        assert (found.status, found.platform) == (TCBStatus.REVOKED, GOOD)

    def test_a_platform_below_every_level(self, examined):
        found = status_of(examined(missing_level=True), "standard")
        assert (found.status, found.platform, found.qe) == (None, None, GOOD)
        assert str(found) == "no TCB level by standard (evaluation 21)"

    @pytest.mark.parametrize("part", ["tcb_info", "qe_identity"])
    def test_nothing_is_said_where_a_document_is_not_authentic(self, examined, part):
        assert (
            status_of(examined(**{part: lambda content: content.update(note="changed")}, signed=False), "standard")
            is None
        )

    def test_nothing_is_said_of_a_quote_under_another_root(self, platform, quote, now):
        collateral = Collateral.from_json(msgspec.json.encode(platform.collateral(now)))
        assert status_of(examine(quote, collateral, intel_root(), now), "standard") is None

    @pytest.mark.parametrize("size", [0, 100, 1100])
    def test_nothing_is_said_of_a_quote_that_is_cut(self, platform, quote, now, size):
        collateral = Collateral.from_json(msgspec.json.encode(platform.collateral(now)))
        root = TrustRoot.from_bytes(platform.root_pem)
        assert status_of(examine(quote[:size], collateral, root, now), "standard") is None
