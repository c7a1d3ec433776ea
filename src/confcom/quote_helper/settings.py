"""The quote helper's settings; `confcom.settings` turns them into flags, variables and a file's keys."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from confcom.aesm.flows import DEFAULT_SOCKET
from confcom.errors import SettingsError
from confcom.platform.slots import DEFAULT_SLOTS_DIR, MAX_SLOTS
from confcom.settings import require_folders

DEFAULT_HTTP_PORT = 9411

_COLLATERAL_PLACES = ("https://", "http://", "/")


class QuoteHelperSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The SGX quote helper: quotes for every enclave application of this node, over AESM."""

    socket_dir: Annotated[Path, Meta(description="folder of aesm.socket, which clients mount")] = Path(
        DEFAULT_SOCKET
    ).parent
    backend: Annotated[
        Literal["auto", "dcap", "simulation"],
        Meta(
            description="who makes quotes: dcap (hardware) or simulation; auto is the simulation where a folder is "
            "named for it, else dcap where devices and libraries are there"
        ),
    ] = "auto"
    simulated_platform: Annotated[
        Path | None, Meta(description="make quotes of the simulated platform in this folder, not of hardware")
    ] = None
    quote_provider_library: Annotated[
        Path | None, Meta(description="dcap: which of several libdcap_quoteprov libraries fetches the certificates")
    ] = None
    qe_path: Annotated[Path | None, Meta(description="dcap: the QE's file, where it is not beside its library")] = None
    pce_path: Annotated[Path | None, Meta(description="dcap: the PCE's file, likewise")] = None
    probe_enclave: Annotated[
        Path | None, Meta(description="dcap: pck_id_retrieval_tool_enclave.signed.so, whose quote is the self-check")
    ] = None
    dev_root: Annotated[Path, Meta(description="dcap: where the host's /dev is seen")] = Path("/dev")
    proc_root: Annotated[Path, Meta(description="dcap: where the host's /proc is seen")] = Path("/proc")
    collateral: Annotated[
        str,
        Meta(
            description="where the self-check gets collateral: none, intel, thim, the URL of a PCCS, or the path of a "
            "bundle; a quote itself needs none",
        ),
    ] = "none"
    collateral_ca: Annotated[Path | None, Meta(description="CA certificates of that service, PEM")] = None
    collateral_proxy: Annotated[str, Meta(description="proxy to that service")] = ""
    collateral_cache: Annotated[Path | None, Meta(description="folder in which collateral is kept")] = None
    trusted_root: Annotated[
        Path | None, Meta(description="root certificate that the self-check trusts; Intel's by default")
    ] = None
    workers: Annotated[int, Meta(ge=1, le=64, description="quoting processes, each with its own QE and PCE")] = 1
    hang_seconds: Annotated[
        float, Meta(gt=0, le=14, description="a worker that is silent for so long over a request is replaced")
    ] = 6.0
    quote_cost: Annotated[
        float, Meta(ge=0, le=10_000, description="simulation: CPU that each quote burns, in milliseconds")
    ] = 0.0
    quote_wait: Annotated[
        float, Meta(ge=0, le=60_000, description="simulation: time that each quote sleeps, in milliseconds")
    ] = 0.0
    state_dir: Annotated[
        Path | None, Meta(description="private folder shared by the helpers of a node: who serves is recorded there")
    ] = None
    # An empty one would be every address of the machine.
    http_address: Annotated[str, Meta(min_length=1, description="address of the HTTP port; :: for every one")] = (
        "127.0.0.1"
    )
    http_port: Annotated[
        int, Meta(ge=0, le=65535, description="HTTP port, and the next one where it is taken; 0 for any free one")
    ] = DEFAULT_HTTP_PORT
    slots: Annotated[int, Meta(ge=0, le=MAX_SLOTS, description="quote slots, each with a socket of its own")] = 0
    slots_dir: Annotated[Path, Meta(description="folder of the slots' folders")] = DEFAULT_SLOTS_DIR
    generation: Annotated[
        int, Meta(ge=0, description="which of several helpers on a node is the newest: pod-template-generation")
    ] = 0
    log_format: Annotated[Literal["text", "json"], Meta(description="text or json")] = "text"

    def __post_init__(self) -> None:
        """Refuses what could only fail later: files for folders, and a source of collateral that is none."""
        require_folders(self, "socket_dir", "simulated_platform", "state_dir", "slots_dir")
        if self.collateral not in ("none", "intel", "thim") and not self.collateral.startswith(_COLLATERAL_PLACES):
            raise SettingsError(
                f"--collateral {self.collateral}: is none of none, intel, thim, the URL of a PCCS, or an absolute path"
            )
