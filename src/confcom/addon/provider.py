"""Who gives the quote helper its PCK certificates, as arguments, variables, mounts and volumes of its pod."""

import json
from dataclasses import dataclass
from typing import Any, Final

from confcom.addon import names
from confcom.addon.spec import PCCS, Spec

QCNL_FOLDER: Final = "/etc/confcom/qcnl"
QCNL_FILE: Final = "sgx_default_qcnl.conf"
CONFIG_MAP: Final = names.QUOTE_HELPER
# Both providers keep certificates in memory and on disk, and find their folder by this variable.
CACHE_FOLDER: Final = "/var/cache/confcom"
CACHE_LIMIT: Final = "16Mi"
# libcurl of the image reads its roots here, and has no variable for another place.
ROOTS_FILE: Final = "/etc/ssl/certs/ca-certificates.crt"
# Intel's client tries six times ten seconds by default, longer than any AESM client waits.
_RETRY_TIMES: Final = 1
_RETRY_DELAY_SECONDS: Final = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderParts:
    """What the choice of a provider adds to the helper's pod."""

    arguments: tuple[str, ...] = ()
    environment: tuple[dict[str, Any], ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()
    volumes: tuple[dict[str, Any], ...] = ()


def provider_parts(spec: Spec) -> ProviderParts:
    """The parts for hardware; a simulated platform has its certificates with it."""
    if spec.simulation is not None:
        return ProviderParts()
    environment: list[dict[str, Any]] = [{"name": "AZDCAP_CACHE", "value": CACHE_FOLDER}]
    mounts: list[dict[str, Any]] = [{"name": "cache", "mountPath": CACHE_FOLDER}]
    volumes: list[dict[str, Any]] = [{"name": "cache", "emptyDir": {"sizeLimit": CACHE_LIMIT}}]
    if spec.pccs.proxy:
        environment += [{"name": name, "value": spec.pccs.proxy} for name in ("http_proxy", "https_proxy")]
    if spec.pccs.url:
        environment.append({"name": "QCNL_CONF_PATH", "value": f"{QCNL_FOLDER}/{QCNL_FILE}"})
        mounts.append({"name": "qcnl", "mountPath": QCNL_FOLDER, "readOnly": True})
        volumes.append({"name": "qcnl", "configMap": {"name": CONFIG_MAP}})
    if spec.pccs.ca_config_map:
        mounts.append({"name": "pccs-ca", "mountPath": ROOTS_FILE, "subPath": "ca.crt", "readOnly": True})
        volumes.append({"name": "pccs-ca", "configMap": {"name": spec.pccs.ca_config_map}})
    return ProviderParts(environment=tuple(environment), mounts=tuple(mounts), volumes=tuple(volumes))


def qcnl_text(pccs: PCCS) -> str:
    """Intel's quote provider configuration for a PCCS (`dcap-quotes.md` 2.5)."""
    content = {
        "pccs_url": pccs.url,
        "use_secure_cert": True,
        "pccs_api_version": "3.1",
        "retry_times": _RETRY_TIMES,
        "retry_delay": _RETRY_DELAY_SECONDS,
    }
    return json.dumps(content, indent=2) + "\n"
