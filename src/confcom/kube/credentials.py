"""Who one is to the API server: tokens, tokens in files, passwords, credential plugins, certificates, impersonation.

As client-go does it, which every file that `kubectl` takes was made for.
"""

import base64
import binascii
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec

from confcom.errors import InputError
from confcom.kube.kubeconfig import Cluster, Plugin, User

# A plugin may send a person to a browser to log in.
PLUGIN_SECONDS: Final = 300.0
_PLUGIN_GROUP: Final = "client.authentication.k8s.io/"
_UNAUTHORIZED: Final = 401


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """A cluster and who one is there, by one context of the kubeconfig; `environment` is for a credential plugin."""

    context: str
    cluster: Cluster
    user: User
    environment: Mapping[str, str]


class _Credential(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None


class _ExecCredential(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    api_version: str
    status: _Credential | None = None


class _Bearer(httpx2.Auth):
    """A token, which may be replaced by a newer one where it is no longer accepted."""

    def __init__(self) -> None:
        self._token: str | None = None
        # Many pods are asked at once, and a person logs in once.
        self._lock = threading.Lock()

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        held = self._token
        token = held or self._renew(None)
        request.headers["Authorization"] = f"Bearer {token}"
        answer = yield request
        # One that was made for this very request will be no better the next time.
        if answer.status_code == _UNAUTHORIZED and held is not None:
            request.headers["Authorization"] = f"Bearer {self._renew(held)}"
            yield request

    def _renew(self, rejected: str | None) -> str:
        with self._lock:
            if self._token is None or self._token == rejected:
                self._token = self._fetch()
            return self._token

    def _fetch(self) -> str:
        raise NotImplementedError


class _Token(_Bearer):
    def __init__(self, token: str) -> None:
        super().__init__()
        self._text = token

    def _fetch(self) -> str:
        return self._text


class _TokenFile(_Bearer):
    """A token that somebody else keeps fresh, as the kubelet does a service account's."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = Path(path)

    def _fetch(self) -> str:
        try:
            return self._path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"tokenFile {self._path}: {getattr(error, 'strerror', None) or error}") from error


class _CredentialPlugin(_Bearer):
    """The token that a program prints; its words on stderr are the user's to read."""

    def __init__(self, access: Access, plugin: Plugin) -> None:
        super().__init__()
        self._access, self._plugin = access, plugin

    def _fetch(self) -> str:
        plugin = self._plugin
        try:
            # Its stdin is ours only where a person sits there.
            done = subprocess.run(
                [plugin.command, *(plugin.args or ())],
                env=self._environment(),
                stdin=None if self._is_interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                timeout=PLUGIN_SECONDS,
                check=False,
            )
        except FileNotFoundError as error:
            hint = f"; {' '.join(plugin.install_hint.split())}" if plugin.install_hint else ""
            raise self._failure(f"is not installed, or not in PATH{hint}") from error
        except OSError as error:
            raise self._failure(f"cannot be run: {error.strerror or error}") from error
        except subprocess.TimeoutExpired as error:
            raise self._failure(f"has not ended after {PLUGIN_SECONDS:g} s") from error
        if done.returncode != 0:
            raise self._failure(f"ended with {done.returncode}; run it by hand to see why")
        return self._token_of(done.stdout)

    @property
    def _is_interactive(self) -> bool:
        return self._plugin.interactive_mode != "Never" and sys.stdin is not None and sys.stdin.isatty()

    def _environment(self) -> dict[str, str]:
        """With what the plugin is told of the call, as its protocol wants it."""
        cluster, spec = self._access.cluster, {"interactive": self._is_interactive}
        told: dict[str, Any] = {"apiVersion": self._plugin.api_version, "kind": "ExecCredential", "spec": spec}
        if self._plugin.provide_cluster_info:
            told["spec"] |= {"cluster": {"server": cluster.server, **_cluster_info(cluster)}}
        own = {variable.name: variable.value for variable in self._plugin.env or ()}
        return {**self._access.environment, **own, "KUBERNETES_EXEC_INFO": json.dumps(told)}

    def _token_of(self, output: bytes) -> str:
        try:
            found = msgspec.json.decode(output, type=_ExecCredential)
        except msgspec.DecodeError as error:
            raise self._failure(f"printed no ExecCredential: {error}") from None
        if found.api_version != self._plugin.api_version:
            raise self._failure(f"speaks {found.api_version}, and the kubeconfig says {self._plugin.api_version}")
        if found.status is not None and found.status.token:
            return found.status.token
        what = "a client certificate" if found.status and found.status.client_certificate_data else "nothing"
        raise self._failure(f"gives {what} and no token, which confcom cannot use")

    def _failure(self, what: str) -> InputError:
        return InputError(
            f"kubeconfig: context {self._access.context}: credential plugin {self._plugin.command} {what}"
        )


def _cluster_info(cluster: Cluster) -> dict[str, Any]:
    found = {
        "certificate-authority-data": cluster.certificate_authority_data,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
        "tls-server-name": cluster.tls_server_name,
        "proxy-url": cluster.proxy_url,
    }
    return {name: value for name, value in found.items() if value}


def authentication(access: Access) -> httpx2.Auth | None:
    """What goes with each request; None where a certificate says it all, or nothing is wanted.

    Raises:
        InputError: a way to log in that Kubernetes itself has given up, or a protocol that no plugin speaks.
    """
    user = access.user
    if user.token_file:
        return _TokenFile(user.token_file)
    if user.token:
        return _Token(user.token)
    if user.exec is not None:
        if not user.exec.api_version.startswith(_PLUGIN_GROUP):
            raise InputError(
                f"kubeconfig: context {access.context}: exec.apiVersion {user.exec.api_version} is of no credential "
                f"plugin; it begins with {_PLUGIN_GROUP}"
            )
        return _CredentialPlugin(access, user.exec)
    if user.username:
        return httpx2.BasicAuth(user.username, user.password or "")
    if user.auth_provider is not None:
        raise InputError(
            f"kubeconfig: context {access.context}: auth-provider ended with Kubernetes 1.26; make the entry anew, "
            "with a credential plugin (exec)"
        )
    return None


def impersonation(user: User) -> list[tuple[str, str]]:
    """The headers by which one acts as somebody else: who may do less must not be given more."""
    headers = [("Impersonate-User", user.impersonate), ("Impersonate-Uid", user.impersonate_uid)]
    headers += [("Impersonate-Group", group) for group in user.impersonate_groups or ()]
    for key, values in (user.impersonate_extra or {}).items():
        headers += [(f"Impersonate-Extra-{key}", value) for value in values]
    return [(name, value) for name, value in headers if value]


def tls(access: Access) -> ssl.SSLContext:
    """How the API server is known, and the certificate by which it knows us.

    Raises:
        InputError: a certificate or key cannot be read; the sentence names the context.
    """
    cluster, user = access.cluster, access.user
    try:
        context = ssl.create_default_context(
            cafile=None if cluster.certificate_authority_data else cluster.certificate_authority,
            cadata=_pem(cluster.certificate_authority_data),
        )
        if cluster.insecure_skip_tls_verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if user.client_certificate_data or user.client_certificate:
            _load_certificate(context, user)
    except (OSError, ValueError) as error:
        raise InputError(f"kubeconfig: context {access.context}: certificates: {error}") from error
    return context


def _load_certificate(context: ssl.SSLContext, user: User) -> None:
    """Python reads certificates from files only, so data becomes one for a moment, which nobody else may read."""
    with tempfile.TemporaryDirectory(prefix="confcom-") as folder:
        certificate = _as_file(folder, "certificate", user.client_certificate_data) or user.client_certificate or ""
        key = _as_file(folder, "key", user.client_key_data) or user.client_key
        # With no password a locked key is an error, as it is to kubectl, and no question at the terminal.
        context.load_cert_chain(certificate, key, password="")


def _as_file(folder: str, name: str, data: str | None) -> str | None:
    text = _pem(data)
    if text is None:
        return None
    path = os.path.join(folder, name)  # noqa: PTH118 - the API of ssl speaks in texts
    Path(path).write_text(text, encoding="ascii")
    return path


def _pem(data: str | None) -> str | None:
    if not data:
        return None
    try:
        # YAML may have folded it into lines.
        return base64.b64decode("".join(data.split()), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"data is not PEM in base64: {error}") from None
