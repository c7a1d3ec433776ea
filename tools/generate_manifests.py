"""Writes what is made of `confcom.addon`; with --check it only says what is out of date.

These are the chart's definition, its values and their schema, the rendered examples that the tests compare, and the
tables in docs/reference/custom-resource.md and compatibility.md.
"""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import yaml

from confcom import __version__
from confcom.addon import names
from confcom.addon.render import render, to_yaml
from confcom.addon.schema import definition, schema_of
from confcom.addon.spec import Spec
from confcom.platform.compatibility import DRIVERS, MATRIX, Part

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "deploy/chart/confcom"
GOLDEN = ROOT / "tests/unit/addon/rendered"
RESOURCE_PAGE = ROOT / "docs/reference/custom-resource.md"
COMPATIBILITY_PAGE = ROOT / "docs/reference/compatibility.md"
IMAGE = "registry.example/confcom:0.1.0"

EXAMPLES: dict[str, dict[str, Any]] = {
    "hardware": {"images": {"default": IMAGE}},
    "simulation": {"images": {"default": IMAGE}, "simulation": {"epc": "8GiB"}},
    "plugin-only": {"images": {"default": IMAGE}, "quoteHelper": {"enabled": False}},
    "everything": {
        "namespace": "sgx",
        "images": {
            "devicePlugin": "a/plugin:1",
            "quoteHelper": "a/helper:2",
            "pullPolicy": "Always",
            "pullSecrets": ["s"],
        },
        "nodes": {"selector": {"pool": "sgx"}, "tolerations": [{"key": "sgx"}]},
        "devicePlugin": {
            "reserve": "64MiB",
            "provisionUnits": 4,
            "intelNames": True,
            "resources": {"limits": {"memory": "1Gi"}},
        },
        "quoteHelper": {"workers": 3, "slots": 32, "hostNetwork": True, "resources": {"requests": {"cpu": "1"}}},
        "pccs": {
            "url": "https://pccs.example/sgx/certification/v4/",
            "caConfigMap": "ca",
            "proxy": "http://proxy:3128",
        },
        "kubeletDirectory": "/var/lib/k0s/kubelet",
        "update": {"policy": "Manual", "batch": "10%"},
    },
}


def values() -> dict[str, Any]:
    """The chart's values: the spec's defaults, all written out, and the chart's own switch."""
    return msgspec.to_builtins(Spec()) | {"operator": {"enabled": False}}


def values_schema() -> dict[str, Any]:
    """The schema of the values: the spec's, as ordinary JSON Schema."""
    schema = _plain(schema_of(Spec))
    simulation = schema["properties"].pop("simulation")
    _require(schema)
    schema["properties"]["simulation"] = simulation | {"type": ["object", "null"]}
    schema["properties"]["operator"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"enabled": {"type": "boolean", "description": "run the operator; this version has none"}},
    }
    # What Helm itself hands to every chart.
    schema["properties"]["global"] = {"type": "object"}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema}


def _require(schema: dict[str, Any]) -> None:
    """To Helm `null` takes a default away: lists and maps may be emptied so, what the templates count on may not."""
    inner = schema["properties"]
    schema["required"] = [
        name for name, part in inner.items() if "properties" in part or part["type"] not in ("array", "object")
    ]
    for part in inner.values():
        if "properties" in part:
            _require(part)


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    content = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes") and key != "format"}
    if schema.get("x-kubernetes-int-or-string"):
        content["type"] = ["integer", "string"]
        content["minimum"] = 1
    if schema.get("x-kubernetes-list-type") == "set":
        content["uniqueItems"] = True
    if "properties" in content:
        content["properties"] = {name: _plain(inner) for name, inner in content["properties"].items()}
        content["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(content.get(key), dict):
            content[key] = _plain(content[key])
    return content


def fields_table(schema: dict[str, Any], path: str = "spec") -> list[str]:
    """A line of Markdown for each field, depth first."""
    lines = []
    for name, inner in schema["properties"].items():
        where = f"{path}.{name}"
        if inner.get("properties"):
            lines += fields_table(inner, where)
            continue
        default = f"`{json.dumps(inner['default'])}`" if "default" in inner else "see `confcom addon render`"
        lines.append(f"| `{where}` | {_kind(inner)} | {default} | {inner.get('description', '')} |")
    return lines


def _kind(schema: dict[str, Any]) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or percentage"
    if "enum" in schema:
        return " or ".join(f"`{value or '(empty)'}`" for value in schema["enum"])
    text = schema["type"]
    if "minimum" in schema:
        text += f", {schema['minimum']} to {schema['maximum']}"
    return text


def matrix_table() -> list[str]:
    """A line of Markdown for each row of the table of compatibility."""
    rows = [(row.part, row.range, row.verdict, row.why) for row in MATRIX]
    for name, driver in DRIVERS.items():
        both = driver.verdict
        if driver.quoting != driver.verdict:
            both = f"{driver.verdict}; for the quote helper: {driver.quoting}"
        rows.append((Part.DRIVER, name, both, driver.why))
    return [f"| {' | '.join(row)} |" for row in rows]


def page(file: Path, marker: str, columns: str, lines: list[str]) -> str:
    """The page with the table between its two markers made anew."""
    head, begin, rest = file.read_text(encoding="utf-8").partition(f"<!-- {marker} -->\n")
    _, end, tail = rest.partition(f"<!-- /{marker} -->")
    table = [f"| {columns} |", "|" + "---|" * (columns.count("|") + 1), *lines]
    return head + begin + "\n".join(table) + "\n" + end + tail


def wanted() -> dict[Path, str]:
    """Every generated file with its content."""
    note = "# Made by tools/generate_manifests.py from confcom.addon; change it there.\n"
    files = {
        CHART / "crds" / f"{names.CRD_NAME}.yaml": note + to_yaml([definition()]).removeprefix("---\n"),
        CHART / "values.yaml": note + yaml.safe_dump(values(), sort_keys=False, width=120),
        CHART / "values.schema.json": json.dumps(values_schema(), indent=2) + "\n",
        RESOURCE_PAGE: page(RESOURCE_PAGE, "fields", "field | type | default | meaning", fields_table(schema_of(Spec))),
        COMPATIBILITY_PAGE: page(COMPATIBILITY_PAGE, "matrix", "part | version | verdict | why", matrix_table()),
    }
    for name, content in EXAMPLES.items():
        files[GOLDEN / f"{name}.yaml"] = to_yaml(render(Spec.from_dict(content)))
    return files


def main() -> int:
    """Writes the files, or with --check returns 1 where one is out of date."""
    if f"version: {__version__}\n" not in (CHART / "Chart.yaml").read_text(encoding="utf-8"):
        print(f"deploy/chart/confcom/Chart.yaml: version is not {__version__}")
        return 1
    status = 0
    for path, content in wanted().items():
        if path.exists() and path.read_text(encoding="utf-8") == content:
            continue
        print(f"{path.relative_to(ROOT)}: {'out of date' if '--check' in sys.argv else 'written'}")
        if "--check" in sys.argv:
            status = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
