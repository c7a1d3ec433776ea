"""The names by which the add-on is known in a cluster: objects, labels, resources, ports and folders of a node."""

from typing import Final

GROUP: Final = "confcom.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "ConfidentialComputing"
PLURAL: Final = "confidentialcomputings"
CRD_NAME: Final = f"{PLURAL}.{GROUP}"
# There is one switch in a cluster.
RESOURCE_NAME: Final = "confcom"
DEFAULT_NAMESPACE: Final = "confcom-system"

DEVICE_PLUGIN: Final = "sgx-device-plugin"
QUOTE_HELPER: Final = "sgx-quote-helper"

# Objects are found and removed by this label: Helm overwrites app.kubernetes.io/managed-by.
ADDON_LABEL: Final = "confcom.io/addon"
ADDON_SELECTOR: Final = f"{ADDON_LABEL}={RESOURCE_NAME}"
COMPONENT_LABEL: Final = "confcom.io/component"
# A DaemonSet's controller counts the changes of its template in this label of its pods.
GENERATION_LABEL: Final = "pod-template-generation"
# Which version of this program made the resource definition.
VERSION_ANNOTATION: Final = "confcom.io/version"
# On the helper's pods: which PCCS their configuration names.
PCCS_ANNOTATION: Final = "confcom.io/pccs-url"
# Who applies what the command line applies (server-side apply's field manager).
FIELD_MANAGER: Final = "confcom"
HELM_RELEASE_NAME: Final = "meta.helm.sh/release-name"
HELM_RELEASE_NAMESPACE: Final = "meta.helm.sh/release-namespace"

EPC_RESOURCE: Final = "kubernetes.azure.com/sgx_epc_mem_in_MiB"
HELPER_RESOURCE: Final = "confcom.io/sgx-quote-helper"
SLOT_RESOURCE: Final = "confcom.io/sgx-quote"
PROVISION_RESOURCE: Final = "confcom.io/sgx-provision"
OUR_RESOURCES: Final = (EPC_RESOURCE, PROVISION_RESOURCE, SLOT_RESOURCE, HELPER_RESOURCE)
# Ours only where `intelNames` asks for them; else Intel's own plugin may run beside us.
INTEL_RESOURCES: Final = ("sgx.intel.com/enclave", "sgx.intel.com/provision")

# EPC of one QE and one PCE (`aesm-protocol.md` 6: under 2 MB each): a quoting worker's, and an application's that
# hosts them itself.
QUOTING_EPC_MIB: Final = 4

# The first free one is taken: with hostNetwork two helpers share the node's ports during an update.
DEVICE_PLUGIN_PORT: Final = 9410
QUOTE_HELPER_PORTS: Final = (9411, 9412)

SOCKET_DIR: Final = "/var/run/aesmd"
RUN_DIR: Final = "/run/confcom"
SLOTS_DIR: Final = f"{RUN_DIR}/slots"
STATE_DIR: Final = "/var/lib/confcom"
SIMULATED_PLATFORM_DIR: Final = f"{STATE_DIR}/simulated-platform"
KUBELET_DIR: Final = "/var/lib/kubelet"
