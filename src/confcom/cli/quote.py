"""`confcom quote inspect`: what a quote says of itself. Making and verifying quotes is added by other modules."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.text import Text

from confcom.cli.option_values import named
from confcom.cli.output import OutputFormat, OutputOption, data, print_json, talk
from confcom.cli.quote_files import read_quote_file
from confcom.cli.verification_view import identity_facts, print_facts, print_warnings
from confcom.quote import identity_document, quote_document
from confcom.quote.documents import header_document
from confcom.quote.reading import read_identity, read_quote
from confcom.sgx import QuoteHeader

app = typer.Typer(help="Get, inspect and verify attestation quotes.", no_args_is_help=True)


@app.command()
def inspect(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE|-",
            parser=named,
            help="The quote: bytes, hex, base64(url), JSON, Open Enclave evidence, RA-TLS certificate.",
        ),
    ],
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show what a quote says of itself; nothing of it is verified. Exit code 1: it is damaged."""
    found = read_quote_file(file)
    if found.unwrapped:
        talk.print(f"{file}: the quote was unwrapped from {', then '.join(found.unwrapped)}", markup=False)
    quote, problems = read_quote(found.data)
    document = quote_document(found.data, quote, problems) if quote else _what_is_left(found.data, problems)
    document |= {"unwrapped": list(found.unwrapped)}
    if output is OutputFormat.JSON:
        print_json(document)
    else:
        _print_inspection(document)
    if problems:
        raise typer.Exit(1)


def _what_is_left(content: bytes, problems: list[str]) -> dict[str, Any]:
    """The document of a quote that is too damaged to be read on behind its report, up to which it is recognised."""
    report = read_identity(content)
    return {
        "kind": "damaged SGX quote",
        "size": len(content),
        "trailing_bytes": 0,
        "problems": problems,
        "warnings": [],
        "header": header_document(QuoteHeader.from_bytes(content[: QuoteHeader.SIZE])),
        "identity": identity_document(report) if report else {},
        "qe": {},
        "certification_data": {},
    }


def _print_inspection(document: dict[str, Any]) -> None:
    data.print(Text(f"{document['kind']}, {document['size']} bytes; nothing of it is verified", style="bold"))
    for problem in document["problems"]:
        data.print(Text(f"problem: {problem}", style="red"))
    print_facts("Header", document["header"].items())
    print_facts("Identity", identity_facts(document["identity"]))
    if document["qe"]:
        print_facts("Quoting enclave", identity_facts(document["qe"]))
        print_facts("Certification data", _certification_facts(document["certification_data"]))
    print_warnings(document["warnings"])


def _certification_facts(certification: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    yield "type", f"{certification['type']}, {certification['name']}"
    if "problem" in certification:
        yield "problem", certification["problem"]
    for part in certification.get("certificates", ()):
        yield "certificate", f"{part['subject']}, until {part['until']}"
    yield from (certification.get("platform") or {}).items()
