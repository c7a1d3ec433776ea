"""The command lines of the two daemons, as their settings read them (`confcom.settings`), and their environment."""

from typing import Any, Final

from confcom.addon import names
from confcom.addon.spec import Spec

# Where the pods see what belongs to the host. The slots' folder has the same path in both, since the device plugin
# tells it to the kubelet.
HOST_DEV: Final = "/host/dev"
DEVICE_PLUGINS_DIR: Final = f"{names.KUBELET_DIR}/device-plugins"
POD_RESOURCES_DIR: Final = f"{names.KUBELET_DIR}/pod-resources"
# Every address, of IPv4 and of IPv6, by which the API server's pod proxy may come; the NetworkPolicy says who may.
HTTP_ADDRESS: Final = "::"
# One token for the helper that serves, one for the helper that replaces it during an update.
HELPER_TOKENS: Final = 2


def device_plugin_arguments(spec: Spec) -> list[str]:
    """The flags of `python -m confcom.device_plugin`."""
    helper = spec.quote_helper
    arguments = {
        "device-plugin-dir": DEVICE_PLUGINS_DIR,
        "pod-resources-socket": f"{POD_RESOURCES_DIR}/kubelet.sock",
        "dev-root": HOST_DEV,
        "reserve": spec.device_plugin.reserve,
        "provision-units": spec.device_plugin.provision_units,
        # Without a helper nobody answers on a slot, and no EPC need be withheld.
        "slots": helper.slots if helper.enabled else 0,
        "slots-dir": names.SLOTS_DIR,
        "helper-tokens": HELPER_TOKENS if helper.enabled else 0,
        "http-address": HTTP_ADDRESS,
        "http-port": names.DEVICE_PLUGIN_PORT,
        "log-format": "json",
    }
    if spec.simulation is not None:
        arguments["simulate-epc"] = spec.simulation.epc
    elif helper.enabled:
        # Each worker has its own QE and PCE.
        arguments["helper-epc"] = f"{names.QUOTING_EPC_MIB * helper.workers}MiB"
    flags = [f"--{name}={value}" for name, value in arguments.items()]
    return [*flags, "--intel-names"] if spec.device_plugin.intel_names else flags


def quote_helper_arguments(spec: Spec) -> list[str]:
    """The flags of `python -m confcom.quote_helper`."""
    arguments = {
        # Never auto: it gives up where devices are not there yet, and a node's may come with the device plugin.
        "backend": "dcap" if spec.simulation is None else "simulation",
        "socket-dir": names.SOCKET_DIR,
        "state-dir": f"{names.STATE_DIR}/helpers",
        "workers": spec.quote_helper.workers,
        "slots": spec.quote_helper.slots,
        "slots-dir": names.SLOTS_DIR,
        "http-address": HTTP_ADDRESS,
        "http-port": names.QUOTE_HELPER_PORTS[0],
        "log-format": "json",
    }
    if spec.simulation is not None:
        arguments["simulated-platform"] = names.SIMULATED_PLATFORM_DIR
    return [f"--{name}={value}" for name, value in arguments.items()]


def generation_variable() -> dict[str, Any]:
    """The pod template's generation, which the daemons and their probes read as `--generation`.

    apiVersion is written out: `fieldRef` is atomic, and a default in it makes equal manifests conflict.
    """
    path = f"metadata.labels['{names.GENERATION_LABEL}']"
    return {"name": "CONFCOM_GENERATION", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def probe_command(ports: tuple[int, ...], path: str) -> list[str]:
    """What the kubelet runs in the container to ask it how it is."""
    return ["python3", "-m", "confcom.runtime.probe", f"--ports={','.join(map(str, ports))}", f"--path={path}"]
