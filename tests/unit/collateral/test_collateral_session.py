"""HTTPS to certificate services: bounds in time and size, retries, redirects, proxies, TLS, and errors in words."""

import os
import re
import socket
from email.utils import format_datetime

import pytest
from scripted_server import http, silence

from confcom.collateral import PCCS, Limits, Network
from confcom.collateral.limits import Deadline
from confcom.collateral.session import Session
from confcom.errors import CollateralError, InputError

TRY_URL = (
    "Try the URL of the certificate service from the same network (the helper's pod): name resolution, proxy, port "
    "8081, TLS. An empty log at the service means that nothing arrived."
)


def get(network, url, what="TCB info"):
    with Session(network, url) as session:
        return session.get(url, what)


def failure(network, url):
    with pytest.raises(CollateralError) as failed:
        get(network, url)
    return str(failed.value)


class TestWhatCannotBeReached:
    def test_a_refused_connection(self, network, pauses, refused_port):
        port = refused_port
        assert failure(network, f"http://127.0.0.1:{port}/") == (
            f"127.0.0.1:{port}: refused the connection: nothing listens there. Start the service, or correct host "
            "and port (a PCCS has 8081 by default)"
        )
        assert len(pauses) == 3, "a service that restarts is waited for"

    @pytest.mark.parametrize(
        ("number", "words", "tries"),
        [
            (socket.EAI_NONAME, "Name or service not known", 1),
            (socket.EAI_AGAIN, "Temporary failure in name resolution", 4),
        ],
    )
    def test_a_name_that_cannot_be_resolved(self, network, monkeypatch, pauses, number, words, tries):
        def getaddrinfo(*_, **__):
            raise socket.gaierror(number, words)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        assert failure(network, "https://pccs.example:8081/") == (
            f"pccs.example:8081: the name cannot be resolved ({words}): correct the URL, or the DNS of this machine "
            "or pod"
        )
        assert len(pauses) == tries - 1

    def test_a_host_of_empty_labels(self, network):
        assert failure(network, "http://../").startswith("..: TCB info: the connection failed: ")

    def test_a_name_server_that_never_answers_cannot_hold_the_caller(self, monkeypatch):
        import threading

        gone = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: gone.wait() and [])
        told = failure(Network(limits=Limits(total=0.3)), "https://pccs.example:8081/")
        gone.set()
        assert told == f"pccs.example:8081: TCB info: was not there within the 0.3 s allowed. {TRY_URL}"

    def test_a_black_hole(self, network, monkeypatch):
        """A firewall that swallows packets shows as a connection that is never made."""

        def create_connection(*_, **__):
            raise TimeoutError("timed out")

        monkeypatch.setattr(socket, "create_connection", create_connection)
        assert failure(network, "http://127.0.0.1:8081/") == (
            f"127.0.0.1:8081: does not answer: no connection was made in time. {TRY_URL}"
        )

    def test_a_connection_without_an_answer(self, scripted, pauses):
        server = scripted(silence)
        network = Network(limits=Limits(read=0.2, attempts=2), pause=pauses)
        assert failure(network, server.url) == (
            f"127.0.0.1:{server.port}: TCB info: the connection stands, but no answer came in time; read the "
            "service's log"
        )
        assert len(server.requests) == 2

    @pytest.mark.parametrize("part", ["header", "body"])
    def test_a_trickle_ends_with_the_total_deadline(self, scripted, part):
        data = http(body=bytes(2000)) if part == "header" else b""
        whole = http(body=bytes(2000))
        head = whole[: whole.index(b"\r\n\r\n") + 4]

        def answer(connection):
            connection.sendall(head if part == "body" else b"")
            server.trickle(data or bytes(2000), 0.02)(connection)

        server = scripted(answer)
        told = failure(Network(limits=Limits(total=0.5, attempts=1)), server.url)
        assert told == f"127.0.0.1:{server.port}: TCB info: was not there within the 0.5 s allowed. {TRY_URL}"

    def test_what_is_not_http(self, network, scripted):
        server = scripted(b"SSH-2.0-OpenSSH_9.6\r\n")
        told = failure(network, server.url)
        assert told.startswith(
            f"127.0.0.1:{server.port}: TCB info: the answer ended before it was whole, or is not HTTP:"
        )


class TestRetries:
    def test_pauses_grow_and_stay_within_a_quarter_more(self, network, scripted, pauses):
        server = scripted(http(502), http(500), http(504), http(body=b"{}"))
        assert get(network, server.url).body == b"{}"
        assert len(pauses) == 3
        for pause, least in zip(pauses, (0.5, 1, 2), strict=True):
            assert least <= pause <= least * 1.25

    def test_retry_after_as_a_date_is_measured_by_the_services_own_clock(self, network, scripted, pauses, now):
        from datetime import timedelta

        dates = {
            "Date": format_datetime(now, usegmt=True),
            "Retry_After": format_datetime(now + timedelta(seconds=3), True),
        }
        server = scripted(http(503, **dates), http(body=b"{}"))
        get(network, server.url)
        assert pauses == [3.0]

    @pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "Wed, 99 Foo 2026 00:00:00 GMT", "٣"])
    def test_a_retry_after_that_says_nothing_leaves_the_usual_pause(self, network, scripted, pauses, value):
        answer = http(429, Retry_After="REPLACED").replace(b"REPLACED", value.encode())
        server = scripted(answer, http(body=b"{}"))
        get(network, server.url)
        assert len(pauses) == 1
        assert 0.5 <= pauses[0] <= 0.625

    def test_a_retry_after_beyond_the_deadline_is_not_waited_for(self, network, scripted, pauses):
        server = scripted(http(429, Retry_After="9" * 400))
        told = failure(network, server.url)
        assert told.endswith("(The next try would be due in 999999999 s; 60 s are left.)")
        assert pauses == []

    def test_the_deadline_covers_all_parts_and_pauses(self):
        moments = iter(range(0, 1000, 2))
        deadline = Deadline(5, clock=lambda: next(moments))
        assert [deadline.left for _ in range(3)] == [3, 1, 0]


class TestSizesAndRedirects:
    def test_more_than_the_cap_is_not_read(self, scripted):
        network = Network(limits=Limits(body_bytes=1024))
        exact, over = (scripted(http(body=bytes(size))) for size in (1024, 1025))
        assert len(get(network, exact.url).body) == 1024
        assert failure(network, over.url) == (
            f"127.0.0.1:{over.port}: TCB info: has over 1 KiB, which no TCB info has: is the URL that of a "
            "certificate service?"
        )

    def test_compressed_answers_are_refused_because_they_hide_their_size(self, network, scripted):
        server = scripted(http(body=b"x", Content_Encoding="gzip"))
        assert failure(network, server.url).endswith("TCB info: is compressed, though nobody asked for that")
        assert b"accept-encoding: identity" in server.requests[0].lower()

    def test_a_redirect_within_the_host_is_followed(self, network, scripted):
        server = scripted(http(302, Location="/there?x=1"), http(body=b"{}"))
        assert get(network, f"{server.url}/here").body == b"{}"
        assert server.requests[1].startswith(b"GET /there?x=1 ")

    @pytest.mark.parametrize("target", ["http://127.0.0.2:{port}/", "http://127.0.0.1:1/", "https://127.0.0.1:{port}/"])
    def test_a_redirect_elsewhere_is_not(self, network, scripted, target):
        port = []
        server = scripted(lambda connection: connection.sendall(http(307, Location=target.format(port=port[0]))))
        port.append(server.port)
        assert "TCB info: redirects to 127.0.0." in failure(network, server.url)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("target", ["https://h:99999/", "http://h:-1/", "https://[::1", "https://h:x/", "\x01"])
    def test_a_redirect_to_what_is_no_url_is_told(self, network, scripted, target):
        server = scripted(http(302, Location=target))
        assert failure(network, server.url) == (
            f"127.0.0.1:{server.port}: TCB info: redirects to what is no URL: is the URL that of a certificate service?"
        )

    def test_redirects_in_a_circle_end(self, network, scripted):
        server = scripted(http(301, Location="/again"))
        assert failure(network, server.url) == (
            f"127.0.0.1:{server.port}: TCB info: redirects more than 3 times; correct the URL"
        )
        assert len(server.requests) == 4

    def test_intels_own_words_are_passed_on(self, network, scripted):
        server = scripted(http(400, Error_Code="InvalidParameter", Error_Message="fmspc\x1b[31m"))
        told = failure(network, server.url)
        assert "HTTP 400 Bad Request" in told
        assert told.endswith("It says: InvalidParameter, fmspc?[31m.")

    def test_an_unknown_status(self, network, scripted):
        server = scripted(http(418))
        assert failure(network, server.url) == (
            f"127.0.0.1:{server.port}: TCB info: HTTP 418, which no certificate service sends. {TRY_URL}"
        )


class TestProxies:
    def test_a_named_proxy_is_asked(self, scripted, pauses):
        proxy = scripted(http(body=b"{}"))
        network = Network(proxy=proxy.url, pause=pauses)
        assert get(network, "http://pccs.example/tcb").body == b"{}"
        assert proxy.requests[0].startswith(b"GET http://pccs.example/tcb HTTP/1.1\r\n")

    def test_the_environments_proxy_is_asked(self, scripted, monkeypatch):
        proxy = scripted(http(body=b"{}"))
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("http_proxy", proxy.url)
        assert get(Network(), "http://pccs.example/tcb").body == b"{}"
        assert len(proxy.requests) == 1

    def test_hosts_nearby_never_go_through_a_proxy(self, scripted, monkeypatch):
        proxy, service = scripted(http(500)), scripted(http(body=b"{}"))
        monkeypatch.setenv("http_proxy", proxy.url)
        assert get(Network(proxy=proxy.url), service.url).body == b"{}"
        assert proxy.requests == []

    def test_a_proxy_that_refuses(self, scripted, network):
        from dataclasses import replace

        proxy = scripted(http(407))
        told = failure(replace(network, proxy=proxy.url), "https://pccs.example/tcb")
        assert told.startswith(f"pccs.example (through the proxy 127.0.0.1:{proxy.port}): the proxy refused: 407")
        assert told.endswith("; correct --proxy")

    @pytest.mark.parametrize("named", ["flag", "environment"])
    def test_a_proxy_that_is_away_is_named(self, network, monkeypatch, named, refused_port):
        from dataclasses import replace

        proxy = f"http://user:secret@127.0.0.1:{refused_port}"
        if named == "flag":
            network = replace(network, proxy=proxy)
        else:
            monkeypatch.setenv("https_proxy", proxy)
        told = failure(network, "https://pccs.example/tcb")
        assert told.startswith(f"pccs.example (through the proxy {proxy.rpartition('@')[2]}): refused the connection")
        assert "secret" not in told

    NO_PROXIES = (
        "ftp://user:secret@x",
        "socks5://user:secret@x:1",
        "http://user:secret@x:99999",
        "http://[secret",
        "http://user:secret@\x01",
        "http://256.1.1.1",
    )

    @pytest.mark.parametrize("proxy", NO_PROXIES)
    def test_a_proxy_that_is_no_url(self, proxy):
        with pytest.raises(InputError) as failed:
            get(Network(proxy=proxy), "http://pccs.example/")
        assert str(failed.value) == "--proxy: is not the URL of a proxy; write http://HOST:PORT"

    @pytest.mark.parametrize("proxy", NO_PROXIES)
    def test_the_environments_proxy_that_is_no_url(self, monkeypatch, proxy):
        monkeypatch.setenv("https_proxy", proxy)
        with pytest.raises(InputError) as failed:
            get(Network(), "https://pccs.example/")
        assert str(failed.value) == (
            "the environment's proxy (https_proxy or the like): is not the URL of a proxy; write http://HOST:PORT"
        )

    def test_the_environments_proxy_may_lack_its_scheme(self, network, monkeypatch, refused_port):
        proxy = f"127.0.0.1:{refused_port}"
        monkeypatch.setenv("https_proxy", f"user:secret@{proxy}")
        told = failure(network, "https://pccs.example/tcb")
        assert told.startswith(f"pccs.example (through the proxy {proxy}): refused the connection")
        assert "secret" not in told

    @pytest.mark.parametrize("exception", ["pccs.example", ".example", "pccs.example:8081", "*"])
    def test_a_host_that_the_environment_excepts_is_asked_directly(self, network, monkeypatch, exception, refused_port):
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{refused_port}")
        monkeypatch.setenv("no_proxy", exception)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
        assert "through the proxy" not in failure(network, "https://pccs.example:8081/tcb")


def self_signed(now):
    """What `openssl req -x509` makes: one certificate that is its own CA."""
    import ipaddress
    from datetime import timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    from confcom.simulation.pccs_tls import TLSIdentity

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pccs")])
    extensions = (
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()),
        x509.BasicConstraints(ca=True, path_length=None),
        x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
    )
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(1)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return TLSIdentity(ca_pem=pem, certificate_pem=pem, key_pem=secret)


class TestTLS:
    @pytest.fixture
    def ca_file(self, tls_pccs, tmp_path):
        path = tmp_path / "ca.pem"
        path.write_bytes(tls_pccs.tls.ca_pem)
        return path

    def test_a_private_ca_is_trusted_when_named(self, tls_pccs, wanted, now, ca_file):
        found = PCCS(tls_pccs.url, Network(ca_file=ca_file)).obtain(wanted, now)
        assert found.origin == tls_pccs.url

    def test_an_unknown_ca(self, tls_pccs, network, wanted, now):
        with pytest.raises(CollateralError) as failed:
            PCCS(tls_pccs.url, network).obtain(wanted, now)
        assert re.fullmatch(
            r"127\.0\.0\.1:\d+: its TLS certificate is not trusted \((unable to get local issuer certificate|"
            r"self-signed certificate in certificate chain)\): name the CA that signed it, or the certificate itself "
            r"where it is self-signed, with --ca-file FILE",
            str(failed.value),
        )

    def test_a_self_signed_certificate_as_a_pccs_makes_it(self, wanted, now, platform, network, tmp_path):
        from dataclasses import replace

        from pccs_thread import PCCSThread

        tls = self_signed(now)
        (tmp_path / "pccs.pem").write_bytes(tls.certificate_pem)
        service = PCCSThread(platform, tls=tls)
        try:
            with pytest.raises(CollateralError) as failed:
                PCCS(service.url, network).obtain(wanted, now)
            found = PCCS(service.url, replace(network, ca_file=tmp_path / "pccs.pem")).obtain(wanted, now)
        finally:
            service.stop()
        assert str(failed.value).endswith(
            ": its TLS certificate is not trusted (self-signed certificate): name the CA that signed it, or the "
            "certificate itself where it is self-signed, with --ca-file FILE"
        )
        assert found.origin == service.url

    def test_a_certificate_for_another_host(self, tls_pccs, wanted, now, ca_file):
        import contextlib
        import ssl
        import threading

        listener = socket.create_server(("127.0.0.2", 0))
        context = tls_pccs.tls.server_context()

        def serve():
            connection, _ = listener.accept()
            with contextlib.suppress(ssl.SSLError, OSError):
                context.wrap_socket(connection, server_side=True).close()
            connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"https://127.0.0.2:{listener.getsockname()[1]}"
        with pytest.raises(
            CollateralError, match=r"its TLS certificate is for another host .* use the name that it was"
        ):
            PCCS(url, Network(ca_file=ca_file, limits=Limits(attempts=1))).obtain(wanted, now)
        thread.join(30)
        listener.close()

    def test_an_expired_certificate(self, wanted, now, tmp_path, platform):
        from datetime import timedelta

        from pccs_thread import PCCSThread

        from confcom.simulation.pccs_tls import make_tls

        tls = make_tls(now - timedelta(days=60))
        (tmp_path / "ca.pem").write_bytes(tls.ca_pem)
        service = PCCSThread(platform, tls=tls)
        try:
            with pytest.raises(CollateralError) as failed:
                PCCS(service.url, Network(ca_file=tmp_path / "ca.pem")).obtain(wanted, now)
        finally:
            service.stop()
        assert str(failed.value).endswith(
            ": its TLS certificate is not valid now (certificate has expired): renew it, and compare the clocks"
        )

    def test_plain_http_where_tls_belongs(self, pccs, network, wanted, now):
        with pytest.raises(CollateralError, match=r"TLS failed .*: is it plain http, or another service's port"):
            PCCS(pccs.url.replace("http:", "https:"), network).obtain(wanted, now)

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (None, "No such file or directory"),
            (b"nothing", "holds no certificate in PEM"),
            (b"", "holds no certificate in PEM"),
        ],
    )
    def test_a_ca_file_that_cannot_be_used(self, tls_pccs, wanted, now, tmp_path, content, problem):
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(InputError) as failed:
            PCCS(tls_pccs.url, Network(ca_file=path)).obtain(wanted, now)
        assert str(failed.value) == f"--ca-file {path}: {problem}"
