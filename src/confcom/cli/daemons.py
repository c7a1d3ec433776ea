"""`confcom device-plugin` and `quote-helper`: each becomes its daemon, which so carries nothing of the terminal."""

import os
import sys

import typer

app = typer.Typer()
# The daemon's own parser knows the flags, --help included.
_PASS_THROUGH = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


@app.command("device-plugin", short_help="Run the SGX device plugin of this node.", context_settings=_PASS_THROUGH)
def device_plugin(context: typer.Context) -> None:
    """Run the SGX device plugin of this node; its own --help names every flag."""
    _become("confcom.device_plugin", context.args)


@app.command("quote-helper", short_help="Run the SGX quote helper of this node.", context_settings=_PASS_THROUGH)
def quote_helper(context: typer.Context) -> None:
    """Run the SGX quote helper of this node; its own --help names every flag."""
    _become("confcom.quote_helper", context.args)


def _become(module: str, arguments: list[str]) -> None:
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - no shell is wanted
