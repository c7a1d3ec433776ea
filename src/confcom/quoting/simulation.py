"""The backend of a simulated platform, with the cost of a real QE where one is asked for."""

import hashlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from confcom.quoting.backend import KeyReport
from confcom.quoting.check import check_simulated
from confcom.simulation.platform import SimulatedPlatform


class SimulationBackend:
    """Quotes of a simulated platform; `cost_ms` burns CPU as a QE does, `wait_ms` sleeps as a slow service does."""

    name = "simulation"

    def __init__(self, folder: Path, *, cost_ms: float = 0.0, wait_ms: float = 0.0) -> None:
        self.platform = SimulatedPlatform.open(folder)
        self._qe = self.platform.quoting_enclave
        self._cost = cost_ms / 1000
        self._wait = wait_ms / 1000

    def init_quote(self, *, refresh: bool) -> KeyReport:
        """The platform's key, certified when the platform was opened and with `refresh` once more."""
        if refresh:
            self._qe.certify_key()
        return KeyReport(
            target_info=self._qe.target_info.to_bytes(),
            pub_key_id=self._qe.pub_key_id,
            quote_size=self._qe.quote_size,
        )

    def get_quote_size(self) -> int:
        """Bytes of a quote without padding."""
        return self._qe.quote_size

    def get_quote(self, report: bytes, att_key_id: bytes, qe_report_info: bytes | None) -> tuple[bytes, bytes | None]:
        """The quote and the filled qe_report_info, after the configured cost and wait."""
        if self._wait:
            time.sleep(self._wait)
        if self._cost:
            _burn(self._cost)
        return self._qe.get_quote(report, att_key_id, qe_report_info)

    def check(self, _payload: bytes) -> bytes:
        """The outcome of a self-check, as JSON."""
        return msgspec.json.encode(check_simulated(self.platform))

    def endorsement(self, payload: bytes) -> bytes:
        """`root`: the root certificate as PEM; `collateral`: the collateral JSON, signed now."""
        if payload == b"root":
            return self.platform.root_pem
        return json.dumps(self.platform.collateral(datetime.now(UTC))).encode()


def _burn(seconds: float) -> None:
    """Uses the CPU for a time, counted on this thread's own clock, so that a busy machine makes it no shorter."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        hashlib.sha256(bytes(1024)).digest()
