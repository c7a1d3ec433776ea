"""The types of `/status`: JSON for operators and for `confcom status`, versioned, with no tenant's name in it.

`version` rises when a field is removed or means something else. A field that is new has a default, so that a document
of an older daemon can still be read.
"""

from datetime import UTC, datetime
from typing import Literal

import msgspec

STATUS_VERSION = 1


def moment(seconds: float) -> str:
    """A time, given in seconds since the epoch, as every document of a daemon shows it: RFC 3339, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A Kubernetes-style condition: what holds, since when, and why in one word and one sentence."""

    type: str
    status: bool
    reason: str
    message: str
    since: str


class Compatibility(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the daemon runs beside, as it was at the start.

    `verdict` is `works`, `works with limits`, `not tried` or `does not work`; with the last no daemon starts.
    """

    part: str
    found: str
    verdict: str
    why: str


class ResourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One resource that the device plugin offers to the kubelet; all counts are devices of that resource."""

    name: str
    registered: bool
    total: int
    healthy: int
    list_bytes: int
    registrations: int
    allocations: int
    last_list_seconds_ago: float | None
    problem: str | None


class DevicePluginStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`/status` of the device plugin."""

    version: int
    program: Literal["sgx-device-plugin"]
    confcom: str
    generation: int
    simulated: bool
    ready: bool
    problem: str | None
    epc_mib: int
    epc_source: str
    reserved_mib: int
    offered_mib: int
    devices: tuple[str, ...]
    resources: tuple[ResourceStatus, ...]
    freeze_seconds: float
    advice: tuple[str, ...]
    compatibility: tuple[Compatibility, ...] = ()


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One quoting worker: whether it has its key, and what it holds and has done."""

    index: int
    pid: int
    ready: bool
    jobs: int
    served: int


class LastCause(msgspec.Struct, frozen=True, kw_only=True):
    """Why a backend last answered with an AESM code."""

    code: int
    name: str
    cause: str
    at: str


class QuoteHelperStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`/status` of the quote helper.

    `role` is `serving` where this helper's socket stands at the shared path, else `standby`. `condition` says whether
    the helper's own quote was verified, and against what. `tcb_status` is the platform's and the QE's together,
    `qe_status` the QE's by the QE identity, `forecast` what becomes of them, where collateral tells. Dates are those
    of the certificates in its quotes.
    """

    version: int
    program: Literal["sgx-quote-helper"]
    confcom: str
    generation: int
    role: Literal["serving", "standby"]
    ready: bool
    problem: str | None
    backend: str
    simulated: bool
    socket: str
    slots: tuple[str, ...]
    key_id: str
    pub_key_id: str | None
    quote_size: int | None
    qe_svn: int | None
    pce_svn: int | None
    workers: tuple[WorkerStatus, ...]
    worker_restarts: int
    queued: int
    connections: int
    take_overs: int
    last_causes: tuple[LastCause, ...]
    last_check: str | None
    tcb_status: str | None
    qe_status: str | None
    forecast: str | None
    certificates: dict[str, str]
    condition: Condition
    compatibility: tuple[Compatibility, ...] = ()
