"""The resource definition: a structural schema that says the same as the types, and rules that stand absent fields."""

import copy

import jsonschema
import kubernetes_validate
import pytest
from api_server import _structural_defaults
from test_addon_spec import BAD_SPECS

from confcom.addon import rules
from confcom.addon.schema import definition, schema_of
from confcom.addon.spec import Simulation, Spec

VERSION = definition()["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
SPEC = SCHEMA["properties"]["spec"]
# What only the rules say, in CEL; the others are said by the schema itself.
BY_RULE = {
    "a batch of none",
    "a batch below none",
    "a helper without a plugin",
    "no way to select a node",
    "a PCCS for Azure's client",
    "a PCCS with a token for Azure's client",
    "a simulation of nothing",
    "a simulation of less than a unit",
}
# Fields that the API server prunes, or refuses before any schema is asked.
BY_SERVER = {"an unknown field", "an unknown field inside", "a snake_case field"}


def every_schema(schema, path="$"):
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from every_schema(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from every_schema(schema[key], f"{path}.{key}")


@pytest.mark.parametrize("version", ["1.30", "1.36", "1.37"])
def test_definition_is_valid(version):
    kubernetes_validate.validate(definition(), version, strict=True)


@pytest.mark.parametrize("path,schema", list(every_schema(SCHEMA)))  # noqa: PT006
def test_schema_is_structural(path, schema):
    typed = "type" in schema or schema.get("x-kubernetes-int-or-string")
    assert typed, path
    assert not {"$ref", "anyOf", "allOf", "oneOf", "definitions", "uniqueItems"} & set(schema), path
    assert schema.get("additionalProperties") is not False, path
    if schema.get("x-kubernetes-list-type") == "map":
        assert set(schema["x-kubernetes-list-map-keys"]) <= set(schema["items"]["required"]), path
    if "pattern" in schema and "default" in schema:
        jsonschema.validate(schema["default"], {"pattern": schema["pattern"]})


@pytest.mark.parametrize("given", [None, {}, {"quoteHelper": {}}, {"quoteHelper": None, "nodes": {}}])
def test_defaults_of_the_server_are_those_of_the_types(given):
    item = {"metadata": {"name": "confcom"}, "spec": copy.deepcopy(given)}
    _structural_defaults(item, SCHEMA)
    assert Spec.from_dict(item["spec"]) == Spec()
    assert "simulation" not in item["spec"]


def test_an_empty_simulation_gets_its_size():
    item = {"spec": {"simulation": {}}}
    _structural_defaults(item, SCHEMA)
    assert item["spec"]["simulation"] == {"epc": "8GiB"}


@pytest.mark.parametrize("name", sorted(set(BAD_SPECS) - BY_RULE - BY_SERVER))
def test_schema_refuses_what_the_types_refuse(name):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(BAD_SPECS[name][0], schema_of(Spec))


def test_rules_stand_where_the_reference_saw_them_work():
    assert SCHEMA["x-kubernetes-validations"] == [
        {
            "rule": "self.metadata.name == 'confcom'",
            "message": "there is one ConfidentialComputing per cluster and it is named confcom",
        }
    ]
    assert [rule["fieldPath"] for rule in SPEC["x-kubernetes-validations"]] == [
        ".quoteHelper.enabled", ".nodes", ".quoteProvider",
    ]  # fmt: skip
    simulation = SPEC["properties"]["simulation"]["x-kubernetes-validations"][0]
    assert simulation["fieldPath"] == ".epc"
    batch = SPEC["properties"]["update"]["x-kubernetes-validations"][0]
    assert batch["rule"] == "!has(self.batch) || type(self.batch) != int || self.batch >= 1"


@pytest.mark.parametrize("rule", [rules.some_node_is_selected, rules.whole_batch])
def test_rules_look_before_they_read(rule):
    """The API server runs them on a bare `default: {}`; reading an absent field there refuses the definition itself."""
    import re

    for field in re.findall(r"size\((self[.\w]+)\)|(?<!size\()(?<!\.)(self\.batch) >=", rule.expression):
        name = next(filter(None, field))
        assert f"has({name})" in rule.expression


@pytest.mark.parametrize(
    ("size", "is_some"),
    [
        ("8GiB", True),
        ("28 MiB", True),
        ("01m", True),
        ("8589934592", True),
        ("2048KiB", True),
        ("0", False),
        ("0GiB", False),
        ("000 TiB", False),
        ("12kB", False),
        ("0999 k", False),
        ("999999", False),
    ],
)
def test_both_forms_of_the_rule_for_simulated_epc_agree(size, is_some):
    """CEL's `matches` is a search, as here; RE2 and Python agree on these patterns."""
    import re

    (pattern,) = re.findall(r"matches\('([^']+)'\)", rules.some_epc.expression)
    assert bool(re.search(pattern, size)) is is_some
    if size != "01m":
        # One megabyte is a little less than one unit: only a file's reader knows that.
        assert rules.some_epc.holds(Simulation(epc=size)) is is_some


def test_every_printer_column_points_at_a_field():
    for column in VERSION["additionalPrinterColumns"]:
        schema, steps = SCHEMA, column["jsonPath"].lstrip(".").partition("[")[0].split(".")
        if steps[0] == "metadata":
            continue
        for step in steps:
            schema = schema["properties"][step]


def test_status_lists_a_bounded_number_of_nodes():
    nodes = SCHEMA["properties"]["status"]["properties"]["nodes"]
    assert nodes["maxItems"] == 50
    assert nodes["x-kubernetes-list-map-keys"] == ["name"]
    assert SCHEMA["properties"]["status"]["properties"]["conditions"]["x-kubernetes-list-type"] == "map"
    assert "default" not in str(SCHEMA["properties"]["status"])
