"""Any values at all: the chart makes what `confcom addon render` makes, or both refuse.

The values are drawn from the chart's own schema, so a field that is added is compared from its first day. Strings are
those that YAML reads as something else where they are not quoted.
"""

import json
import re

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_chart import CHART, by_name

from confcom.addon.render import render
from confcom.addon.spec import FEATURE_LABELS, Spec
from confcom.errors import InputError

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
STRINGS = [
    "", "a", "a-b", "12", "012", "0x1", "1e3", "true", "on", "null", "~", "r/x:1", "a: b", "a #b", "'", '"',
    "0", "5", "50m", "0.5", "64Mi", "1023KiB", "2048KiB", "1 GiB", "1%", "100%", "/k", "/k:", "/k#b", "/k'b",
    "https://p/", "https://p:", "http://p:8081/", "https://p/?a='b'&c=\"d\"#e",
]  # fmt: skip


def drawn(schema):
    """Values that the schema admits."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = {
        "object": _objects,
        "array": lambda array: st.lists(drawn(array["items"]), max_size=2, unique=array.get("uniqueItems", False)),
        "boolean": lambda _: st.booleans(),
        "integer": lambda number: st.integers(number["minimum"], number.get("maximum", 5_000)),
        "string": _strings,
        "null": lambda _: st.none(),
    }
    named = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of([kinds[kind](schema) for kind in named])


def _objects(schema):
    if isinstance(schema["additionalProperties"], dict):
        return st.dictionaries(st.sampled_from(STRINGS[1:8]), drawn(schema["additionalProperties"]), max_size=2)
    fields = {name: drawn(inner) for name, inner in schema["properties"].items()}
    required = {name: fields.pop(name) for name in schema.get("required", ())}
    return st.fixed_dictionaries(required, optional=fields)


def _strings(schema):
    fits = [text for text in STRINGS if re.search(schema.get("pattern", ""), text)]
    return st.sampled_from([text for text in fits if len(text) >= schema.get("minLength", 0)])


def chart_fields():
    """The fields of the resource; what is Helm's or the chart's own has tests of its own."""
    fields = {name: inner for name, inner in SCHEMA["properties"].items() if name not in ("operator", "global")}
    return drawn({**SCHEMA, "properties": fields})


def rendered(values):
    """The objects of `addon render`, or None where it refuses."""
    nodes = values.get("nodes", {})
    if "labels" in nodes:
        # Helm merges maps.
        values = {**values, "nodes": {**nodes, "labels": FEATURE_LABELS | nodes["labels"]}}
    try:
        return by_name(render(Spec.from_dict(values)))
    except InputError:
        return None


@pytest.mark.slow
@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(chart_fields())
def test_chart_and_render_agree_on_any_values(helm, values):
    values.setdefault("images", {}).setdefault("default", "i")
    done = helm("template", "c", str(CHART), "--namespace", "default", "--values", "-", content=json.dumps(values))
    wanted = rendered(values)
    if wanted is None:
        assert done.returncode != 0
    else:
        assert done.returncode == 0, done.stderr
        assert by_name(item for item in yaml.safe_load_all(done.stdout) if item) == wanted
