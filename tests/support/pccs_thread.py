"""A simulated certificate service in a thread of the test, whose faults can be changed between two requests."""

import asyncio
import threading
from datetime import UTC, datetime

from confcom.simulation.pccs import SimulatedPCCS
from confcom.simulation.pccs_faults import FaultPlan
from confcom.simulation.pccs_server import PCCSServer

DEADLINE_SECONDS = 30


class PCCSThread:
    """Runs a `PCCSServer` on its own loop until `stop`; `requests` are the paths and queries it was asked."""

    def __init__(self, machine, *, tls=None, early_status=None, clock=lambda: datetime.now(UTC)) -> None:
        self.plan = FaultPlan()
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.tls = tls
        self.now = clock()
        service = SimulatedPCCS(machine, self.plan, early_status)
        self._server = PCCSServer(service, clock, tls=tls, on_answer=self._note)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve()), name="PCCS", daemon=True)
        self._thread.start()
        self.url, self.thim_url, self.origin = self._server.url, self._server.thim_url, self._server.origin

    def misbehave(self, *faults: str) -> None:
        """The faults from now on, instead of all earlier ones."""
        self.plan.faults[:] = FaultPlan.parse(faults).faults

    def stop(self) -> None:
        self._server.stop()
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive(), "the service did not stop"

    @property
    def paths(self) -> list[str]:
        return [path.rpartition("/v4/")[2] for path, _ in self.requests]

    def _note(self, request, answer) -> None:
        self.requests.append((request.path, dict(request.query)))
