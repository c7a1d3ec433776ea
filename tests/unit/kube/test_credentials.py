"""What reaches the API server of who one is: each way to log in, and a token that ends, over real HTTP and TLS."""

import base64
import datetime as dt
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from lightkube.config.models import Context, NameValue

from confcom.errors import InputError, KubeAPIError
from confcom.kube import credentials
from confcom.kube.api import KubeAPI
from confcom.kube.kubeconfig import Cluster, Config, Plugin, User
from confcom.simulation.pccs_tls import make_tls

V1 = "client.authentication.k8s.io/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.seen.append(self.headers)
        accepted = server.accepted is None or self.headers.get("Authorization") in server.accepted
        body = b'{"gitVersion": "v1.36.2"}' if accepted else b'{"message": "Unauthorized"}'
        self.send_response(200 if accepted else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address="127.0.0.1", tls=None):
        super().__init__((address, 0), _Handler)
        self.seen, self.accepted = [], None
        if tls is not None:
            self.socket = tls.server_context().wrap_socket(self.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://{address}:{self.server_address[1]}"

    def handle_error(self, *_):
        """A client that does not like the certificate goes away."""

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


@pytest.fixture
def server():
    with _Server() as running:
        yield running


def one_of(cluster, user=None):
    return Config(context_name="x", context=Context(cluster="c"), cluster=cluster, user=user or User())


def client(server, user=None, **cluster):
    return KubeAPI(one_of(Cluster(server=server.url, **cluster), user), field_manager="me")


def basic(text):
    return f"Basic {base64.b64encode(text.encode()).decode()}"


WAYS = {
    "nothing": (User(), None),
    "a token": (User(token="t"), "Bearer t"),
    "a password": (User(username="u", password="p"), basic("u:p")),
}


@pytest.mark.parametrize("name", WAYS)
def test_each_way_to_log_in(name, server):
    user, header = WAYS[name]
    with client(server, user) as kube:
        assert kube.version() == "v1.36.2"
    assert [headers.get("Authorization") for headers in server.seen] == [header]


def test_a_token_file_counts_before_a_token_and_is_read_again_when_it_ends(server, tmp_path):
    file = tmp_path / "token"
    file.write_text("old\n")
    server.accepted = {"Bearer old"}
    with client(server, User(token="t", token_file=str(file))) as kube:
        kube.version()
        file.write_text("new\n")
        server.accepted = {"Bearer new"}
        kube.version()
        kube.version()
    seen = [headers["Authorization"] for headers in server.seen]
    assert seen == ["Bearer old", "Bearer old", "Bearer new", "Bearer new"]


def test_a_token_that_is_not_accepted_is_tried_once(server):
    server.accepted = set()
    with client(server, User(token="t")) as kube, pytest.raises(KubeAPIError, match="credentials of this kubeconfig"):
        kube.version()
    assert len(server.seen) == 1


def test_a_token_file_that_is_gone_is_one_sentence(server, tmp_path):
    with (
        client(server, User(token_file=str(tmp_path / "none"))) as kube,
        pytest.raises(InputError, match=r"^kubeconfig: context x: Token file .*/none not found$"),
    ):
        kube.version()


def test_one_acts_as_whom_the_kubeconfig_says(server):
    user = User(
        token="t",
        impersonate="dev",
        impersonate_uid="7",
        impersonate_groups=["a", "b"],
        impersonate_extra={"scopes": ["view", "edit"]},
    )
    with client(server, user) as kube:
        kube.version()
    headers = server.seen[0]
    assert headers.get_all("Impersonate-User") == ["dev"]
    assert headers.get_all("Impersonate-Uid") == ["7"]
    assert headers.get_all("Impersonate-Group") == ["a", "b"]
    assert headers.get_all("Impersonate-Extra-scopes") == ["view", "edit"]


def test_a_proxy_of_the_kubeconfig_is_asked(server):
    proxy = server
    cluster = Cluster(server="http://cluster.invalid:80", proxy_url=proxy.url)
    with KubeAPI(one_of(cluster), field_manager="me") as kube:
        assert kube.version() == "v1.36.2"
    assert proxy.seen[0]["Host"].startswith("cluster.invalid")


PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")


@pytest.fixture
def proxied(server, monkeypatch):
    """The environment's proxy is the server."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", server.url)
    return server


def test_the_environments_proxy_is_asked(proxied):
    with KubeAPI(one_of(Cluster(server="http://cluster.invalid:80")), field_manager="me") as kube:
        assert kube.version() == "v1.36.2"


def test_a_cluster_on_this_machine_is_never_asked_through_a_proxy(proxied):
    """As with kubectl: a kind cluster works on a machine behind a proxy."""
    with _Server() as cluster, client(cluster) as kube:
        assert kube.version() == "v1.36.2"
        assert len(cluster.seen) == 1
    assert proxied.seen == []


DIRECT = {
    "localhost": ("https://localhost:6443", {}, True),
    "loopback": ("https://127.0.0.1:6443", {}, True),
    "loopback of IPv6": ("https://[::1]:6443", {}, True),
    "a name": ("https://api.example", {"NO_PROXY": "10.0.0.0/8"}, False),
    "in a range": ("https://10.1.2.3", {"NO_PROXY": "example.com, 10.0.0.0/8"}, True),
    "in a range of small letters": ("https://10.1.2.3", {"no_proxy": "10.0.0.0/8"}, True),
    "in a range of IPv6": ("https://[fd00::1]", {"NO_PROXY": "fd00::/8"}, True),
    "in no range": ("https://11.1.2.3", {"NO_PROXY": "10.0.0.0/8,fd00::/8"}, False),
    "no range at all": ("https://10.1.2.3", {}, False),
}


@pytest.mark.parametrize("name", DIRECT)
def test_ranges_of_addresses_that_no_proxy_is_for(name):
    server, environment, direct = DIRECT[name]
    assert credentials.goes_direct(server, environment) is direct


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def identity():
    return make_tls(dt.datetime.now(dt.UTC))


def data(pem):
    return base64.b64encode(pem).decode()


def test_the_server_is_known_by_the_clusters_authority(identity):
    with _Server(tls=identity) as server:
        with client(server, certificate_auth_data=data(identity.ca_pem)) as kube:
            assert kube.version() == "v1.36.2"
        with client(server) as kube, pytest.raises(KubeAPIError, match="certificate verify failed"):
            kube.version()
        with client(server, insecure=True) as kube:
            assert kube.version() == "v1.36.2"


def test_a_server_behind_another_address_is_known_by_its_name(identity):
    authority = data(identity.ca_pem)
    with _Server("127.0.0.2", identity) as server:
        with client(server, certificate_auth_data=authority) as kube, pytest.raises(KubeAPIError, match="verify"):
            kube.version()
        with client(server, certificate_auth_data=authority, tls_server_name="localhost") as kube:
            assert kube.version() == "v1.36.2"


def test_data_counts_before_a_file(identity):
    with (
        _Server(tls=identity) as server,
        client(
            server,
            User(
                client_cert_data=data(identity.certificate_pem),
                client_key_data=data(identity.key_pem),
                client_cert="/no",
                client_key="/no",
            ),
            certificate_auth_data=data(identity.ca_pem),
        ) as kube,
    ):
        assert kube.version() == "v1.36.2"


# --- credential plugins -----------------------------------------------------------------------------------------------


def plugin(code, **more):
    """A plugin that runs this Python; `said` prints an ExecCredential with the status."""
    head = (
        "import json, os, sys\n"
        "def said(status, version='client.authentication.k8s.io/v1'):\n"
        "    print(json.dumps({'apiVersion': version, 'kind': 'ExecCredential', 'status': status}))\n"
    )
    return User(exec=Plugin(**({"apiVersion": V1, "command": sys.executable, "args": ["-c", head + code]} | more)))


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_plugin_runs_once_for_many_requests(version, server):
    api = f"client.authentication.k8s.io/{version}"
    user = plugin(f"said({{'token': 'a'}}, '{api}')", apiVersion=api)
    server.accepted = {"Bearer a"}
    with client(server, user) as kube:
        kube.version()
        kube.version()
    assert len(server.seen) == 2


def test_a_plugin_runs_again_when_its_token_ends(server, tmp_path):
    count = tmp_path / "count"
    user = plugin(
        "path = os.environ['COUNT']\n"
        "open(path, 'a').write('x')\n"
        "said({'token': str(len(open(path).read())), 'expirationTimestamp': '2026-01-01T00:00:00Z'})",
        env=[NameValue(name="COUNT", value=str(count))],
    )
    server.accepted = {"Bearer 1"}
    with client(server, user) as kube:
        kube.version()
        server.accepted = {"Bearer 2"}
        kube.version()
        server.accepted = set()
        with pytest.raises(KubeAPIError, match="not accepted"):
            kube.version()
    assert [headers["Authorization"] for headers in server.seen][:3] == ["Bearer 1", "Bearer 1", "Bearer 2"]
    assert count.read_text() == "xxx"


def test_a_plugin_is_told_of_the_call_and_of_the_cluster(server, tmp_path, monkeypatch):
    monkeypatch.setenv("OWN", "mine")
    out = tmp_path / "out"
    user = plugin(
        f"open({str(out)!r}, 'w').write(os.environ['KUBERNETES_EXEC_INFO'] + '\\n' + os.environ['OWN'])\n"
        "said({'token': 't'})",
        provide_cluster_info=True,
    )
    with client(server, user, tls_server_name="n") as kube:
        kube.version()
    told, own = out.read_text().splitlines()
    assert own == "mine"
    assert json.loads(told) == {
        "apiVersion": V1,
        "kind": "ExecCredential",
        "spec": {"interactive": False, "cluster": {"server": server.url, "tls-server-name": "n"}},
    }


FAILURES = {
    "one that fails": (plugin("sys.exit(3)"), f"{sys.executable} ended with 3; run it by hand to see why"),
    "one that prints no JSON": (plugin("print('hello')"), "printed no ExecCredential: JSON is malformed"),
    "one that prints something else": (plugin("print('{}')"), "printed no ExecCredential: Object missing required"),
    "one of another version": (
        plugin("said({'token': 't'}, 'client.authentication.k8s.io/v1beta1')"),
        "speaks client.authentication.k8s.io/v1beta1, and the kubeconfig says client.authentication.k8s.io/v1",
    ),
    "one with a certificate": (
        plugin("said({'clientCertificateData': 'x', 'clientKeyData': 'y'})"),
        "gives a client certificate and no token, which confcom cannot use",
    ),
    "one with nothing": (plugin("said(None)"), "gives nothing and no token, which confcom cannot use"),
    "one that is not installed": (
        plugin("", command="no-such-plugin", installHint="get it\n  from your cloud"),
        "credential plugin no-such-plugin is not installed, or not in PATH; get it from your cloud",
    ),
    "one that is no program": (plugin("", command="/dev/null"), "/dev/null cannot be run: Permission denied"),
    "one that does not end": (plugin("import time; time.sleep(60)"), "has not ended after 0.3 s"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_plugin_that_fails_is_one_sentence(name, server, monkeypatch):
    user, sentence = FAILURES[name]
    if "not end" in name:
        monkeypatch.setattr(credentials, "PLUGIN_SECONDS", 0.3)
    with client(server, user) as kube, pytest.raises(InputError) as error:
        kube.version()
    assert str(error.value).startswith("kubeconfig: context x: credential plugin ")
    assert sentence in str(error.value)
    assert server.seen == []
