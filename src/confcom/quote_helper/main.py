"""The quote helper's object graph and life: this is what `python -m confcom.quote_helper` runs."""

import asyncio
import base64
import logging
import os
import sys
import time
from pathlib import Path
from typing import Final

from confcom import __version__, codes
from confcom.errors import ConfcomError, PlatformError, SettingsError
from confcom.platform.compatibility import Finding, refusal
from confcom.platform.slots import SOCKET_NAME, slot_ids, slot_socket
from confcom.quote_helper.discovery import Discovery, publish, withdraw
from confcom.quote_helper.front import Front
from confcom.quote_helper.listeners import REQUEST_SECONDS
from confcom.quote_helper.metrics import exposition
from confcom.quote_helper.seats import LOOK_SECONDS, Seat, Seats
from confcom.quote_helper.self_check import SelfCheck
from confcom.quote_helper.settings import DEFAULT_HTTP_PORT, QuoteHelperSettings
from confcom.quote_helper.succession import Registry, default_state_dir
from confcom.quoting.backend import BackendSettings
from confcom.quoting.dcap_presence import require_hardware
from confcom.quoting.dcap_version import look_around_for_quotes
from confcom.quoting.hop import Operation
from confcom.runtime import beside
from confcom.runtime.daemon import Daemon, run
from confcom.runtime.http import Answer, HTTPPort, Route
from confcom.runtime.logs import configure, event
from confcom.runtime.status import STATUS_VERSION, Condition, LastCause, QuoteHelperStatus, WorkerStatus, moment
from confcom.settings import load
from confcom.sgx import DEFAULT_KEY_ID

logger = logging.getLogger(__name__)

PROGRAM: Final = "sgx-quote-helper"
# After SIGTERM: time for a standby to take the paths, then for the requests that were accepted.
HAND_OVER_SECONDS = 3.0
DRAIN_SECONDS = REQUEST_SECONDS + 1.0
# Tried where the first one is taken, by another helper on a network that both share.
SECOND_PORT = DEFAULT_HTTP_PORT + 1


class QuoteHelper:
    """One helper: front, seats, HTTP port, and what is known about its own quotes."""

    def __init__(
        self,
        settings: QuoteHelperSettings,
        backend: BackendSettings,
        state_dir: Path,
        found: tuple[Finding, ...] = (),
    ) -> None:
        self.settings = settings
        self.backend = backend
        self.found = found
        sockets = 1 + settings.slots
        self.front = Front(backend, settings.workers, hang_seconds=settings.hang_seconds, sockets=sockets)
        self.registry = Registry(state_dir, settings.generation, time.time())
        shared = Seat(settings.socket_dir / SOCKET_NAME, "shared", "shared")
        slots = [Seat(slot_socket(settings.slots_dir, name), name, "slot") for name in slot_ids(settings.slots)]
        linger = asyncio.get_running_loop().call_later
        self.seats = Seats([shared, *slots], self.registry, self.front.listeners, linger)
        self.check = SelfCheck(self.front, settings)

    async def live(self, daemon: Daemon) -> None:
        """Serves until the daemon stops, then answers what was accepted."""
        try:
            self.seats.prepare()
            # What can fail for good comes before anything that clients see.
            await self._serve(daemon, self._open_port())
        finally:
            self.seats.close()
            self.registry.close()
            await self.front.close()

    async def _serve(self, daemon: Daemon, port: HTTPPort) -> None:
        self.front.start()
        looking = daemon.start("seats", self._look_after_seats())
        daemon.start("self-check", self.check.run())
        daemon.start("http-port", port.serve())
        try:
            await daemon.stopping.wait()
            await self._leave()
        finally:
            port.stop()
            looking.cancel()

    async def _look_after_seats(self) -> None:
        while True:
            try:
                self.seats.look(ready=self.problem() is None)
            except OSError as error:
                # A full disk, for example: those who are served now go on being served.
                event(
                    logger, logging.ERROR, "sockets cannot be looked after", cause="look",
                    problem=error.strerror, file=error.filename,
                )  # fmt: skip
            self._publish()
            await asyncio.sleep(LOOK_SECONDS)

    def _publish(self) -> None:
        """Tells beside each socket that this helper serves what is to be had there."""
        problem = self.problem()
        health: Final = "ready" if problem is None else "failing" if self.check.outcome else "starting"
        discovery = Discovery(
            health=health, simulated=self.backend.kind == "simulation", program=f"confcom {__version__}"
        )
        for seat in self.seats.seats:
            if seat.origin is not None:
                try:
                    publish(seat.path.parent, discovery)
                except OSError as error:
                    event(
                        logger, logging.WARNING, "discovery file cannot be written", cause="discovery",
                        folder=seat.path.parent, problem=error.strerror,
                    )  # fmt: skip

    async def _leave(self) -> None:
        deadline = time.monotonic() + HAND_OVER_SECONDS
        while self.seats.leave() and (self.seats.serving or self.seats.lingering) and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_SECONDS / 5)
        for seat in self.seats.seats:
            if seat.origin is not None:
                withdraw(seat.path.parent)
        self.seats.close()
        if not await self.front.drained(time.monotonic() + DRAIN_SECONDS):
            event(logger, logging.ERROR, "requests were not answered in time", left=self.front.listeners.waiting)

    def problem(self) -> str | None:
        """Why this helper is not ready, or None."""
        return self.seats.problem or self.check.problem()

    # --- HTTP ---------------------------------------------------------------------------------------------------------

    def _open_port(self) -> HTTPPort:
        wanted = self.settings.http_port
        routes: dict[str, Route] = {
            "/livez": lambda: Answer(body=b"ok\n"),
            "/readyz": lambda: Answer.verdict(self.problem()),
            "/status": lambda: Answer.json(self.status()),
            "/metrics": lambda: Answer.metrics(exposition(self)),
            "/simulation/root.pem": lambda: self._endorsement(b"root", "application/x-pem-file"),
            "/simulation/collateral.json": lambda: self._endorsement(b"collateral", "application/json"),
        }
        ports = (wanted, SECOND_PORT) if wanted == DEFAULT_HTTP_PORT else (wanted,)
        return HTTPPort(routes, self.settings.http_address, ports)

    async def _endorsement(self, what: bytes, content_type: str) -> Answer:
        """What a verifier of simulated quotes needs; a worker signs it anew."""
        if self.backend.kind != "simulation":
            return Answer(body=b"this helper's quotes are of hardware\n", status=404)
        try:
            code, payload = await self.front.pool.ask(Operation.SIMULATION, what)
        except TimeoutError:
            return Answer(body=b"no quoting worker has answered in time\n", status=503)
        return Answer(body=payload + b"\n", status=503) if code else Answer(body=payload, content_type=content_type)

    def status(self) -> QuoteHelperStatus:
        """What `/status` says."""
        front, outcome = self.front, self.check.outcome
        key = front.key
        problem = self.problem()
        return QuoteHelperStatus(
            version=STATUS_VERSION,
            program=PROGRAM,
            confcom=__version__,
            generation=self.settings.generation,
            role="serving" if self.seats.serving else "standby",
            ready=problem is None,
            problem=problem,
            backend=self.backend.kind,
            simulated=self.backend.kind == "simulation",
            socket=str(self.seats.seats[0].path),
            slots=tuple(seat.name for seat in self.seats.seats[1:] if seat.origin is not None),
            key_id=base64.b64encode(DEFAULT_KEY_ID.base()).decode(),
            pub_key_id=key.pub_key_id.hex() if key else None,
            quote_size=key.quote_size if key else None,
            qe_svn=outcome.qe_svn if outcome else None,
            pce_svn=outcome.pce_svn if outcome else None,
            workers=tuple(
                WorkerStatus(
                    index=w.index, pid=w.process.pid, ready=w.key is not None, jobs=len(w.jobs), served=w.served
                )
                for w in front.pool.workers
            ),
            worker_restarts=front.pool.restarts,
            queued=len(front.ring),
            connections=len(front.listeners.clients),
            take_overs=self.seats.take_overs,
            last_causes=tuple(
                LastCause(code=code, name=codes.aesm(code).name, cause=cause, at=moment(at))
                for code, (cause, at) in sorted(front.last_causes.items())
            ),
            last_check=moment(self.check.checked_at) if self.check.checked_at else None,
            tcb_status=outcome.tcb_status if outcome else None,
            qe_status=outcome.qe_status if outcome else None,
            forecast=outcome.forecast if outcome else None,
            certificates=outcome.certificates if outcome else {},
            condition=self._condition(),
            compatibility=beside.entries(self.found),
        )

    def _condition(self) -> Condition:
        outcome = self.check.outcome
        return Condition(
            type="Verified",
            status=outcome is not None and outcome.verified,
            reason=outcome.reason if outcome else "NotYetChecked",
            message=outcome.message if outcome else "the first quote of its own is not made yet",
            since=moment(self.check.since),
        )


def _choose_backend(settings: QuoteHelperSettings) -> BackendSettings:
    """The backend that was asked for; a simulated one only where its folder was named."""
    if settings.simulated_platform is not None:
        if settings.backend == "dcap":
            raise SettingsError(
                "--backend dcap makes quotes of hardware: leave out --simulated-platform, or the former"
            )
        return BackendSettings(
            kind="simulation",
            simulated_platform=str(settings.simulated_platform),
            quote_cost=settings.quote_cost,
            quote_wait=settings.quote_wait,
            log_format=settings.log_format,
        )
    if settings.backend == "simulation":
        raise SettingsError("--backend simulation: name the folder of a simulated platform with --simulated-platform")
    if settings.backend == "auto":
        require_hardware(settings.dev_root)
    return BackendSettings(
        kind="dcap",
        quote_provider_library=str(settings.quote_provider_library or ""),
        qe_path=str(settings.qe_path or ""),
        pce_path=str(settings.pce_path or ""),
        probe_enclave=str(settings.probe_enclave or ""),
        dev_root=str(settings.dev_root),
        log_format=settings.log_format,
    )


def _look_around(settings: QuoteHelperSettings, backend: BackendSettings) -> tuple[Finding, ...]:
    """What this helper runs beside, told to the log; a simulation uses neither driver nor PSW.

    Raises:
        PlatformError: something of it does not work with this version.
    """
    if backend.kind == "simulation":
        return ()
    found = look_around_for_quotes(settings.dev_root, settings.proc_root)
    beside.tell(logger, found)
    if sentence := refusal(found):
        raise PlatformError(sentence)
    return found


def main() -> int:
    """The daemon. Exit 0 after an orderly stop, 2 for a wrong setting, 3 where something outside failed."""
    try:
        settings = load(QuoteHelperSettings, sys.argv[1:], os.environ, program="confcom quote-helper")
        configure(settings.log_format, PROGRAM)
        backend = _choose_backend(settings)
        found = _look_around(settings, backend)

        async def serve(daemon: Daemon) -> int:
            state_dir = settings.state_dir or default_state_dir(dict(os.environ))
            await QuoteHelper(settings, backend, state_dir, found).live(daemon)
            return 0

        return run(serve)
    except ConfcomError as error:
        sys.stderr.write(f"confcom quote-helper: {error}\n")
        return error.exit_code
