"""What can be said of a quote of hardware without collateral."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from libsgx.stand_in import without_certificates

from confcom.quote.roots import TrustRoot
from confcom.quoting.dcap_check import check_quote
from confcom.sgx import DEFAULT_KEY_ID, Quote
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report

QUOTES = Path(__file__).resolve().parents[4] / "shared/data/quotes"
REAL = sorted(QUOTES.glob("sgx-*/quote.bin"))
needs_real = pytest.mark.skipif(not REAL, reason=f"needs the real quotes in {QUOTES}")
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    return SimulatedPlatform.create(tmp_path_factory.mktemp("machine") / "platform")


@pytest.fixture(scope="module")
def quote(platform):
    return platform.get_quote(make_report(platform.target_info()).to_bytes(), DEFAULT_KEY_ID.to_bytes())[0]


@needs_real
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.parent.name)
def test_real_quote_holds_up_to_intels_root(path):
    data = path.read_bytes()
    outcome = check_quote(data, NOW)
    assert (outcome.quoting, outcome.verified, outcome.reason) == (None, False, "NoCollateral")
    assert outcome.message == (
        "no collateral source: signatures lead from the quote to 'Intel SGX Root CA', but whether they are revoked, and "
        "the TCB, were not looked at"
    )
    header = Quote.from_bytes(data).header
    assert (outcome.qe_svn, outcome.pce_svn, outcome.tcb_status) == (header.qe_svn, header.pce_svn, None)
    assert set(outcome.certificates) > {"certificate 'Intel SGX PCK Certificate'"}


@needs_real
def test_real_quote_out_of_its_certificates_time_still_quotes():
    outcome = check_quote(REAL[0].read_bytes(), datetime(2099, 1, 1, tzinfo=UTC))
    assert (outcome.quoting, outcome.reason) == (None, "NotVerified")
    assert outcome.message.startswith("PCK certificate chain: certificate 'Intel SGX PCK Certificate' expired at 20")
    assert "days before 2099-01-01T00:00:00Z" in outcome.message


def test_simulated_quote_is_never_taken_for_intels(quote):
    outcome = check_quote(quote, datetime.now(UTC))
    assert (outcome.quoting, outcome.verified, outcome.reason) == (None, False, "NotVerified")
    assert "the chain ends in 'Simulated SGX Root CA', which has not the key of the trusted root" in outcome.message


def test_simulated_quote_under_its_own_root_lacks_collateral_only(platform, quote):
    outcome = check_quote(quote, datetime.now(UTC), TrustRoot.from_bytes(platform.root_pem))
    assert (outcome.quoting, outcome.reason) == (None, "NoCollateral")
    assert "'Simulated SGX Root CA'" in outcome.message


@pytest.mark.parametrize(
    ("offset", "step"),
    [
        pytest.param(0, "quote format", id="version"),
        pytest.param(60, "quote signature", id="report body"),
        pytest.param(436, "quote signature", id="signature"),
        pytest.param(500, "attestation key binding", id="attestation key"),
        pytest.param(600, "QE report signature", id="QE report"),
        pytest.param(948, "QE report signature", id="QE report's signature"),
        pytest.param(1020, "attestation key binding", id="auth data"),
        pytest.param(1052, "certification data", id="first certificate"),
    ],
)
def test_one_changed_bit_is_a_fault_of_quoting(quote, offset, step):
    changed = quote[:offset] + bytes([quote[offset] ^ 1]) + quote[offset + 1 :]
    outcome = check_quote(changed, datetime.now(UTC))
    assert f"{step}: " in outcome.quoting
    assert (outcome.verified, outcome.reason, outcome.message) == (False, "NotVerified", outcome.quoting)


@pytest.mark.parametrize("size", [0, 1, 47, 48, 431, 432, 435, 436, 500, 564, 948, 1012, 1014, 1046, 1052, 2000])
def test_truncated_quote_is_a_fault_of_quoting(quote, size):
    assert "quote format: " in check_quote(quote[:size], datetime.now(UTC)).quoting


def test_quote_of_type_3_is_judged_by_what_it_has(quote):
    outcome = check_quote(without_certificates(quote), datetime.now(UTC))
    assert (outcome.quoting, outcome.verified, outcome.reason) == (None, False, "NotVerified")
    assert outcome.message == (
        "the quotes carry no certificates but type 3, PPID, RSA-3072 encrypted: the QE found no quote provider library; "
        "install one, or name it with --quote-provider-library"
    )


@pytest.mark.parametrize(("offset", "step"), [(436, "quote signature"), (500, "attestation key binding")])
def test_broken_quote_of_type_3_is_a_fault_of_quoting(quote, offset, step):
    data = without_certificates(quote)
    outcome = check_quote(data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :], datetime.now(UTC))
    assert f"{step}: " in outcome.quoting
