"""docs/reference/status-and-metrics.md is what running daemons tell: every field, every metric, its type and labels."""

import contextlib
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import msgspec
import pytest

from confcom.runtime.status import DevicePluginStatus, QuoteHelperStatus

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/status-and-metrics.md").read_text(encoding="utf-8")
READY_SECONDS = 40.0
POLL_SECONDS = 0.05


def documented_metrics(program):
    table = re.search(rf"<!-- {program} -->\n(.*?)<!-- /{program} -->", PAGE, re.DOTALL)[1]
    return table.splitlines()[2:]


def described(exposition):
    """The rows that a scrape would make."""
    rows = []
    for name, text in re.findall(r"^# HELP (\S+) (.*)$", exposition, re.MULTILINE):
        kind = re.search(rf"^# TYPE {name} (\w+)$", exposition, re.MULTILINE)[1]
        samples = re.findall(rf"^{name}{{(.*)}} ", exposition, re.MULTILINE)
        labels = sorted({label for sample in samples for label in re.findall(r'(\w+)="', sample)})
        rows.append(f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {text} |")
    return rows


def documented_fields(heading):
    """What the tables of a program name before the colon or in the first cell, of its own and of both."""
    cells = re.findall(
        rf"^\| field of (?:both|the {heading}) \| content \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE
    )
    assert len(cells) == 2
    return set(re.findall(r"`(\w+)`", "".join(row.split("|")[1] for rows in cells for row in rows.splitlines())))


@pytest.mark.parametrize(
    ("heading", "status"), [("device plugin", DevicePluginStatus), ("quote helper", QuoteHelperStatus)]
)
def test_every_field_of_the_status_is_there_and_no_other(heading, status):
    assert documented_fields(heading) == {field.name for field in msgspec.structs.fields(status)}


def test_inner_fields_are_named_too():
    for status in (DevicePluginStatus, QuoteHelperStatus):
        for inner in re.findall(
            r"class (\w+)\(", Path(sys.modules[status.__module__].__file__).read_text(encoding="utf-8")
        ):
            fields = msgspec.structs.fields(getattr(sys.modules[status.__module__], inner))
            assert {field.name for field in fields if f"`{field.name}`" not in PAGE} == set()


def test_metrics_of_the_quote_helper(shared_helper):
    shared_helper.wait_until(lambda status: status["last_check"])
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(shared_helper.socket)
        client.sendall(bytes.fromhex("03000000aa0100"))
        assert client.recv(64)
    assert described(shared_helper.get("/metrics")[1].decode()) == documented_metrics("quote-helper")


@contextlib.contextmanager
def running(log, *arguments):
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", *arguments], stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(READY_SECONDS)


def get(log, path):
    """The answer of the daemon whose log names its port, or None while it has none that is 200."""
    port = re.search(r"HTTP port open .*port=(\d+)", log.read_text())
    if not port:
        return None
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}{path}", timeout=READY_SECONDS) as answer:
            return answer.read().decode()
    except urllib.error.URLError:
        return None


def test_metrics_of_the_device_plugin(short_dir):
    plugins, log = str(short_dir / "plugins"), short_dir / "plugin.log"
    flags = ("--simulate-epc", "8GiB", "--device-plugin-dir", plugins, "--slots-dir", str(short_dir / "slots"))
    with (
        running(short_dir / "kubelet.log", "confcom.simulation.kubelet", "--device-plugin-dir", plugins),
        running(log, "confcom.device_plugin", *flags, "--http-port", "0") as plugin,
    ):
        deadline = time.monotonic() + READY_SECONDS
        while get(log, "/readyz") is None:
            assert plugin.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(POLL_SECONDS)
        exposition = get(log, "/metrics")
    assert described(exposition) == documented_metrics("device-plugin")
