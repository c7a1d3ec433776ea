from pathlib import Path

import pytest

from confcom.device_plugin.settings import DevicePluginSettings
from confcom.errors import SettingsError
from confcom.settings import load

MIB = 1 << 20


def settings(*arguments, **environment):
    return load(DevicePluginSettings, arguments, environment, program="confcom device-plugin")


def test_defaults():
    found = settings()
    assert (found.simulate_epc, found.http_port, found.http_address) == (None, 9410, "127.0.0.1")
    assert (found.wanted.slots, found.wanted.provision_units, found.wanted.helper_tokens) == (16, 16, 2)
    assert found.device_plugin_dir == Path("/var/lib/kubelet/device-plugins")
    assert found.holders_path == Path("/run/confcom/device-plugin.sock")
    assert (found.helper_epc_mib, found.wanted.reserve_mib, found.wanted.intel_names) == (4, 0, False)


def test_sizes_switches_and_folders():
    found = settings(
        "--simulate-epc", "8GiB", "--reserve", "1500KiB", "--no-offer-epc", "--intel-names", "--slots-dir", "/x/slots"
    )
    assert found.simulate_epc == 8192 * MIB
    assert found.wanted.reserve_mib == 2
    assert (found.wanted.epc, found.wanted.intel_names) == (False, True)
    assert found.holders_path == Path("/x/device-plugin.sock")


def test_in_simulation_the_helper_takes_no_epc():
    assert settings("--simulate-epc", "8GiB", "--helper-epc", "64MiB").helper_epc_mib == 0
    assert settings("--helper-epc", "64MiB").helper_epc_mib == 64


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--simulate-epc", "lots"], "--simulate-epc: 'lots' is not a size"),
        (["--slots", "1025"], "--slots: '1025' is not a whole number from 0 to 1024"),
        (["--slots", "-1"], "--slots: '-1' is not a whole number from 0 to 1024"),
        (["--provision-units", "x"], "--provision-units: 'x' is not a whole number from 0 to 1024"),
        (["--http-port", "65536"], "--http-port: '65536' is not a whole number from 0 to 65535"),
        (["--log-format", "xml"], "--log-format: 'xml' is not one of json, text"),
        (["--slots-dir", "slots"], "--slots-dir slots: needs an absolute path"),
        (["--device-plugin-dir", "."], "--device-plugin-dir .: needs an absolute path"),
        (["--slots-dir", ""], "--slots-dir: is empty: name a path, or leave it out"),
        (["--pod-resources-socket", ""], "--pod-resources-socket: is empty: name a path, or leave it out"),
        (["--slot", "1"], "unrecognized arguments: --slot 1; see confcom device-plugin --help"),
        (["8GiB"], "unrecognized arguments: 8GiB"),
    ],
)
def test_wrong_use_is_one_sentence(arguments, problem):
    with pytest.raises(SettingsError) as refused:
        settings(*arguments)
    assert problem in str(refused.value)
