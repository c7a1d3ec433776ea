"""The SGX quote helper: the one place on a node that makes quotes, for every enclave application that opts in.

It serves AESM on `aesm.socket` and, where quote slots are configured, on one socket per slot. The front (this
package) reads frames, answers at once what needs no QE, and queues the rest fairly; worker processes (`quoting`)
hold the quoting enclaves.
"""
