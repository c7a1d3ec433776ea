"""Requests and judgements that several tests of the quote helper need."""

import json
import secrets
from datetime import UTC, datetime

import dcap_qvl

from confcom.aesm import messages as m
from confcom.sgx import DEFAULT_KEY_ID
from confcom.simulation.reports import make_report

KEY_ID = DEFAULT_KEY_ID.to_bytes()
TIMEOUT = 15_000


def report_for(platform, report_data=None):
    """A REPORT (432 bytes) of a simulated enclave on the platform."""
    data = secrets.token_bytes(64) if report_data is None else report_data
    return make_report(platform.target_info(), report_data=data).to_bytes()


def quote_request(platform, report_data=None, size=None, info=None):
    """The body of a GetQuoteEx request."""
    return m.GetQuoteExRequest(
        report=report_for(platform, report_data),
        att_key_id=KEY_ID,
        qe_report_info=info,
        buf_size=platform.quote_size if size is None else size,
        timeout=TIMEOUT,
    ).envelope()


def quote_of(body):
    """The quote in the body of an answer, which must be a success."""
    answer = m.decode_response(body, m.GetQuoteExResponse)
    assert answer.error_code == 0, f"AESM {answer.error_code}"
    return answer.quote


def error_code(body, response=m.GetQuoteExResponse):
    """The error code of an answer."""
    return m.decode_response(body, response).error_code


def quote_check(platform):
    """For `Load`: what is wrong with the body of an answer, or None; signatures are judged elsewhere."""

    def check(body):
        answer = m.decode_response(body, m.GetQuoteExResponse)
        if answer.error_code:
            return f"AESM {answer.error_code}"
        return None if len(answer.quote) == platform.quote_size else f"{len(answer.quote)} bytes"

    return check


def judged(platform, quote):
    """The TCB status that dcap-qvl, an independent verifier, reaches with the platform's own root."""
    now = datetime.now(UTC)
    collateral = dcap_qvl.QuoteCollateralV3.from_json(json.dumps(platform.collateral(now)))
    return dcap_qvl.verify_with_root_ca(quote, collateral, platform.root_der, int(now.timestamp())).status
