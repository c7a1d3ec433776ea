"""Stand-ins for what a machine without SGX lacks: the SGX platform itself, and the kubelet. Products, with documents.

Nothing is imported here: quote making must not pay for certificates, nor either of them for gRPC.
"""
