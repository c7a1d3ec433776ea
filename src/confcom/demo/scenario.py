"""The demo's steps, in order; each is a claim of the product, and fails if the claim does not hold."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from confcom.aesm import AsyncClient
from confcom.codes import AESM
from confcom.demo import application
from confcom.demo.processes import DaemonProcess, run_application
from confcom.device_plugin.inventory import EPC_RESOURCE, SLOT_RESOURCE
from confcom.errors import AESMError, ConfcomError, PlatformError
from confcom.quote import Collateral, Policy, TrustRoot, Verifier, intel_root, verification_document
from confcom.simulation.device_manager import Container
from confcom.simulation.kubelet import KubeletStandIn
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import make_report

EPC_MIB = 8192
ASKED_UNITS = 10
SLOTS = 2
APPLICATION = "confcom demo enclave"
# report_data in a quote: header 48, and 320 of the report body.
REPORT_DATA_OFFSET = 368
STEP_SECONDS = 60.0
POLL_SECONDS = 0.05
# Applications that ask for quotes without pause while the helper is updated.
ASKERS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """What one step found."""

    name: str
    ok: bool
    seconds: float
    detail: str


@dataclass(kw_only=True, slots=True)
class Node:
    """The simulated node while the demo runs; steps leave here what later ones need."""

    folder: Path
    platform: SimulatedPlatform
    kubelet: KubeletStandIn
    stack: AsyncExitStack
    helper: DaemonProcess | None = None
    aesm_folder: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    quote: bytes = b""
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def slots_dir(self) -> Path:
        """Where the quote slots' folders are."""
        return self.folder / "slots"


Work = Callable[[Node], Awaitable[str]]


async def start_device_plugin(node: Node) -> str:
    """The device plugin registers EPC and quote slots with the kubelet."""
    plugin = await DaemonProcess.start(
        "device plugin", "confcom.device_plugin", node.folder / "device-plugin.log",
        "--simulate-epc", f"{EPC_MIB}MiB", "--device-plugin-dir", str(node.kubelet.directory),
        "--slots", str(SLOTS), "--slots-dir", str(node.slots_dir),
    )  # fmt: skip
    node.stack.push_async_callback(plugin.stop)
    await node.kubelet.wait_for(EPC_RESOURCE, allocatable=EPC_MIB, capacity=EPC_MIB)
    return f"{EPC_RESOURCE}: {EPC_MIB:,} allocatable (1 unit = 1 MiB)"


async def start_quote_helper(node: Node) -> str:
    """The quote helper makes and verifies a quote of its own before it says that it is ready."""
    node.helper = await _start_helper(node, generation=1)
    await node.kubelet.wait_for(SLOT_RESOURCE, allocatable=SLOTS)
    return f"ready by a verified quote of its own; {SLOTS} quote slots healthy"


async def _start_helper(node: Node, *, generation: int) -> DaemonProcess:
    helper = await DaemonProcess.start(
        "quote helper", "confcom.quote_helper", node.folder / f"quote-helper-{generation}.log",
        "--simulated-platform", str(node.platform.folder), "--socket-dir", str(node.folder / "aesmd"),
        "--slots", str(SLOTS), "--slots-dir", str(node.slots_dir), "--state-dir", str(node.folder / "state"),
        "--generation", str(generation),
    )  # fmt: skip
    node.stack.push_async_callback(helper.stop)
    await helper.until_ready()
    return helper


async def allocate(node: Node) -> str:
    """A container asks for EPC and for a slot; what it gets is all that it knows of the node."""
    container = Container(namespace="default", pod="demo", name="app")
    epc = await node.kubelet.allocate(EPC_RESOURCE, ASKED_UNITS, holder=container)
    slot = await node.kubelet.allocate(SLOT_RESOURCE, 1, holder=container)
    devices = {device.container_path: device.host_path for device in epc.devices}
    mounts = {mount.container_path: mount for mount in slot.mounts}
    mount = mounts.get("/var/run/aesmd")
    if "/dev/sgx_enclave" not in devices or mount is None or not mount.read_only:
        raise PlatformError(f"the container got devices {devices} and mounts {sorted(mounts)}")
    node.aesm_folder = mount.host_path
    node.environment = dict(slot.envs)
    left = node.kubelet.allocatable(EPC_RESOURCE) - len(node.kubelet.taken(EPC_RESOURCE))
    return (
        f"{ASKED_UNITS} MiB: /dev/sgx_enclave (here {devices['/dev/sgx_enclave']}), the slot's socket read-only, "
        f"SGX_AESM_ADDR={node.environment.get('SGX_AESM_ADDR')}; {left:,} MiB left"
    )


async def get_quote(node: Node) -> str:
    """The application, a process of its own, gets a quote out-of-process."""
    module = "confcom.demo.application"
    node.quote = await run_application(module, node.environment, node.aesm_folder, APPLICATION)
    return f"{len(node.quote):,} bytes, from a process with nothing but SGX_AESM_ADDR and the slot's socket"


async def verify_quote(node: Node) -> str:
    """The quote verifies with the simulated root, and is of the wanted enclave."""
    policy = Policy(
        mr_enclave=application.mr_enclave(APPLICATION), report_data=application.report_data(), isv_prod_id=0
    )
    node.document = _examine(node, node.quote, TrustRoot.from_bytes(node.platform.root_pem), policy)
    if node.document["verdict"] != "yes":
        raise PlatformError("; ".join(node.document["reasons"]))
    identity = node.document["identity"]
    return f"genuine, TCB {node.document['tcb_status']}; MRENCLAVE {identity['mr_enclave'][:16]}..., as expected"


async def refuse_flipped_byte(node: Node) -> str:
    """One flipped byte in the report data, and the quote is refused."""
    damaged = bytearray(node.quote)
    damaged[REPORT_DATA_OFFSET] ^= 1
    return _refused(_examine(node, bytes(damaged), TrustRoot.from_bytes(node.platform.root_pem), Policy()))


async def refuse_other_machine(node: Node) -> str:
    """A report made for another machine's QE gets no quote."""
    other = await asyncio.to_thread(SimulatedPlatform.create, node.folder / "other-platform")
    report = make_report(other.target_info())
    try:
        await AsyncClient(str(Path(node.aesm_folder) / "aesm.socket")).get_quote(report.to_bytes())
    except AESMError as error:
        if error.code == AESM.INVALID_REPORT:
            return f"refused: {error}"
        raise
    raise PlatformError("the helper made a quote of a report that was made for another machine")


async def refuse_wrong_root(node: Node) -> str:
    """With Intel's root, which every verifier trusts by default, the simulated quote is refused."""
    return _refused(_examine(node, node.quote, intel_root(), Policy()))


async def update_helper(node: Node) -> str:
    """A newer helper takes over and the old one ends, while quotes flow; none is lost."""
    old = node.helper
    if old is None:
        raise PlatformError("no quote helper runs")
    done = asyncio.Event()
    client = AsyncClient(str(Path(node.aesm_folder) / "aesm.socket"))
    report = make_report(node.platform.target_info()).to_bytes()
    askers = [asyncio.create_task(_ask_until(done, client, report)) for _ in range(ASKERS)]
    try:
        node.helper = await _start_helper(node, generation=2)
        async with asyncio.timeout(STEP_SECONDS):
            while (await node.helper.status())["role"] != "serving":
                await asyncio.sleep(POLL_SECONDS)
        await old.stop()
    except BaseException:
        # Whoever still asks is ended with the step, and its error is not told twice.
        for asker in askers:
            asker.cancel()
        await asyncio.gather(*askers, return_exceptions=True)
        raise
    done.set()
    quotes = sum(await asyncio.gather(*askers))
    return f"generation 2 took the sockets over from 1; {quotes:,} quotes meanwhile, none lost"


async def _ask_until(done: asyncio.Event, client: AsyncClient, report: bytes) -> int:
    count = 0
    while not done.is_set():
        await client.get_quote(report)
        count += 1
    return count


STEPS: tuple[tuple[str, Work], ...] = (
    ("device plugin registers", start_device_plugin),
    ("quote helper is ready", start_quote_helper),
    ("container is admitted", allocate),
    ("application gets a quote", get_quote),
    ("quote verifies", verify_quote),
    ("flipped byte is refused", refuse_flipped_byte),
    ("report of another machine is refused", refuse_other_machine),
    ("Intel's root refuses the simulation", refuse_wrong_root),
    ("helper is updated under load", update_helper),
)


async def run_demo(folder: Path, show: Callable[[StepResult], None], begin: Callable[[str], None]) -> dict[str, Any]:
    """Runs all steps in an empty folder; after one that fails, the rest is not tried.

    Returns the document of `confcom demo --output json`: `ok`, `steps`, `quote`.
    """
    results: list[StepResult] = []
    node: Node | None = None
    async with AsyncExitStack() as stack:
        start = time.monotonic()
        begin("simulated node")
        node = await _make_node(folder, stack)
        ca, status = node.platform.identity.ca, node.platform.identity.tcb_status
        detail = f"EPC {EPC_MIB:,} MiB, platform with {ca} CA and TCB {status}, a kubelet stand-in"
        seconds = round(time.monotonic() - start, 3)
        results.append(StepResult(name="simulated node", ok=True, seconds=seconds, detail=detail))
        show(results[-1])
        for name, work in STEPS:
            begin(name)
            results.append(await _run_step(node, name, work))
            show(results[-1])
            if not results[-1].ok:
                break
    ok = len(results) == len(STEPS) + 1 and all(result.ok for result in results)
    return {"ok": ok, "steps": [msgspec.to_builtins(result) for result in results], "quote": _summary(node.document)}


async def _make_node(folder: Path, stack: AsyncExitStack) -> Node:
    platform = await asyncio.to_thread(SimulatedPlatform.create, folder / "platform")
    kubelet = await stack.enter_async_context(KubeletStandIn(folder / "device-plugins"))
    return Node(folder=folder, platform=platform, kubelet=kubelet, stack=stack)


async def _run_step(node: Node, name: str, work: Work) -> StepResult:
    start = time.monotonic()
    try:
        async with asyncio.timeout(STEP_SECONDS):
            ok, detail = True, await work(node)
    except TimeoutError:
        ok, detail = False, f"took over {STEP_SECONDS:g} s"
    except ConfcomError as error:
        ok, detail = False, str(error)
    return StepResult(name=name, ok=ok, seconds=round(time.monotonic() - start, 3), detail=detail)


def _examine(node: Node, quote: bytes, root: TrustRoot, policy: Policy) -> dict[str, Any]:
    now = datetime.now(UTC)
    collateral = Collateral.from_json(msgspec.json.encode(node.platform.collateral(now)))
    return verification_document(Verifier(collateral, root).examine(quote, now), policy)


def _refused(document: dict[str, Any]) -> str:
    if document["verdict"] != "no":
        raise PlatformError("the quote was accepted, and must not be")
    return f"refused: {document['reasons'][0]}"


def _summary(document: dict[str, Any]) -> dict[str, Any]:
    """The quote's part of the demo's result, flat: verdict, TCB status and the enclave's identity."""
    if not document:
        return {"verdict": None, "mr_enclave": None, "tcb_status": None}
    return {
        "verdict": document["verdict"],
        "tcb_status": document["tcb_status"],
        "advisories": document["advisories"],
        "simulated": document["simulated"],
        **document["identity"],
    }
