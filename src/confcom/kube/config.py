"""Which cluster, and as whom: the kubeconfig as kubectl finds it, or the pod's own account."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import yaml
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError

from confcom.errors import InputError

DEFAULT_FILE = "~/.kube/config"


def find_config(context: str | None, kubeconfig: Path | None, environment: Mapping[str, str]) -> SingleConfig:
    """The cluster and user of a context: `--kubeconfig`, then KUBECONFIG, ~/.kube/config, the pod's service account.

    Of several files in KUBECONFIG the first that knows the context counts.

    Raises:
        InputError: no file is there or knows the context, or it cannot be read; the sentence says what was tried.
    """
    files = _files(kubeconfig, environment)
    if not files and context is None:
        return _own_account(environment)
    if not files:
        raise InputError(f"--context {context}: there is no kubeconfig; give --kubeconfig FILE or set KUBECONFIG")
    problem = ""
    for file in files:
        try:
            return _with_user(_read(file).get(context))
        except ConfigError as error:
            problem = problem or f"kubeconfig {file}: {error}"
    raise InputError(f"{problem}; give --context NAME, or --kubeconfig FILE")


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


def _read(file: Path) -> KubeConfig:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        return KubeConfig.from_dict(content or {}, fname=file)
    except OSError as error:
        raise InputError(f"kubeconfig {file}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"kubeconfig {file}: is not YAML: {' '.join(str(error).split())}") from error
    except KeyError as error:
        raise InputError(f"kubeconfig {file}: is no kubeconfig: {error} is missing") from error
    except (TypeError, AttributeError, msgspec.ValidationError) as error:
        raise InputError(f"kubeconfig {file}: is no kubeconfig: a part of it is of another kind: {error}") from error


def _with_user(config: SingleConfig | None) -> SingleConfig:
    """The client wants a user even where the cluster needs none."""
    if config is None:
        raise ConfigError("no current context is set")
    return config if config.user else config._replace(user=User())


def _own_account(environment: Mapping[str, str]) -> SingleConfig:
    if "KUBERNETES_SERVICE_HOST" not in environment:
        raise InputError("no cluster: there is no kubeconfig; give --kubeconfig FILE or set KUBECONFIG")
    try:
        return _with_user(KubeConfig.from_service_account().get())
    except ConfigError as error:
        raise InputError(f"no cluster: no kubeconfig, and the pod's service account cannot be read: {error}") from error
