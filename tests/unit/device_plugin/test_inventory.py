import pytest

from confcom.device_plugin.inventory import Kind, Wanted, plan

EPC = "kubernetes.azure.com/sgx_epc_mem_in_MiB"


def offers(inventory):
    return {offer.resource: offer.units for offer in inventory.offers}


def test_default_resources_of_a_simulated_node():
    inventory = plan(epc_mib=8192, helper_epc_mib=0, wanted=Wanted())
    assert offers(inventory) == {
        EPC: 8192,
        "confcom.io/sgx-provision": 16,
        "confcom.io/sgx-quote": 16,
        "confcom.io/sgx-quote-helper": 2,
    }
    assert (inventory.reserved_mib, inventory.offered_mib) == (0, 8192)


# EPC in MiB of every Azure size; 8 MiB are withheld for the QE and PCE of two helpers.
@pytest.mark.parametrize(
    ("epc_mib", "offered"),
    [
        (28, 20),
        (56, 48),
        (112, 104),
        (168, 160),
        (4096, 4088),
        (8192, 8184),
        (16_384, 16_376),
        (32_768, 32_760),
        (65_536, 65_528),
        (131_072, 131_064),
        (196_608, 196_600),
        (262_144, 262_136),
    ],
)
def test_the_helpers_epc_is_withheld_and_shown(epc_mib, offered):
    inventory = plan(epc_mib=epc_mib, helper_epc_mib=4, wanted=Wanted())
    assert (inventory.offered_mib, inventory.reserved_mib, inventory.epc_mib) == (offered, 8, epc_mib)
    assert inventory.problem is None


@pytest.mark.parametrize(
    ("wanted", "missing"),
    [
        (Wanted(epc=False), EPC),
        (Wanted(provision_units=0), "confcom.io/sgx-provision"),
        (Wanted(slots=0), "confcom.io/sgx-quote"),
        (Wanted(helper_tokens=0), "confcom.io/sgx-quote-helper"),
    ],
)
def test_each_resource_can_be_switched_off(wanted, missing):
    everything = offers(plan(epc_mib=64, helper_epc_mib=0, wanted=Wanted()))
    assert offers(plan(epc_mib=64, helper_epc_mib=0, wanted=wanted)) == {
        k: v for k, v in everything.items() if k != missing
    }


def test_without_helper_tokens_nothing_is_withheld_for_helpers():
    assert plan(epc_mib=64, helper_epc_mib=4, wanted=Wanted(helper_tokens=0)).reserved_mib == 0


def test_reserve_withholds_more():
    inventory = plan(epc_mib=64, helper_epc_mib=4, wanted=Wanted(reserve_mib=6))
    assert (inventory.reserved_mib, inventory.offered_mib) == (14, 50)


@pytest.mark.parametrize("reserve", [28, 29, 1 << 40])
def test_a_reserve_of_everything_leaves_no_epc_and_says_so(reserve):
    inventory = plan(epc_mib=28, helper_epc_mib=0, wanted=Wanted(reserve_mib=reserve))
    assert EPC not in offers(inventory)
    assert inventory.reserved_mib == 28
    assert inventory.problem == "all 28 MiB of EPC are withheld (--reserve, --helper-epc): none is left to offer"


def test_intels_names_only_when_asked_for():
    names = offers(plan(epc_mib=64, helper_epc_mib=0, wanted=Wanted(intel_names=True)))
    assert {name: units for name, units in names.items() if "intel" in name} == {
        "sgx.intel.com/enclave": 110,
        "sgx.intel.com/provision": 110,
    }


def test_without_epc_nothing_is_offered():
    inventory = plan(epc_mib=0, helper_epc_mib=4, wanted=Wanted(intel_names=True, reserve_mib=5))
    assert (inventory.offers, inventory.reserved_mib, inventory.problem) == ((), 0, None)


def test_every_kind_has_a_row():
    inventory = plan(epc_mib=64, helper_epc_mib=0, wanted=Wanted(intel_names=True))
    assert {offer.kind for offer in inventory.offers} == set(Kind)
