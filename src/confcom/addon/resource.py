"""The whole `ConfidentialComputing` object: read from a file or the cluster, and written."""

from typing import Any

import yaml

from confcom.addon import names, schema
from confcom.addon.spec import Spec
from confcom.errors import InputError


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, as kubectl does: most readers of YAML take the last one and say nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        problem=f"the key {key.value} stands twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_file(content: bytes, source: str) -> Spec:
    """The spec of a file's `ConfidentialComputing`, in YAML or JSON; `source` names the file in errors.

    Raises:
        InputError: it is no YAML, holds something else or more, or its spec cannot be used.
    """
    try:
        documents = list(yaml.load_all(content, _Loader))
    except RecursionError:
        raise InputError(f"{source}: is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{source}: is not YAML: {' '.join(str(error).split())}") from None
    found = [document for document in documents if document is not None]
    if len(found) > 1:
        raise InputError(f"{source}: holds {len(found)} documents; give the {names.KIND} alone")
    return read_resource(found[0] if found else None, source)


def read_resource(content: Any, source: str) -> Spec:
    """The spec of a whole `ConfidentialComputing` object; `source` names the file in errors.

    Raises:
        InputError: it is another kind of object, or its spec cannot be used.
    """
    if not isinstance(content, dict):
        raise InputError(f"{source}: holds no object; write a {names.KIND} ({names.API_VERSION})")
    if not {"kind", "apiVersion"} <= set(content):
        raise InputError(f"{source}: has no kind or no apiVersion; wanted is a {names.KIND} ({names.API_VERSION})")
    found = f"{content['kind']} ({content['apiVersion']})"
    if found != f"{names.KIND} ({names.API_VERSION})":
        raise InputError(f"{source}: holds a {found}; wanted is a {names.KIND} ({names.API_VERSION})")
    metadata = content.get("metadata") or {}
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if name != names.RESOURCE_NAME:
        raise InputError(f"{source}: metadata.name: {schema.SINGLETON['message']}, not {name}")
    unknown = sorted(map(str, set(content) - {"apiVersion", "kind", "metadata", "spec", "status"}))
    if unknown:
        raise InputError(f"{source}: {unknown[0]}: there is no such field")
    try:
        return Spec.from_dict(content.get("spec"))
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def write_resource(spec: Spec) -> dict[str, Any]:
    """The `ConfidentialComputing` object of a spec."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": names.RESOURCE_NAME, "labels": {names.ADDON_LABEL: names.RESOURCE_NAME}},
        "spec": spec.to_dict(),
    }
