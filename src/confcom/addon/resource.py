"""The whole `ConfidentialComputing` object: read from a file or the cluster, and written."""

from typing import Any

from confcom.addon import names, schema
from confcom.addon.spec import Spec
from confcom.errors import InputError


def read_resource(content: Any, source: str) -> Spec:
    """The spec of a whole `ConfidentialComputing` object; `source` names the file in errors.

    Raises:
        InputError: it is another kind of object, or its spec cannot be used.
    """
    if not isinstance(content, dict):
        raise InputError(f"{source}: holds no object; write a {names.KIND} ({names.API_VERSION})")
    found = f"{content.get('kind')} ({content.get('apiVersion')})"
    if found != f"{names.KIND} ({names.API_VERSION})":
        raise InputError(f"{source}: holds a {found}; wanted is a {names.KIND} ({names.API_VERSION})")
    name = (content.get("metadata") or {}).get("name")
    if name != names.RESOURCE_NAME:
        raise InputError(f"{source}: metadata.name: {schema.SINGLETON['message']}, not {name}")
    unknown = sorted(set(content) - {"apiVersion", "kind", "metadata", "spec", "status"})
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
