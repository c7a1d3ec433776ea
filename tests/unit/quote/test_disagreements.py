"""Structure-aware mutations, judged by our verifier and by dcap-qvl 0.7.0: the two disagree only where it is tabled.

Each mutation knows what it changes, and signs anew what its maker could sign: so that it is judged by the step that it
is about, and not by the first signature on the way. The tables below are those of the verifiers' measured differences.
"""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import dcap_qvl
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from confcom.errors import CollateralFormatError
from confcom.quote import Collateral, Verifier
from confcom.sgx import Attributes
from confcom.simulation.collateral import CollateralOptions
from confcom.simulation.keys import raw_signature
from confcom.simulation.names import INTERMEDIATE, PCK, ROOT, TCB_SIGNER

# What they let pass and we refuse. Nobody can forge a quote by any of it.
LAXER = {
    "CRL that begins later": "a CRL's thisUpdate is not looked at",
    "PCK CRL that begins later": "a CRL's thisUpdate is not looked at",
    "PCK CRL issuer chain of others": "it is never used",
    "other certificates in the chain": "a way from leaf to root is looked for among any",
    "signer chain without its root": "the root of a signer's chain is not asked for",
    "TCB level twice": "duplicate levels",
    "version of TCB info": "any version in the shape of version 3",
    "tcbType": "not looked at",
    "PCEID of TCB info": "not compared",
    "text after the certificates": "whatever follows the third certificate",
    "certification data size": "m up to 30 too small",
    "signature data length": "too large if bytes follow",
    "QE report data, second half": "only the first 32 bytes are compared",
    "fractions of seconds": "dates with .5Z or +00:00",
    "QE levels ascend": "the first that fits is taken, as listed",
    "NULs at the end": "two NULs",
    "line ends of PEM are none, or blanks": "armour need not stand on lines of its own",
    "version of QE identity": "not looked at",
}
# What they refuse and we let pass; each is a warning of ours, or the caller's business.
STRICTER = {
    "auth data size": "32 bytes only",
    "DEBUG": "no debug enclave is ever accepted",
    "end of a CRL": "nextUpdate is exclusive",
    "CRLs that are PEM": "hex only",
    "line ends of PEM are doubled": "no empty lines",
}


class Case:
    """A simulated quote and its collateral on their way to both verifiers."""

    def __init__(self, machine):
        self.machine = machine
        self.quote = machine.parsed(report_data=b"\x07" * 64)
        self.members = machine.members()
        self.at = machine.now
        self.signed = False
        self.edits = []

    def sign(self, **quote):
        self.quote = replace(self.quote, **quote)
        self.signed = True

    def document(self, name, change):
        """Changes signed JSON and signs it anew, as only the service could."""
        try:
            content = json.loads(self.members[name])
            change(content)
        except (ValueError, LookupError):
            # An earlier mutation has left nothing to change.
            return
        text = json.dumps(content, separators=(",", ":"))
        signature = raw_signature(self.machine.keys[TCB_SIGNER], text.encode())
        self.members |= {name: text, f"{name}_signature": signature.hex()}

    @property
    def bytes(self):
        data = self.machine.sign(self.quote) if self.signed else self.quote.to_bytes()
        for edit in self.edits:
            # A quote that was cut before its certificates has no more fields to edit.
            data = edit(data) if len(data) > 1052 else data
        return data

    def ours(self):
        try:
            collateral = Collateral.from_json(json.dumps(self.members).encode())
        except CollateralFormatError:
            return None
        found = Verifier(collateral, self.machine.root).examine(self.bytes, self.at)
        return found if found.verdict else None

    def theirs(self):
        try:
            collateral = dcap_qvl.QuoteCollateralV3.from_json(json.dumps(self.members))
            at = int(self.at.timestamp())
            return dcap_qvl.verify_with_root_ca(self.bytes, collateral, self.machine.platform.root_der, at)
        except ValueError as error:
            # Its last check: all else held.
            return "debug" if str(error) == "Verification failed: Debug mode is enabled" else None


MUTATIONS = {}


def mutation(name, argument=None):
    def register(function):
        MUTATIONS[name] = (argument if argument is not None else st.just(None), function)
        return function

    return register


uint16 = st.integers(0, 0xFFFF)
octet = st.integers(0, 255)
spans = st.sampled_from([timedelta(days=n) for n in (-60, -31, -30, -1, 0, 1, 29, 30, 31, 60, 400)])


def flip(data, at):
    changed = bytearray(data)
    changed[at % len(changed)] ^= 1 << (at % 8)
    return bytes(changed)


# Quote -----------------------------------------------------------------------------------------------------------------


@mutation("header", st.tuples(st.sampled_from(["version", "att_key_type", "tee_type", "qe_svn", "pce_svn"]), uint16))
def change_header(case, argument):
    field, value = argument
    case.sign(header=replace(case.quote.header, **{field: value}))


@mutation("vendor", st.binary(min_size=16, max_size=16))
def change_vendor(case, vendor):
    case.sign(header=replace(case.quote.header, vendor_id=vendor))


@mutation("user data", st.binary(min_size=20, max_size=20))
def change_user_data(case, user_data):
    case.sign(header=replace(case.quote.header, user_data=user_data))


@mutation("report", st.tuples(st.sampled_from(["isv_svn", "isv_prod_id", "misc_select", "config_svn"]), uint16))
def change_report(case, argument):
    field, value = argument
    case.sign(report=replace(case.quote.report, **{field: value}))


@mutation("DEBUG")
def debug(case, _):
    case.sign(report=replace(case.quote.report, attributes=Attributes(flags=7)))


@mutation("a bit of header or report", st.integers(0, 431))
def flip_signed(case, at):
    case.edits.append(lambda data: flip(data[:432], at) + data[432:])


@mutation("a bit of signatures, key or QE report", st.integers(0, 575))
def flip_signature_data(case, at):
    case.edits.append(lambda data: data[:436] + flip(data[436:1012], at) + data[1012:])


@mutation("another attestation key")
def other_key(case, _):
    numbers = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    case.quote = replace(case.quote, attest_pub_key=numbers.x.to_bytes(32) + numbers.y.to_bytes(32))


@mutation("QE report", st.tuples(st.sampled_from(["isv_svn", "isv_prod_id", "misc_select"]), st.integers(0, 12)))
def change_qe_report(case, argument):
    field, value = argument
    case.sign(qe_report=replace(case.quote.qe_report, **{field: value}))


@mutation("QE attributes", st.integers(0, 0xFF))
def change_qe_attributes(case, flags):
    # A debug QE is refused by both, theirs in other words.
    flags &= ~2
    case.sign(qe_report=replace(case.quote.qe_report, attributes=Attributes(flags=flags, xfrm=0xE7)))


@mutation("QE signer", st.binary(min_size=32, max_size=32))
def change_qe_signer(case, signer):
    case.sign(qe_report=replace(case.quote.qe_report, mr_signer=signer))


@mutation("QE report data, second half", st.binary(min_size=32, max_size=32))
def change_second_half(case, half):
    report_data = case.quote.qe_report.report_data[:32] + half
    case.sign(qe_report=replace(case.quote.qe_report, report_data=report_data))


@mutation("auth data size", st.integers(0, 80))
def change_auth_data(case, size):
    auth_data = bytes(size)
    digest = hashlib.sha256(case.quote.attest_pub_key + auth_data).digest()
    case.sign(auth_data=auth_data, qe_report=replace(case.quote.qe_report, report_data=digest + bytes(32)))


@mutation("signature data length", st.integers(-40, 40))
def change_length(case, difference):
    def edit(data):
        length = max(0, int.from_bytes(data[432:436], "little") + difference)
        return data[:432] + length.to_bytes(4, "little") + data[436:]

    case.edits.append(edit)


@mutation("certification data size", st.integers(-40, 40))
def change_certification_size(case, difference):
    def edit(data):
        size = max(0, int.from_bytes(data[1048:1052], "little") + difference)
        return data[:1048] + size.to_bytes(4, "little") + data[1052:]

    case.edits.append(edit)


@mutation("certification data type", st.integers(0, 8))
def change_type(case, kind):
    case.quote = replace(case.quote, certification_data_type=kind)


@mutation("cut", st.integers(0, 5000))
def cut(case, size):
    case.edits.append(lambda data: data[:size])


@mutation("trailing bytes", st.binary(min_size=1, max_size=64))
def trail(case, more):
    case.edits.append(lambda data: data + more)


@mutation("certificates", st.lists(st.sampled_from([PCK, INTERMEDIATE, ROOT, TCB_SIGNER]), max_size=4))
def change_certificates(case, names):
    # Where leaf and intermediate are there, it is the next mutation.
    if names[:1] == [PCK] and INTERMEDIATE in names:
        return
    chain = b"".join(case.machine.certificates[name] for name in names)
    case.quote = replace(case.quote, certification_data=chain)


@mutation(
    "other certificates in the chain", st.lists(st.sampled_from([PCK, INTERMEDIATE, ROOT, TCB_SIGNER]), max_size=2)
)
def add_certificates(case, names):
    chain = b"".join(case.machine.certificates[name] for name in (PCK, *names, INTERMEDIATE))
    case.quote = replace(case.quote, certification_data=chain)


@mutation("NULs at the end", st.integers(0, 3))
def change_nuls(case, count):
    chain = case.quote.certification_data.rstrip(b"\0") + bytes(count)
    case.quote = replace(case.quote, certification_data=chain)


@mutation("text after the certificates", st.sampled_from([b"x", b"\n\n", b"# end\n", b"-----BEGIN"]))
def text_after(case, text):
    chain = case.quote.certification_data.rstrip(b"\0") + text
    case.quote = replace(case.quote, certification_data=chain)


@mutation("leaf by another key", st.sampled_from([ROOT, TCB_SIGNER]))
def forge_leaf(case, key):
    leaf = case.machine.reissue(PCK, issuer=INTERMEDIATE, key=key)
    chain = leaf + case.machine.certificates[INTERMEDIATE] + case.machine.certificates[ROOT]
    case.quote = replace(case.quote, certification_data=chain)


@mutation("life of the leaf", st.tuples(spans, spans))
def change_leaf_life(case, argument):
    start, end = sorted(case.machine.now + span for span in argument)
    if start == end:
        return
    leaf = case.machine.reissue(PCK, issuer=INTERMEDIATE, start=start, end=end)
    chain = leaf + case.machine.certificates[INTERMEDIATE] + case.machine.certificates[ROOT]
    case.quote = replace(case.quote, certification_data=chain)


# Collateral ------------------------------------------------------------------------------------------------------------


@mutation("time", spans)
def change_time(case, span):
    # Never the very end of a CRL, which is another mutation.
    case.at += span + timedelta(seconds=1)


@mutation("status", st.sampled_from(["UpToDate", "SWHardeningNeeded", "OutOfDate", "Revoked", "Fine"]))
def change_status(case, status):
    case.document("tcb_info", lambda content: content["tcbLevels"][0].update(tcbStatus=status))


@mutation("options", st.sampled_from([{"missing_level": True}, {"revoke_pck": True}, {"lifetime": timedelta(days=1)}]))
def change_options(case, options):
    case.members = case.machine.members(CollateralOptions(**options))


@mutation("revoked", st.tuples(st.sampled_from([ROOT, INTERMEDIATE]), st.sampled_from([PCK, INTERMEDIATE, TCB_SIGNER])))
def revoke(case, argument):
    issuer, name = argument
    case.members["root_ca_crl" if issuer == ROOT else "pck_crl"] = case.machine.crl(issuer, [name])


@mutation("CRL of another", st.sampled_from([(ROOT, INTERMEDIATE), (INTERMEDIATE, ROOT)]))
def swap_crl(case, argument):
    issuer, key = argument
    case.members["root_ca_crl" if issuer == ROOT else "pck_crl"] = case.machine.crl(issuer, key=key)


@mutation("end of a CRL", st.integers(-2, 2))
def change_crl_end(case, seconds):
    case.members["root_ca_crl"] = case.machine.crl(ROOT, end=case.machine.now + timedelta(seconds=seconds))


@mutation("CRL that begins later", st.integers(1, 1000))
def late_crl(case, minutes):
    case.members["root_ca_crl"] = case.machine.crl(
        ROOT, start=case.machine.now + timedelta(minutes=minutes), end=case.machine.now + timedelta(days=30)
    )


@mutation("signatures", st.tuples(st.sampled_from(["tcb_info", "qe_identity"]), st.integers(0, 63)))
def flip_document_signature(case, argument):
    name, at = argument
    signature = bytes.fromhex(case.members[f"{name}_signature"])
    case.members[f"{name}_signature"] = flip(signature, at).hex()


@mutation("a letter of signed text", st.tuples(st.sampled_from(["tcb_info", "qe_identity"]), st.integers(0, 5000)))
def flip_text(case, argument):
    name, at = argument
    text = case.members[name]
    at %= len(text)
    case.members[name] = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]


@mutation("FMSPC", st.binary(min_size=6, max_size=6))
def change_fmspc(case, fmspc):
    case.document("tcb_info", lambda content: content.update(fmspc=fmspc.hex()))


@mutation("PCEID of TCB info", st.binary(min_size=2, max_size=2))
def change_pce_id(case, pce_id):
    case.document("tcb_info", lambda content: content.update(pceId=pce_id.hex()))


@mutation("version of TCB info", st.integers(0, 4))
def change_version(case, version):
    case.document("tcb_info", lambda content: content.update(version=version))


@mutation("tcbType", st.integers(0, 2))
def change_tcb_type(case, kind):
    case.document("tcb_info", lambda content: content.update(tcbType=kind))


@mutation("id of TCB info", st.sampled_from(["SGX", "TDX", "sgx", ""]))
def change_tcb_id(case, name):
    case.document("tcb_info", lambda content: content.update(id=name))


@mutation("member that is missing", st.sampled_from(["id", "version", "issueDate", "nextUpdate", "fmspc", "tcbLevels"]))
def drop_member(case, name):
    case.document("tcb_info", lambda content: content.pop(name, None))


@mutation("member that is unknown", st.text("abc", min_size=3, max_size=5))
def add_member(case, name):
    case.document("tcb_info", lambda content: content.update({name: 1}))


@mutation("components", st.tuples(st.integers(0, 15), octet))
def change_component(case, argument):
    at, svn = argument

    def change(content):
        for level in content["tcbLevels"]:
            level["tcb"]["sgxtcbcomponents"][at]["svn"] = svn

    case.document("tcb_info", change)


@mutation("PCESVN", uint16)
def change_pce_svn(case, svn):
    case.document("tcb_info", lambda content: content["tcbLevels"][0]["tcb"].update(pcesvn=svn))


@mutation("TCB level twice")
def double_level(case, _):
    case.document("tcb_info", lambda content: content["tcbLevels"].append(content["tcbLevels"][0]))


@mutation("dates of TCB info", st.tuples(spans, spans))
def change_dates(case, argument):
    start, end = (f"{case.machine.now + span:%Y-%m-%dT%H:%M:%SZ}" for span in sorted(argument))
    case.document("tcb_info", lambda content: content.update(issueDate=start, nextUpdate=end))


@mutation("fractions of seconds", st.sampled_from(["2026-05-31T12:00:00.5Z", "2026-05-31T12:00:00+00:00"]))
def fraction(case, text):
    case.document("tcb_info", lambda content: content.update(issueDate=text))


@mutation("QE identity", st.tuples(st.sampled_from(["isvprodid", "tcbEvaluationDataNumber"]), uint16))
def change_qe_identity(case, argument):
    name, value = argument
    case.document("qe_identity", lambda content: content.update({name: value}))


@mutation("id of QE identity", st.sampled_from(["QE", "TD_QE", "QVE", ""]))
def change_qe_id(case, name):
    case.document("qe_identity", lambda content: content.update(id=name))


@mutation("version of QE identity", st.integers(0, 3))
def change_qe_version(case, version):
    case.document("qe_identity", lambda content: content.update(version=version))


@mutation("QE signer wanted", st.binary(min_size=32, max_size=32))
def change_wanted_signer(case, signer):
    case.document("qe_identity", lambda content: content.update(mrsigner=signer.hex()))


@mutation("QE mask", st.binary(min_size=16, max_size=16))
def change_mask(case, mask):
    case.document("qe_identity", lambda content: content.update(attributesMask=mask.hex()))


@mutation("QE level", st.tuples(st.integers(0, 20), st.sampled_from(["UpToDate", "OutOfDate", "Revoked", "Fine"])))
def change_qe_level(case, argument):
    svn, status = argument

    def change(content):
        level = content["tcbLevels"][0] | {"tcb": {"isvsvn": svn}, "tcbStatus": status}
        content["tcbLevels"] = [level]

    case.document("qe_identity", change)


@mutation("signer chain without its root")
def drop_root(case, _):
    case.members["tcb_info_issuer_chain"] = case.machine.certificates[TCB_SIGNER].decode()


@mutation("signer chain of others", st.sampled_from([PCK, INTERMEDIATE, ROOT]))
def other_signer(case, name):
    chain = case.machine.certificates[name] + case.machine.certificates[ROOT]
    case.members["tcb_info_issuer_chain"] = chain.decode()


@mutation("PCK CRL issuer chain of others", st.sampled_from([PCK, TCB_SIGNER, ROOT]))
def other_crl_issuer(case, name):
    chain = case.machine.certificates[name] + case.machine.certificates[ROOT]
    case.members["pck_crl_issuer_chain"] = chain.decode()


@mutation("member of collateral", st.sampled_from(["pck_crl", "root_ca_crl", "tcb_info", "qe_identity_issuer_chain"]))
def break_member(case, name):
    case.members[name] = case.members[name][: len(case.members[name]) // 6 * 2]


@mutation("PCK CRL that begins later", st.integers(1, 1000))
def late_pck_crl(case, minutes):
    start, end = case.machine.now + timedelta(minutes=minutes), case.machine.now + timedelta(days=30)
    case.members["pck_crl"] = case.machine.crl(INTERMEDIATE, start=start, end=end)


@mutation("QE levels ascend", st.integers(0, 20))
def ascend(case, svn):
    def change(content):
        level = content["tcbLevels"][0]
        content["tcbLevels"] = [level | {"tcb": {"isvsvn": number}} for number in (svn, svn + 1)]

    case.document("qe_identity", change)


@mutation("CRLs that are PEM")
def pem_crl(case, _):
    try:
        crl = x509.load_der_x509_crl(bytes.fromhex(case.members["pck_crl"]))
    except ValueError:
        # It is PEM already, or damaged by an earlier mutation.
        return
    case.members["pck_crl"] = crl.public_bytes(Encoding.PEM).decode()


@mutation("line ends of PEM are CRLF", st.just(b"\r\n"))
@mutation("line ends of PEM are doubled", st.just(b"\n\n"))
@mutation("line ends of PEM are none, or blanks", st.sampled_from([b"", b" \n", b"\t"]))
def line_ends(case, end):
    chain = case.quote.certification_data.rstrip(b"\0").replace(b"\r\n", b"\n").replace(b"\n", end)
    case.quote = replace(case.quote, certification_data=chain)


# The law ---------------------------------------------------------------------------------------------------------------


steps = st.one_of([st.tuples(st.just(name), argument) for name, (argument, _) in MUTATIONS.items()])


def judged(machine, chosen):
    """Both verdicts after these mutations: ours, theirs, and the names that table a difference."""
    case = Case(machine)
    for name, argument in chosen:
        MUTATIONS[name][1](case, argument)
    return case.ours(), case.theirs(), [name for name, _ in chosen]


def check(ours, theirs, names):
    note(f"{names}: ours {ours and ours.tcb_status}, theirs {theirs and getattr(theirs, 'status', theirs)}")
    if ours is None and theirs is not None:
        assert LAXER.keys() & set(names), f"they accept what we refuse: {names}"
    elif ours is not None and theirs is None:
        assert STRICTER.keys() & set(names), f"they refuse what we accept: {names}"
    elif ours is not None and theirs != "debug":
        assert (ours.tcb_status, set(ours.advisories)) == (theirs.status, set(theirs.advisory_ids))


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(chosen=st.lists(steps, min_size=1, max_size=3))
def test_both_verifiers_agree_but_for_what_is_tabled(machine, chosen):
    check(*judged(machine, chosen))


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("name", MUTATIONS)
@given(data=st.data())
def test_each_mutation_alone_is_judged_alike_or_tabled(machine, name, data):
    argument, _ = MUTATIONS[name]
    check(*judged(machine, [(name, data.draw(argument))]))


def test_every_difference_that_is_tabled_is_tried():
    assert (LAXER | STRICTER).keys() <= MUTATIONS.keys()


def test_unchanged_it_is_genuine_to_both(machine):
    ours, theirs, _ = judged(machine, [])
    assert ours.tcb_status == theirs.status == "UpToDate"
