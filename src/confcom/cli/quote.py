"""`confcom quote`: what a quote says, and whether it is true. Making quotes is added by `quote_requests`."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from confcom.cli.output import OutputFormat, OutputOption, data, print_json, read_input, talk
from confcom.codes import TCBStatus
from confcom.errors import InputError
from confcom.quote import (
    DEFAULT_STATUSES,
    Collateral,
    FoundQuote,
    Policy,
    TrustRoot,
    Verifier,
    find_quote,
    intel_root,
    parse_time,
    quote_document,
    verification_document,
)
from confcom.quote.reading import read_quote

app = typer.Typer(help="Get, inspect and verify attestation quotes.", no_args_is_help=True)

_UINT16_MAX = 0xFFFF
_REPORT_DATA_SIZE = 64
_MEASUREMENT_SIZE = 32
_SIMULATED = "made by the simulator: proves nothing about hardware"

_FileArgument = Annotated[
    str,
    typer.Argument(metavar="FILE|-", help="The quote: its bytes, hex, base64(url), or JSON with QuoteHex or quote."),
]


@app.command()
def inspect(file: _FileArgument, output: OutputOption = OutputFormat.TABLE) -> None:
    """Show what a quote says of itself; nothing of it is verified."""
    found = _find(file)
    quote, problems = read_quote(found.data)
    if quote is None:
        raise InputError(f"{file}: {problems[0]}")
    document = quote_document(found.data, quote, problems) | {"unwrapped": list(found.unwrapped)}
    if output is OutputFormat.JSON:
        print_json(document)
    else:
        _print_inspection(document)
    if problems:
        raise typer.Exit(1)


@app.command()
def verify(
    *,
    file: _FileArgument,
    collateral: Annotated[str, typer.Option("--collateral", metavar="FILE", help="CRLs, TCB info and QE identity.")],
    root: Annotated[
        str | None, typer.Option("--root", metavar="FILE", help="The trusted root, PEM or DER. [Intel's]")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="YYYY-MM-DDTHH:MM:SSZ", help="The time of the verification. [now]")
    ] = None,
    mr_enclave: Annotated[
        str | None, typer.Option("--mr-enclave", metavar="HEX", help="Expect these 32 bytes.")
    ] = None,
    mr_signer: Annotated[str | None, typer.Option("--mr-signer", metavar="HEX", help="Expect these 32 bytes.")] = None,
    isv_prod_id: Annotated[
        int | None, typer.Option("--isv-prod-id", min=0, max=_UINT16_MAX, help="Expect this product.")
    ] = None,
    min_isv_svn: Annotated[
        int | None, typer.Option("--min-isv-svn", min=0, max=_UINT16_MAX, help="Expect at least this version.")
    ] = None,
    report_data: Annotated[
        str | None, typer.Option("--report-data", metavar="HEX", help="Expect these 64 bytes; fewer are zero-padded.")
    ] = None,
    allow_debug: Annotated[
        bool, typer.Option("--allow-debug", help="Accept enclaves whose memory the host can read.")
    ] = False,
    accept_status: Annotated[
        list[TCBStatus] | None,
        typer.Option(
            "--accept-status",
            help="Accept this TCB status beside UpToDate, again for each. [SWHardeningNeeded]",
            case_sensitive=False,
        ),
    ] = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Verify a quote against collateral and a trusted root, and appraise it. Exit code 0: yes, 1: no."""
    policy = Policy(
        mr_enclave=_measurement("--mr-enclave", mr_enclave),
        mr_signer=_measurement("--mr-signer", mr_signer),
        isv_prod_id=isv_prod_id,
        min_isv_svn=min_isv_svn,
        report_data=_report_data(report_data),
        allow_debug=allow_debug,
        accepted_statuses=frozenset({TCBStatus.UP_TO_DATE, *accept_status}) if accept_status else DEFAULT_STATUSES,
    )
    moment = _moment(at)
    verifier = Verifier(_collateral(collateral), _root(root))
    found = _find(file)
    document = verification_document(verifier.examine(found.data, moment), policy)
    document["unwrapped"] = list(found.unwrapped)
    if output is OutputFormat.JSON:
        print_json(document)
    else:
        _print_verification(document)
    if document["verdict"] != "yes":
        raise typer.Exit(1)


def _find(path: str) -> FoundQuote:
    try:
        found = find_quote(read_input(path, "quote"))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if found.unwrapped:
        talk.print(f"{path}: the quote was unwrapped from {', then '.join(found.unwrapped)}", markup=False)
    return found


def _collateral(path: str) -> Collateral:
    try:
        return Collateral.from_json(read_input(path, "collateral"))
    except InputError as error:
        raise InputError(f"--collateral {path}: {error}") from error


def _root(path: str | None) -> TrustRoot:
    if path is None:
        return intel_root()
    try:
        return TrustRoot.from_bytes(read_input(path, "root certificate"))
    except InputError as error:
        raise InputError(f"--root {path}: {error}") from error


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        return parse_time(text)
    except ValueError as error:
        raise InputError(f"--at {text}: {error}") from error


def _measurement(flag: str, text: str | None) -> bytes | None:
    value = _unhex(flag, text)
    if value is not None and len(value) != _MEASUREMENT_SIZE:
        raise InputError(f"{flag}: has {len(value)} bytes; it must have exactly {_MEASUREMENT_SIZE}")
    return value


def _report_data(text: str | None) -> bytes | None:
    value = _unhex("--report-data", text)
    if value is None:
        return None
    if not 1 <= len(value) <= _REPORT_DATA_SIZE:
        raise InputError(f"--report-data: has {len(value)} bytes; a report has {_REPORT_DATA_SIZE}")
    return value.ljust(_REPORT_DATA_SIZE, b"\0")


def _unhex(flag: str, text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError as error:
        raise InputError(f"{flag}: is not hex: write two digits 0-9a-f for each byte") from error


def _print_verification(document: dict[str, Any]) -> None:
    """The verdict in one line, then identity, TCB, steps, windows and warnings."""
    reasons = document["reasons"]
    data.print(Text(_verdict(document), style="bold red" if reasons else "bold green"))
    for reason in reasons[1:]:
        data.print(Text(f"  and: {reason}"))
    if document["simulated"]:
        data.print(Text(f"  {_SIMULATED}", style="bold yellow"))
    title = "Identity, as the quote gives it" if reasons else "Identity"
    _print_facts(title, _identity_facts(document["identity"]))
    _print_facts("TCB", _tcb_facts(document))
    data.print(_steps(document["steps"]))
    data.print(_windows(document["windows"]))
    _print_warnings(document)


def _verdict(document: dict[str, Any]) -> str:
    simulated = ", SIMULATED" if document["simulated"] else ""
    if document["reasons"]:
        return f"NOT VERIFIED{simulated}: {document['reasons'][0]}"
    mr_enclave = document["identity"]["mr_enclave"]
    return f"VERIFIED{simulated}: enclave {mr_enclave[:16]}..., platform {document['tcb_status']}"


def _identity_facts(identity: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """What nobody set (the KSS fields of most enclaves are zero) takes no line."""
    always = {"mr_enclave", "mr_signer", "isv_prod_id", "isv_svn", "debug", "report_data"}
    return ((name, value) for name, value in identity.items() if name in always or str(value).strip("0"))


def _tcb_facts(document: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    tcb, platform = document["tcb"], document["platform"] or {}
    yield "status", document["tcb_status"] or "none"
    for part in ("platform", "qe"):
        if level := tcb[part]:
            yield f"{part} level", f"{level['status']}, of {level['date'][:10]}"
    yield "advisories", document["advisories"] or "none"
    numbers = tcb["tcb_info_evaluation_number"], tcb["qe_identity_evaluation_number"]
    yield "evaluation", "TCB info {}, QE identity {}".format(*(number or "-" for number in numbers))
    yield "fmspc", platform.get("fmspc", "-")
    yield "trusted root", document["root"]
    yield "at", document["at"]


def _steps(steps: list[dict[str, Any]]) -> Table:
    table = _table("Steps", "", "step", "", "detail")
    for step in steps:
        cells = (str(step["number"]), step["name"], "ok" if step["ok"] else "NO", step["detail"])
        table.add_row(*map(Text, cells), style="" if step["ok"] else "red")
    return table


def _windows(windows: list[dict[str, Any]]) -> Table:
    table = _table("Windows", "from", "until", "", "part")
    for window in windows:
        cells = (window["from"], window["until"], "ok" if window["ok"] else "NO", window["name"])
        table.add_row(*map(Text, cells), style="" if window["ok"] else "red")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _print_inspection(document: dict[str, Any]) -> None:
    data.print(Text(f"{document['kind']}, {document['size']} bytes; nothing of it is verified", style="bold"))
    for problem in document["problems"]:
        data.print(Text(f"problem: {problem}", style="red"))
    _print_facts("Header", document["header"].items())
    _print_facts("Identity", _identity_facts(document["identity"]))
    _print_facts("Quoting enclave", _identity_facts(document["qe"]))
    _print_facts("Certification data", _certification_facts(document["certification_data"]))
    _print_warnings(document)


def _certification_facts(certification: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    yield "type", f"{certification['type']}, {certification['name']}"
    if "problem" in certification:
        yield "problem", certification["problem"]
    for part in certification.get("certificates", ()):
        yield "certificate", f"{part['subject']}, until {part['until']}"
    yield from (certification.get("platform") or {}).items()


def _print_warnings(document: dict[str, Any]) -> None:
    for warning in document["warnings"]:
        data.print(Text(f"warning: {warning}", style="yellow"))


def _print_facts(title: str, facts: Iterable[tuple[str, Any]]) -> None:
    """A line each and never folded, so that a measurement can be copied whole."""
    data.print(Text(title, style="bold"))
    for name, value in facts:
        data.print(Text(f"  {name:<16} {_shown(value)}"))


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(inner)}" for name, inner in value.items())
    return "-" if value is None else str(value)
