"""`confcom doctor`: what is wrong on this node, and what to do about it."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markup import escape

from confcom.cli.option_values import is_folder, named_path
from confcom.cli.output import OutputFormat, OutputOption, data, print_json
from confcom.device_plugin.settings import DevicePluginSettings
from confcom.doctor.check import Check, Verdict, healthy
from confcom.doctor.node import node_checks
from confcom.errors import InputError
from confcom.platform.survey import Roots, survey
from confcom.settings import Size

_STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "red"}


def doctor(
    *,
    node: Annotated[bool, typer.Option("--node", help="Check the machine that this runs on.")] = False,
    dev_root: Annotated[
        Path, typer.Option(metavar="DIR", parser=named_path, help="Where the host's /dev is seen.")
    ] = Path("/dev"),
    sys_root: Annotated[
        Path, typer.Option(metavar="DIR", parser=named_path, help="Where the host's /sys is seen.")
    ] = Path("/sys"),
    proc_root: Annotated[
        Path, typer.Option(metavar="DIR", parser=named_path, help="Where the host's /proc is seen.")
    ] = Path("/proc"),
    device_plugin_dir: Annotated[
        Path, typer.Option(metavar="DIR", parser=named_path, help="The kubelet's folder of plugin sockets.")
    ] = Path("/var/lib/kubelet/device-plugins"),
    epc: Annotated[
        str | None, typer.Option(metavar="SIZE", help="The node's EPC, where nothing else tells it.")
    ] = None,
    reserve: Annotated[str, typer.Option(metavar="SIZE", help="EPC withheld from applications.")] = "0",
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Look for what keeps this node from serving enclave applications. Exit 1 if something does."""
    if not node:
        raise InputError("doctor: say what to check: --node, the machine that this runs on")
    for flag, root in (("--dev-root", dev_root), ("--sys-root", sys_root), ("--proc-root", proc_root)):
        if not is_folder(root):
            raise InputError(f"{flag} {root}: is not a folder")
    size = _size("--epc", epc) if epc is not None else None
    settings = DevicePluginSettings(epc=size, reserve=_size("--reserve", reserve))
    checks = node_checks(
        survey(Roots(dev=dev_root, sys=sys_root, proc=proc_root), configured=settings.epc),
        dev_root=dev_root,
        device_plugin_dir=device_plugin_dir,
        wanted=settings.wanted,
        helper_epc_mib=settings.helper_epc_mib,
    )
    if output is OutputFormat.JSON:
        print_json({"healthy": healthy(checks), "checks": [msgspec.to_builtins(check) for check in checks]})
    else:
        _print(checks)
    if not healthy(checks):
        raise typer.Exit(1)


def _size(flag: str, text: str) -> Size:
    try:
        return Size.parse(text)
    except ValueError as error:
        raise InputError(f"{flag}: {error}") from None


def _print(checks: tuple[Check, ...]) -> None:
    for check in checks:
        verdict = f"[{_STYLES[check.verdict]}]{check.verdict.value:<8}[/]"
        data.print(f"{verdict} {check.name}: {escape(check.evidence)} ({escape(check.source)})")
        if check.fix is not None:
            data.print(f"         -> {escape(check.fix)}")
