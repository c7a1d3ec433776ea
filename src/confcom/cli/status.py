"""`confcom status`: the SGX nodes of the cluster, one line each."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import Any

import typer
from rich.table import Table

from confcom.addon import names
from confcom.addon.live import read_nodes
from confcom.addon.nodes import NodeView
from confcom.addon.observation import observe
from confcom.addon.spec import Spec
from confcom.addon.switch import stored_spec
from confcom.cli.addon import ContextOption, KubeconfigOption, connect
from confcom.cli.output import OutputFormat, OutputOption, data, print_json, print_table, talk

app = typer.Typer()

_NUMBERS = ("EPC MiB", "offered", "used", "reserved", "free")
_WORDS = ("plugin", "helper", "last quote", "EPC saved")


@app.command("status", short_help="Show every SGX node of the cluster, a line each.")
def status(
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show every SGX node: EPC, device plugin, quote helper and its role, last verified quote, EPC saved."""
    with connect(context, kubeconfig) as api:
        found = observe(api)
        spec = stored_spec(found)
        installed = spec is not None or any(item["kind"] == "DaemonSet" for item in found.ours)
        nodes = read_nodes(api, spec or Spec(), found.nodes) if installed else []
    if output is OutputFormat.JSON:
        print_json({"enabled": installed, "nodes": [_as_json(node) for node in nodes]})
    elif not installed:
        data.print("The add-on is not enabled in this cluster; see confcom addon enable --help.")
    elif not nodes:
        data.print("The add-on is on, and no node is selected yet.")
    else:
        print_table(_table(nodes))
    for note in _notes(nodes):
        talk.print(note, markup=False)
    if not installed or not all(node.is_well for node in nodes):
        raise typer.Exit(1)


def _notes(nodes: list[NodeView]) -> Iterator[str]:
    """What is to be said beside the table: of each node, and what many have in common once."""
    for node in nodes:
        for program, state in ((names.DEVICE_PLUGIN, node.device_plugin), (names.QUOTE_HELPER, node.quote_helper)):
            if state.detail:
                yield f"{node.name}: {program}: {state.detail}"
        if node.verdict not in {"", "verified"}:
            yield f"{node.name}: last quote: {node.verdict}"
    for sentence, count in Counter(sentence for node in nodes for sentence in node.limits).items():
        yield f"{count} node(s) run beside {sentence}"
    if any(node.simulated for node in nodes):
        yield "Simulated SGX: for trials and tests, never for trust."


def _table(nodes: list[NodeView]) -> Table:
    table = Table("node")
    for name in _NUMBERS:
        table.add_column(name, justify="right")
    for name in _WORDS:
        table.add_column(name)
    for node in nodes:
        sizes = (node.epc, node.allocatable, node.allocated, node.reserved, node.free)
        numbers = ["?" if size is None else str(size) for size in sizes]
        table.add_row(node.name, *numbers, node.device_plugin.word, _helper(node), _last_quote(node), _saved(node))
    return table


def _helper(node: NodeView) -> str:
    return f"{node.quote_helper.word}, {node.role}" if node.role else node.quote_helper.word


def _last_quote(node: NodeView) -> str:
    if not node.last_check:
        return "?"
    return node.last_check if node.verdict == "verified" else f"{node.last_check}, unverified"


def _saved(node: NodeView) -> str:
    return f"{node.saved} MiB, {node.out_of_process} using"


def _as_json(node: NodeView) -> dict[str, Any]:
    return dataclasses.asdict(node) | {"free": node.free, "well": node.is_well}
