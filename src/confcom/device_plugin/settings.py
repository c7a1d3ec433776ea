"""The settings of the device plugin; each is a flag, a variable and a key of the settings file."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from confcom.device_plugin.inventory import QUOTING_EPC_MIB, Wanted
from confcom.errors import SettingsError
from confcom.platform.slots import DEFAULT_SLOT_COUNT, DEFAULT_SLOTS_DIR, MAX_SLOTS
from confcom.settings import Size, require_folders

DEFAULT_HTTP_PORT = 9410
# As for slots: more containers than this hold a provision device on no real node.
MAX_UNITS = 1024


class DevicePluginSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The SGX device plugin: EPC as a resource of the node, and the devices that go with it."""

    simulate_epc: Annotated[
        Size | None, Meta(description="simulate a node with this much EPC; containers get a harmless device")
    ] = None
    epc: Annotated[
        Size | None, Meta(description="the node's EPC, used only where neither sysfs nor CPUID tells it")
    ] = None
    reserve: Annotated[Size, Meta(description="EPC withheld from applications, beside the quote helper's own")] = Size(
        0
    )
    offer_epc: Annotated[bool, Meta(description="offer the EPC resource")] = True
    provision_units: Annotated[
        int, Meta(ge=0, le=MAX_UNITS, description="containers that may hold the provision device; 0 offers none")
    ] = 16
    slots: Annotated[int, Meta(ge=0, le=MAX_SLOTS, description="quote slots; 0 offers none")] = DEFAULT_SLOT_COUNT
    slots_dir: Annotated[Path, Meta(description="where the slots' folders are, on the host and here")] = (
        DEFAULT_SLOTS_DIR
    )
    helper_tokens: Annotated[
        int, Meta(ge=0, le=MAX_UNITS, description="quote helpers that may run at once; 0 offers none")
    ] = 2
    helper_epc: Annotated[
        Size, Meta(description="EPC of one quote helper's QE and PCE, withheld for each token; none in simulation")
    ] = Size(QUOTING_EPC_MIB << 20)
    intel_names: Annotated[bool, Meta(description="offer sgx.intel.com/enclave and /provision as well")] = False
    device_plugin_dir: Annotated[Path, Meta(description="the kubelet's folder of plugin sockets")] = Path(
        "/var/lib/kubelet/device-plugins"
    )
    pod_resources_socket: Annotated[
        Path | None, Meta(description="the kubelet's PodResources socket, where it is mounted")
    ] = None
    holders_socket: Annotated[
        Path | None, Meta(description="where to tell who holds what; by default beside the slots' folder")
    ] = None
    dev_root: Annotated[Path, Meta(description="where the host's /dev is seen")] = Path("/dev")
    sys_root: Annotated[Path, Meta(description="where the host's /sys is seen")] = Path("/sys")
    proc_root: Annotated[Path, Meta(description="where the host's /proc is seen")] = Path("/proc")
    # An empty one would be every address of the machine.
    http_address: Annotated[str, Meta(min_length=1, description="address of the HTTP port; :: for every one")] = (
        "127.0.0.1"
    )
    http_port: Annotated[int, Meta(ge=0, le=65535, description="HTTP port; 0 for any free one")] = DEFAULT_HTTP_PORT
    log_format: Annotated[Literal["text", "json"], Meta(description="text or json")] = "text"
    generation: Annotated[int, Meta(ge=0, description="the pod template's generation, shown in /status")] = 0

    def __post_init__(self) -> None:
        """Refuses what only fails later: files for folders, and relative ones, which mean nothing to a runtime."""
        # Slots that cannot be made are told later, and keep no EPC away.
        require_folders(self, "device_plugin_dir")
        for name in ("slots_dir", "device_plugin_dir"):
            path: Path = getattr(self, name)
            if not path.is_absolute():
                flag = "--" + name.replace("_", "-")
                raise SettingsError(
                    f"{flag} {path}: needs an absolute path, since the kubelet and runtimes read it too"
                )

    @property
    def wanted(self) -> Wanted:
        """The part that the inventory is made of."""
        return Wanted(
            epc=self.offer_epc,
            provision_units=self.provision_units,
            slots=self.slots,
            helper_tokens=self.helper_tokens,
            reserve_mib=_whole_mib(self.reserve),
            intel_names=self.intel_names,
        )

    @property
    def helper_epc_mib(self) -> int:
        """What is withheld for each of the helper's tokens."""
        return 0 if self.simulate_epc is not None else _whole_mib(self.helper_epc)

    @property
    def holders_path(self) -> Path:
        """Where the local socket is."""
        return self.holders_socket or self.slots_dir.parent / "device-plugin.sock"


def _whole_mib(size: int) -> int:
    """Rounded up: a MiB that is withheld in part cannot be offered."""
    return -(-size >> 20)
