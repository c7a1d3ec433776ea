"""From the spec to the objects in the cluster: one pure function for command line, operator, chart and GitOps."""

from typing import Any

import yaml

from confcom.addon import names, workloads
from confcom.addon.provider import CONFIG_MAP, QCNL_FILE, has_config_map, qcnl_text
from confcom.addon.spec import Spec
from confcom.errors import InputError

Manifest = dict[str, Any]


def render(spec: Spec) -> list[Manifest]:
    """Every object of the add-on, in the order in which they are applied; the resource itself is not among them.

    Raises:
        InputError: a program that is enabled has no image.
    """
    _check_images(spec)
    objects = [_namespace(spec)]
    if spec.device_plugin.enabled:
        objects += [_service_account(spec, names.DEVICE_PLUGIN), _plugin_policy(spec)]
    if spec.quote_helper.enabled:
        objects += _helper_company(spec)
    if spec.device_plugin.enabled:
        objects.append(workloads.device_plugin(spec))
    if spec.quote_helper.enabled:
        objects.append(workloads.quote_helper(spec))
    return objects


def to_yaml(objects: list[Manifest]) -> str:
    """The objects as one YAML stream, fields in the order in which they were rendered."""
    dumper = _Dumper
    return "".join("---\n" + yaml.dump(item, Dumper=dumper, sort_keys=False, width=120) for item in objects)


class _Dumper(yaml.SafeDumper):
    """Writes every value out: shared parts must not become YAML anchors, which other readers may not know."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _check_images(spec: Spec) -> None:
    for name, enabled, image in (
        ("devicePlugin", spec.device_plugin.enabled, spec.device_plugin_image),
        ("quoteHelper", spec.quote_helper.enabled, spec.quote_helper_image),
    ):
        if enabled and not image:
            raise InputError(
                f"spec.images: no image is named for {name}; give --image IMAGE, or images.default in the resource"
            )


def _helper_company(spec: Spec) -> list[Manifest]:
    objects = [_service_account(spec, names.QUOTE_HELPER), _helper_policy(spec)]
    if spec.simulation is not None:
        objects.append(_simulation_service(spec))
    elif has_config_map(spec):
        objects.append(_object(spec, "v1", "ConfigMap", CONFIG_MAP, data={QCNL_FILE: qcnl_text(spec.pccs)}))
    return objects


def _object(where: Spec, version: str, kind: str, name: str, **content: Any) -> Manifest:
    metadata = {"name": name, "namespace": where.namespace, "labels": workloads.labels(name)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def _namespace(spec: Spec) -> Manifest:
    """With Pod Security's level `privileged`, for hostPath volumes; who may make pods here is for RBAC to say."""
    labels = {
        "app.kubernetes.io/part-of": names.RESOURCE_NAME,
        names.ADDON_LABEL: names.RESOURCE_NAME,
        "pod-security.kubernetes.io/audit": "privileged",
        "pod-security.kubernetes.io/enforce": "privileged",
        "pod-security.kubernetes.io/warn": "privileged",
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": spec.namespace, "labels": labels}}


def _service_account(spec: Spec, name: str) -> Manifest:
    """An identity without rights and without a token: node pods never talk to the API server."""
    return _object(spec, "v1", "ServiceAccount", name, automountServiceAccountToken=False)


def _plugin_policy(spec: Spec) -> Manifest:
    """In: the HTTP port. Out: nothing; all that the plugin talks to are sockets of its node."""
    return _policy(spec, names.DEVICE_PLUGIN, (names.DEVICE_PLUGIN_PORT,), egress=False)


def _helper_policy(spec: Spec) -> Manifest:
    """In: the HTTP port, the simulation's Service included. Out: certificate services, where there is hardware."""
    return _policy(spec, names.QUOTE_HELPER, names.QUOTE_HELPER_PORTS, egress=spec.simulation is None)


def _policy(spec: Spec, component: str, ports: tuple[int, ...], *, egress: bool) -> Manifest:
    content: Manifest = {
        "podSelector": {"matchLabels": workloads.selector(component)},
        "policyTypes": ["Ingress", "Egress"],
        # From anywhere: the API server, whose proxy `confcom status` uses, has no label to be known by.
        "ingress": [{"ports": [{"port": port, "protocol": "TCP"} for port in ports]}],
    }
    if egress:
        content["egress"] = [{}]
    return _object(spec, "networking.k8s.io/v1", "NetworkPolicy", component, spec=content)


def _simulation_service(spec: Spec) -> Manifest:
    """How a pod reaches the root and collateral of its own node's simulated platform, and no other node's."""
    port = names.QUOTE_HELPER_PORTS[0]
    content = {
        "selector": workloads.selector(names.QUOTE_HELPER),
        "internalTrafficPolicy": "Local",
        "ports": [{"name": "http", "port": port, "protocol": "TCP", "targetPort": port}],
    }
    return _object(spec, "v1", "Service", names.QUOTE_HELPER, spec=content)
