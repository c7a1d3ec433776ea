"""`confcom explain`: from a code, a status, a name or a log line to what it means and whose move it is."""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from confcom import codes
from confcom.cli.output import OutputFormat, OutputOption, data, print_json, print_table, talk
from confcom.codes import Code, Family
from confcom.errors import InputError

# Characters of an unknown text that the error repeats.
_QUOTED = 60

_EXAMPLES = {
    Family.TCB_STATUS: "SWHardeningNeeded",
    Family.AESM: "aesm 44",
    Family.QUOTE3: "0xE011",
    Family.SGX_STATUS: "0x4004",
    Family.VERIFICATION: "a002",
    Family.QCNL: "0xB006",
    Family.HTTP: "http 461",
    Family.ADVISORY: "INTEL-SA-00615",
    Family.OPEN_ENCLAVE: "OE_TCB_LEVEL_INVALID",
    Family.SYMPTOM: "no aesm.socket",
}


def explain(
    text: Annotated[
        list[str] | None, typer.Argument(metavar="CODE", help="A number, a name, a status, or a line of a log.")
    ] = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Say what a code, status or error name means, why it appears, and who does what next.

    Any spelling will do: 0xE011, E011, NO_PLATFORM_CERT_DATA, aesm 44, 4004, HTTP 461, SWHardeningNeeded, TCB out of
    date, INTEL-SA-00615, or a whole line of a log. A number that stands in several families is explained for each.
    """
    wanted = " ".join(text or ()).strip()
    if not wanted:
        _show_families(output)
        return
    found = codes.find(wanted)
    if not found:
        raise InputError(_unknown(wanted))
    if output is OutputFormat.JSON:
        print_json({"query": wanted, "codes": [_document(code) for code in found]})
        return
    if len(found) > 1:
        talk.print(f"{len(found)} entries fit, the likeliest first.", markup=False)
    for code in found:
        _show(code)


def _unknown(wanted: str) -> str:
    short = wanted if len(wanted) <= _QUOTED else wanted[: _QUOTED - 3] + "..."
    close = codes.nearest(wanted)
    hint = f"; the nearest names are {', '.join(close)}" if close else "; without an argument, explain shows how to ask"
    return f"explain: no code, status or name fits {short!r}{hint}"


def _document(code: Code) -> dict[str, Any]:
    return {
        "family": code.family.value,
        "number": code.number,
        "label": code.label,
        "name": code.name,
        "meaning": code.meaning,
        "causes": list(code.causes),
        "next_step": code.next_step,
        "who": code.who.value,
        "links": [
            {"relation": link.relation, "label": link.code.label, "name": link.code.name} for link in codes.links(code)
        ],
    }


# The longest link of the table, and what stands before it on its line.
PIPED_WIDTH = 120


def _show(code: Code) -> None:
    title = Text(code.label, style="bold")
    if code.name != code.label:
        title.append(f"  {code.name}")
    body = Table.grid(padding=(0, 1))
    body.add_column(no_wrap=True, style="dim")
    # A link that is cut short leads nowhere.
    body.add_column(overflow="fold")
    body.add_row("  family", Text(code.family.heading))
    body.add_row("  meaning", Text(code.meaning))
    for position, cause in enumerate(code.causes):
        body.add_row("" if position else "  causes", Text(f"- {cause}"))
    body.add_row("  next step", Text(code.next_step))
    body.add_row("  who acts", Text(code.who.value))
    for position, (relation, others) in enumerate(_grouped(code).items()):
        body.add_row("" if position else "  see also", Text(f"{relation}: {', '.join(others)}"))
    # What is piped is read by a program or pasted: a link must not be broken there.
    console = data if data.is_terminal else Console(width=PIPED_WIDTH, highlight=False)
    console.print(title)
    console.print(body, soft_wrap=False)
    console.print()


def _grouped(code: Code) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for link in codes.links(code):
        other = link.code
        named = other.label if other.label == other.name else f"{other.label} {other.name}"
        grouped.setdefault(link.relation, []).append(named)
    return grouped


def _show_families(output: OutputFormat) -> None:
    families = [
        {"family": family.value, "heading": family.heading, "codes": len(entries), "example": _EXAMPLES[family]}
        for family, entries in codes.CODES.items()
    ]
    if output is OutputFormat.JSON:
        print_json({"families": families})
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("family", "codes", "ask for example"):
        table.add_column(heading, justify="right" if heading == "codes" else "left")
    for family in families:
        table.add_row(Text(str(family["heading"])), str(family["codes"]), Text(f"confcom explain {family['example']}"))
    print_table(table)
    talk.print("Numbers, names, statuses and whole lines of a log are understood, in any spelling.", markup=False)
