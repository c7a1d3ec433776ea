"""AESM, the protocol of Intel's architectural enclave service: framing, messages and clients for ECDSA quotes.

One transaction per connection on a Unix stream socket: the client sends one frame, reads one frame, and both close.
A frame is a 32-bit little-endian length and that many bytes of a proto2 message. The codec here is our own and small,
so that the front of the quote helper and every client stay light.

    from confcom.aesm import Client

    client = Client("/var/run/aesmd/aesm.socket")
    target_info = client.get_target_info()
    ...                                      # the enclave makes a REPORT for target_info
    quote = client.get_quote(report)
"""

from confcom.aesm.client import AsyncClient, Client
from confcom.aesm.flows import DEFAULT_SOCKET, KeyInfo, QuoteResult

__all__ = ["DEFAULT_SOCKET", "AsyncClient", "Client", "KeyInfo", "QuoteResult"]
