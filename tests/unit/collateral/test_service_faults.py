"""Every fault of a certificate service, and the one sentence that the user reads about it."""

import dataclasses
import re
from datetime import timedelta

import pytest

from confcom.collateral import PCCS, THIM, IntelPCS, Limits, Network, Wanted
from confcom.errors import CollateralError
from confcom.quote import TrustRoot, examine
from confcom.simulation.pccs_faults import FAULTS, FaultName

USE_V4 = "Set API version v4 everywhere; a PCCS must be of DCAP 1.27 or newer: older ones call v3 even when set to v4."

# Fault, and the sentence without the host that it begins with.
SENTENCES = [
    (
        "too-many-requests",
        (
            "PCK CRL: HTTP 429 Too Many Requests: The certificate service limits how often it may be asked, and this "
            "was too often. Wait as long as Retry-After says, keep collateral in a cache, and put a PCCS between."
        ),
    ),
    (
        "not-found:tcb",
        (
            "TCB info: HTTP 404 Not Found: The certificate service has nothing for this request. Check the path's API "
            "version first. Register the machine (PCKIDRetrievalTool; mpa_registration on machines of several sockets), "
            "then ask again. On AKS registration is Azure's business: check that a network policy or proxy does not keep "
            "the pod from 169.254.169.254, then ask Azure support."
        ),
    ),
    (
        "gone",
        f"PCK CRL: HTTP 410 Gone: The API version has ended: Intel switched v2 and v3 off on 2026-04-30. {USE_V4}",
    ),
    (
        "platform-unknown",
        (
            "PCK CRL: HTTP 461 PCCS_STATUS_PLATFORM_UNKNOWN: The PCCS does not know this platform. Register the machine "
            "(PCKIDRetrievalTool; mpa_registration on machines of several sockets), then ask again. On AKS registration "
            "is Azure's business: check that a network policy or proxy does not keep the pod from 169.254.169.254, then "
            "ask Azure support."
        ),
    ),
    (
        "certificates-unavailable",
        (
            "PCK CRL: HTTP 462 PCCS_STATUS_CERTS_UNAVAILABLE: The PCCS has no certificate for this platform's TCB. "
            "Refresh the certificate service; if it stays, compare the machine's microcode with Intel's release notes."
        ),
    ),
    (
        "server-error",
        (
            "PCK CRL: HTTP 500 Internal Server Error: The certificate service failed inside. Read the service's log at "
            "that time."
        ),
    ),
    (
        "bad-gateway",
        (
            "PCK CRL: HTTP 502 Bad Gateway: The PCCS could not reach Intel PCS. Reach "
            "https://api.trustedservices.intel.com from the host of the PCCS."
        ),
    ),
    (
        "unavailable",
        (
            "PCK CRL: HTTP 503 Service Unavailable: The certificate service says that it is unavailable. Ask again as "
            "late as Retry-After says; then read the service's log. (The next try would be due in 3600 s; 60 s are left.)"
        ),
    ),
    (
        "v3-only",
        (
            "PCK CRL: HTTP 404 Not Found: The certificate service has nothing for this request. Check the path's API "
            "version first. Register the machine (PCKIDRetrievalTool; mpa_registration on machines of several sockets), "
            "then ask again. On AKS registration is Azure's business: check that a network policy or proxy does not keep "
            "the pod from 169.254.169.254, then ask Azure support."
        ),
    ),
    (
        "v3-header",
        (
            "TCB info: answers in the shape of API v3 (header SGX-TCB-Info-Issuer-Chain), which Intel ended on "
            "2026-04-30: a PCCS must be of DCAP 1.27 or newer"
        ),
    ),
    (
        "no-chain:qe/identity",
        (
            "QE identity: the answer has no header SGX-Enclave-Identity-Issuer-Chain: a proxy took it away, or this is "
            "no certificate service"
        ),
    ),
    (
        "no-chain:pckcrl",
        (
            "PCK CRL: the answer has no header SGX-PCK-CRL-Issuer-Chain: a proxy took it away, or this is no certificate "
            "service"
        ),
    ),
    (
        "damaged-chain:tcb",
        "TCB info: the header TCB-Info-Issuer-Chain has text where a PEM block 'CERTIFICATE' belongs",
    ),
    (
        "not-json:qe/identity",
        (
            "QE identity: the answer is not whole JSON; it looks like a web page: the URL is of something else, or a "
            "proxy answers: JSON is malformed: invalid character (byte 0)"
        ),
    ),
    (
        "not-json:pckcrl",
        (
            "PCK CRL: is not a well-formed X.509 CRL (tried DER, PEM and hex of DER); it looks like a web page: the URL "
            "is of something else, or a proxy answers"
        ),
    ),
    ("truncated:tcb", "TCB info: the answer is not whole JSON: Input data was truncated"),
    ("truncated:rootcacrl", "root CA CRL: is not a well-formed X.509 CRL (tried DER, PEM and hex of DER)"),
    (
        "cut-off:tcb",
        (
            "TCB info: the answer ended before it was whole, or is not HTTP: peer closed connection without sending "
            "complete message body"
        ),
    ),
    (
        "oversized:tcb",
        "TCB info: has over 1024 KiB, which no TCB info has: is the URL that of a certificate service?",
    ),
    (
        "redirect:tcb",
        "TCB info: redirects to elsewhere.invalid, which is not followed; name that host yourself if you trust it",
    ),
    (
        "silent:tcb",
        "TCB info: the connection stands, but no answer came in time; read the service's log",
    ),
]


def obtain(pccs, network, wanted, now):
    return PCCS(pccs.url, network).obtain(wanted, now)


@pytest.mark.parametrize(("fault", "sentence"), SENTENCES, ids=[fault for fault, _ in SENTENCES])
def test_a_fault_is_told_in_words_with_the_host(pccs, network, wanted, now, fault, sentence):
    pccs.misbehave(fault)
    patience = 1 if fault.startswith("silent") else 30
    quick = dataclasses.replace(network, limits=Limits(read=patience, attempts=2))
    with pytest.raises(CollateralError) as failed:
        obtain(pccs, quick, wanted, now)
    host = pccs.origin.removeprefix("http://")
    # What follows is of other libraries and of the DER reader, which have their own tests.
    told = re.sub(r"message body .*", "message body", str(failed.value))
    told = re.sub(r"X.509 CRL: .* \(tried", "X.509 CRL (tried", told)
    assert told == f"{host}: {sentence}"
    assert failed.value.exit_code == 3


def test_another_familys_tcb_info_is_refused(pccs, network, wanted, now):
    pccs.misbehave("wrong-fmspc")
    with pytest.raises(CollateralError) as failed:
        obtain(pccs, network, wanted, now)
    assert str(failed.value) == (
        f"{pccs.origin.removeprefix('http://')}: the TCB info is of FMSPC 53494d0000ee, asked for was 53494d000001: "
        "the service or a proxy before it answers with another's data; refresh it, or name another service"
    )


def test_a_slow_answer_ends_with_the_total_deadline(pccs, wanted, now):
    pccs.misbehave("slow:tcb")
    # The parts before it must come in this time.
    network = Network(limits=Limits(total=4, attempts=1))
    with pytest.raises(CollateralError) as failed:
        obtain(pccs, network, wanted, now)
    host = pccs.origin.removeprefix("http://")
    assert str(failed.value).startswith(f"{host}: TCB info: was not there within the 4 s allowed. Try the URL")


@pytest.mark.parametrize("fault", ["crl-pem", "crl-hex", "crl-der"])
def test_crls_are_read_in_every_encoding(pccs, network, wanted, now, platform, quote, fault):
    pccs.misbehave(fault)
    found = obtain(pccs, network, wanted, now)
    assert found.collateral.pck_crl[0] == found.collateral.root_ca_crl[0] == 0x30, "DER is kept, whatever came"
    assert examine(quote, found.collateral, TrustRoot.from_bytes(platform.root_pem), now).verdict


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("expired", "PCK CRL expired at"),
        ("not-yet-valid", "PCK CRL is valid only from"),
        ("other-root", "which has not the key of the trusted root"),
    ],
)
def test_what_is_well_formed_but_not_to_be_trusted_is_for_verification_to_say(
    pccs, network, wanted, now, platform, quote, fault, reason
):
    pccs.misbehave(fault)
    found = obtain(pccs, network, wanted, now)
    verification = examine(quote, found.collateral, TrustRoot.from_bytes(platform.root_pem), now)
    assert not verification.verdict
    assert reason in "; ".join(verification.reasons)


def test_too_many_requests_are_asked_again_when_the_service_says(pccs, network, wanted, now, pauses):
    pccs.misbehave("too-many-requests:tcb*2")
    assert obtain(pccs, network, wanted, now).collateral
    assert pccs.paths.count("tcb") == 3
    assert len(pauses) == 2
    assert all(pause >= 1 for pause in pauses), "Retry-After: 1 is obeyed, though the first pause would be shorter"


@pytest.mark.parametrize("fault", ["not-found", "gone", "platform-unknown", "certificates-unavailable", "no-chain"])
def test_what_will_not_pass_is_not_asked_again(pccs, network, wanted, now, pauses, fault):
    pccs.misbehave(f"{fault}:tcb")
    with pytest.raises(CollateralError):
        obtain(pccs, network, wanted, now)
    assert pccs.paths.count("tcb") == 1
    assert pauses == []


def test_every_fault_was_tried():
    tried = {fault.partition(":")[0] for fault, _ in SENTENCES}
    tried |= {"wrong-fmspc", "slow", "crl-pem", "crl-hex", "crl-der", "expired", "not-yet-valid", "other-root"}
    assert tried == set(FaultName) == set(FAULTS)


class TestTheThreeServices:
    def test_a_pccs_is_asked_for_four_parts(self, pccs, network, wanted, now):
        obtain(pccs, network, wanted, now)
        assert pccs.requests == [
            ("/sgx/certification/v4/pckcrl", {"ca": "processor", "encoding": "der"}),
            ("/sgx/certification/v4/tcb", {"fmspc": "53494D000001", "update": "standard"}),
            ("/sgx/certification/v4/qe/identity", {"update": "standard"}),
            ("/sgx/certification/v4/rootcacrl", {}),
        ]

    def test_the_early_channel_has_the_next_evaluation_number(self, pccs, network, wanted, now):
        early = Wanted(fmspc=wanted.fmspc, ca=wanted.ca, update="early")
        assert b'"tcbEvaluationDataNumber":22' in obtain(pccs, network, early, now).collateral.tcb_info

    def test_intel_has_the_root_crl_elsewhere(self, pccs, network, wanted, now):
        elsewhere = f"{pccs.origin}/sgx/certification/v4/rootcacrl"
        found = IntelPCS(network, base=pccs.url, root_crl_url=elsewhere).obtain(wanted, now)
        assert found.origin == pccs.url
        assert pccs.paths == ["pckcrl", "tcb", "qe/identity", "rootcacrl"]

    def test_thim_is_asked_in_its_own_way(self, pccs, network, wanted, now, platform, quote):
        found = THIM(network, primary=pccs.thim_url, secondary=None).obtain(wanted, now)
        common = {"clientid": "production_client", "api-version": "2018-10-01-preview"}
        pck = "https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=processor&encoding=der"
        root = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
        assert [query for _, query in pccs.requests] == [
            {"uri": pck, **common},
            {"fmspc": "53494d000001", **common},
            common,
            {"uri": root, **common},
        ]
        assert examine(quote, found.collateral, TrustRoot.from_bytes(platform.root_pem), now).verdict

    def test_thim_falls_back_to_the_worlds_cache_and_says_so(self, pccs, network, wanted, now):
        pccs.misbehave("not-found:pckcrl*1")
        found = THIM(network, primary=pccs.thim_url, secondary=pccs.url).obtain(wanted, now)
        assert found.origin == pccs.url
        host = pccs.origin.removeprefix("http://")
        assert found.notes[0].startswith(f"the nearer address was passed over: {host}: PCK CRL: HTTP 404 Not Found")

    def test_thim_tells_the_problems_of_both_addresses(self, pccs, network, wanted, now):
        pccs.misbehave("gone")
        with pytest.raises(CollateralError, match=r"HTTP 410 .* Then .* HTTP 410"):
            THIM(network, primary=pccs.thim_url, secondary=pccs.url).obtain(wanted, now)

    def test_thim_has_no_early_channel(self, pccs, network, wanted, now):
        early = Wanted(fmspc=wanted.fmspc, ca=wanted.ca, update="early")
        with pytest.raises(CollateralError) as failed:
            THIM(network, primary=pccs.thim_url).obtain(early, now)
        assert str(failed.value) == "Azure THIM has no update channel: ask Intel PCS or a PCCS for 'early'"
        assert pccs.requests == []

    @pytest.mark.parametrize(
        ("thim", "advice"),
        [
            (False, "refresh the service"),
            (True, "Azure does so on purpose; ask Intel (--intel) or a PCCS, or accept some days of grace"),
        ],
    )
    def test_collateral_that_has_ended_is_taken_and_told(self, pccs, network, wanted, now, thim, advice):
        pccs.misbehave("expired")
        source = THIM(network, primary=pccs.thim_url) if thim else PCCS(pccs.url, network)
        (note,) = source.obtain(wanted, now).notes
        host = re.escape(pccs.origin.removeprefix("http://"))
        assert re.fullmatch(rf"{host} serves collateral that ended at 20\S+Z: {re.escape(advice)}", note)

    def test_a_wrong_clock_is_told(self, pccs, network, wanted, now):
        later = now + timedelta(days=366)
        note, _ = obtain(pccs, network, wanted, later).notes
        assert note.startswith(f"the clock here says {later.year}-")
        assert note.endswith("windows are judged by the one here, so set it right first")
