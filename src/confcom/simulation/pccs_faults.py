"""What a certificate service can do wrong, by name, so that clients can be tried against each of it."""

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from confcom.errors import InputError

ENDPOINTS = ("pckcert", "pckcrl", "rootcacrl", "tcb", "qe/identity")
# NAME, NAME:ENDPOINT, NAME*COUNT or NAME:ENDPOINT*COUNT.
_SPEC = re.compile(r"(?P<name>[a-z0-9-]+)(?::(?P<endpoint>[a-z/]+))?(?:\*(?P<count>[1-9][0-9]{0,3}))?")


class FaultName(enum.StrEnum):
    """Every fault; `FAULTS` says what each does."""

    NOT_FOUND = "not-found"
    GONE = "gone"
    TOO_MANY_REQUESTS = "too-many-requests"
    PLATFORM_UNKNOWN = "platform-unknown"
    CERTIFICATES_UNAVAILABLE = "certificates-unavailable"
    SERVER_ERROR = "server-error"
    BAD_GATEWAY = "bad-gateway"
    UNAVAILABLE = "unavailable"
    V3_ONLY = "v3-only"
    V3_HEADER = "v3-header"
    NO_CHAIN = "no-chain"
    DAMAGED_CHAIN = "damaged-chain"
    OTHER_ROOT = "other-root"
    WRONG_FMSPC = "wrong-fmspc"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    CRL_PEM = "crl-pem"
    CRL_HEX = "crl-hex"
    CRL_DER = "crl-der"
    NOT_JSON = "not-json"
    TRUNCATED = "truncated"
    CUT_OFF = "cut-off"
    OVERSIZED = "oversized"
    SLOW = "slow"
    SILENT = "silent"
    REDIRECT = "redirect"


FAULTS: dict[FaultName, str] = {
    FaultName.NOT_FOUND: "HTTP 404",
    FaultName.GONE: "HTTP 410, as Intel answers API v2 and v3 since 2026-04-30",
    FaultName.TOO_MANY_REQUESTS: "HTTP 429 with Retry-After: 1",
    FaultName.PLATFORM_UNKNOWN: "HTTP 461",
    FaultName.CERTIFICATES_UNAVAILABLE: "HTTP 462",
    FaultName.SERVER_ERROR: "HTTP 500",
    FaultName.BAD_GATEWAY: "HTTP 502",
    FaultName.UNAVAILABLE: "HTTP 503 with Retry-After: 3600",
    FaultName.V3_ONLY: "only API v3 is there: its paths answer, those of v4 are not found",
    FaultName.V3_HEADER: "the TCB info's chain stands in the header of API v3",
    FaultName.NO_CHAIN: "the header with the issuer chain is missing",
    FaultName.DAMAGED_CHAIN: "the issuer chain ends in the middle of a certificate",
    FaultName.OTHER_ROOT: "all that is signed leads to another simulated root",
    FaultName.WRONG_FMSPC: "well-signed TCB info of another CPU family",
    FaultName.EXPIRED: "all windows ended ten days ago",
    FaultName.NOT_YET_VALID: "all windows begin tomorrow",
    FaultName.CRL_PEM: "CRLs in PEM, whatever was asked for",
    FaultName.CRL_HEX: "CRLs in hex of DER, whatever was asked for",
    FaultName.CRL_DER: "CRLs in DER, whatever was asked for",
    FaultName.NOT_JSON: "a web page in the place of the answer",
    FaultName.TRUNCATED: "half of the answer, with a length that fits",
    FaultName.CUT_OFF: "half of the answer, then the connection breaks",
    FaultName.OVERSIZED: "an answer of 64 MiB",
    FaultName.SLOW: "a byte each half second",
    FaultName.SILENT: "no answer at all, while the connection stands",
    FaultName.REDIRECT: "a redirect to another host",
}


@dataclass(kw_only=True, slots=True)
class Fault:
    """One fault: at one endpoint or, with None, at all; for the next `left` requests or, with None, for all."""

    name: FaultName
    endpoint: str | None = None
    left: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """The fault in `NAME[:ENDPOINT][*COUNT]`, for example `too-many-requests:tcb*1`.

        Raises:
            InputError: another form, an unknown name or endpoint.
        """
        found = _SPEC.fullmatch(text)
        if not found:
            raise InputError(f"--fault {text}: write NAME, NAME:ENDPOINT, NAME*COUNT or NAME:ENDPOINT*COUNT")
        if found["name"] not in set(FaultName):
            raise InputError(f"--fault {text}: there is no fault '{found['name']}'; known: {', '.join(FaultName)}")
        if found["endpoint"] not in (None, *ENDPOINTS):
            raise InputError(
                f"--fault {text}: there is no endpoint '{found['endpoint']}'; known: {', '.join(ENDPOINTS)}"
            )
        count = int(found["count"]) if found["count"] else None
        return cls(name=FaultName(found["name"]), endpoint=found["endpoint"], left=count)


@dataclass(kw_only=True, slots=True)
class FaultPlan:
    """All faults of a service. A fault with a count is used up by the requests that it hits."""

    faults: list[Fault] = field(default_factory=list)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """The faults in these texts; see `Fault.parse`."""
        return cls(faults=[Fault.parse(text) for text in texts])

    def take(self, endpoint: str) -> frozenset[FaultName]:
        """The faults that a request to `endpoint` meets."""
        met = [fault for fault in self.faults if fault.left != 0 and fault.endpoint in (None, endpoint)]
        for fault in met:
            fault.left = None if fault.left is None else fault.left - 1
        return frozenset(fault.name for fault in met)
