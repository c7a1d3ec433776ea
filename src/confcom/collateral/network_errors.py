"""What a failed exchange with a certificate service means, in words: one sentence with the host and the next step."""

import socket
import ssl
from collections.abc import Iterator, Mapping

import httpx2

from confcom.codes import Family, lookup
from confcom.codes import sentences as say
from confcom.errors import CollateralError
from confcom.quote.printing import printable

# A service's own words are quoted up to here.
_MAX_QUOTED = 200
# The service may answer otherwise a little later.
PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})

# OpenSSL's X509_V_ERR_ numbers (openssl/x509_vfy.h).
_TLS_EXPIRED, _TLS_NOT_YET, _TLS_OTHER_HOST, _TLS_OTHER_ADDRESS = 10, 9, 62, 64
_TLS_UNKNOWN_ISSUER = frozenset({18, 19, 20, 21})


def of_status(host: str, what: str, status: int, headers: Mapping[str, str]) -> CollateralError:
    """A service's refusal: its HTTP status as the table of codes explains it, and its own words where it sends any."""
    code = lookup(Family.HTTP, status)
    sentence = code.sentence if code else f"HTTP {status}, which no certificate service sends. {say.TRY_URL}"
    words = ", ".join(filter(None, (headers.get("error-code"), headers.get("error-message"))))
    said = f" It says: {printable(words, _MAX_QUOTED)}." if words else ""
    return CollateralError(f"{host}: {what}: {sentence}{said}", passing=status in PASSING_STATUSES)


def of_exception(host: str, what: str, error: Exception) -> CollateralError:
    """A connection that could not be made, or broke."""
    if isinstance(error, httpx2.TimeoutException):
        return _of_timeout(host, what, error)
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return CollateralError(f"{host}: {_of_tls(cause)}")
        if isinstance(cause, socket.gaierror):
            return CollateralError(
                f"{host}: the name cannot be resolved ({cause.strerror}): correct the URL, or the DNS of this machine "
                "or pod",
                passing=cause.errno == socket.EAI_AGAIN,
            )
        if isinstance(cause, ConnectionRefusedError):
            return CollateralError(
                f"{host}: refused the connection: nothing listens there. Start the service, or correct host and port "
                "(a PCCS has 8081 by default)",
                passing=True,
            )
    if isinstance(error, httpx2.ProxyError):
        return CollateralError(f"{host}: the proxy refused: {printable(str(error), _MAX_QUOTED)}; correct --proxy")
    if isinstance(error, httpx2.RemoteProtocolError):
        return CollateralError(
            f"{host}: {what}: the answer ended before it was whole, or is not HTTP: {_printed(error)}", passing=True
        )
    return CollateralError(f"{host}: {what}: the connection failed: {_printed(error)}. {say.TRY_URL}", passing=True)


def of_deadline(host: str, what: str, seconds: float) -> CollateralError:
    """The time for the whole collateral was used up."""
    return CollateralError(
        f"{host}: {what}: was not there within the {seconds:g} s allowed. {say.TRY_URL}", passing=True
    )


def _of_timeout(host: str, what: str, error: httpx2.TimeoutException) -> CollateralError:
    if isinstance(error, httpx2.ConnectTimeout):
        return CollateralError(f"{host}: does not answer: no connection was made in time. {say.TRY_URL}", passing=True)
    return CollateralError(
        f"{host}: {what}: the connection stands, but no answer came in time; read the service's log", passing=True
    )


def _of_tls(error: ssl.SSLError) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        reason = (error.reason or "unknown").replace("_", " ").lower()
        return f"TLS failed ({reason}): is it plain http, or another service's port?"
    if error.verify_code in _TLS_UNKNOWN_ISSUER:
        return (
            f"its TLS certificate is not trusted ({error.verify_message}): name the CA that signed it, or the "
            "certificate itself where it is self-signed, with --ca-file FILE"
        )
    if error.verify_code in {_TLS_OTHER_HOST, _TLS_OTHER_ADDRESS}:
        return f"its TLS certificate is for another host ({error.verify_message}): use the name that it was made for"
    if error.verify_code in {_TLS_EXPIRED, _TLS_NOT_YET}:
        return f"its TLS certificate is not valid now ({error.verify_message}): renew it, and compare the clocks"
    return f"its TLS certificate is not accepted ({error.verify_message})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _printed(error: Exception) -> str:
    return printable(str(error) or type(error).__name__, _MAX_QUOTED)
