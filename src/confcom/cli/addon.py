"""`confcom addon`: the one switch of a cluster."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from confcom.addon import names
from confcom.addon.changes import Changes, change
from confcom.addon.inspection import Inspection, inspect_addon
from confcom.addon.observation import observe
from confcom.addon.placement import kept_away
from confcom.addon.render import render, to_yaml
from confcom.addon.resource import read_file
from confcom.addon.schema import definition
from confcom.addon.spec import Spec
from confcom.addon.switch import Done, Switch
from confcom.addon.waiting import DEFAULT_WAIT_SECONDS, wait_for_rollout, wait_until_gone
from confcom.cli.option_values import named, named_path
from confcom.cli.output import OutputFormat, OutputOption, data, print_json, print_table, read_input, talk
from confcom.kube.api import KubeAPI
from confcom.kube.config import find_config
from confcom.kube.kinds import NODE

app = typer.Typer(help="The add-on in the current cluster: one switch for all SGX nodes.", no_args_is_help=True)

ContextOption = Annotated[
    str | None, typer.Option("--context", metavar="NAME", parser=named, help="The kubeconfig's context. [current]")
]
KubeconfigOption = Annotated[
    Path | None, typer.Option("--kubeconfig", metavar="FILE", parser=named_path, help="The kubeconfig. [KUBECONFIG]")
]
FileOption = Annotated[
    str | None,
    typer.Option("-f", "--file", metavar="FILE|-", parser=named, help=f"A {names.KIND} to start from, YAML or JSON."),
]
ImageOption = Annotated[
    str | None, typer.Option("--image", metavar="IMAGE", parser=named, help="The image of both programs.")
]
SelectorOption = Annotated[
    str | None,
    typer.Option("--node-selector", metavar="KEY=VALUE,...", help="These nodes instead of all with SGX; '' undoes it."),
]
SimulateOption = Annotated[
    str | None,
    typer.Option("--simulate-epc", metavar="SIZE", help="Play SGX with so much EPC a node, 8GiB; '' ends it."),
]
HelperOption = Annotated[
    bool | None,
    typer.Option(
        "--enable-sgxquotehelper/--disable-sgxquotehelper",
        help="With or without the quote helper. [as it is, else with]",
    ),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option(
        "--namespace", "-n", metavar="NAME", parser=named, help=f"Where the objects are. [{names.DEFAULT_NAMESPACE}]"
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait until every node is there.")]
GoneOption = Annotated[bool, typer.Option("--wait", help="Wait until everything is gone.")]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=1, max=86400, help="How long --wait waits.")
]


def connect(context: str | None, kubeconfig: Path | None) -> KubeAPI:
    """The cluster that the options name."""
    return KubeAPI(find_config(context, kubeconfig, os.environ), field_manager=names.FIELD_MANAGER)


@app.command("enable")
def enable(
    *,
    file: FileOption = None,
    image: ImageOption = None,
    node_selector: SelectorOption = None,
    simulate_epc: SimulateOption = None,
    quote_helper: HelperOption = None,
    namespace: NamespaceOption = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    timeout: TimeoutOption = DEFAULT_WAIT_SECONDS,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Switch the add-on on. Done again, it changes what is named and repairs what was changed by hand."""
    changes = Changes(
        image=image,
        node_selector=node_selector,
        simulate_epc=simulate_epc,
        quote_helper=quote_helper,
        namespace=namespace,
    )
    base = _read_file(file) if file else None
    with connect(context, kubeconfig) as api:
        with _switch(api, dry_run=dry_run) as switch:
            spec = switch.enable(changes, base)
        _finish(switch, spec, wait=wait, timeout=timeout)


@app.command("update", short_help="Change what is on, in place.")
def update(
    *,
    image: ImageOption = None,
    node_selector: SelectorOption = None,
    simulate_epc: SimulateOption = None,
    quote_helper: HelperOption = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    timeout: TimeoutOption = DEFAULT_WAIT_SECONDS,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Change what is on, in place: a new image, the quote helper on or off, other nodes."""
    changes = Changes(image=image, node_selector=node_selector, simulate_epc=simulate_epc, quote_helper=quote_helper)
    with connect(context, kubeconfig) as api:
        with _switch(api, dry_run=dry_run) as switch:
            spec = switch.update(changes)
        _finish(switch, spec, wait=wait, timeout=timeout)


@app.command("disable")
def disable(
    *,
    dry_run: DryRunOption = False,
    wait: GoneOption = False,
    timeout: TimeoutOption = DEFAULT_WAIT_SECONDS,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Switch the add-on off, and remove everything it made."""
    with connect(context, kubeconfig) as api:
        with _switch(api, dry_run=dry_run) as switch:
            found = switch.disable()
        if not switch.done:
            talk.print("The add-on is not enabled in this cluster; there is nothing to remove.")
            return
        if wait and not dry_run:
            wait_until_gone(api, _say, seconds=timeout)
        offered = [n for n in found.nodes if names.EPC_RESOURCE in (n.get("status", {}).get("capacity") or {})]
        if offered:
            talk.print(
                f"What Kubernetes keeps: {len(offered)} node(s) go on listing the resources, with 0 of each, until "
                f"they are made anew; and on their disks {names.STATE_DIR}, {names.RUN_DIR} and {names.SOCKET_DIR}."
            )


@app.command("show", short_help="Show what is on, and what holds it up.")
def show(
    *,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show what is on, whether it is rolled out, what was changed by hand, and what runs beside what."""
    with connect(context, kubeconfig) as api:
        found = inspect_addon(api, observe(api))
    if output is OutputFormat.JSON:
        print_json(found.to_dict())
    else:
        _print_inspection(found)
    if not found.enabled or found.problems:
        raise typer.Exit(1)


@app.command("render")
def render_objects(
    *,
    file: FileOption = None,
    image: ImageOption = None,
    node_selector: SelectorOption = None,
    simulate_epc: SimulateOption = None,
    quote_helper: HelperOption = None,
    namespace: NamespaceOption = None,
    crd: Annotated[bool, typer.Option("--definition", help="The resource definition instead of the objects.")] = False,
) -> None:
    """Print the objects as YAML, for GitOps; no cluster is asked."""
    if crd:
        typer.echo(to_yaml([definition()]), nl=False)
        return
    changes = Changes(
        image=image,
        node_selector=node_selector,
        simulate_epc=simulate_epc,
        quote_helper=quote_helper,
        namespace=namespace,
    )
    spec = change(_read_file(file) if file else Spec(), changes)
    typer.echo(to_yaml(render(spec)), nl=False)


def _read_file(path: str) -> Spec:
    return read_file(read_input(path, "file"), f"file {path}")


def _say(text: str) -> None:
    # What a cluster says may have brackets in it, as in [sgx-quote-helper] or containers[name="c"].
    talk.print(text, markup=False)


def _finish(switch: Switch, spec: Spec, *, wait: bool, timeout: float) -> None:
    for warning in switch.api.warnings:
        talk.print(f"Warning: {warning}", markup=False)
    if switch.dry_run or not wait:
        return
    states = wait_for_rollout(switch.api, spec, _say, seconds=timeout)
    counts = ", ".join(f"{state.component} on {state.available} of {state.wanted} node(s)" for state in states)
    _say(f"Done: {counts or 'neither program is switched on'}.")
    taints = kept_away(spec, switch.api.list(NODE))
    for sentence in taints:
        _say(sentence)
    if states and not taints and all(state.wanted == 0 for state in states):
        talk.print("No node is selected yet; nodes with SGX that are added later get the add-on by themselves.")


@contextlib.contextmanager
def _switch(api: KubeAPI, *, dry_run: bool) -> Iterator[Switch]:
    """The switch, and at the end what it did: printed also where an error or Ctrl-C came before."""
    switch = Switch(api=api, say=_say, dry_run=dry_run)
    try:
        yield switch
    finally:
        would = "would be " if dry_run else ""
        for done in switch.done:
            data.print(f"{done.object} {would}{done.outcome}{_details(done)}", markup=False)


def _details(done: Done) -> str:
    return f" ({'; '.join(done.fields)})" if done.fields else ""


def _print_inspection(found: Inspection) -> None:
    if not found.enabled:
        data.print("The add-on is not enabled in this cluster.")
        for note in found.notes:
            data.print(note, markup=False)
        return
    for name, value in found.facts.items():
        data.print(f"{name:<18} {value}", markup=False)
    for note in found.notes:
        data.print(note, markup=False)
    for problem in found.problems:
        data.print(f"! {problem}", markup=False)
    table = Table(title="What runs beside what", title_justify="left")
    for column in ("part", "found", "verdict", "why"):
        table.add_column(column)
    for row in found.compatibility:
        table.add_row(row.part, row.found, row.verdict, row.why)
    print_table(table)
