"""Kubeconfig files as kubectl reads them: several are one, and of what stands twice the first counts.

Only what says where a cluster is and who one is there is read; all else in a file is other programs' own.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec
import yaml

from confcom.errors import InputError

# Settings of a cluster and of a user that are paths; a relative one is relative to the file it stands in.
_CLUSTER_PATHS: Final = ("certificate_authority",)
_USER_PATHS: Final = ("client_certificate", "client_key", "token_file")

E = TypeVar("E", "Cluster", "User", "Context")


class _Values(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """What every part of a file is."""


class Cluster(_Values, frozen=True, kw_only=True):
    """Where the API server is, and by what it is known; data is PEM in base64, and counts before a file."""

    server: str
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None
    insecure_skip_tls_verify: bool | None = None
    tls_server_name: str | None = None
    proxy_url: str | None = None


class Variable(_Values, frozen=True, kw_only=True):
    """One variable of a plugin's environment."""

    name: str
    value: str


class Plugin(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A credential plugin (`exec`): a program that prints an `ExecCredential`."""

    api_version: str
    command: str
    args: list[str] | None = None
    env: list[Variable] | None = None
    install_hint: str | None = None
    interactive_mode: Literal["Never", "IfAvailable", "Always"] | None = None
    provide_cluster_info: bool | None = None


class User(_Values, frozen=True, kw_only=True):
    """Who one is; `impersonate` and its company are the user that one acts as."""

    token: str | None = None
    token_file: str | None = msgspec.field(default=None, name="tokenFile")
    username: str | None = None
    password: str | None = None
    client_certificate: str | None = None
    client_certificate_data: str | None = None
    client_key: str | None = None
    client_key_data: str | None = None
    exec: Plugin | None = None
    auth_provider: Any = None
    impersonate: str | None = msgspec.field(default=None, name="as")
    impersonate_uid: str | None = msgspec.field(default=None, name="as-uid")
    impersonate_groups: list[str] | None = msgspec.field(default=None, name="as-groups")
    impersonate_extra: dict[str, list[str]] | None = msgspec.field(default=None, name="as-user-extra")


class Context(_Values, frozen=True, kw_only=True):
    """A cluster and a user by their names."""

    cluster: str
    user: str | None = None


class _NamedCluster(_Values, frozen=True, kw_only=True):
    name: str
    cluster: Cluster


class _NamedUser(_Values, frozen=True, kw_only=True):
    name: str
    user: User | None = None


class _NamedContext(_Values, frozen=True, kw_only=True):
    name: str
    context: Context


class _File(_Values, frozen=True, kw_only=True):
    current_context: str | None = None
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None


class Kubeconfig(msgspec.Struct, frozen=True, kw_only=True):
    """All files together: entries by name, and the context that is used where none is named."""

    current_context: str
    clusters: dict[str, Cluster]
    users: dict[str, User]
    contexts: dict[str, Context]

    def select(self, context: str | None) -> tuple[str, Cluster, User]:
        """The name of a context, and its cluster and user; a context may do without a user.

        Raises:
            InputError: none is named or current, or what it names is not there.
        """
        name = context or self.current_context
        if not name:
            raise InputError("no current context is set; give --context NAME, or --kubeconfig FILE")
        chosen = self.contexts.get(name)
        if chosen is None:
            known = ", ".join(sorted(self.contexts)) or "none"
            raise InputError(f"there is no context {name}; known: {known}; give --context NAME, or --kubeconfig FILE")
        if chosen.cluster not in self.clusters:
            raise InputError(f"context {name}: there is no cluster {chosen.cluster}")
        if chosen.user and chosen.user not in self.users:
            raise InputError(f"context {name}: there is no user {chosen.user}")
        return name, self.clusters[chosen.cluster], self.users[chosen.user] if chosen.user else User()


def read_files(files: Sequence[Path]) -> Kubeconfig:
    """The files as one.

    Raises:
        InputError: a file cannot be read, or is no kubeconfig; the sentence names it.
    """
    found = [(file, _read(file)) for file in files]
    clusters = [
        (entry.name, _absolute(entry.cluster, _CLUSTER_PATHS, file.parent))
        for file, content in found
        for entry in content.clusters or ()
    ]
    users = [
        (entry.name, _absolute_user(entry.user or User(), file.parent))
        for file, content in found
        for entry in content.users or ()
    ]
    contexts = [(entry.name, entry.context) for _, content in found for entry in content.contexts or ()]
    return Kubeconfig(
        current_context=next((content.current_context for _, content in found if content.current_context), ""),
        clusters=_first(clusters),
        users=_first(users),
        contexts=_first(contexts),
    )


def _first(entries: Iterable[tuple[str, E]]) -> dict[str, E]:
    found: dict[str, E] = {}
    for name, entry in entries:
        found.setdefault(name, entry)
    return found


def _absolute(entry: E, names: tuple[str, ...], folder: Path) -> E:
    paths = {name: str(folder / value) for name in names if (value := getattr(entry, name))}
    return msgspec.structs.replace(entry, **paths)


def _absolute_user(user: User, folder: Path) -> User:
    """A plugin's command, too, is relative to the file where it has a slash; else PATH is searched for it."""
    user = _absolute(user, _USER_PATHS, folder)
    if user.exec is None or os.sep not in user.exec.command:
        return user
    return msgspec.structs.replace(
        user, exec=msgspec.structs.replace(user.exec, command=str(folder / user.exec.command))
    )


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
