"""`confcom status`: the SGX nodes of the cluster, one line each."""

import dataclasses
from typing import Any

import typer
from rich.table import Table

from confcom.addon.live import read_nodes
from confcom.addon.nodes import NodeView
from confcom.addon.observation import observe
from confcom.addon.spec import Spec
from confcom.addon.switch import stored_spec
from confcom.cli.addon import ContextOption, KubeconfigOption, connect
from confcom.cli.output import OutputFormat, OutputOption, data, print_json, talk

app = typer.Typer()

_COLUMNS = (
    ("node", "left"),
    ("EPC MiB", "right"),
    ("allocatable", "right"),
    ("allocated", "right"),
    ("reserved", "right"),
    ("free", "right"),
    ("device plugin", "left"),
    ("quote helper", "left"),
    ("last quote", "left"),
    ("EPC saved", "right"),
)


@app.command("status")
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
        nodes = read_nodes(api, spec or Spec()) if installed else []
    if output is OutputFormat.JSON:
        print_json({"enabled": installed, "nodes": [_as_json(node) for node in nodes]})
    elif not installed:
        data.print("The add-on is not enabled in this cluster; see confcom addon enable --help.")
    elif not nodes:
        data.print("The add-on is on, and no node is selected yet.")
    else:
        data.print(_table(nodes))
    for node in nodes:
        if not node.healthy:
            talk.print(f"{node.name}: device plugin: {node.device_plugin}; quote helper: {node.quote_helper}")
    if not installed or not all(node.healthy for node in nodes):
        raise typer.Exit(1)


def _table(nodes: list[NodeView]) -> Table:
    table = Table()
    for name, side in _COLUMNS:
        table.add_column(name, justify="right" if side == "right" else "left")
    for node in nodes:
        helper = f"{node.quote_helper}, {node.role}" if node.role else node.quote_helper
        verdict = f"{node.last_quote} {node.verified}".strip() or "-"
        sizes = (node.epc, node.allocatable, node.allocated, node.reserved, node.free)
        numbers = ["-" if size < 0 else str(size) for size in sizes]
        saved = f"{node.saved} MiB ({node.out_of_process} users)"
        table.add_row(node.name, *numbers, node.device_plugin, helper, verdict, saved)
    return table


def _as_json(node: NodeView) -> dict[str, Any]:
    return dataclasses.asdict(node) | {"free": node.free}
