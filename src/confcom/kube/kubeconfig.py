"""Kubeconfig files as kubectl reads them: several are one, and of what stands twice the first counts.

lightkube reads one file, and drops what it does not use itself; its models are extended here by what decides where a
request goes and as whom.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec
import yaml
from lightkube.config import models
from lightkube.config.kubeconfig import KubeConfig, SingleConfig

from confcom.errors import InputError

# Settings that are paths; a relative one is relative to the file it stands in.
_PATHS: Final = ("certificate_auth", "client_cert", "client_key", "token_file")

E = TypeVar("E")


class Cluster(models.Cluster, kw_only=True):
    """Where the API server is, and by what it is known."""

    server: str
    tls_server_name: str | None = msgspec.field(name="tls-server-name", default=None)
    proxy_url: str | None = msgspec.field(name="proxy-url", default=None)


class Plugin(models.UserExec, kw_only=True):
    """A credential plugin (`exec`): a program that prints an `ExecCredential`."""

    interactive_mode: Literal["Never", "IfAvailable", "Always"] | None = msgspec.field(
        name="interactiveMode", default=None
    )
    provide_cluster_info: bool | None = msgspec.field(name="provideClusterInfo", default=None)


class User(models.User, kw_only=True):
    """Who one is; `impersonate` and its company are the user that one acts as."""

    exec: Plugin | None = None
    impersonate: str | None = msgspec.field(name="as", default=None)
    impersonate_uid: str | None = msgspec.field(name="as-uid", default=None)
    impersonate_groups: list[str] | None = msgspec.field(name="as-groups", default=None)
    impersonate_extra: dict[str, list[str]] | None = msgspec.field(name="as-user-extra", default=None)


class Config(SingleConfig):
    """A context with its cluster and user, which are this module's."""

    cluster: Cluster
    user: User


class _Named(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of one of the three lists; each has one of them."""

    name: str
    cluster: Cluster | None = None
    user: User | None = None
    context: models.Context | None = None


class _File(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    current_context: str | None = None
    clusters: list[_Named] | None = None
    users: list[_Named] | None = None
    contexts: list[_Named] | None = None


def read_files(files: Sequence[Path]) -> KubeConfig:
    """The files as one; clusters and users are this module's `Cluster` and `User`, their paths absolute.

    Raises:
        InputError: a file cannot be read, or is no kubeconfig; the sentence names it.
    """
    found = [(file.parent, _read(file)) for file in files]

    def entries(get: Callable[[_File], list[_Named] | None]) -> Iterable[tuple[Path, _Named]]:
        return ((folder, entry) for folder, content in found for entry in get(content) or ())

    return KubeConfig(
        current_context=next((content.current_context for _, content in found if content.current_context), None),
        clusters=_first((e.name, _absolute(e.cluster, at)) for at, e in entries(lambda f: f.clusters) if e.cluster),
        users=_first((e.name, _absolute(e.user or User(), at)) for at, e in entries(lambda f: f.users)),
        contexts=_first((e.name, e.context) for _, e in entries(lambda f: f.contexts) if e.context),
    )


def _first(entries: Iterable[tuple[str, E]]) -> dict[str, E]:
    found: dict[str, E] = {}
    for name, entry in entries:
        found.setdefault(name, entry)
    return found


def _absolute(entry: Any, folder: Path) -> Any:
    """A plugin's command, too, is relative to the file where it has a slash; else PATH is searched for it."""
    paths: dict[str, Any] = {name: str(folder / value) for name in _PATHS if (value := getattr(entry, name, None))}
    if getattr(entry, "certificate_auth_data", None):
        # Data counts before a file.
        paths["certificate_auth"] = None
    plugin = getattr(entry, "exec", None)
    if plugin is not None and os.sep in plugin.command:
        paths["exec"] = msgspec.structs.replace(plugin, command=str(folder / plugin.command))
    return msgspec.structs.replace(entry, **paths)


def _read(file: Path) -> _File:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        return msgspec.convert({} if content is None else content, _File)
    except OSError as error:
        raise InputError(f"kubeconfig {file}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        if isinstance(error, msgspec.ValidationError):
            raise InputError(f"kubeconfig {file}: is no kubeconfig: {error}") from None
        raise InputError(f"kubeconfig {file}: is not YAML: {' '.join(str(error).split())}") from error
