"""Which cluster and user a kubeconfig means: as kubectl finds, merges and refuses it."""

import base64
import gc
import warnings

import pytest

from confcom.errors import InputError
from confcom.kube import config
from confcom.kube.api import KubeAPI
from confcom.kube.config import find_config
from confcom.kube.kubeconfig import User

CONTEXTS = """
apiVersion: v1
kind: Config
preferences: {colors: true}
current-context: one
clusters: [{name: c, cluster: {server: "https://one"}}, {name: d, cluster: {server: "https://two", extensions: []}}]
contexts: [{name: one, context: {cluster: c, user: u, namespace: n}}, {name: two, context: {cluster: d}}]
users: [{name: u, user: {token: t}}]
"""


def write(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return path


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def test_config_is_found_as_kubectl_finds_it(tmp_path, home):
    file = write(tmp_path / "a", CONTEXTS)
    assert find_config(None, file, {}).cluster.server == "https://one"
    assert find_config("two", file, {}).cluster.server == "https://two"
    assert find_config(None, None, {"KUBECONFIG": f"{tmp_path}/none:{file}"}).context_name == "one"
    write(home / ".kube/config", CONTEXTS.replace("https://one", "https://home"))
    assert find_config(None, None, {}).cluster.server == "https://home"


def test_a_context_without_a_user_is_one_without_credentials(tmp_path):
    assert find_config("two", write(tmp_path / "a", CONTEXTS), {}).user == User()


# --- several files ----------------------------------------------------------------------------------------------------


FIRST = """
current-context: prod
clusters: [{name: c, cluster: {server: "https://first"}}]
contexts: [{name: test, context: {cluster: c, user: u}}]
users: [{name: u, user: {token: first}}]
"""
SECOND = """
current-context: test
clusters: [{name: c, cluster: {server: "https://second"}}, {name: p, cluster: {server: "https://prod"}}]
contexts: [{name: prod, context: {cluster: p, user: u}}, {name: test, context: {cluster: p}}]
users: [{name: u, user: {token: second}}, {name: v}]
"""


@pytest.fixture
def both(tmp_path):
    return {"KUBECONFIG": f"{write(tmp_path / 'a', FIRST)}:{write(tmp_path / 'b', SECOND)}"}


def test_the_first_current_context_counts_wherever_it_is_defined(both):
    """kubectl writes it into the first file; the second one's own would be another cluster."""
    found = find_config(None, None, both)
    assert (found.context_name, found.cluster.server) == ("prod", "https://prod")


def test_what_stands_twice_is_of_the_first_file(both):
    found = find_config("test", None, both)
    assert (found.cluster.server, found.user.token) == ("https://first", "first")


def test_a_context_may_take_its_user_from_another_file(both):
    assert find_config("prod", None, both).user.token == "first"


def test_paths_are_relative_to_the_file_they_stand_in(tmp_path):
    content = (
        "current-context: x\n"
        "clusters: [{name: c, cluster: {server: 'https://x', certificate-authority: ca.crt}}]\n"
        "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
        "users: [{name: u, user: {client-certificate: u.crt, client-key: /abs/u.key, tokenFile: t,"
        " exec: {apiVersion: client.authentication.k8s.io/v1, command: bin/login}}}]\n"
    )
    found = find_config(None, write(tmp_path / "sub/config", content), {})
    folder = tmp_path / "sub"
    assert found.cluster.certificate_auth == f"{folder}/ca.crt"
    assert found.user.client_cert == f"{folder}/u.crt"
    assert found.user.client_key == "/abs/u.key"
    assert found.user.token_file == f"{folder}/t"
    assert found.user.exec.command == f"{folder}/bin/login"


def test_data_of_an_authority_counts_before_its_file(tmp_path):
    both = '"https://one", certificate-authority: /no/ca, certificate-authority-data: QQ=='
    found = find_config(None, write(tmp_path / "a", CONTEXTS.replace('"https://one"', both)), {})
    assert (found.cluster.certificate_auth, found.cluster.certificate_auth_data) == (None, "QQ==")


def test_a_command_without_a_slash_is_searched_for(tmp_path):
    plugin = "exec: {apiVersion: client.authentication.k8s.io/v1, command: kubelogin}"
    found = find_config(None, write(tmp_path / "a", CONTEXTS.replace("token: t", plugin)), {})
    assert found.user.exec.command == "kubelogin"


# --- refusals ---------------------------------------------------------------------------------------------------------


BAD = {
    "no such context": (
        CONTEXTS,
        "three",
        "there is no context three; known: one, two; give --context NAME, or --kubeconfig FILE",
    ),
    "no current context": (
        CONTEXTS.replace("current-context: one", ""),
        None,
        "no current context is set; give --context NAME, or --kubeconfig FILE",
    ),
    "an empty file": ("", None, "no current context is set; give --context NAME, or --kubeconfig FILE"),
    "no such cluster": (CONTEXTS.replace("cluster: c,", "cluster: e,"), None, "context one: there is no cluster e"),
    "no such user": (CONTEXTS.replace("user: u,", "user: w,"), None, "context one: there is no user w"),
    "no address": (
        CONTEXTS.replace("https://one", "one:6443"),
        None,
        "context one: server 'one:6443' is no address; it begins with https://",
    ),
    "a certificate without its key": (
        CONTEXTS.replace("token: t", "client-certificate: /u.crt"),
        None,
        "context one: the user's client-certificate has no client-key",
    ),
    "not YAML": ("{", None, "is not YAML: while parsing a flow node"),
    "a list": ("[1]", None, "is no kubeconfig: Expected `object`, got `array`"),
    "a number for a token": (
        CONTEXTS.replace("token: t", "token: 7"),
        None,
        "is no kubeconfig: Expected `str | null`, got `int` - at `$.users[0].user.token`",
    ),
    "a cluster without a server": (
        CONTEXTS.replace('server: "https://one"', ""),
        None,
        "is no kubeconfig: Object missing required field `server` - at `$.clusters[0].cluster`",
    ),
    "nested too deeply": ("[" * 5000, None, "is not YAML: "),
}


@pytest.mark.parametrize("name", BAD)
def test_config_refuses_and_names_the_file(name, tmp_path):
    content, context, sentence = BAD[name]
    file = write(tmp_path / "a", content)
    with pytest.raises(InputError) as error:
        find_config(context, file, {})
    assert str(error.value).startswith(f"kubeconfig {file}: {sentence}")


@pytest.mark.parametrize(
    ("kubeconfig_file", "context", "environment", "sentence"),
    [
        ("none", None, {}, "--kubeconfig {}/none: there is no such file"),
        (None, None, {"KUBECONFIG": "/no/such"}, "KUBECONFIG=/no/such: there is no such file"),
        (None, None, {}, "no cluster: there is no kubeconfig; give --kubeconfig FILE or set KUBECONFIG"),
        (None, "x", {}, "--context x: there is no kubeconfig; give --kubeconfig FILE or set KUBECONFIG"),
        (
            None,
            None,
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1"},
            "no cluster: no kubeconfig, and the pod's service account cannot be read",
        ),
    ],
)
def test_no_config_is_one_sentence(kubeconfig_file, context, environment, sentence, tmp_path):
    file = tmp_path / kubeconfig_file if kubeconfig_file else None
    with pytest.raises(InputError) as error:
        find_config(context, file, environment)
    assert str(error.value).startswith(sentence.format(tmp_path))


@pytest.mark.parametrize(
    ("host", "server"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")]
)
def test_a_pod_uses_its_own_account(host, server, tmp_path, monkeypatch):
    monkeypatch.setattr(config, "SERVICE_ACCOUNT", tmp_path)
    write(tmp_path / "token", "t")
    found = find_config(None, None, {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "443"})
    assert found.cluster.server == server
    assert found.cluster.certificate_auth == f"{tmp_path}/ca.crt"
    assert found.user.token_file == f"{tmp_path}/token"


PEM = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").decode()
UNUSABLE = {
    "a missing file": (
        '"https://one", certificate-authority: /no/ca',
        "t",
        "[Errno 2] No such file or directory",
    ),
    "data that is no base64": (
        '"https://one", certificate-authority-data: "%"',
        "t",
        "[X509: NO_CERTIFICATE_OR_CRL_FOUND]",
    ),
    "data that is no certificate": (f'"https://one", certificate-authority-data: {PEM}', "t", "[X509]"),
    "a certificate that is none": (
        '"https://one"',
        f"t, client-certificate-data: {PEM}, client-key-data: {PEM}",
        "[SSL]",
    ),
    "a proxy of another kind": ('"https://one", proxy-url: "ftp://p"', "t", "Unknown scheme for proxy URL"),
    "a way to log in that has ended": (
        '"https://one"',
        "null, auth-provider: {name: gcp}",
        "auth-provider not supported",
    ),
    "a plugin of no known protocol": (
        '"https://one"',
        "null, exec: {apiVersion: v1, command: x}",
        "exec.apiVersion v1 is of no credential plugin; it begins with client.authentication.k8s.io/",
    ),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_used_names_the_context(name, tmp_path):
    server, token, sentence = UNUSABLE[name]
    file = write(tmp_path / "a", CONTEXTS.replace('"https://one"', server).replace("token: t", f"token: {token}"))
    try:
        KubeAPI(find_config(None, file, {}), field_manager="me")
    except InputError as error:
        told = str(error)
    assert told.startswith(f"kubeconfig: context one: {sentence}")
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        # lightkube leaves the closing of its temporary files to the collector.
        gc.collect()


def test_a_socks_proxy_is_refused_in_words(tmp_path):
    file = write(tmp_path / "a", CONTEXTS.replace('"https://one"', '"https://one", proxy-url: "socks5://p:1"'))
    with pytest.raises(InputError, match=r"cannot be reached through a SOCKS proxy; name an HTTP proxy"):
        KubeAPI(find_config(None, file, {}), field_manager="me")
