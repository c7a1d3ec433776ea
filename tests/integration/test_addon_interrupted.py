"""The switch stopped at one of its steps, as by Ctrl-C: done again, it goes on from there."""

import pytest
from addon_cluster import ENABLE, SIMULATE

from confcom.kube.api import KubeAPI

# Writes: of the definition, of the record, of the namespace, and among the objects of either program.
STEPS = (0, 1, 2, 4, 7)
DISABLE = ("addon", "disable")
UPDATE = ("addon", "update", "--image", "registry.example/confcom:2", "--disable-sgxquotehelper")


@pytest.fixture
def stop_at(monkeypatch):
    """Has Ctrl-C come at the write of that number, counted from 0; the write itself is not done."""
    left = {"writes": None}
    real = KubeAPI._send

    def send(self, method, path, **options):
        is_write = method != "GET" and "dryRun" not in (options.get("query") or {})
        if is_write and left["writes"] is not None:
            left["writes"] -= 1
            if left["writes"] < 0:
                left["writes"] = None
                raise KeyboardInterrupt
        return real(self, method, path, **options)

    def stop(writes):
        left["writes"] = writes

    monkeypatch.setattr(KubeAPI, "_send", send)
    return stop


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("before", "words"), [(None, SIMULATE), (ENABLE, UPDATE), (ENABLE, DISABLE)], ids=["enable", "update", "disable"]
)
def test_a_verb_that_was_stopped_is_done_again(cluster, stop_at, before, words, step):
    def run(*arguments):
        code, _, err = cluster.run(*arguments)
        assert code == 0, err

    def prepare():
        run(*DISABLE)
        if before:
            run(*before)

    prepare()
    run(*words)
    wanted = cluster.contents()
    prepare()
    stop_at(step)
    code, out, err = cluster.run(*words)
    assert (code, err) == (130, "")
    assert len(out.splitlines()) == step, "what was done is told"
    run(*words)
    assert cluster.contents() == wanted
