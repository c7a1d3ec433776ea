"""The resource definition: a structural schema that says the same as the types, and rules that stand absent fields."""

import copy

import cel_rules
import jsonschema
import kubernetes_validate
import pytest
from api_server import _structural_defaults
from hypothesis import assume, example, given
from hypothesis import strategies as st
from test_addon_spec import BAD_SPECS, GOOD_SPECS

from confcom.addon.schema import definition, schema_of
from confcom.addon.spec import Spec
from confcom.errors import InputError
from confcom.settings import Size

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

# Schemas of definitions know no patterns of keys: the API server refuses these in the DaemonSets.
BY_TYPES = {"a label of two words"}


def every_schema(schema, path="$"):
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from every_schema(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from every_schema(schema[key], f"{path}[]")


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


@pytest.mark.parametrize("name", sorted(set(BAD_SPECS) - BY_RULE - BY_SERVER - BY_TYPES))
def test_schema_refuses_what_the_types_refuse(name):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(BAD_SPECS[name][0], schema_of(Spec))


def test_there_is_one_and_it_has_one_name():
    sentence = "there is one ConfidentialComputing per cluster and it is named confcom"
    assert list(cel_rules.broken(SCHEMA, {"metadata": {"name": "other"}})) == [f"<nil>: Invalid value: {sentence}"]
    assert list(cel_rules.broken(SCHEMA, {"metadata": {"name": "confcom"}})) == []


@pytest.mark.parametrize("path,rule", list(cel_rules.rules(SPEC)))  # noqa: PT006
def test_rules_read_fields_that_there_are(path, rule):
    """The API server knows the types of all fields, and refuses a definition with a rule that reads another."""
    schema = SPEC
    for step in path:
        schema = schema["properties"][step]
    for fields in (*cel_rules.fields_read(rule), rule.get("fieldPath", "").strip(".").split(".")):
        found = schema
        for step in filter(None, fields):
            found = found["properties"][step]


@pytest.mark.parametrize("path,rule", list(cel_rules.rules(SPEC)))  # noqa: PT006
def test_rules_stand_an_object_without_fields(path, rule):
    """The API server runs them on a bare `default: {}`; reading an absent field there refuses the definition itself."""
    assert cel_rules.holds(rule, {}, {})


def server_refuses(content):
    """What the API server says of a spec: by the schema, and else by the rules."""
    item = {"metadata": {"name": "confcom"}, "spec": copy.deepcopy(content)}
    _structural_defaults(item, SCHEMA)
    found = [error.message for error in jsonschema.Draft202012Validator(SPEC).iter_errors(item["spec"])]
    return found or list(cel_rules.broken(SCHEMA, item))


@pytest.mark.parametrize("name", sorted(BY_RULE))
def test_rules_refuse_in_the_words_of_the_types(name):
    content, sentence = BAD_SPECS[name]
    path, _, message = sentence.partition(": ")
    assert server_refuses(content) == [f"{path}: Forbidden: {message}"]


@pytest.mark.parametrize("content", GOOD_SPECS)
def test_rules_take_what_the_types_take(content):
    assert server_refuses(content) == []


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "devicePlugin": st.fixed_dictionaries({}, optional={"enabled": st.booleans()}),
            "quoteHelper": st.fixed_dictionaries({}, optional={"enabled": st.booleans()}),
            "quoteProvider": st.sampled_from(["auto", "azure", "intel"]),
            "pccs": st.fixed_dictionaries(
                {}, optional={"url": st.sampled_from(["", "https://p"]), "configSecret": st.sampled_from(["", "s"])}
            ),
            "nodes": st.fixed_dictionaries(
                {},
                optional={
                    "labels": st.sampled_from([{}, {"a": "b"}]),
                    "instanceTypes": st.sampled_from([[], ["X"]]),
                    "selector": st.sampled_from([{}, {"a": "b"}]),
                },
            ),
            "simulation": st.just({}),
            "update": st.fixed_dictionaries(
                {},
                optional={"batch": st.one_of(st.integers(-2, 2), st.sampled_from(["0%", "1%", "100%", "101%", "1"]))},
            ),
        },
    )
)
def test_server_and_types_agree(content):
    refused = False
    try:
        Spec.from_dict(content)
    except InputError:
        refused = True
    assert bool(server_refuses(content)) is refused


@given(st.from_regex(r"[0-9]{1,9} ?([kKmMgGtT][iI]?)?[bB]?", fullmatch=True))
@example("2048KiB")
@example("1048576")
@example("000 TiB")
@example("1048575B")
def test_server_and_types_agree_on_sizes_of_a_simulation(size):
    assume(not 10**6 <= Size.parse(size) < 2**20)  # 1 MB is a little less than one unit: only the types know that.
    assert bool(server_refuses({"simulation": {"epc": size}})) is (Size.parse(size).mib < 1)


def test_the_namespace_stays():
    """A rule of two moments: it holds nothing back where there was nothing."""
    item = {"metadata": {"name": "confcom"}, "spec": {"namespace": "a"}}
    assert list(cel_rules.broken(SCHEMA, item)) == []
    assert list(cel_rules.broken(SCHEMA, item, item)) == []
    (sentence,) = cel_rules.broken(SCHEMA, item, {"spec": {"namespace": "b"}})
    assert sentence == "spec.namespace: Invalid value: disable the add-on, and enable it in the other namespace"


def test_no_rule_is_run_for_each_of_many():
    """Each would be counted as often as its list can be long; the server bounds what all rules may cost."""
    for path, schema in every_schema(SCHEMA):
        if path.endswith("[]"):
            assert "x-kubernetes-validations" not in schema, path


def test_what_the_program_knows_is_no_default_of_the_server():
    """The server keeps what it fills in: an add-on would never select what a later version knows."""
    for path, schema in every_schema(SPEC):
        assert not (isinstance(schema.get("default"), dict | list) and schema["default"]), path


def test_what_selects_nodes_is_taken_whole():
    """An apply that merges cannot bring none of it, and what another hand has put in stays."""
    for name, schema in SPEC["properties"]["nodes"]["properties"].items():
        assert "atomic" in (schema.get("x-kubernetes-map-type"), schema.get("x-kubernetes-list-type")), name


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
