"""The API client over real HTTP: pages, conflicts, what is not JSON, and what never answers."""

import contextlib
import gzip
import socket
import threading
from types import SimpleNamespace

import pytest
from api_server import APIServer, Running, kubeconfig

from confcom.errors import KubeAPIError
from confcom.kube import api as kube_api
from confcom.kube import kinds
from confcom.kube.api import KubeAPI
from confcom.kube.config import find_config
from confcom.kube.kinds import Kind

CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "c", "namespace": "default"},
    "data": {"a": "1"},
}


@pytest.fixture
def server(tmp_path):
    with Running(APIServer(), tmp_path) as running:
        yield running


@pytest.fixture
def kube(server):
    with KubeAPI(find_config(None, server.kubeconfig, {}), field_manager="me") as client:
        yield client


PATHS = [
    (kinds.NODE, "", "", "/api/v1/nodes"),
    (kinds.NODE, "a", "ignored", "/api/v1/nodes/a"),
    (kinds.POD, "", "", "/api/v1/pods"),
    (kinds.POD, "", "ns", "/api/v1/namespaces/ns/pods"),
    (kinds.DAEMON_SET, "d", "ns", "/apis/apps/v1/namespaces/ns/daemonsets/d"),
    (Kind(api_version="a.b/v1", kind="X", plural="xs", namespaced=False), "x", "", "/apis/a.b/v1/xs/x"),
]


@pytest.mark.parametrize(("kind", "name", "namespace", "path"), PATHS)
def test_paths(kind, name, namespace, path):
    assert kind.path(name, namespace) == path


def test_version(kube):
    assert kube.version() == "v1.36.2"


def test_what_is_not_there_is_none(kube):
    assert kube.get(kinds.POD, "p", "default") is None
    assert kube.get(Kind(api_version="x.y/v1", kind="X", plural="xs"), "p", "default") is None
    assert kube.list(Kind(api_version="x.y/v1", kind="X", plural="xs")) == []
    assert kube.delete(kinds.CONFIG_MAP, "c", "default") is False


def test_apply_get_delete(kube):
    assert kube.apply(kinds.CONFIG_MAP, CONFIG).created
    assert not kube.apply(kinds.CONFIG_MAP, CONFIG).created
    assert kube.get(kinds.CONFIG_MAP, "c", "default")["data"] == {"a": "1"}
    assert kube.delete(kinds.CONFIG_MAP, "c", "default") is True


def test_dry_run_writes_nothing(kube):
    kube.apply(kinds.CONFIG_MAP, CONFIG, dry_run=True)
    assert kube.get(kinds.CONFIG_MAP, "c", "default") is None


def test_lists_come_in_pages_with_their_kind(server, kube, monkeypatch):
    monkeypatch.setattr(kube_api, "PAGE_ITEMS", 3)
    for number in range(8):
        labels = {"odd": str(number % 2)}
        server.api.create(
            "v1", "configmaps", {"metadata": {"name": f"c{number}", "namespace": "default", "labels": labels}}
        )
    found = kube.list(kinds.CONFIG_MAP)
    assert [item["metadata"]["name"] for item in found] == [f"c{number}" for number in range(8)]
    assert {(item["kind"], item["apiVersion"]) for item in found} == {("ConfigMap", "v1")}
    assert len(kube.list(kinds.CONFIG_MAP, labels="odd=1")) == 4
    assert len(kube.list(kinds.CONFIG_MAP, "kube-system")) == 0
    assert len(kube.list(kinds.CONFIG_MAP, fields="metadata.name=c3")) == 1


def test_a_list_that_the_server_has_forgotten_goes_on_where_it_was(server, kube, monkeypatch):
    monkeypatch.setattr(kube_api, "PAGE_ITEMS", 2)
    for number in range(5):
        server.api.create("v1", "configmaps", {"metadata": {"name": f"c{number}", "namespace": "default"}})
    server.api.forgotten_pages = 2
    assert [item["metadata"]["name"] for item in kube.list(kinds.CONFIG_MAP)] == [f"c{number}" for number in range(5)]
    assert server.api.forgotten_pages == 0


@pytest.fixture
def naps(monkeypatch):
    """The waits of the client, which only pass."""
    # Not the real clock, which also drives the loops of other threads.
    clock, taken = [0.0], []

    def sleep(seconds):
        taken.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(kube_api, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: clock[0]))
    return taken


def test_a_busy_server_is_asked_again_when_it_says(server, kube, naps):
    server.api.busy = 3
    assert kube.version() == "v1.36.2"
    assert naps == [1.0, 1.0, 1.0]


def test_a_server_that_stays_busy_is_a_failure(server, kube, naps):
    server.api.busy = 1000
    with pytest.raises(KubeAPIError, match=r"^too many requests, please try again later$") as error:
        kube.version()
    assert error.value.status == 429
    assert sum(naps) == kube_api.PATIENCE * kube_api.REQUEST_SECONDS


def test_conflict_has_its_causes(server, kube):
    kube.apply(kinds.CONFIG_MAP, CONFIG)
    server.api.edit("v1", "configmaps", "default", "c", lambda item: item["data"].update(a="2"))
    with pytest.raises(KubeAPIError) as error:
        kube.apply(kinds.CONFIG_MAP, CONFIG)
    assert (error.value.status, error.value.reason) == (409, "Conflict")
    assert error.value.causes == ('.data.a: conflict with "kubectl-edit" using v1',)
    assert kube.apply(kinds.CONFIG_MAP, CONFIG, force=True).object["data"] == {"a": "1"}


def test_forbidden_is_the_servers_own_sentence(server, kube):
    server.api.denied.add(("list", "nodes"))
    with pytest.raises(KubeAPIError, match='nodes "" is forbidden: User "tester" cannot list') as error:
        kube.list(kinds.NODE)
    assert error.value.status == 403
    assert error.value.exit_code == 3


def test_pod_proxy(server, kube):
    server.api.create("v1", "pods", {"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": []}})
    server.api.pod_answers["p", 9411, "/status"] = b"{}"
    assert kube.ask_pod("default", "p", 9411, "/status") == b"{}"
    with pytest.raises(KubeAPIError, match="connection refused"):
        kube.ask_pod("default", "p", 9412, "/status")


def test_pod_that_says_too_much(server, kube):
    server.api.create("v1", "pods", {"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": []}})
    server.api.pod_answers["p", 9411, "/status"] = b" " * (kube_api.MAX_PROXIED_BYTES + 1)
    with pytest.raises(KubeAPIError, match=r"^/api/v1/namespaces/default/pods/p:9411/proxy/status: over 1 MiB$"):
        kube.ask_pod("default", "p", 9411, "/status")


ENDLESS = {
    "without end": (b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536, 30.0, "over 1 MiB"),
    "a byte at a time": (b"HTTP/1.1 200 OK\r\n\r\n", b" ", 0.3, "no answer within 0.3 s"),
    "an error without end": (b"HTTP/1.1 500 x\r\n\r\n", b" " * 65536, 30.0, "over 1 MiB"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_pod_that_never_ends_its_answer(name, tmp_path, monkeypatch):
    """On the node's network the port can be anybody's: neither memory nor time is theirs."""
    head, part, seconds, sentence = ENDLESS[name]
    monkeypatch.setattr(kube_api, "PROXY_SECONDS", seconds)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            with listener.accept()[0] as peer, contextlib.suppress(OSError):
                peer.recv(65536)
                peer.sendall(head)
                while not done.wait(0.02 if len(part) == 1 else 0):
                    peer.sendall(part)

        done = threading.Event()
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with client_of(url, tmp_path) as kube, pytest.raises(KubeAPIError) as error:
            kube.ask_pod("default", "p", 9411, "/status")
        done.set()
        thread.join(30)
    assert sentence in str(error.value)


def test_what_a_pod_compressed_is_not_unpacked(tmp_path):
    body = gzip.compress(b" " * 10_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            with listener.accept()[0] as peer:
                peer.recv(65536)
                peer.sendall(head + body)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with client_of(f"http://127.0.0.1:{listener.getsockname()[1]}", tmp_path) as kube:
            assert kube.ask_pod("default", "p", 9411, "/status") == body
        thread.join(30)


def client_of(url, tmp_path):
    import yaml

    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(kubeconfig(url)))
    return KubeAPI(find_config(None, file, {}), field_manager="me")


def test_nobody_listens(tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with client_of(url, tmp_path) as kube, pytest.raises(KubeAPIError) as error:
            kube.version()
    assert str(error.value) == f"cluster {url}: cannot be reached: [Errno 111] Connection refused"


def test_silence_ends_at_the_deadline(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with client_of(url, tmp_path) as kube, pytest.raises(KubeAPIError, match=r"no answer within 0\.2 s"):
            kube._send("GET", "/version", timeout=0.2)


ODD = {
    "a page of a proxy": ("502 Bad Gateway", b"<html>\r\nnope</html>", "cluster URL: answers 502 Bad Gateway"),
    "no body": ("503 Service Unavailable", b"", "cluster URL: answers 503 Service Unavailable"),
    "text in lines": (
        "404 Not Found",
        b"404 page\nnot found\n",
        "cluster URL: answers 404 Not Found: 404 page not found",
    ),
    "a list": ("500 x", b"[]", "cluster URL: answers 500 x: []"),
    "not accepted": (
        "401 Unauthorized",
        b'{"message": "Unauthorized"}',
        "the credentials of this kubeconfig are not accepted (Unauthorized)",
    ),
    "busy, and no word of when": (
        "429 Too Many Requests",
        b"later",
        "cluster URL: answers 429 Too Many Requests: later",
    ),
    "forgotten, and no page to go on with": ("410 Gone", b'{"reason": "Expired", "message": "too old"}', "too old"),
    "a right that one lacks": (
        "403 Forbidden",
        b'{"message": "nodes is forbidden: User \\"u\\" cannot list resource \\"nodes\\" in API group \\"\\""}',
        (
            'nodes is forbidden: User "u" cannot list resource "nodes" in API group ""; '
            "what one needs is in docs/reference/rbac.md"
        ),
    ),
    "a quota": (
        "403 Forbidden",
        b'{"message": "pods is forbidden: exceeded quota"}',
        "pods is forbidden: exceeded quota",
    ),
    "no JSON": ("200 OK", b"hello", "the answer is not JSON"),
    "JSON of another shape": ("200 OK", b"[1]", "the answer is not an object"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_answers_are_one_sentence(name, tmp_path):
    status, body, sentence = ODD[name]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            with listener.accept()[0] as peer:
                peer.recv(65536)
                peer.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with client_of(url, tmp_path) as kube, pytest.raises(KubeAPIError) as error:
            kube.version()
        thread.join(30)
    found = str(error.value).replace(url, "URL")
    assert found == sentence or (status == "200 OK" and sentence in found)


def test_warnings_are_kept_once_and_without_their_quoting(tmp_path):
    warning = '299 - "unknown field \\"spec.x\\""'
    head = f"HTTP/1.1 200 OK\r\nWarning: {warning}\r\nWarning: {warning}\r\nContent-Length: 2\r\n\r\n{{}}"
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            with listener.accept()[0] as peer:
                peer.recv(65536)
                peer.sendall(head.encode())

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with client_of(f"http://127.0.0.1:{listener.getsockname()[1]}", tmp_path) as kube:
            kube.version()
            assert kube.warnings == ['unknown field "spec.x"']
        thread.join(30)
