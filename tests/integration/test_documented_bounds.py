"""Bounds that the reference and the explanations name are those of the code: a number that changes in one fails here."""

import re
from pathlib import Path

import pytest

from confcom.addon.workloads import HELPER_BASE_MIB, HELPER_WORKER_MIB
from confcom.aesm.framing import MAX_REQUEST_BYTES
from confcom.aesm.wire import MAX_FIELDS
from confcom.collateral.bundle import MAX_BUNDLE_BYTES, MAX_SETS
from confcom.collateral.cache import MAX_CACHE_BYTES
from confcom.collateral.files import MAX_FILES
from confcom.collateral.limits import MAX_BODY_BYTES, MAX_REDIRECTS, Limits
from confcom.device_plugin.freeze import ADVICE_FROM_UNITS, SECONDS_PER_PAIR
from confcom.device_plugin.inventory import INTEL_UNITS, QUOTING_EPC_MIB, Wanted
from confcom.device_plugin.main import IDLE_SECONDS
from confcom.device_plugin.settings import MAX_UNITS
from confcom.kubelet.contract import MAX_LIST_BYTES
from confcom.quote.allowance import DEFAULT_CLOCK_SLACK
from confcom.quote_helper import listeners
from confcom.quote_helper.main import SECOND_PORT
from confcom.quote_helper.ring import MAX_QUEUED_PER_ORIGIN
from confcom.quote_helper.self_check import CHECK_SECONDS, PASSING_FAULTS
from confcom.quote_helper.service import MAX_QUOTE_BUFFER_BYTES
from confcom.quote_helper.unread import MAX_UNREAD_ANSWERS, USUAL_ANSWER_BYTES
from confcom.quoting.pool import FIRST_BACKOFF_SECONDS, MAX_ATTEMPTS, MAX_BACKOFF_SECONDS, START_SECONDS
from confcom.quoting.worker_process import DEPTH_SECONDS, MAX_DEPTH
from confcom.runtime.http import MAX_CONNECTIONS as HTTP_CONNECTIONS

DOCS = Path(__file__).resolve().parents[2] / "docs"
KIB, MIB = 1024, 1024 * 1024
NUMBERS = {3: "three", 5: "five"}
LIMITS = Limits()

SAID = {
    "reference/quote-helper.md": [
        f"| a request's frame | {MAX_REQUEST_BYTES // KIB} KiB;",
        f"over {listeners.USUAL_REQUEST_BYTES // KIB} KiB, {listeners.MAX_LARGE_REQUESTS} at once |",
        f"| fields of a message | {MAX_FIELDS} |",
        f"| a quote's buffer | {MAX_QUOTE_BUFFER_BYTES // KIB} KiB,",
        f"| answers over {USUAL_ANSWER_BYTES // KIB} KiB that are not collected | {MAX_UNREAD_ANSWERS},",
        f"| time to send a request | {listeners.FRAME_SECONDS:g} s |",
        f"| time to an answer | {listeners.REQUEST_SECONDS:g} s from accept,",
        f"| requests that wait, per socket | {MAX_QUEUED_PER_ORIGIN:,},",
        f"| connections | {listeners.MAX_CONNECTIONS:,} in all, {listeners.MAX_CONNECTIONS_PER_ORIGIN:,} per socket,",
        f"| attempts of one request | {MAX_ATTEMPTS},",
        f"and to the next one ({SECOND_PORT})",
    ],
    "reference/aesm.md": [f"has its own deadline of {listeners.REQUEST_SECONDS:g} s"],
    "explanation/attacks.md": [
        f"what they have sent each, at most {listeners.USUAL_REQUEST_BYTES // KIB} KiB,",
        f"of {listeners.MAX_LARGE_REQUESTS} of them {MAX_REQUEST_BYTES // KIB} KiB |",
        f"the kernel keeps each, at most {USUAL_ANSWER_BYTES // KIB} KiB,",
        f"of {MAX_UNREAD_ANSWERS} of them {MAX_QUOTE_BUFFER_BYTES // KIB} KiB,",
        f"closed after {listeners.FRAME_SECONDS:g} s, after {listeners.PRESSED_FRAME_SECONDS:g} s where",
        f"the kernel's backlog ({listeners.BACKLOG:,})",
        f"refused beyond {MAX_QUOTE_BUFFER_BYTES // KIB} KiB",
        f"{HTTP_CONNECTIONS} connections",
    ],
    "explanation/quote-helper.md": [
        f"as fill {DEPTH_SECONDS * 1000:g} ms of its measured cost, 1 to {MAX_DEPTH}",
        f"AESM 1 after {NUMBERS[MAX_ATTEMPTS]} tries",
        f"AESM 30 before {listeners.REQUEST_SECONDS:g} s are over",
    ],
    "reference/device-plugin.md": [
        f"| one list | {MAX_LIST_BYTES:,} bytes,",
        f"| slots, provision units | {MAX_UNITS:,} |",
        f"| `confcom.io/sgx-provision` | {Wanted().provision_units} |",
        f"| `confcom.io/sgx-quote` | {Wanted().slots} |",
        f"| `confcom.io/sgx-quote-helper` | {Wanted().helper_tokens} |",
        f"| {INTEL_UNITS} each, with `--intel-names` only |",
        f"`--helper-epc` ({QUOTING_EPC_MIB} MiB, for QE and PCE)",
        f"On nodes with over {ADVICE_FROM_UNITS:,} units",
        f"{SECONDS_PER_PAIR * 1e9:g} ns for each pair",
        f"looks again every {IDLE_SECONDS:g} s",
    ],
    "reference/dcap-backend.md": [
        f"answers AESM 30 to what is still without a worker after {listeners.REQUEST_SECONDS:g} s",
        f"again after {FIRST_BACKOFF_SECONDS:g} s, doubled up to {MAX_BACKOFF_SECONDS:g} s",
        f"at the start the worker is replaced after {START_SECONDS:g} s",
        f"every {NUMBERS[int(CHECK_SECONDS // 60)]} minutes a worker asks",
        f"not ready after {NUMBERS[PASSING_FAULTS]} checks in a row",
    ],
    "reference/collateral.md": [
        f"| connection, each read | {LIMITS.connect:g} s, {LIMITS.read:g} s |",
        f"| all parts with all retries | {LIMITS.total:g} s (`--timeout`)",
        f"| tries | {LIMITS.attempts},",
        f"| pauses | {LIMITS.first_pause:g} s,",
        f"| answer | at most {MAX_BODY_BYTES // MIB} MiB as received",
        f"| redirects | at most {MAX_REDIRECTS},",
        f"the folder has over {MAX_CACHE_BYTES // MIB} MiB",
        f"At most {MAX_BUNDLE_BYTES // MIB} MiB and {MAX_SETS} sets",
        f"every `*.json` in it, up to {MAX_FILES}",
    ],
    "reference/verification.md": [f"since clocks differ | {int(DEFAULT_CLOCK_SLACK.total_seconds())} |"],
    "how-to/troubleshoot.md": [f"or {listeners.REQUEST_SECONDS:g} s have passed"],
}  # fmt: skip


@pytest.mark.parametrize(("page", "text"), [(page, text) for page, texts in SAID.items() for text in texts])
def test_page_says_the_bound_of_the_code(page, text):
    said = re.sub(r"\s+", " ", (DOCS / page).read_text(encoding="utf-8"))
    assert text in said.replace("**", "")


def test_requests_that_are_never_whole_fit_into_the_memory_that_the_helper_is_given():
    usual = listeners.MAX_CONNECTIONS * listeners.USUAL_REQUEST_BYTES
    held = (usual + listeners.MAX_LARGE_REQUESTS * MAX_REQUEST_BYTES) / MIB
    assert HELPER_BASE_MIB + HELPER_WORKER_MIB + held < 2 * (HELPER_BASE_MIB + HELPER_WORKER_MIB)
