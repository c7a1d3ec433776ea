"""What the parts of a simulated platform are called, in the code and in its folder."""

from typing import Final

ROOT = "root"
INTERMEDIATE = "intermediate"
PCK = "pck"
TCB_SIGNER = "tcb-signer"
# A key without a certificate: the PCK vouches for it in every quote.
ATTESTATION = "attestation"

CERTIFICATES: Final = {name: f"{name}.pem" for name in (ROOT, INTERMEDIATE, PCK, TCB_SIGNER)}
KEYS: Final = {name: f"{name}.key" for name in (*CERTIFICATES, ATTESTATION)}
# The file of `PlatformIdentity`.
IDENTITY: Final = "platform.json"
# Lists the SHA-256 of all others.
SUMS: Final = "SHA256SUMS"
