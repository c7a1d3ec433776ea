"""The simulated certificate service without sockets: each endpoint, each refusal, each encoding."""

import json
from urllib.parse import unquote

import pytest

from confcom.errors import InputError
from confcom.quote.certificates import Certificate, crl_der, split_chain
from confcom.quote.pck import PCKExtension
from confcom.simulation.pccs import SimulatedPCCS
from confcom.simulation.pccs_answers import Request
from confcom.simulation.pccs_faults import ENDPOINTS, FAULTS, Fault, FaultName, FaultPlan

V4 = "/sgx/certification/v4/"
THIM = "/metadata/THIM/sgx/certification/v4/"
META = {"metadata": "true"}


@pytest.fixture
def ask(machine, now):
    def send(path, *, faults=(), headers=None, method="GET", **query):
        service = SimulatedPCCS(machine, FaultPlan.parse(faults))
        query = {name.replace("_", "-") if name == "api_version" else name: value for name, value in query.items()}
        return service.answer(Request(path=path, method=method, query=query, headers=headers or {}), now)

    return send


@pytest.fixture
def pck_query(machine):
    identity = machine.identity
    return {
        "qeid": identity.qe_id.hex(),
        "encrypted_ppid": "00" * 384,
        "cpusvn": "4820f3376ae6b2f2034d3b7a4b48a778",
        "pcesvn": "0f00",
        "pceid": "0000",
    }


class TestTheEndpointsOfAPCCS:
    def test_rootcacrl_is_hex_text_under_the_type_of_der(self, ask):
        answer = ask(f"{V4}rootcacrl")
        assert answer.content_type == "application/pkix-crl"
        assert bytes.fromhex(answer.body.decode())[0] == 0x30

    @pytest.mark.parametrize(
        ("encoding", "first"), [("der", b"\x30"), ("DER", b"\x30"), ("", b"3"), ("pem", b"3")], ids=str
    )
    def test_pckcrl_is_der_if_asked_for_and_hex_else(self, ask, encoding, first):
        answer = ask(f"{V4}pckcrl", ca="processor", encoding=encoding)
        assert answer.body[:1] == first
        chain = split_chain(unquote(answer.headers["SGX-PCK-CRL-Issuer-Chain"]).encode())
        names = [Certificate.from_der(der).common_name for der in chain]
        assert names == ["Simulated SGX PCK Processor CA", "Simulated SGX Root CA"]

    def test_tcb_holds_the_signed_text_as_it_is(self, ask, machine):
        answer = ask(f"{V4}tcb", fmspc=machine.identity.fmspc.hex())
        assert answer.body.startswith(b'{"tcbInfo":{"id":"SGX"')
        assert len(json.loads(answer.body)["signature"]) == 128
        assert "%0A" in answer.headers["TCB-Info-Issuer-Chain"]
        assert "\n" not in answer.headers["TCB-Info-Issuer-Chain"]

    def test_qe_identity(self, ask):
        answer = ask(f"{V4}qe/identity")
        assert json.loads(answer.body)["enclaveIdentity"]["id"] == "QE"
        assert "SGX-Enclave-Identity-Issuer-Chain" in answer.headers

    @pytest.mark.parametrize(
        ("query", "number"),
        [
            ({}, 21),
            ({"update": "standard"}, 21),
            ({"update": "early"}, 22),
            ({"tcbEvaluationDataNumber": "21"}, 21),
            ({"tcbEvaluationDataNumber": "22"}, 22),
        ],
        ids=str,
    )
    def test_channels(self, ask, machine, query, number):
        for path in (f"{V4}tcb", f"{V4}qe/identity"):
            document = json.loads(ask(path, fmspc=machine.identity.fmspc.hex(), **query).body)
            document.pop("signature")
            (inner,) = document.values()
            assert inner["tcbEvaluationDataNumber"] == number

    def test_pckcert(self, ask, pck_query, machine):
        answer = ask(f"{V4}pckcert", **pck_query)
        extension = PCKExtension.from_der(Certificate.from_der(split_chain(answer.body)[0]).sgx_extension)
        assert extension.fmspc == machine.identity.fmspc
        assert answer.headers["SGX-TCBm"] == (bytes(extension.components) + b"\x0d\x00").hex().upper()
        assert answer.headers["SGX-FMSPC"] == "53494D000001"
        assert answer.headers["SGX-PCK-Certificate-CA-Type"] == "processor"
        assert len(split_chain(unquote(answer.headers["SGX-PCK-Certificate-Issuer-Chain"]).encode())) == 2


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("tcb", {}, 400),
        ("tcb", {"fmspc": "53494d0000"}, 400),
        ("tcb", {"fmspc": "53494d00000g"}, 400),
        ("tcb", {"fmspc": "00906ed50000"}, 404),
        ("tcb", {"fmspc": "53494d000001", "update": "late"}, 400),
        ("tcb", {"fmspc": "53494d000001", "tcbEvaluationDataNumber": "17"}, 404),
        ("pckcrl", {}, 400),
        ("pckcrl", {"ca": "root"}, 400),
        ("pckcrl", {"ca": "platform"}, 404),
        ("qve/identity", {}, 404),
        ("", {}, 404),
        ("pckcert", {}, 400),
        ("pckcert", {"qeid": "00" * 16}, 461),
        ("pckcert", {"qeid": "00"}, 400),
        ("pckcert", {"pceid": "0100"}, 461),
        ("pckcert", {"pcesvn": "0c00"}, 462),
        ("pckcert", {"pcesvn": "000f"}, None),
        ("pckcert", {"cpusvn": "zz" * 16}, 400),
    ],
    ids=str,
)
def test_what_is_refused(ask, pck_query, path, query, status):
    if path == "pckcert" and query:
        query = pck_query | query
    assert ask(V4 + path, **query).status == (status or 200)


def test_other_versions_and_methods(ask):
    assert ask("/sgx/certification/v3/rootcacrl").status == 410
    assert ask("/").status == 404
    assert ask(f"{V4}rootcacrl", method="POST").status == 405
    assert ask("/sgx/certification/v3/tcb", faults=["v3-only"], fmspc="53494d000001").headers.keys() == {
        "SGX-TCB-Info-Issuer-Chain"
    }
    assert ask(f"{V4}rootcacrl", faults=["v3-only"]).status == 404


class TestTHIM:
    @pytest.mark.parametrize(
        ("uri", "issuer"),
        [
            ("https://certificates.trustedservices.intel.com/IntelSGXRootCA.der", "Simulated SGX Root CA"),
            (
                "https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=processor&encoding=der",
                "Simulated SGX PCK Processor CA",
            ),
        ],
    )
    def test_crls_by_the_place_where_intel_has_them(self, ask, uri, issuer):
        from confcom.quote.certificates import RevocationList

        answer = ask(f"{THIM}pckcrl", headers=META, uri=uri)
        assert RevocationList.from_bytes(crl_der(answer.body), "CRL").issuer_name == issuer

    def test_who_does_not_say_metadata_is_refused(self, ask):
        assert ask(f"{THIM}qe/identity").status == 400
        assert ask(f"{THIM}qe/identity", headers={"metadata": "True"}).status == 200

    def test_there_is_no_rootcacrl(self, ask):
        assert ask(f"{THIM}rootcacrl", headers=META).status == 404

    @pytest.mark.parametrize(("pcesvn", "status"), [("0f00", 200), ("000f", 200), ("0c00", 200), ("0000", 462)])
    def test_pckcert_is_json_and_takes_both_byte_orders(self, ask, pck_query, pcesvn, status):
        """0c00 is 12, too low, in one order and 3072 in the other: it cannot be told apart."""
        answer = ask(f"{THIM}pckcert", headers=META, **(pck_query | {"pcesvn": pcesvn}))
        assert answer.status == status
        if status == 200:
            document = json.loads(answer.body)
            assert document.keys() == {
                "pckCert", "sgx-Pck-Certificate-Issuer-Chain", "sgx-Tcbm", "cacheMaxAge", "version",
            }  # fmt: skip
            assert document["pckCert"].startswith("-----BEGIN CERTIFICATE-----")


class TestFaults:
    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("gone", Fault(name=FaultName.GONE)),
            ("gone:tcb", Fault(name=FaultName.GONE, endpoint="tcb")),
            ("slow:qe/identity*3", Fault(name=FaultName.SLOW, endpoint="qe/identity", left=3)),
            ("slow*9999", Fault(name=FaultName.SLOW, left=9999)),
        ],
    )
    def test_the_form(self, text, fault):
        assert Fault.parse(text) == fault

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("", "--fault : write NAME, NAME:ENDPOINT, NAME*COUNT or NAME:ENDPOINT*COUNT"),
            ("gone*0", "--fault gone*0: write NAME, NAME:ENDPOINT, NAME*COUNT or NAME:ENDPOINT*COUNT"),
            ("gone*", "--fault gone*: write NAME, NAME:ENDPOINT, NAME*COUNT or NAME:ENDPOINT*COUNT"),
            ("GONE", "--fault GONE: write NAME, NAME:ENDPOINT, NAME*COUNT or NAME:ENDPOINT*COUNT"),
            (
                "gone:crl",
                f"--fault gone:crl: there is no endpoint 'crl'; known: {', '.join(ENDPOINTS)}",
            ),
            ("lost", f"--fault lost: there is no fault 'lost'; known: {', '.join(FaultName)}"),
        ],
    )
    def test_other_forms(self, text, sentence):
        with pytest.raises(InputError) as failed:
            Fault.parse(text)
        assert str(failed.value) == sentence

    def test_a_count_is_used_up_by_the_requests_that_it_hits(self):
        plan = FaultPlan.parse(["gone:tcb*2", "slow"])
        assert plan.take("pckcrl") == {FaultName.SLOW}
        assert [FaultName.GONE in plan.take("tcb") for _ in range(3)] == [True, True, False]

    def test_every_fault_is_described(self):
        assert set(FAULTS) == set(FaultName)

    @pytest.mark.parametrize(
        ("fault", "status", "wait"),
        [
            ("not-found", 404, None),
            ("gone", 410, None),
            ("too-many-requests", 429, "1"),
            ("platform-unknown", 461, None),
            ("certificates-unavailable", 462, None),
            ("server-error", 500, None),
            ("bad-gateway", 502, None),
            ("unavailable", 503, "3600"),
        ],
    )
    def test_statuses(self, ask, fault, status, wait):
        answer = ask(f"{V4}rootcacrl", faults=[fault])
        assert (answer.status, answer.headers.get("Retry-After")) == (status, wait)

    def test_another_root_signs_all_parts(self, ask, machine):
        own, other = (ask(f"{V4}pckcrl", ca="processor", faults=faults) for faults in ((), ("other-root",)))
        roots = [unquote(answer.headers["SGX-PCK-CRL-Issuer-Chain"]).encode() for answer in (own, other)]
        assert machine.root_pem in roots[0]
        assert machine.root_pem not in roots[1]
