"""The `confcom` command: it gathers the verbs, and turns every error into one sentence and an exit code."""

import itertools
import sys
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
from confcom.errors import ConfcomError

app = typer.Typer(
    name="confcom",
    help="The open confidential-computing add-on for Kubernetes nodes with Intel SGX.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(addon.app, name="addon")
app.add_typer(collateral.app, name="collateral")
app.command("demo")(demo.demo)
app.add_typer(daemons.app)
app.command("doctor")(doctor.doctor)
app.command("explain")(explain.explain)
quote.app.command("target-info")(quote_requests.target_info)
quote.app.command("get")(quote_requests.get)
quote.app.command("verify")(quote_verify.verify)
app.add_typer(quote.app, name="quote")
app.add_typer(simulate.app, name="simulate")
app.add_typer(status.app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"confcom {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
    _debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """What holds for every verb."""


def run() -> None:
    """The console entry point. Exit 0 done or yes, 1 no, 2 wrong use or bad input, 3 something outside failed."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Runs one verb and returns its exit code; with `--debug`, errors keep their traceback."""
    try:
        app(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except ConfcomError as error:
        # Verbs have flags of that name too; ours stands before the verb.
        if "--debug" in itertools.takewhile(lambda argument: argument.startswith("-"), arguments):
            raise
        sys.stderr.write(f"confcom: {error}\n")
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output has gone, as in `confcom ... | head`.
        sys.stderr.close()
    return 0
