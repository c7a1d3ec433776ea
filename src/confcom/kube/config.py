"""Which cluster, and as whom: the kubeconfig as kubectl finds it, or the pod's own account."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lightkube.config.kubeconfig import KubeConfig
from lightkube.config.models import Context

from confcom.errors import InputError
from confcom.kube.kubeconfig import Cluster, Config, User, read_files

DEFAULT_FILE: Final = "~/.kube/config"
# Where the kubelet mounts a pod's account.
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def find_config(context: str | None, kubeconfig: Path | None, environment: Mapping[str, str]) -> Config:
    """The cluster and user of a context: `--kubeconfig`, then KUBECONFIG, ~/.kube/config, the pod's service account.

    Several files in KUBECONFIG are one, as they are to kubectl: else another cluster than kubectl's could be meant.

    Raises:
        InputError: no file is there or knows the context, or it cannot be read; the sentence says what was tried.
    """
    files = _files(kubeconfig, environment)
    if not files and context is None:
        return _own_account(environment)
    if not files:
        raise InputError(f"--context {context}: there is no kubeconfig; give --kubeconfig FILE or set KUBECONFIG")
    found = read_files(files)
    try:
        return _select(found, context)
    except InputError as error:
        raise InputError(f"kubeconfig {os.pathsep.join(map(str, files))}: {error}") from None


def _files(kubeconfig: Path | None, environment: Mapping[str, str]) -> list[Path]:
    if kubeconfig is not None:
        if not kubeconfig.is_file():
            raise InputError(f"--kubeconfig {kubeconfig}: there is no such file")
        return [kubeconfig]
    named = [Path(part).expanduser() for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    if named:
        found = [file for file in named if file.is_file()]
        if not found:
            raise InputError(f"KUBECONFIG={environment['KUBECONFIG']}: there is no such file")
        return found
    default = Path(DEFAULT_FILE).expanduser()
    return [default] if default.is_file() else []


def _select(found: KubeConfig, context: str | None) -> Config:
    """A context with its cluster and user; it may do without a user."""
    name = context or found.current_context
    if not name:
        raise InputError("no current context is set; give --context NAME, or --kubeconfig FILE")
    chosen = found.contexts.get(name)
    if chosen is None:
        known = ", ".join(sorted(found.contexts)) or "none"
        raise InputError(f"there is no context {name}; known: {known}; give --context NAME, or --kubeconfig FILE")
    cluster = found.clusters.get(chosen.cluster)
    if cluster is None:
        raise InputError(f"context {name}: there is no cluster {chosen.cluster}")
    if chosen.user and chosen.user not in found.users:
        raise InputError(f"context {name}: there is no user {chosen.user}")
    if not cluster.server.startswith(("https://", "http://")):
        raise InputError(f"context {name}: server {cluster.server!r} is no address; it begins with https://")
    user = found.users[chosen.user] if chosen.user else User()
    if (user.client_cert or user.client_cert_data) and not (user.client_key or user.client_key_data):
        raise InputError(f"context {name}: the user's client-certificate has no client-key")
    return Config(context_name=name, context=chosen, cluster=cluster, user=user)


def _own_account(environment: Mapping[str, str]) -> Config:
    if "KUBERNETES_SERVICE_HOST" not in environment:
        raise InputError("no cluster: there is no kubeconfig; give --kubeconfig FILE or set KUBECONFIG")
    token = SERVICE_ACCOUNT / "token"
    if not token.is_file():
        raise InputError(f"no cluster: no kubeconfig, and the pod's service account cannot be read: {token}")
    host, port = environment["KUBERNETES_SERVICE_HOST"], environment.get("KUBERNETES_SERVICE_PORT", "443")
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    cluster = Cluster(server=server, certificate_auth=str(SERVICE_ACCOUNT / "ca.crt"))
    account = Context(cluster="pod", user="pod")
    return Config(context_name="pod", context=account, cluster=cluster, user=User(token_file=str(token)))
