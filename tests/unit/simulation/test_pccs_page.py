"""The reference pages of the simulated service and of collateral say what the code does."""

import re
from pathlib import Path

from confcom.collateral import Limits, cache
from confcom.collateral.bundle import FORMAT, MAX_BUNDLE_BYTES, MAX_SETS, VERSION
from confcom.collateral.files import MAX_FILES
from confcom.collateral.limits import MAX_REDIRECTS
from confcom.collateral.network_errors import PASSING_STATUSES
from confcom.simulation.pccs_faults import FAULTS

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_every_fault_stands_on_the_page_with_its_words():
    page = (DOCS / "reference/simulated-pccs.md").read_text(encoding="utf-8")
    table = page.partition("## Faults")[2]
    assert dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.*) \|$", table, re.MULTILINE)) == FAULTS


def test_the_bounds_on_the_page_are_those_of_the_code():
    page = (DOCS / "reference/collateral.md").read_text(encoding="utf-8")
    limits = Limits()
    statuses = ", ".join(map(str, sorted(PASSING_STATUSES)))
    for words in (
        f"{limits.connect:g} s, {limits.read:g} s",
        f"{limits.total:g} s (`--timeout`)",
        f"| {limits.attempts}, for refused and broken connections, timeouts, HTTP {statuses} |",
        f"at most {limits.body_bytes >> 20} MiB as received",
        f"at most {MAX_REDIRECTS}, within scheme",
        f"over {cache.MAX_CACHE_BYTES >> 20} MiB: the oldest first",
        f"`{FORMAT}`, {VERSION} |",
        f"At most {MAX_BUNDLE_BYTES >> 20} MiB and {MAX_SETS} sets",
        f"up to {MAX_FILES}, of either form",
    ):
        assert words in page, words
