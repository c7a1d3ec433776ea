"""The custom resource definition, made of the types in `addon.spec` and `addon.resource_status`.

Structural schemas know no references, no `additionalProperties: false` and few keywords, so they are written by a walk
over the types and not by a JSON Schema generator.
"""

from typing import Any

import msgspec
from msgspec import inspect

from confcom import __version__
from confcom.addon import names
from confcom.addon.resource_status import ResourceStatus
from confcom.addon.spec import Spec

SINGLETON = {
    "rule": f"self.metadata.name == '{names.RESOURCE_NAME}'",
    "message": f"there is one {names.KIND} per cluster and it is named {names.RESOURCE_NAME}",
}
_SIMPLE = {inspect.StrType: "string", inspect.IntType: "integer", inspect.BoolType: "boolean"}


def definition() -> dict[str, Any]:
    """The `CustomResourceDefinition` object."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": names.CRD_NAME,
            "labels": {names.ADDON_LABEL: names.RESOURCE_NAME},
            # So that an older program does not take back what a newer one has defined.
            "annotations": {names.VERSION_ANNOTATION: __version__},
        },
        "spec": {
            "group": names.GROUP,
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.KIND.lower(),
                "shortNames": ["confcom"],
            },
            "scope": "Cluster",
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": _printer_columns(),
                    "schema": {"openAPIV3Schema": _resource_schema()},
                }
            ],
        },
    }


def _resource_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "The confidential-computing add-on of this cluster: Intel SGX device plugin and quote helper.",
        "x-kubernetes-validations": [SINGLETON],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {**schema_of(Spec), "default": {}},
            "status": schema_of(ResourceStatus, defaults=False),
        },
    }


def _printer_columns() -> list[dict[str, Any]]:
    condition = '.status.conditions[?(@.type=="{}")].{}'
    rows: tuple[tuple[str, str, str, int], ...] = (
        ("Ready", "string", condition.format("Ready", "status"), 0),
        ("Nodes", "integer", ".status.counts.nodes", 0),
        ("Plugins", "integer", ".status.counts.devicePluginsReady", 0),
        ("Helpers", "integer", ".status.counts.quoteHelpersReady", 0),
        ("Verified", "integer", ".status.counts.verified", 0),
        ("Simulation", "string", ".spec.simulation.epc", 1),
        ("Reason", "string", condition.format("Ready", "reason"), 1),
        ("Age", "date", ".metadata.creationTimestamp", 0),
    )
    return [
        {"name": name, "type": kind, "jsonPath": path} | ({"priority": priority} if priority else {})
        for name, kind, path, priority in rows
    ]


def schema_of(kind: type, *, defaults: bool = True) -> dict[str, Any]:
    """The structural schema of a `msgspec.Struct`."""
    return _schema(inspect.type_info(kind), defaults)


def _schema(kind: inspect.Type, defaults: bool) -> dict[str, Any]:
    if isinstance(kind, inspect.Metadata):
        return _schema(kind.type, defaults) | (kind.extra_json_schema or {})
    if isinstance(kind, inspect.StructType):
        return _object(kind, defaults)
    if isinstance(kind, inspect.DictType):
        return _bounds(
            kind, "Properties", {"type": "object", "additionalProperties": _schema(kind.value_type, defaults)}
        )
    if isinstance(kind, inspect.ListType):
        return _bounds(kind, "Items", {"type": "array", "items": _schema(kind.item_type, defaults)})
    if isinstance(kind, inspect.LiteralType):
        return {"type": "string", "enum": list(kind.values)}
    if isinstance(kind, inspect.UnionType):
        return _union(kind, defaults)
    return _scalar(kind)


def _object(kind: inspect.StructType, defaults: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "description": (kind.cls.__doc__ or "").partition("\n")[0]}
    schema["properties"] = {field.encode_name: _field(field, defaults) for field in kind.fields}
    required = [field.encode_name for field in kind.fields if field.required]
    if required:
        schema["required"] = required
    rules = getattr(kind.cls, "cel", ())
    if rules:
        schema["x-kubernetes-validations"] = [
            {
                "rule": rule.expression,
                "message": rule.message,
                "reason": "FieldValueForbidden",
                "fieldPath": rule.field_path,
            }
            for rule in rules
        ]
    return schema


def _field(field: inspect.Field, defaults: bool) -> dict[str, Any]:
    schema = _schema(field.type, defaults)
    if not defaults:
        return schema
    default = field.default
    if field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    if isinstance(default, msgspec.Struct):
        # Its own fields carry the defaults; the API server fills them one level after the other.
        default = {}
    # What the API server fills in it keeps; labels and sizes that mean SGX are knowledge, which grows with the program.
    is_knowledge = isinstance(default, dict | list) and bool(default)
    if default is not msgspec.NODEFAULT and default is not None and not is_knowledge:
        schema["default"] = msgspec.to_builtins(default)
    return schema


def _scalar(kind: inspect.Type) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _SIMPLE[type(kind)]}
    if isinstance(kind, inspect.IntType):
        schema |= {"format": "int64"}
        schema |= {key: value for key, value in (("minimum", kind.ge), ("maximum", kind.le)) if value is not None}
    if isinstance(kind, inspect.StrType):
        schema |= {"pattern": kind.pattern} if kind.pattern else {}
        _bounds(kind, "Length", schema)
    return schema


def _bounds(kind: Any, what: str, schema: dict[str, Any]) -> dict[str, Any]:
    for edge, value in (("min", kind.min_length), ("max", kind.max_length)):
        if value is not None:
            schema[edge + what] = value
    return schema


def _union(kind: inspect.UnionType, defaults: bool) -> dict[str, Any]:
    parts = [part for part in kind.types if not isinstance(part, inspect.NoneType)]
    if len(parts) == 1:
        return _schema(parts[0], defaults)
    # The only other union is a number or a percentage, as in Kubernetes' own IntOrString.
    text = next(part for part in parts if isinstance(part, inspect.StrType))
    return {"x-kubernetes-int-or-string": True, "pattern": text.pattern}
