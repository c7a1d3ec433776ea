"""The exec probe against real HTTP ports: the right daemon by its generation, one line where there is none."""

import contextlib
import os
import socket
import subprocess
import sys
import threading

import pytest
from fixed_answers import serving

from confcom.runtime import probe


@pytest.fixture
def daemon():
    """Starts an HTTP server with fixed answers, and returns its port."""
    with contextlib.ExitStack() as servers:
        yield lambda answers: servers.enter_context(serving(answers))


@pytest.fixture
def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener.getsockname()[1]


def answers(generation, ready=(200, b"ok\n")):
    return {"/status": (200, b'{"generation": %d}' % generation), "/readyz": ready}


def run(*ports, generation=None, path="/readyz"):
    environment = {} if generation is None else {"CONFCOM_GENERATION": generation}
    return probe.main([f"--ports={','.join(map(str, ports))}", f"--path={path}"], environment)


def test_ready(daemon):
    assert run(daemon(answers(3)), generation="3") == 0
    assert run(daemon(answers(3))) == 0


def test_the_second_port_where_the_first_is_another_pods(daemon, closed_port):
    ours = daemon(answers(4))
    assert run(daemon(answers(3)), ours, generation="4") == 0
    assert run(closed_port, ours, generation="4") == 0


def test_another_pods_readiness_is_not_ours(daemon, capsys):
    port = daemon(answers(3))
    assert run(port, generation="4") == 1
    assert capsys.readouterr().err == f"port {port}: is generation 3, not 4\n"


BAD = {
    "not ready": (answers(1, (503, b"no key yet\n")), "/readyz says 503: no key yet"),
    "no such path": ({"/status": (200, b'{"generation": 1}')}, "/readyz says 404: not found"),
    "no status": ({"/readyz": (200, b"ok")}, "is generation None, not 1"),
    "a status without a generation": ({"/status": (200, b"{}")}, "is generation None, not 1"),
    "a status that is no JSON": (
        {"/status": (200, b"hello")},
        "Expecting value: line 1 column 1 (char 0)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_probe_says_what_it_found(name, daemon, capsys):
    given, sentence = BAD[name]
    port = daemon(given)
    assert run(port, generation="1") == 1
    assert capsys.readouterr().err == f"port {port}: {sentence}\n"


def test_nobody_listens(closed_port, capsys):
    assert run(closed_port) == 1
    assert f"port {closed_port}: [Errno 111] Connection refused" in capsys.readouterr().err


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 ok ok\r\n\r\n", b"HTTP/1.1 200 ok\r\n"]
)
def test_what_answers_is_no_http(said, capsys):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            with listener.accept()[0] as peer:
                peer.recv(1000)
                peer.sendall(said)

        threading.Thread(target=answer, daemon=True).start()
        assert run(listener.getsockname()[1]) == 1
    assert "the answer is not HTTP" in capsys.readouterr().err


@pytest.mark.parametrize("ports", ["x", "", "9411,", "-1", "0", "65536", "9411 9412", "²"])
def test_ports_that_are_none_are_wrong_use(ports, capsys):
    with pytest.raises(SystemExit) as ended:
        probe.main([f"--ports={ports}"], {})
    assert ended.value.code == 2
    sentence = f"error: argument --ports: '{ports}' is not a list of ports; write them like 9411,9412\n"
    assert capsys.readouterr().err.endswith(sentence)


def test_silence_ends_at_the_deadline(monkeypatch, capsys):
    monkeypatch.setattr(probe, "DEADLINE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert run(listener.getsockname()[1]) == 1
    assert "timed out" in capsys.readouterr().err


STRANGERS = {
    "a list": b"[]",
    "a text": b'"x"',
    "no JSON": b"hello",
    "depth": b"[" * 100_000,
    "another generation": b'{"generation": 3}',
    "a number that is no whole one": b'{"generation": "4"}',
}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_on_the_first_port_does_not_hide_ours(name, daemon):
    """On the node's own network the port can be anybody's."""
    stranger = {"/status": (200, STRANGERS[name]), "/readyz": (200, b"ok")}
    assert run(daemon(stranger), daemon(answers(4)), generation="4") == 0
    assert run(daemon(stranger), generation="4") == 1


def test_a_silent_stranger_does_not_hide_ours_either(daemon):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert run(listener.getsockname()[1], daemon(answers(4)), generation="4") == 0


def test_program_starts_with_the_standard_library_alone(daemon):
    code = (
        "import sys; before = set(sys.modules); import confcom.runtime.probe; "
        "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert loaded.stdout.split() == ["confcom"]
    arguments = [sys.executable, "-m", "confcom.runtime.probe", "--ports", str(daemon(answers(2)))]
    done = subprocess.run(arguments, timeout=60, env=os.environ | {"CONFCOM_GENERATION": "2"}, check=False)
    assert done.returncode == 0
