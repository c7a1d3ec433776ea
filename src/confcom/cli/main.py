"""The `confcom` command: it gathers the verbs, and turns every error into one sentence and an exit code."""

import itertools
import sys
import traceback
from typing import Annotated

import typer

from confcom import __version__
from confcom.cli import (
    addon,
    collateral,
    daemons,
    demo,
    doctor,
    explain,
    quote,
    quote_requests,
    quote_verify,
    simulate,
    status,
)
from confcom.cli.streams import OutputError, ReaderGoneError, abandon_output
from confcom.cli.usage import usage_sentence
from confcom.errors import ConfcomError, InputError
from confcom.quote.printing import printable

app = typer.Typer(
    name="confcom",
    help="The open confidential-computing add-on for Kubernetes nodes with Intel SGX.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(addon.app, name="addon", short_help="Switch the add-on of a cluster on and off, and show it.")
app.add_typer(collateral.app, name="collateral", short_help="Fetch, show and carry what verification rests on.")
app.command("demo", short_help="The main job on a simulated SGX node, step by step.")(demo.demo)
app.add_typer(daemons.app)
app.command("doctor", short_help="Say what keeps this node from serving enclaves.")(doctor.doctor)
app.command("explain", short_help="Say what a code or status means, and what to do.")(explain.explain)
quote.app.command("target-info", short_help="Ask a helper for the TARGETINFO of its QE.")(quote_requests.target_info)
quote.app.command("get")(quote_requests.get)
quote.app.command("verify", short_help="Verify quotes, and say whether they are the wanted ones.")(quote_verify.verify)
app.add_typer(quote.app, name="quote")
app.add_typer(simulate.app, name="simulate", short_help="Stand in for SGX hardware, for trials and tests.")
app.add_typer(status.app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"confcom {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    _debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """What holds for every verb."""


def main(arguments: list[str]) -> int:
    """Runs one verb and returns its exit code; with `--debug`, an error shows its traceback and keeps its code.

    Exit 0: done, or the answer is yes. 1: the answer is no. 2: wrong use or bad input. 3: something outside failed.
    """
    try:
        code: int | None = typer.main.get_command(app).main(arguments, prog_name="confcom", standalone_mode=False)
        sys.stdout.flush()
    except Exception as error:  # noqa: BLE001 - the last line before the user: a fault of ours is told in a sentence too
        # Verbs have flags of that name too; ours stands before the verb.
        if "--debug" in itertools.takewhile(lambda argument: argument.startswith("-"), arguments):
            traceback.print_exception(error)
        return _tell(error)
    return code or 0


def _tell(error: Exception) -> int:
    """The error in one sentence, and the exit code that it means."""
    if isinstance(error, OutputError):
        abandon_output()
    sentence, code = _sentence(error)
    if sentence:
        # Names and answers of others may be in it, which must not move the terminal's cursor.
        sys.stderr.write("".join(f"{printable(line, len(line))}\n" for line in sentence.split("\n")))
    return code


def _sentence(error: Exception) -> tuple[str, int]:
    match error:
        case ReaderGoneError():
            return "", error.exit_code
        case ConfcomError():
            return f"confcom: {error}", error.exit_code
        case typer.TyperException():
            return usage_sentence(error), InputError.exit_code
        case OSError() if error.filename is not None:
            # A folder on the way that may not be looked into, for example.
            return f"confcom: {error.filename}: {error.strerror}", ConfcomError.exit_code
        case _:
            found = f"{type(error).__name__}: {error}"
            return (
                f"confcom: a fault of confcom itself, {found}; 'confcom --debug ...' shows where",
                ConfcomError.exit_code,
            )
