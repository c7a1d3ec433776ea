"""docs/reference/aesm.md: its numbers are the code's, and its client, which imports nothing of ours, gets a quote."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from confcom.aesm import messages
from confcom.quote import Allowance, Collateral, TrustRoot, Verifier
from confcom.sgx import TargetInfo
from confcom.simulation.reports import make_report

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/aesm.md").read_text(encoding="utf-8")
TABLE = re.search(r"<!-- messages -->\n(.*?)<!-- /messages -->", PAGE, re.DOTALL)[1]
(CLIENT,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def described(message):
    return "; ".join(
        f"{f.number} `{f.name}` {f.kind.name.lower()}" + (", required" if f.required else "") for f in message.FIELDS
    )


def test_numbers_are_those_of_the_code():
    lines = TABLE.splitlines()[2:]
    assert len(lines) == 6
    for line in lines:
        number, name, *_ = (cell.strip() for cell in line.strip("|").split("|"))
        request, response = getattr(messages, f"{name}Request"), getattr(messages, f"{name}Response")
        assert line == f"| {number} | {name} | {described(request)} | {described(response)} |"
        assert int(number) == request.NUMBER == response.NUMBER


@pytest.fixture
def get_quote(shared_helper):
    names = {}
    text = CLIENT.replace("/var/run/aesmd", str(Path(shared_helper.socket).parent))
    exec(compile(text, "aesm.md", "exec"), names)  # the page's own text
    return names["get_quote"]


def test_client_of_the_page_gets_a_quote_that_verifies(get_quote, platform):
    wanted = b"\x07" * 64
    quote = get_quote(lambda info: make_report(TargetInfo.from_bytes(info), report_data=wanted).to_bytes())

    now = datetime.now(UTC)
    collateral = Collateral.from_json(json.dumps(platform.collateral(now)).encode())
    verification = Verifier(collateral, TrustRoot.from_bytes(platform.root_pem), Allowance()).verify(quote, now)
    assert verification.identity.report_data == wanted


def test_client_of_the_page_is_told_the_code_of_a_refusal(get_quote):
    with pytest.raises(RuntimeError, match=r"^AESM 47$"):
        get_quote(lambda info: bytes(432))
