import pytest

from confcom.device_plugin import freeze


# Measured with Kubernetes 1.36.2; the estimate is within a third.
@pytest.mark.parametrize(
    ("devices", "allocated", "measured"),
    [
        (8_192, 2_000, 1.05),
        (8_192, 7_168, 4.6),
        (16_384, 15_360, 17.8),
        (32_768, 31_744, 81),
        (65_536, 20_480, 132),
        (57_344, 2_025, 9.9),
    ],
)
def test_freeze_estimate_against_measurements(devices, allocated, measured):
    assert freeze.freeze_seconds(devices, allocated) == pytest.approx(measured, rel=0.35)


@pytest.mark.parametrize("units", [0, 1, 8_192, 16_384])
def test_small_nodes_get_no_advice(units):
    assert freeze.advice(units) is None


@pytest.mark.parametrize(
    ("units", "time"), [(16_385, "20 seconds"), (32_768, "81 seconds"), (65_536, "5 minutes"), (262_144, "86 minutes")]
)
def test_large_nodes_hear_the_gates_by_name(units, time):
    assert freeze.advice(units) == (
        f"with {units:,} units of EPC, a kubelet of 1.36 or newer admits no pod for up to {time} after its restart when "
        "all are allocated: set the kubelet's feature gates ResourceHealthStatus=false and "
        "ResourceHealthStatusMessage=false, or withhold EPC with --reserve"
    )
