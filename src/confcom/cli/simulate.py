"""`confcom simulate`: a machine with SGX where there is none. It proves nothing about hardware, and says so."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from confcom.cli import simulate_pccs
from confcom.cli.option_values import named, named_path, pad_report_data, unhex_exactly
from confcom.cli.output import OutputFormat, OutputOption, print_json, read_input, write_output
from confcom.cli.simulate_fetch import fetch
from confcom.codes import TCBStatus
from confcom.errors import InputError, SGXFormatError
from confcom.quote.policy import MEASUREMENT_SIZE
from confcom.quote.report_data import REPORT_DATA_SIZE
from confcom.sgx.report import FLAG_DEBUG, FLAG_INITTED, FLAG_MODE64BIT, Attributes, TargetInfo
from confcom.simulation.identity import QE_ISV_PROD_ID, QE_ISV_SVN, QE_MR_SIGNER, CAKind
from confcom.simulation.platform import SimulatedPlatform
from confcom.simulation.reports import SIMULATED_MR_ENCLAVE, SIMULATED_MR_SIGNER, make_report

app = typer.Typer(help="Stand-ins for SGX hardware: for trials and tests, never for trust.", no_args_is_help=True)
app.command("pccs", short_help="Serve a machine's certificates and collateral.")(simulate_pccs.pccs)

_UINT16_MAX = 0xFFFF


@app.command(short_help="Make a machine in a folder, or show the one there.")
def platform(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", parser=named_path, help="The folder that stands for the machine.")
    ],
    ca: Annotated[
        CAKind | None, typer.Option("--ca", help="CA of the PCK certificate: of one socket, or of several. [processor]")
    ] = None,
    tcb_status: Annotated[
        TCBStatus | None,
        typer.Option("--tcb-status", help="The verdict that verifiers reach. [UpToDate]"),
    ] = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Make a simulated SGX machine in DIR, or show the one that is there."""
    machine = SimulatedPlatform.create(folder, ca=ca, tcb_status=tcb_status)
    facts = _facts(machine)
    if output is OutputFormat.JSON:
        print_json(facts)
        return
    for name, value in facts.items():
        typer.echo(f"{name:<14} {value}")
    typer.echo(f"Trust {facts['root']} in trials only: it proves nothing about hardware.", err=True)


def _facts(machine: SimulatedPlatform) -> dict[str, Any]:
    identity = machine.identity
    return {
        "folder": str(machine.folder),
        "root": str(machine.root_path),
        "ca": identity.ca,
        "tcb_status": identity.tcb_status.value,
        "fmspc": identity.fmspc.hex(),
        "pce_id": identity.pce_id.hex(),
        "platform_id": identity.platform_id.hex(),
        "ppid": identity.ppid.hex(),
        "qe_id": identity.qe_id.hex(),
        "qe_mr_enclave": identity.qe_mr_enclave.hex(),
        "qe_mr_signer": QE_MR_SIGNER.hex(),
        "qe_isv_prod_id": QE_ISV_PROD_ID,
        "qe_isv_svn": QE_ISV_SVN,
        "pub_key_id": machine.pub_key_id.hex(),
        "quote_size": machine.quote_size,
    }


@app.command(short_help="Write the REPORT of a simulated enclave.")
def report(
    *,
    target_info: Annotated[
        str,
        typer.Option(
            "--target-info", metavar="FILE|-", parser=named, help="The 512 bytes of the QE that will get the report."
        ),
    ],
    output_file: Annotated[
        str, typer.Option("-o", metavar="FILE|-", parser=named, help="Where the REPORT goes, 432 bytes.")
    ],
    report_data: Annotated[
        str, typer.Option("--report-data", metavar="HEX", help="Up to 64 bytes; fewer are padded with zeros.")
    ] = "",
    mr_enclave: Annotated[
        str, typer.Option("--mr-enclave", metavar="HEX", help="MRENCLAVE, 32 bytes.")
    ] = SIMULATED_MR_ENCLAVE.hex(),
    mr_signer: Annotated[
        str, typer.Option("--mr-signer", metavar="HEX", help="MRSIGNER, 32 bytes.")
    ] = SIMULATED_MR_SIGNER.hex(),
    isv_prod_id: Annotated[
        int, typer.Option("--isv-prod-id", metavar="N", min=0, max=_UINT16_MAX, help="ISVPRODID.")
    ] = 0,
    isv_svn: Annotated[int, typer.Option("--isv-svn", metavar="N", min=0, max=_UINT16_MAX, help="ISVSVN.")] = 0,
    debug: Annotated[
        bool, typer.Option("--debug", help="Set DEBUG: an enclave whose memory the host can read.")
    ] = False,
) -> None:
    """Write the REPORT of a simulated enclave, which any AESM client can send to be quoted."""
    made = make_report(
        _target_info(target_info),
        report_data=_report_data(report_data),
        mr_enclave=unhex_exactly("--mr-enclave", mr_enclave, MEASUREMENT_SIZE),
        mr_signer=unhex_exactly("--mr-signer", mr_signer, MEASUREMENT_SIZE),
        isv_prod_id=isv_prod_id,
        isv_svn=isv_svn,
        attributes=Attributes(flags=FLAG_INITTED | FLAG_MODE64BIT | (FLAG_DEBUG if debug else 0)),
    )
    write_output(output_file, made.to_bytes(), "report")


@app.command(short_help="Write a machine's collateral, signed now.")
def collateral(
    *,
    folder: Annotated[
        Path | None,
        typer.Option("--simulated-platform", metavar="DIR", parser=named_path, help="The machine's folder."),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--from", metavar="URL", parser=named, help="Its quote helper instead, http://HOST:PORT."),
    ] = None,
    output_file: Annotated[str, typer.Option("-o", metavar="FILE|-", parser=named, help="Where the JSON goes.")],
    root: Annotated[
        str | None, typer.Option("--root", metavar="FILE|-", parser=named, help="Where the root certificate goes, PEM.")
    ] = None,
) -> None:
    """Write the CRLs, TCB info and QE identity of a simulated machine, signed now, in dcap-qvl's JSON."""
    if root == output_file == "-":
        raise InputError("--root -: standard output takes the collateral already; name a file")
    root_pem, content = _endorsements(folder, url)
    write_output(output_file, content, "collateral")
    if root is not None:
        write_output(root, root_pem, "root certificate")


def _endorsements(folder: Path | None, url: str | None) -> tuple[bytes, bytes]:
    if url is not None and folder is None:
        return fetch(url)
    if folder is None or url is not None:
        raise InputError("give one of '--simulated-platform' DIR and '--from' URL")
    machine = SimulatedPlatform.load(folder)
    return machine.root_pem, json.dumps(machine.collateral(datetime.now(UTC))).encode() + b"\n"


def _target_info(path: str) -> TargetInfo:
    try:
        return TargetInfo.from_bytes(read_input(path, "--target-info"))
    except SGXFormatError as error:
        raise InputError(f"--target-info {path}: {error}") from error


def _report_data(text: str) -> bytes:
    padded, given = pad_report_data("--report-data", text), len(bytes.fromhex(text))
    if 0 < given < REPORT_DATA_SIZE:
        typer.echo(f"--report-data: {given} bytes, padded with zeros to {REPORT_DATA_SIZE}", err=True)
    return padded
