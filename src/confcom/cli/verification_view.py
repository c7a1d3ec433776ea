"""A verification on the terminal: the verdict in one line, whose move it is, then what it rests on."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from confcom.cli.output import data, print_table

_SIMULATED = "made by the simulator: proves nothing about hardware"
# What nobody set (the KSS fields of most enclaves are zero) takes no line.
_ALWAYS = frozenset({"mr_enclave", "mr_signer", "isv_prod_id", "isv_svn", "debug", "report_data"})


def print_verification(document: Mapping[str, Any], moment: str) -> None:
    """One verification; `moment` says where its time came from."""
    reasons = document["reasons"]
    data.print(Text(verdict_line(document), style="bold red" if reasons else "bold green"))
    for reason in reasons[1:]:
        data.print(Text(f"  and: {reason}"))
    if document["simulated"]:
        data.print(Text(f"  {_SIMULATED}", style="bold yellow"))
    for (who, sentence), labels in _next_steps(document["next_steps"]).items():
        data.print(Text(f"  next step, for {who} ({', '.join(labels)}): {sentence}", style="cyan"))
    print_facts("Identity, as the quote gives it" if reasons else "Identity", identity_facts(document["identity"]))
    print_facts("TCB", _tcb_facts(document))
    print_facts("Trust", _trust_facts(document, moment))
    print_table(_steps(document["steps"]))
    print_table(_windows(document["windows"]))
    print_warnings(document["warnings"])


def _next_steps(steps: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], list[str]]:
    """The labels of the codes behind each sentence, since several codes may ask for the same."""
    found: dict[tuple[str, str], list[str]] = {}
    for step in steps:
        found.setdefault((step["who"], step["next_step"]), []).append(step["code"])
    return found


def verdict_line(document: Mapping[str, Any]) -> str:
    """Yes or no, and of what, or why not."""
    simulated = ", SIMULATED" if document["simulated"] else ""
    if document["reasons"]:
        return f"NOT VERIFIED{simulated}: {document['reasons'][0]}"
    mr_enclave = document["identity"]["mr_enclave"]
    return f"VERIFIED{simulated}: enclave {mr_enclave[:16]}..., platform {document['tcb_status']}"


def print_summary(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Two lines for each file at the most: verdict, status, enclave and name, never folded; then the first reason."""
    data.print(Text(f"{'verdict':<14}{'status':<34}{'enclave':<18}file", style="bold"))
    for name, document in rows:
        identity, reasons = document.get("identity") or {}, document.get("reasons") or []
        verdict, status = document["verdict"], document.get("tcb_status") or "-"
        enclave = identity.get("mr_enclave", "-")[:16]
        style = "" if verdict == "yes" else "red"
        data.print(Text(f"{verdict:<14}{status:<34}{enclave:<18}{name}", style=style))
        if why := document.get("error") or next(iter(reasons), ""):
            data.print(Text(f"  {why}", style=style))


def identity_facts(identity: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """The identity's members that say something."""
    return ((name, value) for name, value in identity.items() if name in _ALWAYS or str(value).strip("0"))


def print_facts(title: str, facts: Iterable[tuple[str, Any]]) -> None:
    """A line each and never folded, so that a measurement can be copied whole."""
    data.print(Text(title, style="bold"))
    for name, value in facts:
        data.print(Text(f"  {name:<16} {_shown(value)}"))


def print_warnings(warnings: Iterable[str]) -> None:
    """What a person may want to know."""
    for warning in warnings:
        data.print(Text(f"warning: {warning}", style="yellow"))


def _tcb_facts(document: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    tcb, platform = document["tcb"], document["platform"] or {}
    yield "status", document["tcb_status"] or "none"
    if tcb["meaning"]:
        yield "meaning", tcb["meaning"]
    if held_back := tcb["held_back_by"]:
        yield "held back by", " and ".join({"platform": "the platform", "qe": "the QE"}[part] for part in held_back)
    if level := tcb["platform"]:
        yield "platform level", f"{level['status']}, of {level['date'][:10]}"
    yield from _better_level(tcb)
    if level := tcb["qe"]:
        yield "qe level", f"{level['status']}, of {level['date'][:10]}"
    if (svn := tcb["qe_isv_svn"]) is not None and tcb["qe_newest_isv_svn"] is not None:
        yield "qe isv_svn", f"{svn}, the newest is {tcb['qe_newest_isv_svn']}"
    yield "advisories", document["advisories"] or "none"
    yield from tcb["advisories"].items()
    yield "evaluation", f"TCB info {_number(tcb, 'tcb_info')}, QE identity {_number(tcb, 'qe_identity')}"
    yield "fmspc", platform.get("fmspc", "-")


def _better_level(tcb: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    better = tcb["better_level"]
    if better is None:
        if tcb["platform"]:
            yield "better level", "none: Intel lists no better one for this CPU family"
        return
    yield "better level", f"{better['status']}, of {better['date'][:10]}"
    for part in better["components_behind"]:
        label = f" ({part['label']})" if part["label"] else ""
        yield "behind", f"component {part['number']} of 16{label}: has {part['svn']}, needs {part['needed']}"
    if better["pce_svn_needed"] is not None:
        yield "behind", f"PCESVN: has {better['pce_svn']}, needs {better['pce_svn_needed']}"


def _number(tcb: Mapping[str, Any], part: str) -> str:
    number, issued = tcb[f"{part}_evaluation_number"], tcb[f"{part}_issued"]
    return "-" if number is None else f"{number}, issued {issued[:10]}"


def _trust_facts(document: Mapping[str, Any], moment: str) -> Iterable[tuple[str, str]]:
    yield "trusted root", document["root"]
    platform = document["platform"]
    if platform and platform["pck_ca"]:
        yield "pck ca", platform["pck_ca"]
    yield "at", f"{document['at']}, {moment}"
    if holds := document["holds"]:
        yield "all windows", f"from {holds['from']} until {holds['until']}"
    else:
        yield "all windows", "never hold together: parts of different times were put together"


def _steps(steps: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("Steps", "", "step", "", "detail")
    for step in steps:
        cells = (str(step["number"]), step["name"], "ok" if step["ok"] else "NO", step["detail"])
        table.add_row(*map(Text, cells), style="" if step["ok"] else "red")
    return table


def _windows(windows: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("Windows", "from", "until", "days left", "", "part")
    for window in windows:
        left = max(window["days_left"], 0) if window["ok"] else window["days_left"]
        cells = (window["from"], window["until"], str(left), "ok" if window["ok"] else "NO", window["name"])
        table.add_row(*map(Text, cells), style="" if window["ok"] else "red")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(inner)}" for name, inner in value.items())
    return "-" if value is None else str(value)
