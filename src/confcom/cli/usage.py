"""Wrong use in one sentence that names the flag and what is allowed, where typer prints a block of lines."""

from typing import Final

import typer

# What typer's reader of values says, and how our sentences say it.
_WORDING: Final = {
    "Value error, ": "",
    "Input should be a valid integer, unable to parse string as an integer": "is not a whole number",
    "Input should be a valid number, unable to parse string as a number": "is not a number",
    "Input should be less than or equal to": "must be at most",
    "Input should be greater than or equal to": "must be at least",
    "Input should be": "must be",
}


def usage_sentence(error: typer.TyperException) -> str:
    """What was wrong with the command line; the help itself where nothing was asked for."""
    if error.message.startswith("Usage:"):
        return error.message
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "confcom"
    parameter = getattr(error, "param", None)
    if parameter is None:
        return f"{command}: {_one_line(error.format_message())}; see '{command} --help'"
    flag = parameter.metavar if parameter.param_type_name == "argument" else parameter.opts[0]
    problem = _one_line(error.message)
    if not problem:
        return f"{command}: {flag}: is missing; see '{command} --help'"
    return f"{command}: {flag}: {problem}"


def _one_line(text: str) -> str:
    for theirs, ours in _WORDING.items():
        text = text.replace(theirs, ours)
    return " ".join(text.split()).rstrip(".")
