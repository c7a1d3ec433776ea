"""Root and collateral of a simulated platform from its quote helper's HTTP port: how a pod gets those of its node."""

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Final

from confcom.errors import InputError, PlatformError

# A helper signs collateral anew in some milliseconds; one that is replaced just now answers a moment later.
FETCH_SECONDS: Final = 10.0
# Collateral has about 15 kB.
MAX_BYTES: Final = 1024 * 1024
_CHUNK: Final = 65536


def fetch(url: str) -> tuple[bytes, bytes]:
    """Root certificate (PEM) and collateral (JSON) of the helper at `url`, for example `http://sgx-quote-helper:9411`.

    Raises:
        InputError: it is no http or https URL.
        PlatformError: nobody answers in time, or what answers is no helper of a simulated platform.
    """
    if not _is_usable(url):
        raise InputError(f"--from {url}: is no URL of a quote helper; write http://HOST:PORT")
    base, deadline = url.rstrip("/"), time.monotonic() + FETCH_SECONDS
    root = _get(f"{base}/simulation/root.pem", deadline)
    if b"BEGIN CERTIFICATE" not in root:
        raise PlatformError(f"--from {url}: what answers is no quote helper: /simulation/root.pem is no certificate")
    return root, _get(f"{base}/simulation/collateral.json", deadline)


def _is_usable(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
        # Reading the port checks it.
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return named and parts.scheme in {"http", "https"} and url.isascii() and url.isprintable() and " " not in url


def _get(url: str, deadline: float) -> bytes:
    # The helper is a neighbour: a proxy of the environment is not asked.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    content = b""
    try:
        with opener.open(url, timeout=FETCH_SECONDS) as answer:
            while chunk := answer.read1(_CHUNK):
                content += chunk
                if len(content) > MAX_BYTES:
                    raise PlatformError(f"{url}: over {MAX_BYTES >> 20} MiB, which no root or collateral is")
                if time.monotonic() > deadline:
                    raise PlatformError(f"{url}: not answered within {FETCH_SECONDS:g} s")
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(200).decode(errors="replace").strip()
        raise PlatformError(f"{url}: answers {error.code}: {said or error.reason}") from None
    except urllib.error.URLError as error:
        reason = error.reason.strerror if isinstance(error.reason, OSError) else None
        raise PlatformError(f"{url}: cannot be reached: {reason or error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise PlatformError(f"{url}: cannot be read: {error}") from error
    return content
