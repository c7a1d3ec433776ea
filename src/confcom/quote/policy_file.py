"""A policy as a file, or as any other named values: strict keys, each with its reader; what is given later wins.

The file is TOML or JSON, has `version = 1`, and no key that is not in `KEYS`: a misspelt key that is silently ignored
would accept what it was written to refuse.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from confcom.codes import TCBStatus
from confcom.errors import InputError
from confcom.quote import report_data
from confcom.quote.allowance import DEFAULT_CLOCK_SLACK, MAX_CLOCK_SLACK, MAX_GRACE, Allowance
from confcom.quote.policy import ADVISORY, MEASUREMENT_SIZE, Policy
from confcom.quote.printing import printable
from confcom.settings import read_keys

VERSION = 1
# A policy is a page of text.
MAX_POLICY_BYTES = 256 * 1024
# What may be hashed with the data besides it; Intel Trust Authority's nonces have under 200 bytes.
MAX_NONCE_BYTES = 1024

# Of a key or value that is refused, so much is quoted.
_MAX_SHOWN = 64
_UINT16_MAX = 0xFFFF
_UINT32_MAX = 0xFFFF_FFFF
# Of these a later one takes the place of all earlier ones.
_REPORT_DATA_FORMS = ("report_data", "report_data_sha256_of", "nonce")


def read_policy(data: bytes, name: str) -> dict[str, Any]:
    """The checked values in a policy file; `name` begins each sentence.

    Raises:
        InputError: neither TOML nor JSON, another version, an unknown key, or a value that cannot be.
    """
    if len(data) > MAX_POLICY_BYTES:
        raise InputError(f"{name}: over {MAX_POLICY_BYTES >> 10} KiB, which no policy has")
    found = _decode(data, name)
    version = found.pop("version", None)
    # `true` and 1.0 are equal to 1 as well.
    if type(version) is not int or version != VERSION:
        raise InputError(f"{name}: version: {_other_version(version)}; this program reads version = {VERSION}")
    return check_values(found, lambda key: f"{name}: {key}")


def check_values(values: Mapping[str, Any], spell: Callable[[str], str]) -> dict[str, Any]:
    """Each value read by its key; `spell` names a key as the user wrote it, for example `--mr-enclave`.

    Raises:
        InputError: an unknown key, a value of another type or out of its range, or forms that exclude each other.
    """
    checked = {}
    for key, value in values.items():
        if key not in KEYS:
            named = spell(printable(key, _MAX_SHOWN))
            raise InputError(f"{named}: there is no such key; known are version, {', '.join(sorted(KEYS))}")
        try:
            checked[key] = KEYS[key](value)
        except ValueError as error:
            raise InputError(f"{spell(key)}: {error}") from error
    if {"report_data", "report_data_sha256_of"} <= checked.keys():
        raise InputError(f"{spell('report_data')}: does not go with {spell('report_data_sha256_of')}; give one of them")
    if "nonce" in checked and "report_data_sha256_of" not in checked:
        raise InputError(f"{spell('nonce')}: goes with {spell('report_data_sha256_of')} only")
    return checked


def override(values: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """The values of both; of one key, and of the forms of report data, the later one counts."""
    dropped = _REPORT_DATA_FORMS if later.keys() & set(_REPORT_DATA_FORMS) else ()
    return {key: value for key, value in values.items() if key not in dropped} | dict(later)


def make_policy(values: Mapping[str, Any], hashed: bytes | None = None) -> Policy:
    """The policy of checked values; `hashed` holds the bytes of the file that `report_data_sha256_of` names.

    Raises:
        InputError: a value that no report could have, or a file's name without its bytes.
    """
    if hashed is None and "report_data_sha256_of" in values:
        raise InputError(f"report_data_sha256_of: the bytes of {values['report_data_sha256_of']} are not given")
    wanted = {key: values[key] for key in values if key in _OF_POLICY}
    if hashed is not None:
        wanted["report_data"] = report_data.sha256_of(hashed, values.get("nonce", b""))
    return Policy(**wanted)


def make_allowance(values: Mapping[str, Any]) -> Allowance:
    """The allowance of checked values: five minutes of clock slack and no grace, where nothing is said.

    Raises:
        InputError: a span that is no allowance.
    """
    slack = values.get("clock_slack_seconds", DEFAULT_CLOCK_SLACK)
    return Allowance(clock_slack=slack, grace=values.get("grace_days", timedelta()))


def _decode(data: bytes, name: str) -> dict[str, Any]:
    try:
        return read_keys(data, is_json=data.lstrip()[:1] in {b"{", b"["})
    except ValueError as error:
        raise InputError(f"{name}: {error}") from error


def _other_version(found: Any) -> str:
    if found is None:
        return "is missing"
    # TOML's hexadecimal numbers may be too long for Python to print.
    return (
        "is another"
        if isinstance(found, int) and abs(found) > _UINT32_MAX
        else f"is {printable(repr(found), _MAX_SHOWN)}"
    )


def _measurements(value: Any) -> frozenset[bytes]:
    """32 bytes in hex, or a list of such."""
    texts = value if isinstance(value, list) else [value]
    if not texts:
        raise ValueError("is an empty list: nothing could be accepted")
    found = frozenset(map(_hex, texts))
    for measurement in found:
        if len(measurement) != MEASUREMENT_SIZE:
            raise ValueError(f"has {len(measurement)} bytes; it must have exactly {MEASUREMENT_SIZE}")
    return found


def _hex(value: Any) -> bytes:
    try:
        return bytes.fromhex(_text(value))
    except ValueError as error:
        raise ValueError("is not hex: write two digits 0-9a-f for each byte") from error


def _report_data(value: Any) -> bytes:
    found = _hex(value)
    if not 1 <= len(found) <= report_data.REPORT_DATA_SIZE:
        raise ValueError(f"has {len(found)} bytes; a report has {report_data.REPORT_DATA_SIZE}")
    return report_data.raw(found)


def _nonce(value: Any) -> bytes:
    found = _hex(value)
    if not 1 <= len(found) <= MAX_NONCE_BYTES:
        raise ValueError(f"has {len(found)} bytes; it must have 1 to {MAX_NONCE_BYTES}")
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - all readers raise one error
    return value


def _number(most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise ValueError(f"must be a whole number, 0 to {most}")
        return value

    return read


def _span(unit: timedelta, most: timedelta) -> Callable[[Any], timedelta]:
    number = _number(most // unit)
    return lambda value: number(value) * unit


def _statuses(value: Any) -> frozenset[TCBStatus]:
    """UpToDate is good enough for everyone and need not be named."""
    found = {TCBStatus.UP_TO_DATE}
    for name in _list(value):
        if _text(name).lower() == TCBStatus.REVOKED.lower():
            raise ValueError("Revoked cannot be accepted: keys of such a platform are known to have leaked")
        known = {status.lower(): status for status in TCBStatus if status is not TCBStatus.REVOKED}
        if name.lower() not in known:
            raise ValueError(f"{name!r} cannot be accepted; known are {', '.join(known.values())}")
        found.add(known[name.lower()])
    return frozenset(found)


def _advisories(value: Any) -> frozenset[str]:
    found = frozenset(_text(name).upper() for name in _list(value))
    for name in found:
        if not ADVISORY.fullmatch(name):
            raise ValueError(f"{name!r} is no advisory; write it like INTEL-SA-00615")
    return found


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("must be a list")  # noqa: TRY004 - all readers raise one error
    return value


_OF_POLICY: dict[str, Callable[[Any], Any]] = {
    "mr_enclave": _measurements,
    "mr_signer": _measurements,
    "isv_prod_id": _number(_UINT16_MAX),
    "min_isv_svn": _number(_UINT16_MAX),
    "report_data": _report_data,
    "allow_debug": _boolean,
    "accepted_statuses": _statuses,
    "accepted_advisories": _advisories,
    "rejected_advisories": _advisories,
    "min_tcb_evaluation_data_number": _number(_UINT32_MAX),
}
# Every key of a policy file but `version`, and how its value is read.
KEYS: dict[str, Callable[[Any], Any]] = {
    **_OF_POLICY,
    "report_data_sha256_of": _text,
    "nonce": _nonce,
    "grace_days": _span(timedelta(days=1), MAX_GRACE),
    "clock_slack_seconds": _span(timedelta(seconds=1), MAX_CLOCK_SLACK),
}
