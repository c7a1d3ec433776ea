"""As whom one talks to the API server: lightkube's client, and credential plugins and impersonation besides."""

import ipaddress
import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
import msgspec
from lightkube.config.client_adapter import Client, ConnectionParams

from confcom.errors import InputError
from confcom.kube.kubeconfig import Cluster, Config, Plugin, User

# A plugin may send a person to a browser to log in.
PLUGIN_SECONDS: Final = 300.0
_PLUGIN_GROUP: Final = "client.authentication.k8s.io/"
# What `provideClusterInfo` asks for; the two names of the file are those of the protocol too.
_TOLD_OF_CLUSTER: Final = (
    "server", "certificate-authority-data", "insecure-skip-tls-verify", "tls-server-name", "proxy-url",
)  # fmt: skip


class _Credential(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None


class _ExecCredential(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    api_version: str
    status: _Credential | None = None


class CredentialPlugin(httpx2.Auth):
    """The token that a program prints; its words on stderr are the user's to read.

    lightkube's own knows no `v1`, tells the program nothing of the call, hides its words, and waits for ever.
    """

    def __init__(self, config: Config, plugin: Plugin) -> None:
        """`plugin` is that of the user of `config`.

        Raises:
            InputError: its protocol is none that a plugin speaks.
        """
        self._config, self._plugin = config, plugin
        if not plugin.apiVersion.startswith(_PLUGIN_GROUP):
            raise InputError(
                f"kubeconfig: context {config.context_name}: exec.apiVersion {plugin.apiVersion} is of no credential "
                f"plugin; it begins with {_PLUGIN_GROUP}"
            )
        self._token: str | None = None
        # Many pods are asked at once, and a person logs in once.
        self._lock = threading.Lock()

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Sends the token; one that is no longer accepted is replaced, one that was just made is not."""
        held = self._token
        request.headers["Authorization"] = f"Bearer {held or self._renew(None)}"
        answer = yield request
        if answer.status_code == HTTPStatus.UNAUTHORIZED and held is not None:
            request.headers["Authorization"] = f"Bearer {self._renew(held)}"
            yield request

    def _renew(self, rejected: str | None) -> str:
        with self._lock:
            if self._token is None or self._token == rejected:
                self._token = self._fetch()
            return self._token

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
            hint = f"; {' '.join(plugin.installHint.split())}" if plugin.installHint else ""
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
        cluster, spec = self._config.cluster, {"interactive": self._is_interactive}
        told: dict[str, Any] = {"apiVersion": self._plugin.apiVersion, "kind": "ExecCredential", "spec": spec}
        if self._plugin.provide_cluster_info:
            told["spec"] |= {"cluster": _cluster_info(cluster)}
        own = {variable.name: variable.value for variable in self._plugin.env or ()}
        return {**os.environ, **own, "KUBERNETES_EXEC_INFO": json.dumps(told)}

    def _token_of(self, output: bytes) -> str:
        try:
            found = msgspec.json.decode(output, type=_ExecCredential)
        except msgspec.DecodeError as error:
            raise self._failure(f"printed no ExecCredential: {error}") from None
        if found.api_version != self._plugin.apiVersion:
            raise self._failure(f"speaks {found.api_version}, and the kubeconfig says {self._plugin.apiVersion}")
        if found.status is not None and found.status.token:
            return found.status.token
        what = "a client certificate" if found.status and found.status.client_certificate_data else "nothing"
        raise self._failure(f"gives {what} and no token, which confcom cannot use")

    def _failure(self, what: str) -> InputError:
        return InputError(
            f"kubeconfig: context {self._config.context_name}: credential plugin {self._plugin.command} {what}"
        )


def _cluster_info(cluster: Cluster) -> dict[str, Any]:
    found = msgspec.to_builtins(cluster)
    return {name: found[name] for name in _TOLD_OF_CLUSTER if found.get(name)}


def _impersonation(user: User) -> list[tuple[str, str]]:
    """The headers by which one acts as somebody else: who may do less must not be given more."""
    headers = [("Impersonate-User", user.impersonate), ("Impersonate-Uid", user.impersonate_uid)]
    headers += [("Impersonate-Group", group) for group in user.impersonate_groups or ()]
    for key, values in (user.impersonate_extra or {}).items():
        headers += [(f"Impersonate-Extra-{key}", value) for value in values]
    return [(name, value) for name, value in headers if value]


def open_client(config: Config, timeout: float) -> httpx2.Client:
    """An HTTP client of the cluster of `config`, as its user; `timeout` in seconds.

    Raises:
        InputError: a protocol that no plugin speaks.
        ConfigError: a way to log in that Kubernetes itself has given up.
        OSError, ValueError: certificates or keys cannot be used.
    """
    direct = goes_direct(config.cluster.server, os.environ)
    client = Client(
        config,
        ConnectionParams(timeout=httpx2.Timeout(timeout), proxy=config.cluster.proxy_url or None, trust_env=not direct),
    )
    if config.user.exec is not None:
        client.auth = CredentialPlugin(config, config.user.exec)
    client.headers.update(_impersonation(config.user))
    return client


def goes_direct(server: str, environment: Mapping[str, str]) -> bool:
    """Whether the environment's proxy is not for this address: of this machine, or in a range of NO_PROXY.

    So it is to kubectl; httpx knows names there, but no ranges, and asks a proxy for loopback.
    """
    host = urlsplit(server).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    named = (environment.get("NO_PROXY") or environment.get("no_proxy") or "").split(",")
    networks = [network for part in named if (network := _network(part)) is not None]
    return address.is_loopback or any(address in network for network in networks)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None
