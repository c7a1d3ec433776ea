"""The two DaemonSets: what each pod may do, and why where it is more than nothing."""

from typing import Any, Final

from confcom.addon import names
from confcom.addon.arguments import (
    DEVICE_PLUGINS_DIR,
    HOST_DEV,
    POD_RESOURCES_DIR,
    device_plugin_arguments,
    generation_variable,
    probe_command,
    quote_helper_arguments,
)
from confcom.addon.placement import placement
from confcom.addon.provider import provider_parts
from confcom.addon.spec import ContainerResources, Spec

# A helper that is told to stop hands its paths over and answers what it accepted: 3 s + 15 s, and a margin.
HELPER_GRACE_SECONDS: Final = 30
# The device plugin ends its streams and leaves.
PLUGIN_GRACE_SECONDS: Final = 10
# A new pod counts when it has been ready for so long: one that falls over at once stops the update.
MIN_READY_SECONDS: Final = 5

# Measured (docs/reference/custom-resource.md): resident memory of both at rest and under load. There is no limit on
# CPU: a throttled helper answers late, and clients give up after 15 s.
PLUGIN_RESOURCES: Final = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
HELPER_BASE_MIB: Final = 96
HELPER_WORKER_MIB: Final = 64

_CONTAINER_SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "readOnlyRootFilesystem": True,
}
# Both run as root, without any capability: the kubelet's folder of plugin sockets is root's and has mode 0750, and the
# folders of the AESM sockets, which the kubelet makes for the pods, are root's too. On SELinux hosts these folders
# are closed to the types of ordinary containers.
_POD_SECURITY: Final = {
    "runAsGroup": 0,
    "runAsUser": 0,
    "seLinuxOptions": {"type": "spc_t"},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def device_plugin(spec: Spec) -> dict[str, Any]:
    """The DaemonSet of the device plugin."""
    container = {
        "name": names.DEVICE_PLUGIN,
        "image": spec.device_plugin_image,
        "command": ["python3", "-m", "confcom.device_plugin"],
        "args": device_plugin_arguments(spec),
        "env": [generation_variable()],
        "resources": _resources(PLUGIN_RESOURCES, spec.device_plugin.resources),
        "volumeMounts": [
            {"name": "device-plugins", "mountPath": DEVICE_PLUGINS_DIR},
            {"name": "pod-resources", "mountPath": POD_RESOURCES_DIR, "readOnly": True},
            {"name": "dev", "mountPath": HOST_DEV, "readOnly": True},
            # The slots' folders, and beside them the socket that tells the node's own tools who holds what.
            {"name": "run", "mountPath": names.RUN_DIR},
        ],
    }
    volumes = [
        # Not below kubelet_directory: this folder alone does not follow the kubelet's --root-dir.
        _host_path("device-plugins", DEVICE_PLUGINS_DIR, "Directory"),
        _host_path("pod-resources", f"{spec.kubelet_directory}/pod-resources", "DirectoryOrCreate"),
        _host_path("dev", "/dev", "Directory"),
        _host_path("run", names.RUN_DIR, "DirectoryOrCreate"),
    ]
    probes = _probes((names.DEVICE_PLUGIN_PORT,))
    pod = _pod(spec, container | probes, volumes, PLUGIN_GRACE_SECONDS)
    # Two plugins at once would end each other's registration (device-plugin.md 0, 5): the old one goes first.
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": spec.update.batch}}
    return _daemon_set(spec, names.DEVICE_PLUGIN, pod, rolling)


def quote_helper(spec: Spec) -> dict[str, Any]:
    """The DaemonSet of the quote helper."""
    provider = provider_parts(spec)
    token = {names.HELPER_RESOURCE: "1"}
    resources = _resources(helper_resources(spec.quote_helper.workers), spec.quote_helper.resources)
    container = {
        "name": names.QUOTE_HELPER,
        "image": spec.quote_helper_image,
        "command": ["python3", "-m", "confcom.quote_helper"],
        "args": [*quote_helper_arguments(spec), *provider.arguments],
        "env": [generation_variable(), *provider.environment],
        # The token carries the devices and the EPC of QE and PCE: without a device plugin no helper starts.
        "resources": {key: value | token for key, value in resources.items()},
        "volumeMounts": [
            {"name": "aesmd", "mountPath": names.SOCKET_DIR},
            {"name": "slots", "mountPath": names.SLOTS_DIR},
            {"name": "state", "mountPath": names.STATE_DIR},
            *provider.mounts,
        ],
    }
    volumes = [
        _host_path("aesmd", names.SOCKET_DIR, "DirectoryOrCreate"),
        _host_path("slots", names.SLOTS_DIR, "DirectoryOrCreate"),
        _host_path("state", names.STATE_DIR, "DirectoryOrCreate"),
        *provider.volumes,
    ]
    pod = _pod(spec, container | _probes(names.QUOTE_HELPER_PORTS), volumes, HELPER_GRACE_SECONDS)
    if spec.quote_helper.host_network:
        # No port is declared anywhere: a declared one becomes a hostPort here, and the pod that replaces this one
        # would wait for it for ever.
        pod |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    return _daemon_set(spec, names.QUOTE_HELPER, pod, _helper_strategy(spec), dict(provider.annotations))


def helper_resources(workers: int) -> dict[str, dict[str, str]]:
    """Requests and limits of a helper with so many workers, before the token is added."""
    memory = HELPER_BASE_MIB + HELPER_WORKER_MIB * workers
    return {
        "requests": {"cpu": f"{20 + 30 * workers}m", "memory": f"{memory}Mi"},
        "limits": {"memory": f"{2 * memory}Mi"},
    }


def _helper_strategy(spec: Spec) -> dict[str, Any]:
    if spec.update.policy == "Manual":
        return {"type": "OnDelete"}
    # The old helper serves until the new one is ready.
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": spec.update.batch, "maxUnavailable": 0}}


def _daemon_set(
    spec: Spec, name: str, pod: dict[str, Any], strategy: dict[str, Any], annotations: dict[str, str] | None = None
) -> dict[str, Any]:
    notes = {"annotations": annotations} if annotations else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": spec.namespace, "labels": labels(name)},
        "spec": {
            "selector": {"matchLabels": selector(name)},
            "minReadySeconds": MIN_READY_SECONDS,
            "updateStrategy": strategy,
            "template": {"metadata": {"labels": labels(name), **notes}, "spec": pod},
        },
    }


def labels(component: str) -> dict[str, str]:
    """The labels of an object of one component."""
    return {
        "app.kubernetes.io/name": component,
        "app.kubernetes.io/part-of": names.RESOURCE_NAME,
        **selector(component),
    }


def selector(component: str) -> dict[str, str]:
    """The labels by which the pods of one component are found."""
    return {names.ADDON_LABEL: names.RESOURCE_NAME, names.COMPONENT_LABEL: component}


def _pod(spec: Spec, container: dict[str, Any], volumes: list[dict[str, Any]], grace_seconds: int) -> dict[str, Any]:
    content = {
        "serviceAccountName": container["name"],
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": "system-node-critical",
        "terminationGracePeriodSeconds": grace_seconds,
        "securityContext": _POD_SECURITY,
        **placement(spec),
        "containers": [
            container | {"imagePullPolicy": spec.images.pull_policy, "securityContext": _CONTAINER_SECURITY}
        ],
        "volumes": volumes,
    }
    if spec.images.pull_secrets:
        content["imagePullSecrets"] = [{"name": name} for name in spec.images.pull_secrets]
    return content


def _probes(ports: tuple[int, ...]) -> dict[str, Any]:
    """Exec probes: with hostNetwork the kubelet could ask the wrong one of two helpers over HTTP."""

    def probe(path: str, **timing: int) -> dict[str, Any]:
        return {"exec": {"command": probe_command(ports, path)}, "timeoutSeconds": 5, **timing}

    return {
        "startupProbe": probe("/livez", periodSeconds=2, failureThreshold=30),
        "livenessProbe": probe("/livez", periodSeconds=20, failureThreshold=3),
        "readinessProbe": probe("/readyz", periodSeconds=5, failureThreshold=3),
    }


def _resources(measured: dict[str, dict[str, str]], wanted: ContainerResources) -> dict[str, dict[str, str]]:
    return {
        "requests": measured["requests"] | wanted.requests,
        "limits": measured["limits"] | wanted.limits,
    }


def _host_path(name: str, path: str, kind: str) -> dict[str, Any]:
    return {"name": name, "hostPath": {"path": path, "type": kind}}
