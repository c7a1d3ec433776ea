"""The rendered pods as processes of this machine: command, arguments, variable and probes as they stand in the YAML.

Only the host's folders and the ports are others, and the stand-in plays the kubelet.
"""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import time

import pytest
from ports import reserved_port

from confcom.addon import names
from confcom.addon.render import render
from confcom.addon.spec import Spec
from confcom.aesm.client import AsyncClient
from confcom.simulation.device_manager import Container
from confcom.simulation.kubelet import KubeletStandIn

DEADLINE = 60.0
SPEC = Spec.from_dict({"images": {"default": "i"}, "simulation": {"epc": "64MiB"}, "quoteHelper": {"slots": 2}})
GENERATION = "7"


class Node:
    """A node's folders under one of this machine, and ports of its own."""

    def __init__(self, folder, plugin_port, helper_port):
        self.folder = folder
        self.containers = {
            item["metadata"]["name"]: item["spec"]["template"]["spec"]["containers"][0]
            for item in render(SPEC)
            if item["kind"] == "DaemonSet"
        }
        # The longer ones first: one begins like another.
        self.places = {
            f"{names.KUBELET_DIR}/device-plugins": folder / "k",
            f"{names.KUBELET_DIR}/pod-resources": folder / "p",
            names.SLOTS_DIR: folder / "s",
            names.STATE_DIR: folder / "state",
            names.SOCKET_DIR: folder / "a",
            "/host/dev": "/dev",
            "--http-address=::": "--http-address=127.0.0.1",
            str(names.DEVICE_PLUGIN_PORT): plugin_port,
            ",".join(map(str, names.QUOTE_HELPER_PORTS)): helper_port,
            str(names.QUOTE_HELPER_PORTS[0]): helper_port,
        }

    def here(self, command):
        """A command of a container as one of this machine."""
        assert command[0] == "python3"
        places = re.compile("|".join(map(re.escape, self.places)))
        return [sys.executable, *(places.sub(lambda found: str(self.places[found[0]]), word) for word in command[1:])]

    def environment(self, name):
        (variable,) = self.containers[name]["env"]
        assert variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['pod-template-generation']"
        return {**os.environ, variable["name"]: GENERATION}

    @contextlib.contextmanager
    def pod(self, name):
        container = self.containers[name]
        command = self.here([*container["command"], *container["args"]])
        process = subprocess.Popen(command, env=self.environment(name), stderr=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.terminate()
            assert process.wait(DEADLINE) == 0

    def wait_for_probe(self, name, kind):
        """Runs a probe as the kubelet would, until it says yes."""
        command = self.here(self.containers[name][kind]["exec"]["command"])
        deadline = time.monotonic() + DEADLINE
        while True:
            done = subprocess.run(
                command, env=self.environment(name), capture_output=True, text=True, timeout=DEADLINE, check=False
            )
            if done.returncode == 0:
                return
            assert time.monotonic() < deadline, done.stderr
            time.sleep(0.1)


@pytest.fixture
def node(short_dir):
    with reserved_port() as plugin_port, reserved_port() as helper_port:
        yield Node(short_dir, plugin_port, helper_port)


def test_rendered_pods_start_are_ready_and_quote_for_a_pod_with_a_slot(node, short_dir):

    async def work():
        async with KubeletStandIn(short_dir / "k") as kubelet:
            with node.pod(names.DEVICE_PLUGIN):
                await kubelet.wait_for(names.HELPER_RESOURCE, allocatable=2, deadline_seconds=DEADLINE)
                with node.pod(names.QUOTE_HELPER):
                    await kubelet.wait_for(names.SLOT_RESOURCE, allocatable=2, deadline_seconds=DEADLINE)
                    await kubelet.wait_for(names.EPC_RESOURCE, allocatable=64, deadline_seconds=DEADLINE)
                    for name in (names.DEVICE_PLUGIN, names.QUOTE_HELPER):
                        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                            await asyncio.to_thread(node.wait_for_probe, name, kind)
                    app = Container(namespace="n", pod="p", name="app")
                    answer = await kubelet.allocate(names.SLOT_RESOURCE, 1, holder=app)
                    (mount,) = answer.mounts
                    client = AsyncClient(f"{mount.host_path}/aesm.socket")
                    assert len((await client.get_target_info()).to_bytes()) == 512

    async def within_the_deadline():
        async with asyncio.timeout(2 * DEADLINE):
            await work()

    asyncio.run(within_the_deadline())


def test_a_probe_of_another_generation_does_not_speak_for_this_pod(node):
    """With hostNetwork two helpers of a node share its ports: the other one's answer must not count."""
    with node.pod(names.QUOTE_HELPER):
        node.wait_for_probe(names.QUOTE_HELPER, "readinessProbe")
        command = node.here(node.containers[names.QUOTE_HELPER]["readinessProbe"]["exec"]["command"])
        environment = node.environment(names.QUOTE_HELPER) | {"CONFCOM_GENERATION": "8"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("is generation 7, not 8\n")
