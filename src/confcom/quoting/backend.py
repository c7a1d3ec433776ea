"""The seam between the quote helper and whatever makes quotes."""

from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec


class BackendSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told at its start, as JSON on its command line.

    The simulation needs a folder; its costs are in milliseconds. For `dcap` an empty path leaves the choice to the
    quoting libraries, or means the place where Intel's packages put the file.
    """

    kind: Literal["simulation", "dcap"]
    simulated_platform: str = ""
    quote_cost: float = 0.0
    quote_wait: float = 0.0
    quote_provider_library: str = ""
    qe_path: str = ""
    pce_path: str = ""
    probe_enclave: str = ""
    dev_root: str = "/dev"
    log_format: str = "text"


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyReport:
    """What a backend tells about its key once it is made and certified.

    Attributes:
        target_info: the QE's TARGETINFO, 512 bytes.
        pub_key_id: SHA-256(attestation public key || auth data), 32 bytes.
        quote_size: bytes of a quote without padding; it changes with the certificate chain.
    """

    target_info: bytes
    pub_key_id: bytes
    quote_size: int


class QuotingBackend(Protocol):
    """One QE and PCE, used by one thread of one process.

    Every method raises `QuotingError` with the AESM code that lets the client act.
    """

    name: str

    def init_quote(self, *, refresh: bool) -> KeyReport:
        """Makes the attestation key ready, and with `refresh` certifies it anew."""
        ...

    def get_quote_size(self) -> int:
        """Bytes of a quote without padding."""
        ...

    def get_quote(self, report: bytes, att_key_id: bytes, qe_report_info: bytes | None) -> tuple[bytes, bytes | None]:
        """The quote of a 432-byte REPORT, unpadded, and qe_report_info (960 bytes) filled in if it was given."""
        ...
