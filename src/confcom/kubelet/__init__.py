"""The kubelet's gRPC messages and contract: device plugins v1beta1 and PodResources v1, from our own `.proto` files."""
