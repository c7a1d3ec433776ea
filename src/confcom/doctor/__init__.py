"""Checks from the processor to the kubelet, each a small function that gives evidence, a verdict and a fix."""
