"""Writes docs/reference/settings.md from the daemons' settings; `--check` tells whether it is current."""

import sys
from pathlib import Path

import msgspec

from confcom.device_plugin.settings import DevicePluginSettings
from confcom.quote_helper.settings import QuoteHelperSettings
from confcom.settings import ENVIRONMENT_PREFIX, describe

PAGE = Path(__file__).resolve().parents[1] / "docs/reference/settings.md"
HEAD = """# Settings of the daemons

Generated from the programs; `tools/generate_settings.py` writes this page.

A flag wins over its variable, a variable over the file of `--config FILE` (TOML, or JSON by its ending), the file over
the default. Keys of the file are the flags' names with underscores. A key that no program knows is an error.
"""


def table(title: str, settings: type[msgspec.Struct]) -> str:
    """One program's settings as a Markdown table."""
    rows = [f"\n## `{title}`\n", "| flag | variable | default | meaning |", "|---|---|---|---|"]
    for setting in describe(settings):
        default = f"`{setting.shown_default}`" if setting.shown_default else ""
        variable = f"`{ENVIRONMENT_PREFIX}{setting.name.upper()}`"
        rows.append(f"| `{setting.flag}` | {variable} | {default} | {setting.text} |")
    return "\n".join(rows) + "\n"


def page() -> str:
    """The whole page."""
    return (
        HEAD + table("confcom device-plugin", DevicePluginSettings) + table("confcom quote-helper", QuoteHelperSettings)
    )


def main() -> int:
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page())
        return 0
    if not PAGE.exists() or PAGE.read_text() != page():
        print(f"{PAGE.name} is not current: run tools/generate_settings.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
