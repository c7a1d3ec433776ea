"""A service's answers: what is taken apart without a change, and that any bytes give a value or one sentence."""

from urllib.parse import quote as url_quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from confcom.collateral import answers
from confcom.errors import CollateralError

SIGNATURE = "ab" * 64


@pytest.mark.parametrize(
    "text",
    ['{"a":1}', '{ "a" : 1.0 }', '{"b":[],\n\t"a":"\\u00e9"}', "{}", '{"x":{"signature":"00"}}'],
)
def test_the_signed_text_is_kept_byte_for_byte(text):
    body = f'{{ "signature" : "{SIGNATURE}", "tcbInfo" : {text} }}'.encode()
    assert answers.tcb_info(body, "x") == (text.encode(), bytes.fromhex(SIGNATURE))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "x: the answer is not whole JSON; it is empty: Input data was truncated"),
        (b"{}", "x: the answer is another JSON than expected: Object missing required field `tcbInfo`"),
        (b"[]", "x: the answer is another JSON than expected: Expected `object`, got `array`"),
        (
            b'{"enclaveIdentity":{},"signature":""}',
            "x: the answer is another JSON than expected: Object missing required field `tcbInfo`",
        ),
        (b'{"tcbInfo":{},"signature":"zz"}', "x: the signature is not hex"),
        (b'{"tcbInfo":{},"signature":"00"}', "x: the signature has 1 bytes, not 64"),
        (
            b'{"tcbInfo":{},"signature":7}',
            "x: the answer is another JSON than expected: Expected `str`, got `int` - at `$.signature`",
        ),
    ],
)
def test_other_bodies(body, sentence):
    with pytest.raises(CollateralError) as failed:
        answers.tcb_info(body, "x")
    assert str(failed.value) == sentence


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "holds no certificate"),
        ("%00%00", "holds no certificate"),
        ("text", "has text where a PEM block 'CERTIFICATE' belongs"),
        (
            url_quote("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
            "has a PEM block that is not base64",
        ),
        (
            url_quote("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" * 9),
            "holds more than 8 PEM blocks",
        ),
    ],
    ids=["empty", "NUL", "no PEM", "no base64", "too many"],
)
def test_a_chain_header_that_is_none(value, problem):
    with pytest.raises(CollateralError) as failed:
        answers.issuer_chain({"tcb-info-issuer-chain": value}, answers.TCB_INFO_CHAIN, "x")
    assert str(failed.value) == f"x: the header TCB-Info-Issuer-Chain {problem}"


def test_a_plus_sign_in_a_chain_is_base64(platform):
    pem = platform.root_pem.decode()
    almost_raw = pem.replace("\n", "%0A").replace(" ", "%20")
    assert answers.issuer_chain({"x": almost_raw}, "X", "where") == platform.root_pem


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_body_gives_one_error(body):
    for read in (answers.tcb_info, answers.qe_identity, answers.revocation_list):
        with pytest.raises(CollateralError, match=r"^where: "):
            read(body, "where")


@settings(max_examples=100)
@given(data=st.data())
def test_a_crl_cut_anywhere_is_refused(collateral, data):
    crl = collateral.pck_crl
    form = data.draw(st.sampled_from(["der", "hex"]))
    whole = crl if form == "der" else crl.hex().encode()
    end = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(CollateralError):
        answers.revocation_list(whole[:end], "where")
