"""The SGX device plugin: a node's EPC, devices and quote slots as resources that the kubelet hands to containers."""
