"""`confcom demo`: the main job, step by step."""

import asyncio
import logging
import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from confcom.cli.output import OutputFormat, OutputOption, data, print_json, talk
from confcom.demo.scenario import StepResult, run_demo

MAX_BASE_CHARACTERS = 40


def demo(
    output: OutputOption = OutputFormat.TABLE,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the demo's folder: logs, quote, platform.")] = False,
) -> None:
    """From EPC to a verified quote on a simulated SGX node; needs no SGX, no Kubernetes and no container engine."""
    # After Ctrl-C asyncio would warn of children that ended before it looked, which is what they were to do.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    as_json = output is OutputFormat.JSON
    folder = Path(tempfile.mkdtemp(prefix="confcom-demo-", dir=_base()))
    start = time.monotonic()
    try:
        if as_json:
            document = asyncio.run(run_demo(folder, lambda _: None, lambda _: None))
        else:
            with talk.status("") as status:
                document = asyncio.run(run_demo(folder, _show, lambda name: status.update(f"{name} ...")))
    finally:
        if keep:
            talk.print(f"kept: {folder}", markup=False)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        print_json(document)
    else:
        _print_summary(document, time.monotonic() - start)
    if not document["ok"]:
        raise typer.Exit(1)


def _base() -> str | None:
    """Where the demo's folder goes: a Unix socket's path has 107 bytes at the most, so a long TMPDIR will not do."""
    return None if len(tempfile.gettempdir()) <= MAX_BASE_CHARACTERS else "/tmp"  # noqa: S108 - mkdtemp is private


def _show(step: StepResult) -> None:
    mark, style = ("ok", "green") if step.ok else ("NO", "bold red")
    line = Text.assemble((f"{mark} ", style), (f"{step.name:<38}", "bold"), f"{step.seconds:6.2f} s  ", step.detail)
    data.print(line)


def _print_summary(document: dict[str, object], seconds: float) -> None:
    steps = document["steps"]
    count = len(steps) if isinstance(steps, list) else 0
    if document["ok"]:
        data.print(Text(f"All {count} steps held, in {seconds:.1f} s.", style="bold green"))
        data.print("The quote is simulated: it shows that everything works, and proves nothing about hardware.")
    else:
        data.print(Text(f"Step {count} did not hold; 'confcom demo --keep' keeps the logs.", style="bold red"))
