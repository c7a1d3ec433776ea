"""The chart against `confcom addon render`: object by object equal, for every example; and what the chart refuses."""

import importlib.util
import json
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from confcom.addon.render import render
from confcom.addon.spec import Spec
from confcom.platform.compatibility import Part, Verdict, look_up

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/chart/confcom"

_spec = importlib.util.spec_from_file_location("generate_manifests", ROOT / "tools/generate_manifests.py")
generate_manifests = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate_manifests)
EXAMPLES = generate_manifests.EXAMPLES

MORE = {
    "azure, by name": {"images": {"default": "i"}, "quoteProvider": "azure", "pccs": {"proxy": "http://p:3128"}},
    "intel, by name": {"images": {"default": "i"}, "quoteProvider": "intel"},
    "a PCCS by plain HTTP": {"images": {"default": "i"}, "pccs": {"url": "http://pccs.example/"}},
    "a PCCS with a token": {"images": {"default": "i"}, "pccs": {"configSecret": "s", "caConfigMap": "c"}},
    "a PCCS over plain HTTP": {"images": {"default": "i"}, "pccs": {"url": "http://pccs:8081/"}},
    "another size of simulation": {"images": {"default": "i"}, "simulation": {"epc": "28 MiB"}},
    "a selector and a simulation": {"images": {"default": "i"}, "simulation": {}, "nodes": {"selector": {"a": "b"}}},
    "a toleration with a value": {
        "images": {"default": "i"},
        "nodes": {"tolerations": [{"key": "k", "operator": "Equal", "value": "v", "effect": "NoExecute"}]},
    },
    "no tolerations": {"images": {"default": "i"}, "nodes": {"tolerations": []}},
    "batches by number": {"images": {"default": "i"}, "update": {"batch": 12}},
    "no slots, no provision": {
        "images": {"default": "i"}, "quoteHelper": {"slots": 0}, "devicePlugin": {"provisionUnits": 0},
    },
    "limits of one's own": {
        "images": {"default": "i"},
        "quoteHelper": {"resources": {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"cpu": "4", "memory": "2Gi"}}},
    },
}  # fmt: skip


def by_name(objects):
    return {(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]): item for item in objects}


def template(helm, values, *flags):
    done = helm(
        "template", "c", str(CHART), "--namespace", "default", "--values", "-", *flags, content=json.dumps(values)
    )
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.safe_load_all(done.stdout) if item]


@pytest.mark.parametrize("name", [*EXAMPLES, *MORE])
def test_chart_and_render_make_the_same_objects(helm, name):
    values = EXAMPLES.get(name) or MORE[name]
    rendered = by_name(render(Spec.from_dict(values)))
    templated = by_name(template(helm, values))
    assert set(templated) == set(rendered)
    for key, item in rendered.items():
        assert templated[key] == item, key


@pytest.mark.parametrize("version", ["1.30.0", "1.37.0", "1.36.2-gke.1"])
def test_chart_takes_every_version_of_the_window(helm, version):
    for item in template(helm, EXAMPLES["hardware"], "--kube-version", version):
        kubernetes_validate.validate(item, version.partition("-")[0], strict=True)


def test_chart_refuses_what_does_not_work_and_nothing_else(helm):
    """As the command line: a cluster that is newer than the chart can still be repaired with it."""
    done = helm("template", "c", str(CHART), "--set", "images.default=i", "--kube-version", "1.29.9")
    assert done.returncode != 0
    assert "chart requires kubeVersion: >=1.30.0-0 which" in done.stderr
    assert look_up(Part.KUBERNETES, "v1.29.9").verdict is Verdict.REFUSED
    assert look_up(Part.KUBERNETES, "v1.38.0").verdict is Verdict.UNTRIED
    assert template(helm, EXAMPLES["hardware"], "--kube-version", "1.38.0")


def test_chart_passes_the_strict_lint(helm):
    done = helm("lint", "--strict", str(CHART), "--set", "images.default=i")
    assert done.returncode == 0, done.stdout
    assert "0 chart(s) failed" in done.stdout


def test_null_empties_lists_and_maps(helm):
    """The only way to be rid of the chart's labels: Helm merges maps."""
    nodes = dict.fromkeys(("labels", "tolerations"))
    values = {"images": {"default": "i", "pullSecrets": None}, "nodes": nodes}
    emptied = {"images": {"default": "i"}, "nodes": {"labels": {}, "tolerations": []}}
    assert by_name(template(helm, values)) == by_name(render(Spec.from_dict(emptied)))


def test_chart_leaves_out_the_namespace_that_holds_the_release(helm):
    done = helm("template", "c", str(CHART), "--namespace", "confcom-system", "--set", "images.default=i")
    kinds = {item["kind"] for item in yaml.safe_load_all(done.stdout) if item}
    assert "Namespace" not in kinds
    assert "DaemonSet" in kinds


BAD = {
    "no image": ({}, "no image is named for"),
    "an operator": ({"images": {"default": "i"}, "operator": {"enabled": True}}, "this version has no operator yet"),
    "a helper alone": (
        {"images": {"default": "i"}, "devicePlugin": {"enabled": False}},
        "the quote helper needs the device plugin",
    ),
    "a misspelt field": ({"images": {"default": "i"}, "quoteHelper": {"workerz": 2}}, "workerz"),
    "no worker": ({"images": {"default": "i"}, "quoteHelper": {"workers": 0}}, "workers"),
    "a batch of none": ({"images": {"default": "i"}, "update": {"batch": 0}}, "batch"),
    "a batch of 0%": ({"images": {"default": "i"}, "update": {"batch": "0%"}}, "batch"),
    "a size that is none": ({"images": {"default": "i"}, "simulation": {"epc": "much"}}, "epc"),
    "a simulation without EPC": (
        {"images": {"default": "i"}, "simulation": {"epc": "0"}},
        "simulation.epc: 0 is less than 1 MiB",
    ),
    "a part that is left empty": ({"images": {"default": "i"}, "update": None}, "missing property 'update'"),
    "a number that is taken away": (
        {"images": {"default": "i"}, "quoteHelper": {"workers": None}},
        "at '/quoteHelper': missing property 'workers'",
    ),
    "a switch as text": ({"images": {"default": "i"}, "quoteHelper": {"enabled": "yes"}}, "enabled"),
    "a PCCS for Azure's client": (
        {"images": {"default": "i"}, "quoteProvider": "azure", "pccs": {"url": "https://p/"}},
        "quoteProvider: Azure's client asks Azure and knows no PCCS",
    ),
    "another namespace's case": ({"images": {"default": "i"}, "namespace": "Sgx"}, "namespace"),
}


@pytest.mark.parametrize("name", BAD)
def test_chart_refuses_bad_values_by_name(helm, name):
    values, sentence = BAD[name]
    done = helm("template", "c", str(CHART), "--values", "-", content=json.dumps(values))
    assert done.returncode != 0
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"simulation": {"epc": "8GiB"}}, "SIMULATES SGX"),
        ({"quoteHelper": {"enabled": False}}, "The quote helper is off"),
        ({}, "confcom.io/sgx-quote: 1"),
        ({}, "quoteProvider auto is Azure's client here"),
        ({"quoteProvider": "intel"}, "No certificate service is named"),
        ({}, "kubectl label node NAME confcom.io/sgx=true"),
    ],
)
def test_notes_say_what_was_installed(helm, values, sentence):
    content = json.dumps({"images": {"default": "i"}} | values)
    done = helm("install", "c", str(CHART), "--dry-run=client", "--values", "-", content=content)
    assert done.returncode == 0, done.stderr
    assert sentence in done.stdout


@pytest.mark.parametrize("nodes", [{"selector": {"pool": "sgx"}}, {"labels": None}])
def test_notes_name_no_label_that_selects_nothing(helm, nodes):
    content = json.dumps({"images": {"default": "i"}, "nodes": nodes})
    done = helm("install", "c", str(CHART), "--dry-run=client", "--values", "-", content=content)
    assert done.returncode == 0, done.stderr
    assert "confcom.io/sgx=" not in done.stdout.partition("NOTES:")[2]


@pytest.mark.parametrize(
    "values",
    [
        {"quoteProvider": "azure"},
        {"simulation": {}},
        {"quoteHelper": {"enabled": False}},
        {"pccs": {"url": "https://p/"}},
        {"pccs": {"configSecret": "s"}, "quoteProvider": "intel"},
    ],
    ids=["Azure by name", "a simulation", "no helper", "a PCCS", "a PCCS with a token"],
)
def test_notes_are_silent_where_certificates_have_a_source(helm, values):
    content = json.dumps({"images": {"default": "i"}} | values)
    done = helm("install", "c", str(CHART), "--dry-run=client", "--values", "-", content=content)
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("NOTES:")[2]
    assert "An application asks" in notes or "The quote helper is off" in notes
    assert "quoteProvider auto" not in notes
    assert "certificate service" not in notes
