"""The rights of docs/reference/rbac.md: enough for each verb, and none that nothing needs."""

import re
from pathlib import Path

import pytest
import yaml
from addon_cluster import ENABLE, RESOURCE, SIMULATE, STARTING, daemons_answer
from api_server import PATH, RefusalError

ROOT = Path(__file__).resolve().parents[2]
ROLES = {
    role["metadata"]["name"]: role["rules"]
    for text in re.findall(
        r"^```yaml\n(.*?)^```", (ROOT / "docs/reference/rbac.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    for role in yaml.safe_load_all(text)
}


def right(method, path):
    """The right that a request needs, as (verb, group, resource), or None where it needs none."""
    match = PATH.match(path)
    if match is None:
        return None
    verb = {"GET": "get" if match["name"] else "list", "PATCH": "patch", "DELETE": "delete"}[method]
    resource = f"{match['plural']}/{match['sub']}" if match["sub"] else match["plural"]
    return verb, match["version"].rpartition("/")[0], resource


def rights_of(rules):
    return {
        (verb, group, resource)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def grant(api, rules):
    """From now on a request is allowed by these rules or not at all; what was refused is kept."""
    allowed, real, refused = rights_of(rules), api.answer, set()

    def answer(method, path, *rest):
        wanted = right(method, path)
        if wanted is not None and wanted not in allowed:
            refused.add(wanted)
            raise RefusalError(403, "Forbidden", f'{wanted[2]} is forbidden: User "tester" cannot {wanted[0]} it')
        return real(method, path, *rest)

    api.answer = answer
    return refused


def test_the_documented_roles_are_those_of_switching_and_of_looking():
    assert set(ROLES) == {"confcom-addon-admin", "confcom-addon-viewer"}


def test_the_documented_rights_are_enough_to_switch(cluster):
    refused = grant(cluster.api, ROLES["confcom-addon-admin"])
    cluster.controllers.blocked["sgx-1", "sgx-quote-helper"] = STARTING
    assert cluster.run(*SIMULATE, "--wait", "--timeout", "1")[0] == 3
    assert "more is not known: you may not use pods/proxy" in cluster.run("addon", "show")[1]
    cluster.controllers.blocked.clear()
    for arguments in (
        ("update", "--simulate-epc", "", "--wait"),
        ("enable", "--dry-run"),
        ("update", "--disable-sgxquotehelper"),
        ("show",),
        ("disable", "--wait"),
    ):
        code, _, err = cluster.run("addon", *arguments)
        assert code == 0, (arguments, err)
    assert refused == {("get", "", "pods/proxy")}


def test_the_documented_rights_are_enough_to_look(cluster):
    cluster.run(*ENABLE)
    daemons_answer(cluster)
    refused = grant(cluster.api, ROLES["confcom-addon-viewer"])
    code, out, _ = cluster.run("addon", "show")
    assert code == 0
    assert "Whether anything was changed by hand is not known" in out
    assert cluster.run("status")[0] == 0
    # Dry runs are patches.
    assert {verb for verb, *_ in refused} == {"patch"}


@pytest.mark.parametrize("role", sorted(ROLES))
def test_every_documented_right_is_used(cluster, role, tmp_path):
    """A right that nothing needs is one too many."""
    used, real = set(), cluster.api.answer

    def answer(method, path, *rest):
        if needed := right(method, path):
            used.add(needed)
            # An apply that creates needs both.
            used.update({("create", *needed[1:])} if needed[0] == "patch" else ())
        return real(method, path, *rest)

    cluster.api.answer = answer
    cluster.controllers.blocked["sgx-1", "sgx-quote-helper"] = STARTING
    # A PCCS brings a ConfigMap.
    file = tmp_path / "pccs.yaml"
    head = {"apiVersion": RESOURCE[0], "kind": "ConfidentialComputing", "metadata": {"name": "confcom"}}
    file.write_text(yaml.safe_dump(head | {"spec": {"images": {"default": "i"}, "pccs": {"url": "https://p/"}}}))
    cluster.run("addon", "enable", "-f", str(file))
    cluster.run(*SIMULATE, "--wait", "--timeout", "1")
    cluster.run("addon", "show")
    cluster.run("status")
    if role == "confcom-addon-admin":
        cluster.run("addon", "disable", "--wait")
    assert rights_of(ROLES[role]) - used == set()
