"""Which addresses of certificate services are allowed, and how they are called in sentences."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit, urlunsplit

from confcom.errors import InputError

API_PATH = "/sgx/certification/v4"
THIM_PATH = "/metadata/THIM/sgx/certification/v4"
_VERSION = re.compile(r"/v([0-9]+)(?=/|$)")


def host_of(url: str) -> str:
    """Host and port of a URL as sentences name them: never credentials, path or query."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or url
    return f"{host}:{parts.port}" if parts.port else host


def is_nearby(url: str) -> bool:
    """Whether the host is this machine or on its own link, as Azure's metadata service is."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_link_local


def require_allowed(url: str, flag: str, *, allow_http: bool) -> None:
    """That `url` is HTTPS, or HTTP to a host nearby or by explicit leave.

    Raises:
        InputError: it is not; `flag` begins the sentence.
    """
    parts = _split(url, flag)
    if parts.scheme == "http" and not (allow_http or is_nearby(url)):
        raise InputError(
            f"{flag} {host_of(url)}: http:// lets anybody on the way answer with old collateral; "
            "use https://, or allow it with --allow-http"
        )


def service_base(url: str, flag: str, *, allow_http: bool, path: str = API_PATH) -> str:
    """The URL under which a service has its v4 endpoints, without a slash at its end; one without a path gets `path`.

    Raises:
        InputError: no URL, plain HTTP to a distant host, or another API version than v4.
    """
    require_allowed(url, flag, allow_http=allow_http)
    parts = _split(url, flag)
    path = parts.path.rstrip("/") or path
    # A gateway in front may have a version of its own; the API's stands last.
    versions = _VERSION.findall(path)
    if versions and versions[-1] != "4":
        raise InputError(
            f"{flag} {host_of(url)}: the path names API v{versions[-1]}; Intel switched v2 and v3 off on 2026-04-30: "
            f"write {API_PATH}"
        )
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _split(url: str, flag: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port_is_number = parts.port is None or parts.port > 0
    except ValueError as error:
        raise InputError(f"{flag}: is not a URL: {error}") from error
    if parts.scheme not in {"https", "http"} or not parts.hostname or not port_is_number:
        raise InputError(f"{flag}: is not a URL; write https://HOST:PORT")
    return parts
