"""Genuine collateral, served as Intel's service and a PCCS would, comes back byte for byte and verifies."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote as url_quote

import pytest
from scripted_server import http

from confcom.collateral import PCCS, Obtained, Wanted, earliest_end, read_bundle, summarise, write_bundle
from confcom.errors import CollateralError
from confcom.quote import Collateral, examine, intel_root


def served(collateral: Collateral):
    """Answers to the four requests of a PCCS client, by path."""

    def signed(member: str, text: bytes, signature: bytes, header: str, chain: bytes) -> bytes:
        body = b'{"%b":%b,"signature":"%b"}' % (member.encode(), text, signature.hex().encode())
        return http(body=body, **{header: url_quote(chain.decode(), safe="")})

    return {
        "pckcrl": http(body=collateral.pck_crl, SGX_PCK_CRL_Issuer_Chain=url_quote(collateral.pck_crl_issuer_chain)),
        "rootcacrl": http(body=collateral.root_ca_crl.hex().encode()),
        "tcb": signed(
            "tcbInfo",
            collateral.tcb_info,
            collateral.tcb_info_signature,
            "TCB_Info_Issuer_Chain",
            collateral.tcb_info_issuer_chain,
        ),
        "qe/identity": signed(
            "enclaveIdentity",
            collateral.qe_identity,
            collateral.qe_identity_signature,
            "SGX_Enclave_Identity_Issuer_Chain",
            collateral.qe_identity_issuer_chain,
        ),
    }


def start(scripted, answers):
    """A server that answers by the path that it is asked for."""

    def answer(connection):
        asked = re.match(rb"GET /sgx/certification/v4/([a-z/]+)", server.requests[-1])[1].decode()
        connection.sendall(answers[asked])

    server = scripted(answer)
    return server


@pytest.fixture
def sets(real_quotes):
    return [path for path in real_quotes if path.name.startswith("sgx-")]


def test_every_part_comes_back_byte_for_byte(sets, scripted, network):
    for path in sets:
        collateral = Collateral.from_json((path / "collateral.json").read_bytes())
        quote = (path / "quote.bin").read_bytes()
        server = start(scripted, served(collateral))
        at = earliest_end(collateral) - timedelta(days=1)
        found = PCCS(server.url, network).obtain(Wanted.for_quote(quote), at)
        assert found.collateral == collateral, path.name
        original, fetched = (examine(quote, part, intel_root(), at) for part in (collateral, found.collateral))
        assert fetched == original, path.name


def test_a_bundle_of_all_is_read_back(sets):
    packed = []
    for path in sets:
        collateral = Collateral.from_json((path / "collateral.json").read_bytes())
        wanted = Wanted.for_quote((path / "quote.bin").read_bytes())
        packed.append(Obtained(collateral=collateral, wanted=wanted, origin=path.name))
    bundle = write_bundle(packed)
    by_origin = {found.origin: found for found in read_bundle(bundle)}
    assert by_origin == {found.origin: found for found in packed}
    assert len(json.loads(bundle)["parts"]) < 9 * len(packed), "what several sets share is kept once"


def test_the_summary_has_intels_names(sets):
    for path in sets:
        collateral = Collateral.from_json((path / "collateral.json").read_bytes())
        issuers = {part.issuer for part in summarise(collateral)}
        assert issuers <= {
            "Intel SGX Root CA",
            "Intel SGX PCK Processor CA",
            "Intel SGX PCK Platform CA",
            "Intel SGX TCB Signing",
        }


def test_the_identity_of_another_enclave_is_the_services_fault(sets, scripted, network):
    collateral = Collateral.from_json((sets[0] / "collateral.json").read_bytes())
    wanted = Wanted.for_quote((sets[0] / "quote.bin").read_bytes())
    other = replace(collateral, qe_identity=collateral.qe_identity.replace(b'"id":"QE"', b'"id":"TD_QE"'))
    server = start(scripted, served(other))
    with pytest.raises(CollateralError) as failed:
        PCCS(server.url, network).obtain(wanted, earliest_end(collateral))
    assert str(failed.value) == f"127.0.0.1:{server.port}: qe_identity.id: must be 'QE', is 'TD_QE'"
