"""`confcom simulate pccs`: a certificate service for a simulated machine, until it is stopped."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from confcom.cli.option_values import named, named_path
from confcom.cli.output import OutputFormat, OutputOption, write_output
from confcom.codes import TCBStatus
from confcom.errors import InputError
from confcom.runtime.daemon import Daemon, run
from confcom.simulation.pccs import SimulatedPCCS
from confcom.simulation.pccs_answers import Answer, Request
from confcom.simulation.pccs_faults import FAULTS, FaultPlan
from confcom.simulation.pccs_server import PCCSServer
from confcom.simulation.pccs_tls import make_tls
from confcom.simulation.platform import SimulatedPlatform

_MAX_PORT = 65535
# Clients find the file by its name; it holds nothing secret.
_CA_FILE = "simulated-pccs-ca.pem"


def pccs(
    *,
    folder: Annotated[
        Path | None,
        typer.Option("--simulated-platform", metavar="DIR", parser=named_path, help="The machine's folder."),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=_MAX_PORT, help="On loopback; 0 is any free one.")
    ] = 0,
    tls: Annotated[bool, typer.Option("--tls", help="Serve HTTPS with a CA of its own, made now.")] = False,
    ca_file: Annotated[
        str, typer.Option("--ca-file", metavar="FILE", parser=named, help="Where that CA goes, PEM.")
    ] = _CA_FILE,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="NAME[:ENDPOINT][*COUNT]",
            help="Misbehave, again for each; 'list' shows all names.",
        ),
    ] = None,
    early_status: Annotated[
        TCBStatus | None,
        typer.Option("--early-status", help="The verdict of the TCB info of the channel 'early'. [the machine's]"),
    ] = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Serve a simulated machine's certificates and collateral as a PCCS and as Azure's THIM, until stopped."""
    if fault == ["list"]:
        _print_faults()
        return
    if folder is None:
        raise InputError("--simulated-platform: is missing; make one with 'confcom simulate platform DIR'")
    service = SimulatedPCCS(SimulatedPlatform.load(folder), FaultPlan.parse(fault or ()), early_status)
    identity = make_tls(datetime.now(UTC)) if tls else None
    server = PCCSServer(service, lambda: datetime.now(UTC), port=port, tls=identity, on_answer=_log)
    facts = {"url": server.url, "thim_url": server.thim_url, "root": str(folder / "root.pem")}
    if identity:
        write_output(ca_file, identity.ca_pem, "--ca-file")
        facts["ca_file"] = ca_file

    async def serve(daemon: Daemon) -> int:
        # Only now does a signal end it in order, and whoever reads the address may send one.
        _announce(facts, output)
        return await _serve(server, daemon)

    raise typer.Exit(run(serve))


async def _serve(server: PCCSServer, daemon: Daemon) -> int:
    serving = daemon.start("simulated PCCS", server.serve())
    await daemon.stopping.wait()
    server.stop()
    await asyncio.wait([serving], timeout=5)
    return 0


def _announce(facts: dict[str, str], output: OutputFormat) -> None:
    """In one piece and at once: whoever started this waits for the address."""
    if output is OutputFormat.JSON:
        sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")
    else:
        sys.stdout.write("".join(f"{name:<9} {value}\n" for name, value in facts.items()))
    sys.stdout.flush()


def _log(request: Request, answer: Answer) -> None:
    """One line a request; identifying values (PPID, QE id) are left out."""
    shown = "&".join(f"{name}={value}" for name, value in request.query.items() if name in {"ca", "fmspc", "update"})
    met = f" [{', '.join(sorted(answer.faults))}]" if answer.faults else ""
    typer.echo(f"{request.method} {request.path}{'?' if shown else ''}{shown} {answer.status}{met}", err=True)


def _print_faults() -> None:
    for name, words in FAULTS.items():
        typer.echo(f"{name:<26} {words}")
