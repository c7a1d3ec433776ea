"""Server-side apply as the API server does it: who owns which field, conflicts, and what an apply changes.

A path is a tuple of steps: ("f", name) into an object, ("k", ((key, value), ...)) to an element of a list that is a
map, ("v", value) to an element of a list that is a set. Atomic lists and objects are leaves.
"""

import copy
import functools
import importlib.resources
import json
from dataclasses import dataclass, field

Path = tuple
_ABSENT = object()
# What an apply may carry, and nobody owns.
_UNOWNED = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace"), ("metadata", "uid")}


class UnknownFieldError(Exception):
    """A field that the schema does not declare; the text is its path."""


class ConflictError(Exception):
    """Fields that others own with other values: (path as text, manager, api version)."""

    def __init__(self, causes):
        super().__init__(f"{len(causes)} conflicts")
        self.causes = causes


@dataclass
class Ownership:
    """One entry of managedFields."""

    manager: str
    operation: str
    subresource: str = ""
    paths: set = field(default_factory=set)


# --- schemas ---------------------------------------------------------------------------------------------------------


@functools.cache
def builtin_definitions():
    folder = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema" / "v1.36.0-local"
    return json.loads((folder / "_definitions.json").read_text(encoding="utf-8"))


@functools.cache
def builtin_schema(api_version, kind):
    folder = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema" / "v1.36.0-local"
    group, _, version = api_version.rpartition("/")
    name = "-".join(part for part in (kind.lower(), group.split(".")[0], version) if part)
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def resolve(schema):
    while schema and "$ref" in schema:
        target = builtin_definitions()
        for step in schema["$ref"].partition("#/")[2].split("/"):
            target = target[step]
        schema = target
    return schema or {}


def child(schema, name, where):
    schema = resolve(schema)
    properties = schema.get("properties")
    if properties and name in properties:
        return properties[name]
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        return extra
    if properties and not schema.get("x-kubernetes-preserve-unknown-fields"):
        raise UnknownFieldError(f"{where}.{name}")
    return {}


# --- fields ----------------------------------------------------------------------------------------------------------


def leaves(value, schema, path=(), where=""):
    """Each owned field with its value, depth first."""
    schema = resolve(schema)
    if isinstance(value, dict) and schema.get("x-kubernetes-map-type") != "atomic":
        if not value and path:
            yield path, {}
        for name, inner in value.items():
            yield from leaves(inner, child(schema, name, where), (*path, ("f", name)), f"{where}.{name}")
    elif isinstance(value, dict):
        check(value, schema, where)
        yield path, value
    elif isinstance(value, list) and schema.get("x-kubernetes-list-type") == "map":
        keys = schema["x-kubernetes-list-map-keys"]
        for item in value:
            key = item_key(item, keys, schema)
            yield from leaves(item, schema["items"], (*path, ("k", key)), where + key_text(key))
    elif isinstance(value, list) and schema.get("x-kubernetes-list-type") == "set":
        for item in value:
            yield (*path, ("v", item)), item
    else:
        check(value, schema, where)
        yield path, value


def check(value, schema, where):
    """Unknown fields inside an atomic value."""
    schema = resolve(schema)
    if isinstance(value, dict):
        for name, inner in value.items():
            check(inner, child(schema, name, where), f"{where}.{name}")
    elif isinstance(value, list):
        for item in value:
            check(item, schema.get("items", {}), where)


def item_key(item, keys, schema):
    defaults = {name: resolve(p).get("default") for name, p in resolve(schema["items"]).get("properties", {}).items()}
    if "protocol" in keys:
        defaults["protocol"] = "TCP"
    return tuple((key, item.get(key, defaults.get(key))) for key in keys)


def key_text(key):
    return "[" + ",".join(f"{name}={json.dumps(value)}" for name, value in key) + "]"


def path_text(path):
    text = ""
    for kind, step in path:
        text += f".{step}" if kind == "f" else key_text(step) if kind == "k" else f"[={json.dumps(step)}]"
    return text


def owned(item, schema):
    """The fields of an object as a map from path to value, without what nobody owns."""
    return {path: value for path, value in leaves(item, schema) if tuple(step for _, step in path) not in _UNOWNED}


def _is_key(path):
    """Whether a path is of a field by which an element of a list is known."""
    return len(path) > 1 and path[-2][0] == "k" and path[-1][1] in {name for name, _ in path[-2][1]}


def get(item, path):
    for kind, step in path:
        if item is _ABSENT:
            return _ABSENT
        if kind == "f":
            item = item.get(step, _ABSENT) if isinstance(item, dict) else _ABSENT
        elif kind == "k":
            item = next((i for i in item if all(i.get(k) == v for k, v in step)), _ABSENT)
        else:
            item = step if step in item else _ABSENT
    return item


def put(item, path, value, schema):
    """Sets one field, making objects and list elements on the way."""
    (kind, step), *rest = path
    schema = resolve(schema)
    if kind == "f":
        if not rest:
            is_atomic = resolve(child(schema, step, "")).get("x-kubernetes-map-type") == "atomic"
            if is_atomic or not (value == {} and isinstance(item.get(step), dict)):
                item[step] = copy.deepcopy(value)
            return
        if step not in item or not isinstance(item[step], dict | list):
            item[step] = [] if rest[0][0] in ("k", "v") else {}
        put(item[step], tuple(rest), value, child(schema, step, ""))
    elif kind == "k":
        found = next((i for i in item if all(i.get(k) == v for k, v in step)), None)
        if found is None:
            found = {k: v for k, v in step if v is not None}
            item.append(found)
        if rest:
            put(found, tuple(rest), value, schema["items"])
    elif step not in item:
        item.append(step)


def remove(item, path):
    """Removes one field, and every object and list element that is left empty by it."""
    (kind, step), *rest = path
    if kind == "f":
        inner = item.get(step, _ABSENT) if isinstance(item, dict) else _ABSENT
        if inner is _ABSENT:
            return
        if rest:
            remove(inner, tuple(rest))
        if not rest or inner in ({}, []):
            item.pop(step, None)
    elif kind == "k":
        found = next((i for i in item if all(i.get(k) == v for k, v in step)), None)
        if found is None:
            return
        if rest:
            remove(found, tuple(rest))
        if not rest or (set(found) <= {k for k, _ in step} and rest[0][1] in {k for k, _ in step}):
            item.remove(found)
    elif step in item:
        item.remove(step)


# --- apply and update ------------------------------------------------------------------------------------------------


def apply(live, owners, wanted, schema, manager, *, force, subresource=""):
    """The object and its owners after an apply.

    Raises:
        UnknownFieldError: a field that the schema does not declare.
        ConflictError: without force, others own fields with other values.
    """
    fields = owned(wanted, schema)
    owners = copy.deepcopy(owners)
    mine = next((o for o in owners if key_of(o) == (manager, "Apply", subresource)), None)
    causes = []
    for other in owners:
        if other is mine:
            continue
        shared = sorted(other.paths & set(fields), key=path_text)
        causes += [(path_text(path), other) for path in shared if get(live, path) != fields[path]]
    if causes and not force:
        raise ConflictError(causes)
    for _, other in causes:
        other.paths -= {path for path in fields if get(live, path) != fields[path]}
    if mine is None:
        mine = Ownership(manager=manager, operation="Apply", subresource=subresource)
        owners.append(mine)
    result = copy.deepcopy(live)
    others = set().union(*(o.paths for o in owners if o is not mine)) if len(owners) > 1 else set()
    # An element's key goes last: without it the element would not be found any more.
    for path in sorted(mine.paths - set(fields) - others, key=_is_key):
        remove(result, path)
    for path, value in fields.items():
        # An object that is applied empty, and was not, has lost all its fields: null is left of it, as of the real one.
        is_emptied = value == {} and get(live, path) not in (_ABSENT, {}) and get(result, path) is _ABSENT
        put(result, path, None if is_emptied else value, schema)
    mine.paths = set(fields)
    return result, [o for o in owners if o.paths]


def update(live, owners, changed, schema, manager, *, subresource=""):
    """The owners after somebody wrote `changed` over `live` (PUT, PATCH or kubectl edit)."""
    before, after = owned(live, schema), owned(changed, schema)
    differing = {path for path in after if before.get(path, _ABSENT) != after[path]}
    gone = set(before) - set(after)
    owners = copy.deepcopy(owners)
    for owner in owners:
        owner.paths -= differing | gone
    mine = next((o for o in owners if key_of(o) == (manager, "Update", subresource)), None)
    if mine is None:
        mine = Ownership(manager=manager, operation="Update", subresource=subresource)
        owners.append(mine)
    mine.paths |= differing
    return [o for o in owners if o.paths]


def key_of(owner):
    return owner.manager, owner.operation, owner.subresource


def managed_fields(owners, api_version):
    return [
        {
            "manager": owner.manager,
            "operation": owner.operation,
            "apiVersion": api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": _nest(owner.paths),
        }
        | ({"subresource": owner.subresource} if owner.subresource else {})
        for owner in owners
    ]


def _nest(paths):
    tree = {}
    for path in sorted(paths, key=path_text):
        node = tree
        for kind, step in path:
            name = step if kind == "f" else json.dumps(dict(step)) if kind == "k" else json.dumps(step)
            node = node.setdefault(f"{kind}:{name}", {})
    return tree
