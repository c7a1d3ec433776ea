"""The helper's HTTP port and its command line: probes, status, metrics, and one sentence for each wrong setting."""

import contextlib
import json
import os
import re
import select
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from helper_process import ask
from quote_requests import KEY_ID, error_code, judged, quote_of, quote_request

from confcom import __version__
from confcom.quote.collateral import Collateral
from confcom.quote.roots import TrustRoot
from confcom.quote.verification import examine
from confcom.runtime.status import QuoteHelperStatus
from confcom.simulation.identity import QE_ISV_SVN

NUM = bytes.fromhex("aa0103489875")


class TestPort:
    @pytest.mark.parametrize("path", ["/livez", "/readyz"])
    def test_probe(self, shared_helper, path):
        status, body, headers = shared_helper.get(path)
        assert (status, body) == (200, b"ok\n")
        assert headers["content-type"] == "text/plain; charset=utf-8"
        assert headers["cache-control"] == "no-store"

    def test_head_has_the_headers_alone(self, shared_helper):
        status, body, headers = shared_helper.get("/livez", "HEAD")
        assert (status, body, headers["content-length"]) == (200, b"", "3")

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    def test_other_methods_are_refused(self, shared_helper, method):
        assert shared_helper.get("/status", method)[:2] == (405, b"only GET and HEAD\n")

    @pytest.mark.parametrize(
        "path", ["/", "/livez/", "/status?x=1/../..", "/../etc/passwd", "/simulation/", "//status"]
    )
    def test_unknown_path_is_told_the_known_ones(self, shared_helper, path):
        status, body, _ = shared_helper.get(path)
        if path.startswith("/status?"):
            assert status == 200
            return
        assert status == 404
        assert body.startswith(b"not found; known: /livez /metrics /readyz /simulation/collateral.json")

    def test_silent_connections_do_not_keep_the_probes_out(self, shared_helper):
        """More than there is room for: some ask nothing, some half a request, some a second one by half."""
        half = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
        held = [socket.create_connection(("127.0.0.1", shared_helper.port), timeout=60) for _ in range(90)]
        for index, sock in enumerate(held):
            with contextlib.suppress(ConnectionError):
                sock.sendall((b"", half, half + b"\r\n" + half)[index % 3])
        assert shared_helper.get("/livez")[0] == 200
        for sock in held:
            with sock, contextlib.suppress(ConnectionError):
                while sock.recv(65536):
                    pass

    def test_connection_whose_answers_nobody_reads_is_closed(self, shared_helper):
        """uvicorn would hold it for ever."""
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", shared_helper.port))
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionError):
                while True:
                    sock.send(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
            # No event is asked for, so that only the other side's end is told, which always is.
            ended = select.poll()
            ended.register(sock, 0)
            assert ended.poll(120_000), "held for ever"
        assert shared_helper.get("/livez")[0] == 200

    def test_http_nonsense_costs_one_connection(self, shared_helper):
        for data in (b"\x00" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 100_000):
            with socket.create_connection(("127.0.0.1", shared_helper.port), timeout=30) as sock:
                try:
                    sock.sendall(data)
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(65536):
                        pass
                except ConnectionError:
                    pass
        assert shared_helper.get("/livez")[0] == 200


class TestStatus:
    def test_status_is_the_type_that_clients_have(self, shared_helper, platform):
        body = shared_helper.get("/status")[1]
        status = msgspec.json.decode(body, type=QuoteHelperStatus)
        assert status.version == 1
        assert (status.program, status.confcom) == ("sgx-quote-helper", __version__)
        assert (status.role, status.ready, status.problem) == ("serving", True, None)
        assert (status.backend, status.simulated) == ("simulation", True)
        assert status.socket == shared_helper.socket
        assert status.slots == ("slot-0", "slot-1")
        assert status.pub_key_id == platform.pub_key_id.hex()
        assert status.quote_size == platform.quote_size
        assert status.qe_svn == QE_ISV_SVN
        assert [(worker.index, worker.ready) for worker in status.workers] == [(0, True)]
        assert status.condition.type == "Verified"
        assert (status.condition.status, status.condition.reason) == (True, "Verified")
        assert status.certificates
        for end in status.certificates.values():
            assert datetime.fromisoformat(end) > datetime.now(UTC) - timedelta(days=1)

    def test_key_id_is_the_one_that_is_served(self, shared_helper):
        import base64

        assert base64.b64decode(shared_helper.status()["key_id"]) == KEY_ID[:158]

    def test_last_cause_of_a_failure_is_told_in_words(self, shared_helper, platform):
        request = bytearray(quote_request(platform))
        request[40] ^= 1
        assert error_code(ask(shared_helper.socket, bytes(request))) == 47
        causes = {cause["code"]: cause for cause in shared_helper.status()["last_causes"]}
        assert causes[47]["name"] == "AESM_INVALID_REPORT" or causes[47]["name"].endswith("INVALID_REPORT")
        assert "its MAC does not hold" in causes[47]["cause"]

    def test_discovery_file_lies_beside_each_socket(self, shared_helper):
        for folder in (shared_helper.folder / "s", shared_helper.folder / "l" / "slot-0"):
            # It is written at the next look after the helper became ready.
            deadline = time.monotonic() + 30
            while (said := json.loads((folder / "aesm.json").read_text()))["health"] != "ready":
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert (said["protocol"], said["socket"]) == ("aesm", "aesm.socket")
            assert len(said["key_ids"]) == 1


class TestSimulation:
    def test_root_and_collateral_verify_a_quote(self, shared_helper, platform):
        quote = quote_of(ask(shared_helper.socket, quote_request(platform)))
        status, root, headers = shared_helper.get("/simulation/root.pem")
        assert (status, headers["content-type"]) == (200, "application/x-pem-file")
        assert root == platform.root_pem
        status, collateral, headers = shared_helper.get("/simulation/collateral.json")
        assert (status, headers["content-type"]) == (200, "application/json")
        found = examine(quote, Collateral.from_json(collateral), TrustRoot.from_bytes(root), datetime.now(UTC))
        assert found.verdict
        assert judged(platform, quote) == "UpToDate"


class TestMetrics:
    def test_names_and_labels(self, shared_helper, platform):
        before = shared_helper.metric("requests_total", type="GetQuoteEx", origin="shared", code="0")
        slot_before = shared_helper.metric("requests_total", type="GetSupportedAttKeyIDNum", origin="slot")
        quote_of(ask(shared_helper.socket, quote_request(platform)))
        ask(str(shared_helper.folder / "l" / "slot-1" / "aesm.socket"), NUM)
        ask(shared_helper.socket, b"\xff")
        assert shared_helper.metric("requests_total", type="GetQuoteEx", origin="shared", code="0") == before + 1
        assert shared_helper.metric("requests_total", type="GetSupportedAttKeyIDNum", origin="slot") == slot_before + 1
        assert shared_helper.metric("unparsable_requests_total") >= 1
        assert shared_helper.metric("workers") == shared_helper.metric("workers_ready") == 1
        assert shared_helper.metric("ready") == shared_helper.metric("serving") == 1
        assert shared_helper.metric("quote_seconds_bucket", le="+Inf") == shared_helper.metric("quote_seconds_count")

    def test_text_is_prometheus_s(self, shared_helper):
        from prometheus_client.parser import text_string_to_metric_families

        status, body, headers = shared_helper.get("/metrics")
        assert status == 200
        assert headers["content-type"].startswith("text/plain; version=0.0.4")
        families = {family.name for family in text_string_to_metric_families(body.decode())}
        wanted = {
            "requests", "queued_requests", "dropped_requests", "queue_wait_seconds", "quote_seconds", "workers",
            "workers_ready", "worker_restarts", "killer_requests", "connections", "accepted_connections",
            "lost_connections", "take_overs", "serving", "ready", "unparsable_requests",
        }  # fmt: skip
        assert {f"confcom_quote_helper_{name}" for name in wanted} <= families

    def test_what_the_reference_alerts_on_is_there(self, start_helper, platform):
        helper = start_helper("--workers", "1")
        quote_of(ask(helper.socket, quote_request(platform)))
        scraped = helper.get("/metrics")[1].decode()
        text = (Path(__file__).parents[2] / "docs/reference/quote-helper.md").read_text(encoding="utf-8")
        alerts = set(re.findall(r"confcom_quote_helper_[a-z_]+[a-z]", text))
        assert len(alerts) >= 7
        assert {name for name in alerts if f"\n{name}" not in scraped} == set()

    def test_end_of_each_certificate_is_a_time(self, shared_helper):
        ends = shared_helper.status()["certificates"]
        assert len(ends) >= 4
        for part, end in ends.items():
            value = shared_helper.metric("end_timestamp_seconds", part=part)
            assert datetime.fromtimestamp(value, UTC) == datetime.fromisoformat(end)


class TestLogs:
    def test_json_log_is_one_object_a_line(self, start_helper):
        helper = start_helper("--log-format", "json")
        with socket.create_connection(("127.0.0.1", helper.port), timeout=30) as stranger:
            stranger.sendall(b"no HTTP\r\n\r\n")
            while stranger.recv(65536):
                pass
        helper.end()
        lines = [json.loads(line) for line in helper.log]
        assert {"time", "level", "component", "message"} <= set(lines[0])
        assert "serving" in {line["message"] for line in lines}

    def test_no_quote_and_no_report_is_ever_logged(self, start_helper, platform):
        helper = start_helper()
        request = bytearray(quote_request(platform, report_data=b"\xab" * 64))
        quote_of(ask(helper.socket, bytes(request)))
        request[40] ^= 1
        ask(helper.socket, bytes(request))
        ask(helper.socket, b"\xab" * 64)
        assert not any("abababab" in line for line in helper.log)


def refusal(*flags, environment=None):
    """Exit code and stderr of a helper that does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "confcom.quote_helper", *flags],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **(environment or {})},
    )  # fmt: skip
    return done.returncode, done.stderr


WRONG = {
    "unknown flag": (
        ["--sockets-dir", "/x"],
        "unrecognized arguments: --sockets-dir /x; see confcom quote-helper --help",
    ),
    "abbreviated flag": (["--socket", "/x"], "unrecognized arguments: --socket /x; see confcom quote-helper --help"),
    "flag without its value": (
        ["--workers"],
        "--workers: needs a value; see confcom quote-helper --help",
    ),
    "workers of none": (["--workers", "0"], "--workers: '0' is not a whole number from 1 to 64"),
    "too many workers": (["--workers", "65"], "--workers: '65' is not a whole number from 1 to 64"),
    "workers in words": (["--workers", "two"], "--workers: 'two' is not a whole number from 1 to 64"),
    "port too large": (
        ["--http-port", "70000"],
        "--http-port: '70000' is not a whole number from 0 to 65535",
    ),
    "negative slots": (["--slots=-1"], "--slots: '-1' is not a whole number from 0 to 1024"),
    "too many slots": (["--slots", "1025"], "--slots: '1025' is not a whole number from 0 to 1024"),
    "hang beyond a client's patience": (
        ["--hang-seconds", "15"],
        "--hang-seconds: '15' is not a number above 0 and at most 14",
    ),
    "log format": (["--log-format", "xml"], "--log-format: 'xml' is not one of json, text"),
    "settings file absent": (
        ["--config", "/nonexistent.toml"],
        "--config /nonexistent.toml: No such file or directory",
    ),
}


@pytest.mark.parametrize(("flags", "sentence"), WRONG.values(), ids=WRONG)
def test_wrong_setting_is_one_sentence_and_exit_2(platform_dir, flags, sentence):
    code, stderr = refusal("--simulated-platform", str(platform_dir), *flags)
    assert (code, stderr) == (2, f"confcom quote-helper: {sentence}\n")


def test_wrong_variable_is_named(platform_dir):
    code, stderr = refusal("--simulated-platform", str(platform_dir), environment={"CONFCOM_WORKERS": "none"})
    assert (code, stderr) == (
        2,
        "confcom quote-helper: CONFCOM_WORKERS: 'none' is not a whole number from 1 to 64\n",
    )


def test_unknown_key_of_the_file_is_named_with_the_known_ones(platform_dir, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("wrokers = 2\n")
    code, stderr = refusal("--simulated-platform", str(platform_dir), "--config", str(file))
    assert code == 2
    assert stderr.startswith(f"confcom quote-helper: {file}: wrokers: there is no such setting; known are ")


def test_flag_beats_variable_beats_file(start_helper, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("workers = 3\nslots = 2\ngeneration = 5\n")
    environment = {"CONFCOM_WORKERS": "2", "CONFCOM_GENERATION": "6", "CONFCOM_CONFIG": str(file)}
    helper = start_helper("--generation", "7", environment=environment)
    status = helper.status()
    assert len(status["workers"]) == 2
    assert status["generation"] == 7
    assert len(status["slots"]) == 2


def test_help_names_every_setting():
    done = subprocess.run(
        [sys.executable, "-m", "confcom.quote_helper", "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    for flag in ("--socket-dir", "--workers", "--slots", "--generation", "--simulated-platform", "--http-port"):
        assert flag in done.stdout
