"""Kinds of objects, as far as their addresses go."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind: its `apiVersion`, its name in manifests and in paths, and whether it lives in a namespace."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(self, name: str = "", namespace: str = "") -> str:
        """The path of one object, or of the collection where no name is given (of all namespaces without one)."""
        base = f"/{'apis' if '/' in self.api_version else 'api'}/{self.api_version}"
        inside = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{base}{inside}/{self.plural}" + (f"/{name}" if name else "")


NAMESPACE = Kind(api_version="v1", kind="Namespace", plural="namespaces", namespaced=False)
NODE = Kind(api_version="v1", kind="Node", plural="nodes", namespaced=False)
POD = Kind(api_version="v1", kind="Pod", plural="pods")
EVENT = Kind(api_version="v1", kind="Event", plural="events")
SECRET = Kind(api_version="v1", kind="Secret", plural="secrets")
SERVICE = Kind(api_version="v1", kind="Service", plural="services")
SERVICE_ACCOUNT = Kind(api_version="v1", kind="ServiceAccount", plural="serviceaccounts")
CONFIG_MAP = Kind(api_version="v1", kind="ConfigMap", plural="configmaps")
NETWORK_POLICY = Kind(api_version="networking.k8s.io/v1", kind="NetworkPolicy", plural="networkpolicies")
VOLUME_CLAIM = Kind(api_version="v1", kind="PersistentVolumeClaim", plural="persistentvolumeclaims")
DAEMON_SET = Kind(api_version="apps/v1", kind="DaemonSet", plural="daemonsets")
DEPLOYMENT = Kind(api_version="apps/v1", kind="Deployment", plural="deployments")
STATEFUL_SET = Kind(api_version="apps/v1", kind="StatefulSet", plural="statefulsets")
JOB = Kind(api_version="batch/v1", kind="Job", plural="jobs")
CRON_JOB = Kind(api_version="batch/v1", kind="CronJob", plural="cronjobs")
DEFINITION = Kind(
    api_version="apiextensions.k8s.io/v1",
    kind="CustomResourceDefinition",
    plural="customresourcedefinitions",
    namespaced=False,
)
