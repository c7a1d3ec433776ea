"""`confcom quote verify`: is a quote genuine, and is it the wanted one? One quote in full, or many in a summary."""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from confcom.cli.collateral_options import (
    DEFAULT_TIMEOUT,
    AllowHTTPOption,
    CacheDirOption,
    CAFileOption,
    IntelOption,
    NoCacheOption,
    OfflineOption,
    PCCSOption,
    ProxyOption,
    SourceOptions,
    THIMOption,
    THIMURLOption,
    TimeoutOption,
    UpdateOption,
)
from confcom.cli.option_values import moment_of, named
from confcom.cli.output import (
    OutputFormat,
    OutputOption,
    print_json,
    read_input,
    require_one_standard_input,
    talk,
    to_json,
)
from confcom.cli.quote_files import list_files, read_quote_file
from confcom.cli.verification_view import print_summary, print_verification
from confcom.cli.verifiers import Verifiers, open_collateral
from confcom.errors import ConfcomError, InputError
from confcom.quote import (
    Allowance,
    FoundQuote,
    Policy,
    TrustRoot,
    check_values,
    format_time,
    intel_root,
    make_allowance,
    make_policy,
    override,
    read_policy,
    verification_document,
)

# Which flag stands for which key of a policy file.
FLAGS = {
    "mr_enclave": "--mr-enclave",
    "mr_signer": "--mr-signer",
    "isv_prod_id": "--isv-prod-id",
    "min_isv_svn": "--min-isv-svn",
    "report_data": "--report-data",
    "report_data_sha256_of": "--report-data-sha256-of",
    "nonce": "--nonce",
    "allow_debug": "--allow-debug",
    "accepted_statuses": "--accept-status",
    "accepted_advisories": "--accept-advisory",
    "rejected_advisories": "--reject-advisory",
    "min_tcb_evaluation_data_number": "--min-tcb-evaluation-data-number",
    "grace_days": "--grace",
    "clock_slack_seconds": "--clock-slack",
}
_FORMS = "bytes, hex, base64(url), JSON, Open Enclave evidence, RA-TLS certificate"
_INTEGER_MAX = 0xFFFF_FFFF


@dataclass(frozen=True, kw_only=True, slots=True)
class _Task:
    """What is the same for every quote of one run."""

    verifiers: Verifiers
    policy: Policy
    at: datetime
    moment: str

    def document(self, found: FoundQuote) -> dict[str, Any]:
        chosen = self.verifiers.for_quote(found.data)
        for note in chosen.notes:
            talk.print(note, markup=False)
        verification = chosen.verifier.examine(found.data, self.at)
        return verification_document(verification, self.policy) | {"unwrapped": list(found.unwrapped)}


def verify(
    *,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE|DIR|-", parser=named, help=f"Quotes ({_FORMS}), or folders of them.")
    ],
    collateral: Annotated[
        str | None,
        typer.Option(
            "--collateral",
            metavar="FILE|DIR",
            parser=named,
            help="CRLs, TCB info and QE identity: dcap-qvl's JSON, a bundle, or a folder.",
        ),
    ] = None,
    pccs: PCCSOption = None,
    intel: IntelOption = False,
    thim: THIMOption = False,
    thim_url: THIMURLOption = None,
    offline: OfflineOption = False,
    update: UpdateOption = "standard",
    ca_file: CAFileOption = None,
    proxy: ProxyOption = None,
    allow_http: AllowHTTPOption = False,
    timeout: TimeoutOption = DEFAULT_TIMEOUT,
    cache_dir: CacheDirOption = None,
    no_cache: NoCacheOption = False,
    root: Annotated[
        str | None,
        typer.Option("--root", metavar="FILE", parser=named, help="The trusted root, PEM or DER. [Intel's]"),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="YYYY-MM-DDTHH:MM:SSZ",
            help="Whether it held then, for example when the quote was made. [now]",
        ),
    ] = None,
    grace: Annotated[
        int | None,
        typer.Option(
            "--grace", metavar="DAYS", help="Accept collateral so long beyond its end. [0]"
        ),
    ] = None,
    clock_slack: Annotated[
        int | None,
        typer.Option(
            "--clock-slack", metavar="SECONDS", help="Accept what begins so much later. [300]"
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy", metavar="FILE", parser=named, help="The policy as TOML or JSON; flags win over it."
        ),
    ] = None,
    mr_enclave: Annotated[
        list[str] | None,
        typer.Option("--mr-enclave", metavar="HEX", help="Expect this, or one of several."),
    ] = None,
    mr_signer: Annotated[
        list[str] | None,
        typer.Option("--mr-signer", metavar="HEX", help="Expect this, or one of several."),
    ] = None,
    isv_prod_id: Annotated[
        int | None,
        typer.Option("--isv-prod-id", metavar="N", min=0, max=0xFFFF, help="Expect this product."),
    ] = None,
    min_isv_svn: Annotated[
        int | None,
        typer.Option("--min-isv-svn", metavar="N", min=0, max=0xFFFF, help="Expect at least this."),
    ] = None,
    report_data: Annotated[
        str | None,
        typer.Option("--report-data", metavar="HEX", help="Expect these 64 bytes; fewer are zero-padded."),
    ] = None,
    report_data_sha256_of: Annotated[
        str | None,
        typer.Option(
            "--report-data-sha256-of", metavar="FILE", parser=named, help="Expect SHA-256 of a file, then 32 zeros."
        ),
    ] = None,
    nonce: Annotated[
        str | None,
        typer.Option("--nonce", metavar="HEX", help="Hashed before the file."),
    ] = None,
    allow_debug: Annotated[
        bool | None,
        typer.Option("--allow-debug/--no-allow-debug", help="Accept enclaves whose memory the host can read. [no]"),
    ] = None,
    accept_status: Annotated[
        list[str] | None,
        typer.Option("--accept-status", metavar="STATUS", help="Accept this TCB status beside UpToDate, again for each."
                     " [SWHardeningNeeded]"),
    ] = None,
    accept_advisory: Annotated[
        list[str] | None,
        typer.Option("--accept-advisory", metavar="ID", help="Accept these advisories only. [any]"),
    ] = None,
    reject_advisory: Annotated[
        list[str] | None,
        typer.Option("--reject-advisory", metavar="ID", help="Refuse platforms that it concerns."),
    ] = None,
    min_tcb_evaluation_data_number: Annotated[
        int | None,
        typer.Option(
            "--min-tcb-evaluation-data-number", metavar="N", min=0, max=_INTEGER_MAX, help="Refuse older collateral."
        ),
    ] = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:  # fmt: skip
    """Verify quotes against collateral and a trusted root, and appraise them.

    Exit code 0: yes, all of them. 1: at least one is refused. 2: wrong use, or one cannot be read. 3: a service failed.
    """
    given = {
        "mr_enclave": mr_enclave,
        "mr_signer": mr_signer,
        "isv_prod_id": isv_prod_id,
        "min_isv_svn": min_isv_svn,
        "report_data": report_data,
        "report_data_sha256_of": report_data_sha256_of,
        "nonce": nonce,
        "allow_debug": allow_debug,
        "accepted_statuses": accept_status,
        "accepted_advisories": accept_advisory,
        "rejected_advisories": reject_advisory,
        "min_tcb_evaluation_data_number": min_tcb_evaluation_data_number,
        "grace_days": grace,
        "clock_slack_seconds": clock_slack,
    }
    require_one_standard_input(
        ("FILE", *files),
        ("--collateral", collateral),
        ("--root", root),
        ("--policy", policy),
        ("--report-data-sha256-of", report_data_sha256_of),
    )
    wanted, allowance = _policy(policy, given)
    moment = moment_of(at)
    options = SourceOptions(
        pccs=pccs,
        intel=intel,
        thim=thim,
        thim_url=thim_url,
        offline=offline,
        ca_file=ca_file,
        proxy=proxy,
        allow_http=allow_http,
        timeout=timeout,
        cache_dir=cache_dir,
        no_cache=no_cache,
    )
    source, fixed = open_collateral(collateral, options)
    trusted = _root(root)
    verifiers = Verifiers(source=source, fixed=fixed, root=trusted, allowance=allowance, now=moment, update=update)
    task = _Task(verifiers=verifiers, policy=wanted, at=moment, moment=_moment_words(at))
    _run(task, files, output)


def _run(task: _Task, files: list[str], output: OutputFormat) -> None:
    names = list_files(files)
    alone = len(files) == 1 and names == files
    code = _run_one(task, names[0], output) if alone else _run_many(task, names, output)
    if code:
        raise typer.Exit(code)


def _run_one(task: _Task, name: str, output: OutputFormat) -> int:
    found = read_quote_file(name)
    if found.unwrapped:
        talk.print(f"{name}: the quote was unwrapped from {', then '.join(found.unwrapped)}", markup=False)
    document = task.document(found)
    if output is OutputFormat.JSON:
        print_json(document)
    else:
        print_verification(document, task.moment)
    return int(document["verdict"] != "yes")


def _run_many(task: _Task, names: list[str], output: OutputFormat) -> int:
    """Of each quote only its line is kept, or nothing where it is printed as JSON at once."""
    worst = 0
    rows: list[tuple[str, Mapping[str, Any]]] = []
    counts: dict[str, int] = {}
    for at, (name, code, document) in enumerate(_documents(task, names)):
        worst = max(worst, code)
        counts[document["verdict"]] = counts.get(document["verdict"], 0) + 1
        if output is OutputFormat.JSON:
            sys.stdout.write(("[" if not at else ",") + "\n" + to_json({"file": name} | document))
        else:
            rows.append((name, _line(document)))
    if output is OutputFormat.JSON:
        sys.stdout.write("\n]\n")
    else:
        print_summary(rows)
    talk.print(f"{len(names)} quotes: " + ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    return worst


def _documents(task: _Task, names: list[str]) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Each file with its exit code and document; what cannot be read is told in the document and stops nothing."""
    columns = (TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=talk, transient=True, disable=not talk.is_terminal) as progress:
        for name in progress.track(names):
            try:
                document = task.document(read_quote_file(name))
                yield name, int(document["verdict"] != "yes"), document
            except ConfcomError as error:
                verdict = "unreadable" if isinstance(error, InputError) else "no collateral"
                yield name, error.exit_code, {"verdict": verdict, "error": str(error)}


def _line(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the summary shows of a document."""
    kept = {key: document[key] for key in ("verdict", "tcb_status", "error") if key in document}
    identity = {"mr_enclave": document["identity"]["mr_enclave"]} if document.get("identity") else {}
    return kept | {"identity": identity, "reasons": list(document.get("reasons", ()))[:1]}


def _policy(path: str | None, given: Mapping[str, Any]) -> tuple[Policy, Allowance]:
    """The policy of the file, if any, with the flags over it; paths in the file begin at its folder."""
    flags = {key: value for key, value in given.items() if value is not None}
    later = check_values(flags, lambda key: FLAGS[key])
    values: dict[str, Any] = {}
    if path is not None:
        values = read_policy(read_input(path, "policy"), path)
        if hashed := values.get("report_data_sha256_of"):
            # Joined as text: pathlib would make of ./- the word for standard input.
            values["report_data_sha256_of"] = os.path.join(Path(path).parent, hashed)  # noqa: PTH118
    values = override(values, later)
    hashed = values.get("report_data_sha256_of")
    content = read_input(cast("str", hashed), "report data") if hashed else None
    return make_policy(values, content), make_allowance(values)


def _root(path: str | None) -> TrustRoot:
    if path is None:
        return intel_root()
    content = read_input(path, "root certificate")
    try:
        return TrustRoot.from_bytes(content)
    except InputError as error:
        raise InputError(f"--root {path}: {error}") from error


def _moment_words(at: str | None) -> str:
    if at is None:
        return "now; a quote has no time of its own, --at asks whether it held at another"
    return f"as --at names it: whether it held then, not whether it holds now, {format_time(datetime.now(UTC))}"
