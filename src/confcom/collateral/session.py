"""HTTPS to one certificate service: bounded in time and size, patient where that helps, and never led elsewhere."""

import contextlib
import email.utils
import queue
import random
import ssl
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import httpx2

from confcom import __version__
from confcom.collateral import network_errors
from confcom.collateral.address import host_of, is_nearby
from confcom.collateral.limits import MAX_REDIRECTS, Deadline
from confcom.collateral.network import Network
from confcom.errors import CollateralError, InputError

_TOO_MANY = frozenset({429, 503})
# A pause is lengthened by up to this part of it, so that nodes that failed together do not come back together.
_JITTER = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A whole answer with status 200; header names are lower case."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def date(self) -> datetime | None:
        """The service's clock, where it says it."""
        return _http_date(self.headers.get("date", ""))


class Session:
    """Requests that share one connection and one total deadline; a context manager."""

    def __init__(self, network: Network, url: str) -> None:
        """A session with the host of `url`.

        Raises:
            InputError: the CA file or the proxy cannot be used.
        """
        self._proxy = _proxy(network, url)
        self._client = _client(network, url, self._proxy)
        self._network = network
        self._limits = network.limits
        self._deadline = Deadline(network.limits.total, network.clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, url: str, what: str, headers: Mapping[str, str] | None = None) -> Reply:
        """The answer to a GET; what may pass is tried again within the deadline. `what` names the part in sentences.

        Raises:
            CollateralError: there was no answer of status 200 in time; the sentence names the host and what to do.
        """
        pause = self._limits.first_pause
        for attempt in range(1, self._limits.attempts + 1):
            try:
                return self._once(url, what, headers or {})
            except CollateralError as error:
                wait = max(pause * (1 + random.uniform(0, _JITTER)), _asked_wait(error))  # noqa: S311 - not a secret
                if not error.passing or attempt == self._limits.attempts or not self._deadline.left:
                    raise
                if wait >= self._deadline.left:
                    raise _no_time_left(error, wait, self._deadline.left) from error
            self._network.pause(wait)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def _once(self, url: str, what: str, headers: Mapping[str, str]) -> Reply:
        """One attempt, in a thread: only so a name server or a trickle of bytes cannot hold the caller."""
        results: queue.SimpleQueue[Reply | Exception] = queue.SimpleQueue()

        def work() -> None:
            try:
                results.put(self._exchange(url, what, headers))
            except Exception as error:  # noqa: BLE001 - it is handed to the caller, whatever it is
                results.put(error)

        threading.Thread(target=work, name=f"collateral: {what}", daemon=True).start()
        try:
            result = results.get(timeout=self._deadline.left)
        except queue.Empty:
            # The thread ends by its closed connection, or else by its own read timeout.
            self._client.close()
            raise network_errors.of_deadline(self._called(url), what, self._deadline.seconds) from None
        # A host of empty labels, like `..`, is a UnicodeError.
        if isinstance(result, (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError)):
            raise network_errors.of_exception(self._called(url), what, result) from result
        if isinstance(result, Exception):
            raise result
        return result

    def _called(self, url: str) -> str:
        """The host as sentences name it; with the proxy, since a failure or refusal may be the proxy's."""
        return f"{host_of(url)} (through the proxy {host_of(self._proxy)})" if self._proxy else host_of(url)

    def _exchange(self, url: str, what: str, headers: Mapping[str, str]) -> Reply:
        for _ in range(MAX_REDIRECTS + 1):
            with self._client.stream("GET", url, headers=dict(headers)) as response:
                if response.is_redirect:
                    url = _redirected(url, response, what)
                    continue
                found = {name.lower(): value for name, value in response.headers.items()}
                if response.status_code != httpx2.codes.OK:
                    raise _refusal(self._called(url), what, response.status_code, found)
                return Reply(headers=found, body=self._body(response, url, what))
        raise CollateralError(f"{host_of(url)}: {what}: redirects more than {MAX_REDIRECTS} times; correct the URL")

    def _body(self, response: httpx2.Response, url: str, what: str) -> bytes:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise CollateralError(f"{host_of(url)}: {what}: is compressed, though nobody asked for that")
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > self._limits.body_bytes:
                raise CollateralError(
                    f"{host_of(url)}: {what}: has over {self._limits.body_bytes >> 10} KiB, which no {what} has: "
                    "is the URL that of a certificate service?"
                )
        return bytes(body)


class _AskedToWaitError(CollateralError):
    """A refusal with Retry-After, in seconds."""

    def __init__(self, sentence: str, seconds: float) -> None:
        super().__init__(sentence, passing=True)
        self.seconds = seconds


def _refusal(host: str, what: str, status: int, headers: Mapping[str, str]) -> CollateralError:
    error = network_errors.of_status(host, what, status, headers)
    wait = _retry_after(headers) if status in _TOO_MANY else None
    return error if wait is None else _AskedToWaitError(str(error), wait)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3): a number, or a date compared with the service's own."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        # A number of more digits than this is forever as well.
        return float(value[:9])
    then, now = _http_date(value), _http_date(headers.get("date", ""))
    return max(0.0, (then - now).total_seconds()) if then and now else None


def _asked_wait(error: CollateralError) -> float:
    return error.seconds if isinstance(error, _AskedToWaitError) else 0.0


def _no_time_left(error: CollateralError, wait: float, left: float) -> CollateralError:
    return CollateralError(f"{error} (The next try would be due in {wait:.0f} s; {left:.0f} s are left.)", passing=True)


def _http_date(text: str) -> datetime | None:
    with contextlib.suppress(ValueError, OverflowError):
        found = email.utils.parsedate_to_datetime(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def _redirected(url: str, response: httpx2.Response, what: str) -> str:
    """Where a redirect leads, if that is the same service: another host was not named by the user."""
    here = httpx2.URL(url)
    try:
        there = here.join(response.headers.get("location", ""))
        name = host_of(str(there))
    except (ValueError, httpx2.InvalidURL) as error:
        raise CollateralError(
            f"{host_of(url)}: {what}: redirects to what is no URL: is the URL that of a certificate service?"
        ) from error
    if (there.scheme, there.host, there.port) != (here.scheme, here.host, here.port):
        raise CollateralError(
            f"{host_of(url)}: {what}: redirects to {name}, which is not followed; name that host yourself if you "
            "trust it"
        )
    return str(there)


def _client(network: Network, url: str, proxy: str | None) -> httpx2.Client:
    return httpx2.Client(
        verify=_tls(network.ca_file) if url.startswith("https:") else False,
        proxy=proxy,
        # The environment's proxy is known already; what else it says is not for this client.
        trust_env=False,
        timeout=httpx2.Timeout(network.limits.read, connect=network.limits.connect),
        # Counting received bytes bounds memory only where none are unpacked.
        headers={"accept-encoding": "identity", "user-agent": f"confcom/{__version__}"},
    )


def _proxy(network: Network, url: str) -> str | None:
    """The proxy on the way to a URL: the one that was named, or else the environment's; none to hosts nearby.

    Raises:
        InputError: it is no HTTP proxy's URL; the sentence does not repeat it, since it may hold a password.
    """
    if is_nearby(url):
        return None
    source, found = "--proxy", network.proxy
    if not found:
        source, found = "the environment's proxy (https_proxy or the like)", _environment_proxy(url)
    # Many environments name a proxy without a scheme.
    proxy = found if not found or "://" in found else f"http://{found}"
    if proxy and not _is_http_proxy(proxy):
        raise InputError(f"{source}: is not the URL of a proxy; write http://HOST:PORT")
    return proxy


def _is_http_proxy(url: str) -> bool:
    try:
        return httpx2.Proxy(url).url.scheme in {"http", "https"} and urlsplit(url).port != 0
    except (ValueError, httpx2.InvalidURL):
        return False


def _environment_proxy(url: str) -> str | None:
    scheme = urlsplit(url).scheme
    if urllib.request.proxy_bypass(host_of(url)):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(scheme) or proxies.get("all")


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except ssl.SSLError as error:
            raise InputError(f"--ca-file {ca_file}: holds no certificate in PEM") from error
        except OSError as error:
            raise InputError(f"--ca-file {ca_file}: {error.strerror or error}") from error
    return context
