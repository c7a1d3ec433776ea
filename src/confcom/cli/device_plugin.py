"""`confcom device-plugin`: becomes the daemon, so that it carries none of the terminal's libraries."""

import os
import sys

import typer

app = typer.Typer()
DAEMON = "confcom.device_plugin"


@app.command(
    "device-plugin",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
)
def device_plugin(context: typer.Context) -> None:
    """Run the SGX device plugin of this node; its own --help names every flag."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", DAEMON, *context.args])  # noqa: S606 - no shell is wanted
