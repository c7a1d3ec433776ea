"""dcap-qvl, an independent verifier, judges the same simulated quotes; where it is laxer, the difference is tabled."""

import json
from dataclasses import replace
from datetime import timedelta

import dcap_qvl
import pytest

from confcom.codes import TCBStatus
from confcom.quote import Collateral, Verifier
from confcom.simulation.collateral import CollateralOptions
from confcom.simulation.names import INTERMEDIATE, PCK, ROOT, TCB_SIGNER

STATUSES = [status for status in TCBStatus if status is not TCBStatus.REVOKED]


def theirs(machine, quote, members, *, at=None):
    """dcap-qvl's report, or the text of its refusal."""
    collateral = dcap_qvl.QuoteCollateralV3.from_json(json.dumps(members))
    now = int((at or machine.now).timestamp())
    try:
        return dcap_qvl.verify_with_root_ca(quote, collateral, machine.platform.root_der, now)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("kind", ["machine", "platform_machine"])
def test_both_reach_the_same_status_and_advisories(request, kind, status):
    machine = request.getfixturevalue(kind)
    quote, members = machine.quote(), machine.members(CollateralOptions(tcb_status=status))
    ours = machine.examine(quote, Collateral.from_json(json.dumps(members).encode()))
    report = theirs(machine, quote, members)
    assert ours.tcb_status == report.status == status
    assert set(ours.advisories) == set(report.advisory_ids)


REFUSED = {
    "another root": lambda m, o: (m.quote(), o.members()),
    "another machine": lambda m, o: (o.quote(), m.members()),
    "revoked PCK": lambda m, _o: (m.quote(), m.members(CollateralOptions(revoke_pck=True))),
    "revoked intermediate": lambda m, _o: (m.quote(), m.members() | {"root_ca_crl": m.crl(ROOT, [INTERMEDIATE])}),
    "Revoked": lambda m, _o: (m.quote(), m.members(CollateralOptions(tcb_status=TCBStatus.REVOKED))),
    "no level": lambda m, _o: (m.quote(), m.members(CollateralOptions(missing_level=True))),
    "expired": lambda m, _o: (m.quote(), m.members(CollateralOptions(issued=timedelta(days=40)))),
    "of the future": lambda m, _o: (m.quote(), m.members(CollateralOptions(issued=-timedelta(days=1)))),
    "a changed report": lambda m, _o: (replace(m.parsed(), sig=bytes(64)).to_bytes(), m.members()),
    "a changed TCB info": lambda m, _o: (
        m.quote(),
        m.members() | {"tcb_info": m.members()["tcb_info"].replace("2", "3", 1)},
    ),
    "a leaf signed by another": lambda m, _o: (
        m.with_chain(m.reissue(PCK, issuer=INTERMEDIATE, key=ROOT), m.certificates[INTERMEDIATE], m.certificates[ROOT]),
        m.members(),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_both_refuse(machine, other_machine, case):
    quote, members = REFUSED[case](machine, other_machine)
    ours = machine.examine(quote, Collateral.from_json(json.dumps(members).encode()))
    assert not ours.verdict
    assert isinstance(theirs(machine, quote, members), str)


# What dcap-qvl 0.7.0 lets pass: nobody can forge a quote by any of it, but a strict verifier should not.
LAXER = {
    "CRL of the future": lambda m: {"root_ca_crl": m.crl(ROOT, start=m.now + timedelta(hours=1))},
    "PCK CRL issuer chain of another": lambda m: {
        "pck_crl_issuer_chain": (m.certificates[TCB_SIGNER] + m.certificates[ROOT]).decode()
    },
    "signer chain without root": lambda m: {"tcb_info_issuer_chain": m.certificates[TCB_SIGNER].decode()},
}


@pytest.mark.parametrize("case", LAXER)
def test_where_we_are_stricter(machine, case):
    members = machine.members() | LAXER[case](machine)
    assert theirs(machine, machine.quote(), members).status == "UpToDate"
    assert not machine.examine(collateral=Collateral.from_json(json.dumps(members).encode())).verdict


def test_one_flipped_bit_in_each_byte_is_refused_or_listed_and_never_laxer_than_theirs(machine):
    quote, members = machine.quote(), machine.members()
    verifier = Verifier(Collateral.from_json(json.dumps(members).encode()), machine.root)
    signed = machine.certificates[PCK] + machine.certificates[INTERMEDIATE]
    for offset in range(len(quote)):
        data = bytearray(quote)
        data[offset] ^= 1 << (offset * 5 % 8)
        found = verifier.examine(bytes(data), machine.now)
        if found.verdict:
            assert offset >= 1052 + len(signed), "only the quote's copy of the root is free to change"
            assert found.warnings == ("the quote's copy of the root certificate was changed; nothing rests on it",)
