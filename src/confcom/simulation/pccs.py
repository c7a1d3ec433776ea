"""A certificate service for one simulated machine, from a request to an answer without sockets.

It has the endpoints of Intel's API v4 in the two shapes that clients meet: a PCCS and Azure's THIM. `pccs_server` puts
it on a port. Sources: Intel's PCS API v4 and PCCS, and Azure's DCAP client.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from confcom.codes import TCBStatus
from confcom.simulation import pccs_answers as answers
from confcom.simulation.pccs_answers import Answer, Case, Request, refusal
from confcom.simulation.pccs_faults import FaultName, FaultPlan
from confcom.simulation.pccs_subject import CHANNEL_NUMBERS, Subject
from confcom.simulation.platform import SimulatedPlatform

API = "/sgx/certification/v4/"
OLD_API = "/sgx/certification/v3/"
THIM_API = "/metadata/THIM/sgx/certification/v4/"

_ENDPOINTS: dict[str, Callable[[Case], Answer]] = {
    "pckcert": answers.pck_certificate,
    "pckcrl": answers.pck_crl,
    "rootcacrl": answers.root_ca_crl,
    "tcb": answers.tcb_info,
    "qe/identity": answers.qe_identity,
}
_STATUSES = {
    FaultName.NOT_FOUND: 404,
    FaultName.GONE: 410,
    FaultName.TOO_MANY_REQUESTS: 429,
    FaultName.PLATFORM_UNKNOWN: 461,
    FaultName.CERTIFICATES_UNAVAILABLE: 462,
    FaultName.SERVER_ERROR: 500,
    FaultName.BAD_GATEWAY: 502,
    FaultName.UNAVAILABLE: 503,
}
_WAITS = {FaultName.TOO_MANY_REQUESTS: "1", FaultName.UNAVAILABLE: "3600"}
# Where `redirect` leads: the domain `.invalid` is reserved, so nobody can follow.
_ELSEWHERE = "https://elsewhere.invalid/"
_WEB_PAGE = b"<!DOCTYPE html>\n<title>Please sign in</title>\n"


class SimulatedPCCS:
    """Answers for one machine. `early_status` is the verdict of its TCB info in the channel `early`."""

    def __init__(
        self, machine: SimulatedPlatform, faults: FaultPlan | None = None, early_status: TCBStatus | None = None
    ) -> None:
        self._subject = Subject(machine, early_status)
        self._faults = faults or FaultPlan()

    def answer(self, request: Request, now: datetime) -> Answer:
        """The answer at the time `now`; what is signed is signed anew for it."""
        api, endpoint = _split(request.path)
        met = self._faults.take(endpoint)
        found = _failure(met) or _refused(request, api, endpoint, met) or self._found(request, api, endpoint, met, now)
        return replace(_disturbed(found, met), faults=met)

    def _found(self, request: Request, api: str, endpoint: str, met: frozenset[FaultName], now: datetime) -> Answer:
        channel = _channel(request)
        if channel is None:
            return refusal(404 if "tcbEvaluationDataNumber" in request.query else 400)
        case = Case(
            query=request.query,
            machine=self._subject.machine(met, now),
            collateral=self._subject.collateral(met, channel, now),
            met=met,
            # Azure's cache for all the world has a PCCS's paths and THIM's query.
            thim=api == THIM_API or "clientid" in request.query,
        )
        return _ENDPOINTS[endpoint](case)


def _split(path: str) -> tuple[str, str]:
    """The API that a path is of, and the endpoint behind; the API is empty where it is of none."""
    api = next((prefix for prefix in (API, OLD_API, THIM_API) if path.startswith(prefix)), "")
    return api, path.removeprefix(api)


def _channel(request: Request) -> str | None:
    """The channel that is asked for by its name or by its evaluation number; None where there is no such."""
    number = request.query.get("tcbEvaluationDataNumber")
    if number is None:
        asked = request.query.get("update", "standard").lower()
        return asked if asked in CHANNEL_NUMBERS else None
    return next((channel for channel, has in CHANNEL_NUMBERS.items() if str(has) == number), None)


def _failure(met: frozenset[FaultName]) -> Answer | None:
    for name, status in _STATUSES.items():
        if name in met:
            return refusal(status, **({"Retry-After": _WAITS[name]} if name in _WAITS else {}))
    if FaultName.REDIRECT in met:
        return Answer(status=302, headers={"Location": _ELSEWHERE})
    return None


def _refused(request: Request, api: str, endpoint: str, met: frozenset[FaultName]) -> Answer | None:
    """Why a request gets no data, if it does not."""
    if api not in ({OLD_API} if FaultName.V3_ONLY in met else {API, THIM_API}):
        return refusal(410 if api == OLD_API else 404)
    # The metadata service of a cloud machine refuses who may have been tricked into asking.
    if api == THIM_API and request.headers.get("metadata", "").lower() != "true":
        return refusal(400)
    if endpoint not in _ENDPOINTS or (api == THIM_API and endpoint == "rootcacrl"):
        return refusal(404)
    return None if request.method in {"GET", "HEAD"} else refusal(405)


def _disturbed(found: Answer, met: frozenset[FaultName]) -> Answer:
    """The faults that spoil an answer's content."""
    if FaultName.NOT_JSON in met:
        return replace(found, body=_WEB_PAGE, content_type="text/html")
    chains = {name: value for name, value in found.headers.items() if name.endswith("-Chain")}
    if FaultName.NO_CHAIN in met:
        found = replace(found, headers={name: value for name, value in found.headers.items() if name not in chains})
    if FaultName.DAMAGED_CHAIN in met:
        found = replace(found, headers={**found.headers, **{name: value[:400] for name, value in chains.items()}})
    return replace(found, body=found.body[: len(found.body) // 2]) if FaultName.TRUNCATED in met else found
