"""The numbers of docs/reference/device-plugin.md are those of the code."""

import re
from pathlib import Path

import pytest

from confcom.device_plugin import freeze, listing, main, registration, slot_health
from confcom.device_plugin.inventory import INTEL_UNITS, QUOTING_EPC_MIB, Wanted, plan
from confcom.device_plugin.settings import MAX_UNITS
from confcom.kubelet.contract import MAX_LIST_BYTES, MAX_POD_RESOURCES_BYTES
from confcom.platform.slots import MAX_SLOTS

TEXT = re.sub(
    r"\s+", " ", (Path(__file__).resolve().parents[3] / "docs/reference/device-plugin.md").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("offer", plan(epc_mib=64, helper_epc_mib=0, wanted=Wanted(intel_names=True)).offers)
def test_every_resource_has_its_row(offer):
    assert f"`{offer.resource}`" in TEXT
    if offer.units in (2, 16):
        assert f"| `{offer.resource}` | {offer.units} |" in TEXT


@pytest.mark.parametrize(
    "sentence",
    [
        f"{MAX_LIST_BYTES:,} bytes, which are {listing.most_units():,} units",
        f"| answer of PodResources | {MAX_POD_RESOURCES_BYTES >> 20} MiB |",
        f"| {INTEL_UNITS} each, with `--intel-names` only |",
        f"`--helper-epc` ({QUOTING_EPC_MIB} MiB, for QE and PCE)",
        f"over {freeze.ADVICE_FROM_UNITS:,} units",
        f"{freeze.freeze_seconds(16_384, 16_384):.0f} seconds at 16 GiB",
        f"{freeze.freeze_seconds(262_144, 262_144) / 60:.0f} minutes at 256 GiB",
        f"{freeze.SECONDS_PER_PAIR * 1e9:.0f} ns for each pair",
        f"up to {registration.Timing().last_retry:g} s",
        f"looks again every {main.IDLE_SECONDS:g} s",
        "unhealthy after three misses in a row",
        f"| slots, provision units | {MAX_SLOTS:,} |",
    ],
)
def test_the_page_says(sentence):
    assert sentence in TEXT
    assert (slot_health.MISSES_UNTIL_UNHEALTHY, MAX_UNITS) == (3, MAX_SLOTS)
