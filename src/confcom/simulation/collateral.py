"""The collateral of a simulated platform, signed anew whenever somebody asks: CRLs, TCB info and QE identity.

Its form is the JSON of dcap-qvl: CRLs and signatures as hex, issuer chains as PEM, signed JSON as the exact text.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from confcom.codes import TCBStatus
from confcom.quote.times import format_time
from confcom.simulation.certificates import make_crl
from confcom.simulation.identity import (
    QE_ATTRIBUTES,
    QE_ISV_PROD_ID,
    QE_ISV_SVN,
    QE_MISC_SELECT,
    QE_MR_SIGNER,
    PlatformIdentity,
)
from confcom.simulation.keys import raw_signature
from confcom.simulation.names import INTERMEDIATE, PCK, ROOT, TCB_SIGNER

# Of the size of Intel's present ones; it grows with each of Intel's recoveries and is only ever compared.
EVALUATION_NUMBER: Final = 21
# Intel's mask: FLAGS but MODE64BIT, and nothing of XFRM, which depends on the processor.
_ATTRIBUTES_MASK = bytes.fromhex("FBFFFFFFFFFFFFFF0000000000000000")

_NEWEST = "2026-05-13T00:00:00Z"
_OLDER = "2025-05-14T00:00:00Z"
_OLDEST = "2023-08-09T00:00:00Z"

# Which part of the machine a TCB component belongs to, in Intel's words.
_COMPONENT_TITLES: Final[dict[int, dict[str, str]]] = {
    0: {"category": "BIOS", "type": "Early Microcode Update"},
    1: {"category": "OS/VMM", "type": "SGX Late Microcode Update"},
    2: {"category": "OS/VMM", "type": "TXT SINIT"},
    3: {"category": "BIOS"},
}
_MICROCODE = (0, 1)
_CONFIGURATION = 6

_HARDENING = ("INTEL-SA-00615",)
_CONFIGURING = ("INTEL-SA-00657", "INTEL-SA-00767")
_OUTDATED = ("INTEL-SA-00960", "INTEL-SA-01153")
_ADVISORIES: Final[dict[TCBStatus, tuple[str, ...]]] = {
    TCBStatus.UP_TO_DATE: (),
    TCBStatus.SW_HARDENING_NEEDED: _HARDENING,
    TCBStatus.CONFIGURATION_NEEDED: _CONFIGURING,
    TCBStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED: _CONFIGURING + _HARDENING,
    TCBStatus.OUT_OF_DATE: _OUTDATED,
    TCBStatus.OUT_OF_DATE_CONFIGURATION_NEEDED: _OUTDATED + _CONFIGURING,
    TCBStatus.REVOKED: _OUTDATED,
}

_BEHIND = frozenset({TCBStatus.OUT_OF_DATE, TCBStatus.OUT_OF_DATE_CONFIGURATION_NEEDED, TCBStatus.REVOKED})

# Where a level stands: at the platform's own components, or higher by newer microcode, by a better configuration
# (the seventh component), or by both.
_OWN, _NEWER, _CONFIGURED, _BOTH = "own", "newer", "configured", "both"
# The levels above the platform's own, best first. None where real lists have none either: no processor that needs
# software hardening has a level without it.
_LEVELS_ABOVE: Final[dict[TCBStatus, tuple[tuple[str, TCBStatus], ...]]] = {
    TCBStatus.UP_TO_DATE: (),
    TCBStatus.SW_HARDENING_NEEDED: (),
    TCBStatus.CONFIGURATION_NEEDED: ((_CONFIGURED, TCBStatus.UP_TO_DATE),),
    TCBStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED: ((_CONFIGURED, TCBStatus.SW_HARDENING_NEEDED),),
    TCBStatus.OUT_OF_DATE: ((_NEWER, TCBStatus.UP_TO_DATE),),
    TCBStatus.OUT_OF_DATE_CONFIGURATION_NEEDED: (
        (_BOTH, TCBStatus.UP_TO_DATE),
        (_NEWER, TCBStatus.CONFIGURATION_NEEDED),
        (_CONFIGURED, TCBStatus.OUT_OF_DATE),
    ),
    TCBStatus.REVOKED: ((_NEWER, TCBStatus.UP_TO_DATE),),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class CollateralOptions:
    """What a test may want otherwise than a healthy platform has it.

    `tcb_status` takes the place of the platform's own. `missing_level` leaves out every TCB level that the platform
    reaches. `revoke_pck` puts the PCK certificate on the PCK CRL. `evaluation_number` stands in TCB info and QE
    identity. All parts start `issued` before now (a negative span lies in the future) and end after `lifetime`, the
    root's CRL after `root_crl_lifetime`.
    """

    tcb_status: TCBStatus | None = None
    missing_level: bool = False
    revoke_pck: bool = False
    evaluation_number: int = EVALUATION_NUMBER
    # Some verifiers have no patience with clocks that differ.
    issued: timedelta = timedelta(minutes=5)
    lifetime: timedelta = timedelta(days=30)
    root_crl_lifetime: timedelta = timedelta(days=365)


def make_collateral(
    identity: PlatformIdentity,
    keys: Mapping[str, EllipticCurvePrivateKey],
    certificates: Mapping[str, bytes],
    now: datetime,
    options: CollateralOptions,
) -> dict[str, str]:
    """The nine members of dcap-qvl's collateral JSON; keys and certificates (PEM) are those of `certificates`."""
    start = (now - options.issued).astimezone(UTC).replace(microsecond=0)
    window = {"issueDate": format_time(start), "nextUpdate": format_time(start + options.lifetime)}
    tcb_info = _compact(_tcb_info(identity, options, window))
    qe_identity = _compact(_qe_identity(options, window))
    signer_chain = (certificates[TCB_SIGNER] + certificates[ROOT]).decode()
    root_ca_crl = make_crl(
        certificates[ROOT], keys[ROOT], this_update=start, next_update=start + options.root_crl_lifetime
    )
    pck_crl = make_crl(
        certificates[INTERMEDIATE],
        keys[INTERMEDIATE],
        this_update=start,
        next_update=start + options.lifetime,
        revoked=[certificates[PCK]] if options.revoke_pck else [],
    )
    return {
        "pck_crl_issuer_chain": (certificates[INTERMEDIATE] + certificates[ROOT]).decode(),
        "root_ca_crl": root_ca_crl.hex(),
        "pck_crl": pck_crl.hex(),
        "tcb_info_issuer_chain": signer_chain,
        "tcb_info": tcb_info,
        "tcb_info_signature": raw_signature(keys[TCB_SIGNER], tcb_info.encode()).hex(),
        "qe_identity_issuer_chain": signer_chain,
        "qe_identity": qe_identity,
        "qe_identity_signature": raw_signature(keys[TCB_SIGNER], qe_identity.encode()).hex(),
    }


def _tcb_info(identity: PlatformIdentity, options: CollateralOptions, window: dict[str, str]) -> dict[str, Any]:
    return {
        "id": "SGX",
        "version": 3,
        **window,
        "fmspc": identity.fmspc.hex().upper(),
        "pceId": identity.pce_id.hex().upper(),
        "tcbType": 0,
        "tcbEvaluationDataNumber": options.evaluation_number,
        "tcbLevels": _tcb_levels(identity, options),
    }


def _tcb_levels(identity: PlatformIdentity, options: CollateralOptions) -> list[dict[str, Any]]:
    """Levels from the best to the worst; the platform reaches its own and the last, but none above."""
    own = identity.tcb_components
    newer = _raised(own, *_MICROCODE)
    if options.missing_level:
        return [_tcb_level(newer, identity.pce_svn, TCBStatus.UP_TO_DATE)]
    configured = _raised(own, _CONFIGURATION)
    places = {_OWN: own, _NEWER: newer, _CONFIGURED: configured, _BOTH: _raised(newer, _CONFIGURATION)}
    status = options.tcb_status or identity.tcb_status
    last = TCBStatus.REVOKED if status is TCBStatus.REVOKED else TCBStatus.OUT_OF_DATE
    return [
        *(_tcb_level(places[place], identity.pce_svn, above) for place, above in _LEVELS_ABOVE[status]),
        _tcb_level(own, identity.pce_svn, status),
        _tcb_level(bytes(len(own)), 0, last, date=_OLDEST),
    ]


def _tcb_level(components: bytes, pce_svn: int, status: TCBStatus, *, date: str | None = None) -> dict[str, Any]:
    titled = [{"svn": svn, **_COMPONENT_TITLES.get(at, {})} for at, svn in enumerate(components)]
    return {
        "tcb": {"sgxtcbcomponents": titled, "pcesvn": pce_svn},
        "tcbDate": date or (_OLDER if status in _BEHIND else _NEWEST),
        "tcbStatus": status.value,
        **_advisory_ids(_ADVISORIES[status]),
    }


def _qe_identity(options: CollateralOptions, window: dict[str, str]) -> dict[str, Any]:
    return {
        "id": "QE",
        "version": 2,
        **window,
        "tcbEvaluationDataNumber": options.evaluation_number,
        "miscselect": QE_MISC_SELECT.to_bytes(4, "little").hex().upper(),
        "miscselectMask": "FFFFFFFF",
        # Masked, as Intel writes it: 11 00 00...
        "attributes": _masked(QE_ATTRIBUTES.to_bytes(), _ATTRIBUTES_MASK).hex().upper(),
        "attributesMask": _ATTRIBUTES_MASK.hex().upper(),
        "mrsigner": QE_MR_SIGNER.hex().upper(),
        "isvprodid": QE_ISV_PROD_ID,
        "tcbLevels": [
            {"tcb": {"isvsvn": QE_ISV_SVN}, "tcbDate": _NEWEST, "tcbStatus": TCBStatus.UP_TO_DATE.value},
            {
                "tcb": {"isvsvn": 1},
                "tcbDate": _OLDEST,
                "tcbStatus": TCBStatus.OUT_OF_DATE.value,
                **_advisory_ids(_HARDENING),
            },
        ],
    }


def _advisory_ids(ids: tuple[str, ...]) -> dict[str, list[str]]:
    """Intel leaves the member out where there is none."""
    return {"advisoryIDs": list(ids)} if ids else {}


def _raised(components: bytes, *places: int) -> bytes:
    """The components with those at `places` one higher."""
    return bytes(svn + (at in places) for at, svn in enumerate(components))


def _masked(value: bytes, mask: bytes) -> bytes:
    return bytes(left & right for left, right in zip(value, mask, strict=True))


def _compact(document: dict[str, Any]) -> str:
    """JSON without spaces: Intel's verifier writes it so before it checks the signature."""
    return json.dumps(document, separators=(",", ":"))
