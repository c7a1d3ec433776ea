import os
import stat
from pathlib import Path

import pytest

from confcom.platform.device_nodes import (
    ENCLAVE_PATHS,
    ISGX_PATHS,
    MAX_LINKS,
    PROVISION_PATHS,
    Driver,
    find_nodes,
    resolve,
    simulated_nodes,
)


@pytest.fixture
def dev(tmp_path):
    """A /dev whose files named in `CHARACTER` look like character devices: mknod needs a right that tests may lack."""
    return Tree(tmp_path)


class Tree:
    def __init__(self, root):
        self.root = root
        self.characters = set()

    def node(self, name):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self.characters.add(path)

    def link(self, name, target):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def lstat(self, path):
        found = os.lstat(path)
        if path in self.characters:
            return os.stat_result((stat.S_IFCHR | 0o666, *found[1:]))
        return found

    def find(self):
        return find_nodes(self.root, self.lstat)


def seen(nodes):
    return tuple(node and (node.host_path, node.driver) for node in (nodes.enclave, nodes.provision))


IN_TREE = (("/dev/sgx_enclave", Driver.IN_TREE), ("/dev/sgx_provision", Driver.IN_TREE))
DCAP = (("/dev/sgx/enclave", Driver.DCAP), ("/dev/sgx/provision", Driver.DCAP))


# Intel's scan cases (none, one missing, both, extra nodes), for each driver.
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], (None, None)),
        (["sgx_enclave"], (IN_TREE[0], None)),
        (["sgx_provision"], (None, IN_TREE[1])),
        (["sgx_enclave", "sgx_provision"], IN_TREE),
        (["sgx_enclave", "sgx_provision", "sgx_vepc", "null"], IN_TREE),
        (["sgx/enclave", "sgx/provision"], DCAP),
        (["sgx/enclave"], (DCAP[0], None)),
        (["isgx"], (("/dev/isgx", Driver.EPID), None)),
        (["isgx", "sgx/enclave", "sgx_enclave", "sgx_provision"], IN_TREE),
        (["sgx_vepc", "gsgx"], (None, None)),
    ],
    ids=[
        "none",
        "enclave only",
        "provision only",
        "both",
        "extra nodes",
        "DCAP",
        "DCAP enclave only",
        "EPID",
        "all",
        "others",
    ],
)
def test_scan(dev, names, expected):
    for name in names:
        dev.node(name)
    found = dev.find()
    assert seen(found) == expected
    assert found.problems == ()


def test_container_paths_are_both_generations_or_the_epid_one(dev):
    dev.node("isgx")
    assert dev.find().enclave.container_paths == ISGX_PATHS == ("/dev/isgx",)
    dev.node("sgx/enclave")
    dev.node("sgx/provision")
    found = dev.find()
    assert found.enclave.container_paths == ENCLAVE_PATHS == ("/dev/sgx_enclave", "/dev/sgx/enclave")
    assert found.provision.container_paths == PROVISION_PATHS == ("/dev/sgx_provision", "/dev/sgx/provision")


@pytest.mark.parametrize("target", ["../sgx_enclave", "/dev/sgx_enclave", "./../sgx/../sgx_enclave"])
def test_symlinked_dev_sgx_resolves_to_the_real_node(dev, target):
    dev.node("sgx_enclave")
    dev.link("sgx/enclave", target)
    assert resolve(dev.root, "sgx/enclave", dev.lstat) == ("/dev/sgx_enclave", None)
    assert seen(dev.find())[0] == IN_TREE[0]


def test_the_new_name_as_a_link_to_the_old_node(dev):
    dev.node("sgx/enclave")
    dev.link("sgx_enclave", "sgx/enclave")
    assert dev.find().enclave.host_path == "/dev/sgx/enclave"


def test_absolute_links_stay_inside_the_root_that_was_given(dev):
    # The pod's own /dev/null exists; the host's does not.
    dev.link("sgx_enclave", "/dev/null")
    assert resolve(dev.root, "sgx_enclave", dev.lstat) == (
        None,
        "/dev/sgx_enclave is a link to /dev/null, which does not exist",
    )


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda dev: dev.link("sgx_enclave", "gone"), "/dev/sgx_enclave is a link to /dev/gone, which does not exist"),
        (
            lambda dev: dev.link("sgx_enclave", "/etc/passwd"),
            "/dev/sgx_enclave is a link that leaves /dev, to /etc/passwd",
        ),
        (
            lambda dev: dev.link("sgx_enclave", "../etc/passwd"),
            "/dev/sgx_enclave is a link that leaves /dev, to /etc/passwd",
        ),
        (lambda dev: dev.link("sgx_enclave", "."), "/dev/sgx_enclave is a link that leaves /dev, to /dev"),
        (lambda dev: dev.link("sgx_enclave", "sgx_enclave"), f"/dev/sgx_enclave: over {MAX_LINKS} links in a row"),
        (lambda dev: (dev.root / "sgx_enclave").mkdir(), "/dev/sgx_enclave is not a character device but a folder"),
        (lambda dev: (dev.root / "sgx_enclave").touch(), "/dev/sgx_enclave is not a character device but a file"),
        (
            lambda dev: os.mkfifo(dev.root / "sgx_enclave"),
            "/dev/sgx_enclave is not a character device but a socket or pipe",
        ),
    ],
    ids=["dangling", "absolute out", "relative out", "dev itself", "loop", "folder", "file", "pipe"],
)
def test_a_name_that_cannot_be_used_is_named_and_not_handed_out(dev, make, problem):
    make(dev)
    found = dev.find()
    assert (found.enclave, found.problems) == (None, (problem,))


def test_a_name_that_may_not_be_looked_at_is_named(tmp_path):
    def lstat(path):
        raise PermissionError(13, "Permission denied")

    assert resolve(tmp_path, "sgx_enclave", lstat) == (None, "/dev/sgx_enclave cannot be looked at: Permission denied")


def test_a_root_that_does_not_exist_has_no_nodes(tmp_path):
    assert seen(find_nodes(tmp_path / "absent")) == (None, None)


def test_simulation_hands_out_null_under_the_names_of_sgx():
    found = simulated_nodes(Path("/dev"))
    assert seen(found) == (("/dev/null", Driver.SIMULATED),) * 2
    assert found.enclave.container_paths == ENCLAVE_PATHS
    assert found.provision.container_paths == PROVISION_PATHS


def test_simulation_without_null_says_so(tmp_path):
    assert simulated_nodes(tmp_path).problems == ("/dev/null is missing",)
