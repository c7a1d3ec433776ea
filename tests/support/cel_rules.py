"""The rules of a resource definition (`x-kubernetes-validations`), run in CEL as the API server runs them.

`self` has no type here: that a rule reads only fields that there are is asked of the schema by `fields_read`.
"""

import functools
import re

from cel_expr_python import cel

_EXTENSIONS = "extensions:\n- name: optional\n- name: strings\n- name: lists\n"


@functools.cache
def _compiled(expression):
    names = {"self": cel.Type.DYN, "oldSelf": cel.Type.DYN}
    return cel.NewEnv(config=cel.NewEnvConfigFromYaml(_EXTENSIONS), variables=names).compile(expression)


def rules(schema, path=()):
    """Each rule with the path of the value it is about."""
    for rule in schema.get("x-kubernetes-validations", ()):
        yield path, rule
    for name, inner in schema.get("properties", {}).items():
        yield from rules(inner, (*path, name))


def holds(rule, value, old=None):
    """Whether one rule holds; a rule that cannot be run is an error, as it is to the API server."""
    found = _compiled(rule["rule"]).eval(data={"self": value, "oldSelf": old})
    assert found.type() == cel.Type.BOOL, f"{rule['rule']} of {value}: {found.value()}"
    return found.value()


def broken(schema, item, old=None):
    """Each rule that does not hold, as the API server says it; a rule of two moments only where there are two."""
    for path, rule in rules(schema):
        value, before = _at(item, path), _at(old, path)
        if value is None or ("oldSelf" in rule["rule"] and before is None):
            continue
        if not holds(rule, value, before):
            where = ".".join(path) + rule.get("fieldPath", "") or "<nil>"
            forbidden = rule.get("reason") == "FieldValueForbidden"
            yield f"{where}: {'Forbidden' if forbidden else 'Invalid value'}: {rule['message']}"


def fields_read(rule):
    """The fields that a rule names, as paths below its value."""
    for path in re.findall(r"\b(?:self|oldSelf)((?:\.\??[a-zA-Z]+(?!\w*\())+)", rule["rule"]):
        yield tuple(path.replace("?", "").strip(".").split("."))


def _at(item, path):
    for step in path:
        item = item.get(step) if isinstance(item, dict) else None
    return item
