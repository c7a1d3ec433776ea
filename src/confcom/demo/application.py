"""The enclave application of the demo: it has `SGX_AESM_ADDR` and an AESM socket, and nothing else of this product.

`python -m confcom.demo.application DIRECTORY NAME` asks for a quote out-of-process, through the socket in the
directory that its container was given, and writes the quote to stdout. Its report is that of a simulated enclave,
whose MRENCLAVE is the SHA-256 of NAME.
"""

import hashlib
import os
import sys
from pathlib import Path

from confcom.aesm import Client
from confcom.errors import ConfcomError
from confcom.simulation.reports import make_report

QUESTION = b"the data that this quote vouches for"


def report_data() -> bytes:
    """SHA-256 of what the application wants to prove, and 32 zero bytes, as attestation services expect it."""
    return hashlib.sha256(QUESTION).digest() + bytes(32)


def mr_enclave(name: str) -> bytes:
    """The measurement of the demo's enclave."""
    return hashlib.sha256(name.encode()).digest()


def main() -> int:
    """Asks for one quote."""
    if "SGX_AESM_ADDR" not in os.environ:
        sys.stderr.write("SGX_AESM_ADDR is not set: this application has no quoting enclave of its own\n")
        return 2
    client = Client(str(Path(sys.argv[1]) / "aesm.socket"))
    try:
        report = make_report(client.get_target_info(), mr_enclave=mr_enclave(sys.argv[2]), report_data=report_data())
        sys.stdout.buffer.write(client.get_quote(report.to_bytes()))
    except ConfcomError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
