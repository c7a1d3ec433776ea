"""`confcom quote get` and `quote target-info`: what is asked of a quote helper."""

from collections.abc import Mapping
from typing import Annotated

import typer

from confcom.aesm import DEFAULT_SOCKET, Client
from confcom.aesm.client import DEFAULT_TIMEOUT_SECONDS
from confcom.cli.option_values import named, pad_report_data
from confcom.cli.output import OutputFormat, OutputOption, data, print_json, read_input, talk, write_output
from confcom.errors import InputError, SGXFormatError
from confcom.sgx import Report
from confcom.simulation.reports import make_report

_SocketOption = Annotated[str, typer.Option("--socket", metavar="PATH", parser=named, help="The helper's AESM socket.")]
_TimeoutOption = Annotated[
    float, typer.Option("--timeout", min=0.1, max=600, metavar="SECONDS", help="Deadline of each request.")
]
_OutOption = Annotated[
    str, typer.Option("-o", "--out", metavar="FILE|-", parser=named, help="Where the bytes are written.")
]


def target_info(
    out: _OutOption,
    socket: _SocketOption = DEFAULT_SOCKET,
    timeout: _TimeoutOption = DEFAULT_TIMEOUT_SECONDS,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Ask a helper for its QE's TARGETINFO (512 bytes), for which an enclave makes its REPORT."""
    key = Client(socket, timeout).init_quote()
    write_output(out, key.target_info.to_bytes(), "TARGETINFO")
    facts = {
        "mr_enclave": key.target_info.mr_enclave.hex(),
        "attributes": key.target_info.attributes.to_bytes().hex(),
        "pub_key_id": key.pub_key_id.hex(),
    }
    _tell(output, facts, f"{out}: TARGETINFO of the QE {facts['mr_enclave']}", out)


def get(
    *,
    out: _OutOption,
    socket: _SocketOption = DEFAULT_SOCKET,
    report: Annotated[
        str | None,
        typer.Option(
            "--report", metavar="FILE|-", parser=named, help="A REPORT (432 bytes) made for this helper's QE."
        ),
    ] = None,
    simulated_report: Annotated[
        bool, typer.Option("--simulated-report", help="Let a simulated enclave make the report.")
    ] = False,
    report_data: Annotated[
        str | None,
        typer.Option("--report-data", metavar="HEX", help="Report data of the simulated report; zeros follow."),
    ] = None,
    timeout: _TimeoutOption = DEFAULT_TIMEOUT_SECONDS,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Ask a helper for the quote of a report."""
    if (report is None) == (not simulated_report):
        raise InputError("give either --report FILE or --simulated-report")
    if report_data is not None and not simulated_report:
        raise InputError("--report-data: goes with --simulated-report; a report that is given has its own")
    wanted = pad_report_data("--report-data", report_data or "")
    client = Client(socket, timeout)
    if report is not None:
        report_bytes = _read_report(report)
    else:
        report_bytes = make_report(client.get_target_info(), report_data=wanted).to_bytes()
    quote = client.get_quote(report_bytes)
    write_output(out, quote, "quote")
    _tell(output, {"size": len(quote), "file": out}, f"{out}: a quote of {len(quote):,} bytes", out)


def _read_report(path: str) -> bytes:
    content = read_input(path, "--report")
    try:
        Report.from_bytes(content)
    except SGXFormatError as error:
        raise InputError(f"--report {path}: {error}") from error
    return content


def _tell(output: OutputFormat, facts: Mapping[str, object], sentence: str, out: str) -> None:
    """The facts on stdout, or a sentence on stderr where stdout carries the bytes themselves."""
    if output is OutputFormat.JSON and out != "-":
        print_json(facts)
    elif out == "-":
        talk.print(sentence, markup=False)
    else:
        data.print(sentence, markup=False)
