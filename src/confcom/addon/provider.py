"""Who gives the quote helper its PCK certificates, as arguments, variables, mounts and volumes of its pod."""

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from confcom.addon import names
from confcom.addon.spec import PCCS, Spec

# Where the image has the two quote providers: both are called libdcap_quoteprov.so.1, so each has its own folder.
LIBRARIES: Final = {
    "azure": "/opt/confcom/quote-providers/azure/libdcap_quoteprov.so.1",
    "intel": "/opt/confcom/quote-providers/intel/libdcap_quoteprov.so.1",
}
# Azure's client asks its own node's metadata service, which no proxy can do in its place.
NO_PROXY: Final = "169.254.169.254"
AZURE_NODE: Final = "azure://"

QCNL_FOLDER: Final = "/etc/confcom/qcnl"
QCNL_FILE: Final = "sgx_default_qcnl.conf"
CONFIG_MAP: Final = names.QUOTE_HELPER
# Both providers keep certificates in memory and on disk, and find their folder by this variable.
CACHE_FOLDER: Final = "/var/cache/confcom"
CACHE_LIMIT: Final = "64Mi"
# libcurl of the image reads its roots here, and has no variable for another place.
ROOTS_FILE: Final = "/etc/ssl/certs/ca-certificates.crt"
# Intel's client tries six times ten seconds by default, longer than any AESM client waits.
_RETRY_TIMES: Final = 1
_RETRY_DELAY_SECONDS: Final = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderParts:
    """What the choice of a provider adds to the helper's pod.

    `annotations` differ where a configuration in our own ConfigMap does: Intel's client reads it when it starts, and
    only another pod template makes pods anew.
    """

    annotations: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    environment: tuple[dict[str, Any], ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()
    volumes: tuple[dict[str, Any], ...] = ()


def has_pccs(spec: Spec) -> bool:
    """Whether a PCCS of one's own is named."""
    return bool(spec.pccs.url or spec.pccs.config_secret)


def has_config_map(spec: Spec) -> bool:
    """Whether the client's configuration is ours to write: a Secret is used as it is."""
    return spec.simulation is None and bool(spec.pccs.url) and not spec.pccs.config_secret


def provider_of(spec: Spec) -> Literal["azure", "intel"]:
    """The provider that `auto` stands for where no node can be looked at: Intel's for a PCCS, else Azure's."""
    if spec.quote_provider != "auto":
        return spec.quote_provider
    return "intel" if has_pccs(spec) else "azure"


def settle_provider(spec: Spec, node_provider_ids: list[str]) -> Spec:
    """The spec with `auto` settled by the nodes' `spec.providerID`: on Azure only Azure has the certificates.

    Nodes without one do not count beside others: a virtual node of AKS has none.
    """
    if spec.quote_provider != "auto" or spec.simulation is not None or has_pccs(spec) or not node_provider_ids:
        return spec
    named = [text for text in node_provider_ids if text]
    azure = bool(named) and all(text.startswith(AZURE_NODE) for text in named)
    return msgspec.structs.replace(spec, quote_provider="azure" if azure else "intel")


def missing_service(spec: Spec) -> str | None:
    """What a settled spec lacks for certificates, in words: Intel's client alone asks a PCCS at its own localhost."""
    if spec.simulation is not None or not spec.quote_helper.enabled or provider_of(spec) == "azure" or has_pccs(spec):
        return None
    return (
        "No certificate service is named: Intel's client will look for a PCCS at localhost:8081 and the quote helpers "
        "will not be ready; name yours in spec.pccs.url (docs/reference/custom-resource.md)"
    )


def _collateral(spec: Spec) -> str:
    """Where the helper's self-check looks; without a source it says so in its condition, and stays ready."""
    if spec.pccs.url.startswith("https://"):
        return spec.pccs.url
    # Collateral is not taken over plain HTTP, and a whole configuration in a Secret is not read by us.
    if has_pccs(spec):
        return "none"
    return "thim" if provider_of(spec) == "azure" else "intel"


def provider_parts(spec: Spec) -> ProviderParts:
    """The parts for hardware; a simulated platform has its certificates with it."""
    if spec.simulation is not None:
        return ProviderParts()
    arguments = (
        f"--quote-provider-library={LIBRARIES[provider_of(spec)]}",
        f"--collateral={_collateral(spec)}",
        f"--collateral-cache={CACHE_FOLDER}/collateral",
        *((f"--collateral-ca={ROOTS_FILE}",) if spec.pccs.ca_config_map else ()),
        *((f"--collateral-proxy={spec.pccs.proxy}",) if spec.pccs.proxy else ()),
    )
    environment: list[dict[str, Any]] = [{"name": "AZDCAP_CACHE", "value": CACHE_FOLDER}]
    mounts: list[dict[str, Any]] = [{"name": "cache", "mountPath": CACHE_FOLDER}]
    volumes: list[dict[str, Any]] = [{"name": "cache", "emptyDir": {"sizeLimit": CACHE_LIMIT}}]
    if spec.pccs.proxy:
        environment += [{"name": name, "value": spec.pccs.proxy} for name in ("http_proxy", "https_proxy")]
        environment.append({"name": "no_proxy", "value": NO_PROXY})
    if has_pccs(spec):
        environment.append({"name": "QCNL_CONF_PATH", "value": f"{QCNL_FOLDER}/{QCNL_FILE}"})
        mounts.append({"name": "qcnl", "mountPath": QCNL_FOLDER, "readOnly": True})
        ours, secret = {"configMap": {"name": CONFIG_MAP}}, {"secret": {"secretName": spec.pccs.config_secret}}
        source = ours if has_config_map(spec) else secret
        volumes.append({"name": "qcnl", **source})
    if spec.pccs.ca_config_map:
        mounts.append({"name": "pccs-ca", "mountPath": ROOTS_FILE, "subPath": "ca.crt", "readOnly": True})
        volumes.append({"name": "pccs-ca", "configMap": {"name": spec.pccs.ca_config_map}})
    return ProviderParts(
        annotations=((names.PCCS_ANNOTATION, spec.pccs.url),) if has_config_map(spec) else (),
        arguments=arguments,
        environment=tuple(environment),
        mounts=tuple(mounts),
        volumes=tuple(volumes),
    )


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
