"""confcom: the open confidential-computing add-on for Kubernetes nodes with Intel SGX."""

__version__ = "0.1.0"
