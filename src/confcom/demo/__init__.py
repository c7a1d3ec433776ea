"""The main job on a simulated node, from EPC in the kubelet to a verified quote, with real processes and sockets."""
