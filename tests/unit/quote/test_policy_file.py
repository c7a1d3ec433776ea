"""A policy as a file: every key, every wrong value in one sentence, and that what is given later wins."""

import hashlib
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcom.codes import TCBStatus
from confcom.errors import InputError
from confcom.quote import DEFAULT_STATUSES, Allowance, Policy, make_allowance, make_policy, override, read_policy
from confcom.quote.policy_file import KEYS, MAX_POLICY_BYTES

WHOLE = (
    """
version = 1
mr_enclave = ["aa", "bb"]
mr_signer = "cc"
isv_prod_id = 3
min_isv_svn = 7
report_data = "0102"
allow_debug = true
accepted_statuses = ["OutOfDate", "swhardeningneeded"]
accepted_advisories = ["INTEL-SA-00615", "intel-sa-00289"]
rejected_advisories = ["INTEL-SA-00960"]
min_tcb_evaluation_data_number = 17
grace_days = 14
clock_slack_seconds = 60
""".replace('"aa"', f'"{"aa" * 32}"')
    .replace('"bb"', f'"{"BB" * 32}"')
    .replace('"cc"', f'"{"cc" * 32}"')
)


def read(text, name="policy.toml"):
    return read_policy(text.encode(), name)


def test_every_key_is_read_into_its_type():
    values = read(WHOLE)
    assert make_policy(values) == Policy(
        mr_enclave=frozenset({b"\xaa" * 32, b"\xbb" * 32}),
        mr_signer=frozenset({b"\xcc" * 32}),
        isv_prod_id=3,
        min_isv_svn=7,
        report_data=b"\x01\x02" + bytes(62),
        allow_debug=True,
        accepted_statuses=frozenset({TCBStatus.UP_TO_DATE, TCBStatus.OUT_OF_DATE, TCBStatus.SW_HARDENING_NEEDED}),
        accepted_advisories=frozenset({"INTEL-SA-00615", "INTEL-SA-00289"}),
        rejected_advisories=frozenset({"INTEL-SA-00960"}),
        min_tcb_evaluation_data_number=17,
    )
    assert make_allowance(values) == Allowance(grace=timedelta(days=14), clock_slack=timedelta(minutes=1))


def test_the_sample_has_every_key():
    assert read(WHOLE).keys() == KEYS.keys() - {"report_data_sha256_of", "nonce"}


def test_json_is_read_too():
    assert read_policy(b' {"version": 1, "isv_prod_id": 3}', "p.json") == {"isv_prod_id": 3}


def test_an_empty_policy_is_the_default_one():
    assert make_policy(read("version = 1")) == Policy(accepted_statuses=DEFAULT_STATUSES)
    assert make_allowance({}) == Allowance(clock_slack=timedelta(minutes=5))


def test_a_file_to_be_hashed_is_not_forgotten():
    values = read("version = 1\nreport_data_sha256_of = 'key.pem'")
    with pytest.raises(InputError, match=r"^report_data_sha256_of: the bytes of key\.pem are not given$"):
        make_policy(values)


KNOWN = f"known are version, {', '.join(sorted(KEYS))}"
BAD = {
    "unknown key": ("version = 1\nmr_enclav = 'aa'", f"mr_enclav: there is no such key; {KNOWN}"),
    "a terminal's words": ('version = 1\n"\\u001b[2J" = 1', f"?[2J: there is no such key; {KNOWN}"),
    "no version": ("isv_prod_id = 1", "version: is missing; this program reads version = 1"),
    "later version": ("version = 2", "version: is 2; this program reads version = 1"),
    "version as text": ("version = '1'", "version: is '1'; this program reads version = 1"),
    "version as fraction": ("version = 1.0", "version: is 1.0; this program reads version = 1"),
    "long version": (f"version = '{'v' * 200}'", f"version: is '{'v' * 60}...; this program reads version = 1"),
    "version as truth": ("version = true", "version: is True; this program reads version = 1"),
    "a table": ("version = 1\n[isv]\nx = 1", f"isv: there is no such key; {KNOWN}"),
    "no hex": ("version = 1\nmr_enclave = 'xy'", "mr_enclave: is not hex: write two digits 0-9a-f for each byte"),
    "number for hex": ("version = 1\nmr_signer = 12", "mr_signer: is not hex: write two digits 0-9a-f for each byte"),
    "short": ("version = 1\nmr_signer = 'aabb'", "mr_signer: has 2 bytes; it must have exactly 32"),
    "one of a list is short": (
        f"version = 1\nmr_enclave = ['{'aa' * 32}', 'aa']",
        "mr_enclave: has 1 bytes; it must have exactly 32",
    ),
    "empty list": ("version = 1\nmr_enclave = []", "mr_enclave: is an empty list: nothing could be accepted"),
    "negative": ("version = 1\nisv_prod_id = -1", "isv_prod_id: must be a whole number, 0 to 65535"),
    "too large": ("version = 1\nmin_isv_svn = 65536", "min_isv_svn: must be a whole number, 0 to 65535"),
    "half": ("version = 1\ngrace_days = 1.5", "grace_days: must be a whole number, 0 to 366"),
    "years": ("version = 1\ngrace_days = 400", "grace_days: must be a whole number, 0 to 366"),
    "days of slack": (
        "version = 1\nclock_slack_seconds = 90000",
        "clock_slack_seconds: must be a whole number, 0 to 86400",
    ),
    "truth as number": ("version = 1\nisv_prod_id = true", "isv_prod_id: must be a whole number, 0 to 65535"),
    "number as truth": ("version = 1\nallow_debug = 1", "allow_debug: must be true or false"),
    "text as truth": ("version = 1\nallow_debug = 'no'", "allow_debug: must be true or false"),
    "text as list": ("version = 1\naccepted_statuses = 'OutOfDate'", "accepted_statuses: must be a list"),
    "unknown status": (
        "version = 1\naccepted_statuses = ['Fine']",
        f"accepted_statuses: 'Fine' cannot be accepted; known are {', '.join(list(TCBStatus)[:-1])}",
    ),
    "Revoked": (
        "version = 1\naccepted_statuses = ['Revoked']",
        "accepted_statuses: Revoked cannot be accepted: keys of such a platform are known to have leaked",
    ),
    "no advisory": (
        "version = 1\nrejected_advisories = ['SA-1']",
        "rejected_advisories: 'SA-1' is no advisory; write it like INTEL-SA-00615",
    ),
    "number in a list": ("version = 1\naccepted_advisories = [615]", "accepted_advisories: must be a text"),
    "long report data": (f"version = 1\nreport_data = '{'00' * 65}'", "report_data: has 65 bytes; a report has 64"),
    "no report data": (
        "version = 1\nreport_data = ''",
        "report_data: is not hex: write two digits 0-9a-f for each byte",
    ),
    "two forms": (
        "version = 1\nreport_data = '00'\nreport_data_sha256_of = 'x'",
        "report_data: does not go with p: report_data_sha256_of; give one of them",
    ),
    "nonce alone": ("version = 1\nnonce = '00'", "nonce: goes with p: report_data_sha256_of only"),
    "long nonce": (
        f"version = 1\nreport_data_sha256_of = 'x'\nnonce = '{'00' * 1025}'",
        "nonce: has 1025 bytes; it must have 1 to 1024",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_one_sentence_with_its_key(case):
    text, sentence = BAD[case]
    with pytest.raises(InputError) as caught:
        read(text, "p")
    assert str(caught.value) == f"p: {sentence}"


NO_POLICY = {
    "not TOML": (b"version == 1", "p: is not TOML: "),
    "not JSON": (b'{"version": 1,}', "p: is not JSON: "),
    "a list": (b"[1]", "p: needs an object of keys, holds a list"),
    "no text": (b"\xff\xfe", "p: is not TOML: "),
    "deep": (b"[" * 100_000, "p: is not JSON: "),
    "deep TOML": (b"a = " + b"[" * 100_000, "p: is not TOML: "),
    "a key twice in TOML": (b"version = 1\nversion = 1", "p: is not TOML: "),
    "a key twice in JSON": (
        b'{"version": 1, "mr_signer": "00", "isv_prod_id": 1, "mr_signer": "01"}',
        "p: is not JSON: the key 'mr_signer' stands there twice",
    ),
    "a long number in TOML": (b"version = 1\nisv_prod_id = " + b"1" * 5000, "p: is not TOML: "),
    "a long number in JSON": (b'{"version": 1, "isv_prod_id": ' + b"1" * 5000 + b"}", "p: is not JSON: "),
    "a number that cannot be printed": (
        b"version = 0x" + b"f" * 5000,
        "p: version: is another; this program reads version = 1",
    ),
    "no number in JSON": (b'{"version": 1, "isv_prod_id": NaN}', "p: isv_prod_id: must be a whole number, 0 to 65535"),
    "large": (b"#" * (MAX_POLICY_BYTES + 1), "p: over 256 KiB, which no policy has"),
}


@pytest.mark.parametrize("case", NO_POLICY)
def test_what_is_no_policy_is_told(case):
    content, sentence = NO_POLICY[case]
    with pytest.raises(InputError) as caught:
        read_policy(content, "p")
    assert str(caught.value).startswith(sentence)


def outcome(content):
    """The sentence of the one error that there may be, or that it is a policy."""
    try:
        found = read_policy(content, "p")
    except InputError as error:
        return str(error)
    make_policy(found, b"" if "report_data_sha256_of" in found else None)
    make_allowance(found)
    return "a policy"


@given(st.binary(max_size=200))
def test_whatever_the_bytes_it_is_values_or_that_error(content):
    assert outcome(content).startswith(("p: ", "a policy"))


@given(
    st.dictionaries(
        st.sampled_from(sorted(KEYS)),
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=80), st.lists(st.text(max_size=20))),
    )
)
def test_whatever_the_values_it_is_a_policy_or_that_error(values):
    assert outcome(json.dumps({"version": 1} | values).encode()).startswith(("p: ", "a policy"))


# Later values ------------------------------------------------------------------------------------------------------------


def test_a_later_value_wins_and_the_others_stay():
    assert override({"isv_prod_id": 1, "min_isv_svn": 2}, {"isv_prod_id": 3}) == {"isv_prod_id": 3, "min_isv_svn": 2}


@pytest.mark.parametrize(
    "later", [{"report_data": b"x"}, {"report_data_sha256_of": "g"}, {"report_data_sha256_of": "g", "nonce": b"y"}]
)
def test_a_later_form_of_report_data_drops_the_earlier_ones(later):
    assert (
        override({"report_data_sha256_of": "f", "nonce": b"x", "min_isv_svn": 2}, later) == {"min_isv_svn": 2} | later
    )


def test_the_hash_of_a_file_is_made_with_its_nonce():
    values = {"report_data_sha256_of": "f", "nonce": b"n"}
    assert make_policy(values, b"data").report_data == hashlib.sha256(b"ndata").digest() + bytes(32)
    assert make_policy({"report_data_sha256_of": "f"}, b"").report_data[:4] == hashlib.sha256(b"").digest()[:4]


def test_the_sample_and_the_keys_of_the_page_are_those_that_are_read():
    page = (Path(__file__).resolve().parents[3] / "docs/reference/verification.md").read_text(encoding="utf-8")
    sample = page.partition("```toml\n")[2].partition("```")[0]
    assert read(sample)["grace_days"] == timedelta(days=7)
    table = page.partition("| key | flag |")[2].partition("\n\n")[0]
    assert {key for row in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", row.split("|")[1])} == KEYS.keys()
