"""A small client of the API server: get, list, apply, delete, and the pod proxy.

Objects are plain dictionaries: typed models drop fields that they do not know (`cluster-addon.md` 7), and what is
rendered must arrive as it was rendered.
"""

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Literal, Self
from urllib.parse import quote

import httpx2
import msgspec
from lightkube.core.exceptions import ConfigError

from confcom.errors import InputError, KubeAPIError
from confcom.kube.credentials import open_client
from confcom.kube.kinds import Kind
from confcom.kube.kubeconfig import Config

Object = dict[str, Any]
Propagation = Literal["Foreground", "Background", "Orphan"]

# An API server that is this slow is not there.
REQUEST_SECONDS: Final = 15.0
# A node pod answers at once or not at all; the API server itself waits 30 s for one that is gone.
PROXY_SECONDS: Final = 5.0
# An API server that is busy (429) says when to come again; it is asked again for so many times a call's own deadline.
PATIENCE: Final = 2.0
# A page of pods has about 3 MB.
PAGE_ITEMS: Final = 500
# /status of a helper has some 20 kB.
MAX_PROXIED_BYTES: Final = 1024 * 1024
# What is quoted of an answer that is no Status object.
_SAID_CHARACTERS: Final = 200
# The API server's words for a right that one lacks.
_RIGHT: Final = re.compile(r'User ".*" cannot [a-z]+ resource')


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """The object after an apply, and whether it was not there before."""

    object: Object
    created: bool


class KubeAPI:
    """One cluster, as one user. Every call has a deadline, and raises `KubeAPIError` where it fails.

    `warnings` are what the API server has said beside its answers, each once.
    """

    def __init__(self, config: Config, *, field_manager: str) -> None:
        """Connects at the first call; `config` is of `kube.config.find_config`.

        Raises:
            InputError: certificates, keys, the proxy or the way to log in of the kubeconfig cannot be used.
        """
        self.server = config.cluster.server
        self.context = config.context_name
        self.warnings: list[str] = []
        self._manager = field_manager
        # A name other than the address's, by which the server's certificate is known.
        name = config.cluster.tls_server_name
        self._extensions = {"sni_hostname": name} if name else {}
        try:
            self._http = open_client(config, REQUEST_SECONDS)
        except ImportError as error:
            raise InputError(
                "the cluster cannot be reached through a SOCKS proxy; name an HTTP proxy (proxy-url, ALL_PROXY)"
            ) from error
        except (OSError, ConfigError, ValueError, httpx2.InvalidURL) as error:
            raise InputError(f"kubeconfig: context {self.context}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def version(self) -> str:
        """The API server's version, as in `v1.36.2`."""
        return str(self._json("GET", "/version").get("gitVersion", ""))

    def get(self, kind: Kind, name: str, namespace: str = "") -> Object | None:
        """One object, or None where there is none, or no such kind."""
        try:
            return self._json("GET", kind.path(name, namespace))
        except KubeAPIError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def list(self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> list[Object]:
        """The objects of one kind; empty where there is no such kind."""
        return list(self.items(kind, namespace, labels=labels, fields=fields))

    def items(self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> Iterator[Object]:
        """As `list`, page by page: for kinds of which a cluster has more than one wants to hold at a time."""
        wanted = {"labelSelector": labels, "fieldSelector": fields, "limit": str(PAGE_ITEMS)}
        query = {name: value for name, value in wanted.items() if value}
        while True:
            try:
                page = self._json("GET", kind.path(namespace=namespace), query=query)
            except _ExpiredPageError as error:
                # The server forgets a list after some minutes. Its next page is then of now, not of the list's start.
                query["continue"] = error.next_page
                continue
            except KubeAPIError as error:
                if error.status == HTTPStatus.NOT_FOUND:
                    return
                raise
            # Items of a list carry neither field.
            head = {"apiVersion": kind.api_version, "kind": kind.kind}
            yield from (head | item for item in page.get("items") or ())
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return
            query["continue"] = more

    def apply(self, kind: Kind, item: Object, *, force: bool = False, dry_run: bool = False) -> Applied:
        """Server-side apply of a whole object; without `force` fields that somebody else set differently are a 409."""
        metadata = item["metadata"]
        query = {"fieldManager": self._manager, "force": str(force).lower()} | ({"dryRun": "All"} if dry_run else {})
        path = kind.path(metadata["name"], metadata.get("namespace", ""))
        headers = {"Content-Type": "application/apply-patch+yaml"}
        answer = self._send("PATCH", path, query=query, content=msgspec.json.encode(item), headers=headers)
        return Applied(object=_decode(answer), created=answer.status_code == HTTPStatus.CREATED)

    def delete(self, kind: Kind, name: str, namespace: str = "", *, propagation: Propagation = "Background") -> bool:
        """Deletes one object; False where it was not there."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        headers = {"Content-Type": "application/json"}
        try:
            self._send("DELETE", kind.path(name, namespace), content=msgspec.json.encode(body), headers=headers)
        except KubeAPIError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True

    def ask_pod(self, namespace: str, pod: str, port: int, path: str) -> bytes:
        """What a pod's HTTP port answers, through the API server's pod proxy.

        On a node's own network the port can be anybody's, so neither length nor time is left to who answers.
        """
        where = f"/api/v1/namespaces/{namespace}/pods/{quote(pod)}:{port}/proxy{path}"
        # Compressed, a megabyte can become a thousand.
        plain = {"Accept-Encoding": "identity"}
        answer = self._send("GET", where, headers=plain, timeout=PROXY_SECONDS, most=MAX_PROXIED_BYTES)
        return bytes(answer.content)

    # --- HTTP ---------------------------------------------------------------------------------------------------------

    def _json(self, method: str, path: str, *, query: Mapping[str, str] | None = None) -> Object:
        return _decode(self._send(method, path, query=query))

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = REQUEST_SECONDS,
        most: int | None = None,
    ) -> httpx2.Response:
        deadline = time.monotonic() + PATIENCE * timeout
        while True:
            # The adapter joins base address and path itself; a leading slash would drop the base's own path.
            answer = self._exchange(
                method, path.lstrip("/"), params=query, content=content, headers=headers, timeout=timeout, most=most
            )
            wait = _wanted_wait(answer)
            if wait is None or time.monotonic() + wait > deadline:
                break
            time.sleep(wait)
        self._note_warnings(answer)
        if answer.is_success:
            return answer
        raise _failure(answer)

    def _exchange(self, method: str, path: str, *, timeout: float, most: int | None, **parts: Any) -> httpx2.Response:
        parts |= {"timeout": timeout, "extensions": self._extensions}
        try:
            if most is None:
                return self._http.request(method, path, **parts)
            with self._http.stream(method, path, **parts) as answer:
                return _bounded(answer, most, time.monotonic() + timeout)
        except httpx2.TimeoutException as error:
            raise KubeAPIError(f"cluster {self.server}: no answer within {timeout:g} s", status=0) from error
        except (httpx2.HTTPError, OSError) as error:
            raise KubeAPIError(f"cluster {self.server}: cannot be reached: {error}", status=0) from error
        except ConfigError as error:
            raise InputError(f"kubeconfig: context {self.context}: {error}") from error

    def _note_warnings(self, answer: httpx2.Response) -> None:
        for value in answer.headers.get_list("warning"):
            text = re.sub(r"\\(.)", r"\1", value.partition('"')[2].rpartition('"')[0])
            if text and text not in self.warnings:
                self.warnings.append(text)


class _ExpiredPageError(KubeAPIError):
    """The server no longer knows the list of which a page was asked; it names the page that goes on from there."""

    def __init__(self, sentence: str, *, next_page: str) -> None:
        super().__init__(sentence, status=HTTPStatus.GONE, reason="Expired")
        self.next_page = next_page


def _bounded(answer: httpx2.Response, most: int, deadline: float) -> httpx2.Response:
    """An answer with its body as it came, read to a length and a time and not to its end."""
    body = bytearray()
    for part in answer.iter_raw():
        body += part
        if len(body) > most:
            raise KubeAPIError(f"{answer.request.url.path}: over {most >> 20} MiB", status=0)
        if time.monotonic() > deadline:
            raise httpx2.ReadTimeout("the answer does not end")
    wait = {"Retry-After": answer.headers["retry-after"]} if "retry-after" in answer.headers else {}
    return httpx2.Response(answer.status_code, headers=wait, content=bytes(body), request=answer.request)


def _wanted_wait(answer: httpx2.Response) -> float | None:
    """The seconds after which a server that did nothing wants to be asked again, or None; as client-go reads it."""
    seconds = answer.headers.get("retry-after", "")
    is_busy = answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.is_server_error
    return float(seconds) if is_busy and seconds.isascii() and seconds.isdigit() else None


def _decode(answer: httpx2.Response) -> Object:
    try:
        content = msgspec.json.decode(answer.content)
    except msgspec.DecodeError as error:
        raise KubeAPIError(f"{answer.request.url}: the answer is not JSON: {error}", status=0) from error
    if not isinstance(content, dict):
        raise KubeAPIError(f"{answer.request.url}: the answer is not an object", status=0)
    return content


def _failure(answer: httpx2.Response) -> KubeAPIError:
    """The error that an answer stands for: a `Status` object, or plain text from something in between."""
    status: dict[str, Any] = {}
    with contextlib.suppress(msgspec.DecodeError):
        found = msgspec.json.decode(answer.content)
        status = found if isinstance(found, dict) else {}
    causes = tuple(
        f"{cause.get('field', '')}: {cause.get('message', '')}"
        for cause in (status.get("details") or {}).get("causes") or ()
        if isinstance(cause, dict)
    )
    message = str(status.get("message") or _something_else(answer))
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        message = f"the credentials of this kubeconfig are not accepted ({message})"
    if answer.status_code == HTTPStatus.FORBIDDEN and _RIGHT.search(message):
        # Not so where a policy, a quota or a webhook forbids it.
        message = f"{message}; what one needs is in docs/reference/rbac.md"
    next_page = (status.get("metadata") or {}).get("continue")
    if answer.status_code == HTTPStatus.GONE and next_page:
        return _ExpiredPageError(message, next_page=str(next_page))
    return KubeAPIError(message, status=answer.status_code, reason=str(status.get("reason", "")), causes=causes)


def _something_else(answer: httpx2.Response) -> str:
    """What is no `Status`: a load balancer, which answers with a page, or a server that is none of Kubernetes."""
    url, text = answer.request.url, " ".join(answer.text.split())
    said = "" if text.startswith("<") or not text else f": {text[:_SAID_CHARACTERS]}"
    return f"cluster {url.scheme}://{url.netloc.decode()}: answers {answer.status_code} {answer.reason_phrase}{said}"
