"""The stand-in of a cluster that the tests of the command line's `addon` share."""

import pytest
from addon_cluster import SGX, Cluster
from api_server import APIServer, Running
from cluster_controllers import Controllers

from confcom.addon import switch, waiting


@pytest.fixture
def cluster(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(switch, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(switch, "FORGET_SECONDS", 0.1)
    monkeypatch.setattr(switch, "ENDING_SECONDS", 0.1)
    api = APIServer()
    controllers = Controllers(api)
    controllers.add_node("sgx-1", labels=SGX)
    controllers.add_node("sgx-2", labels={"node.kubernetes.io/instance-type": "Standard_DC4s_v3"})
    controllers.add_node("plain")
    with Running(api, tmp_path) as running:
        yield Cluster(running, controllers, capsys)
