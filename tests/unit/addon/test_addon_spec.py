"""The custom resource as values: what it takes, what it refuses and in which words, and what it writes back."""

import contextlib
import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from confcom.addon.changes import Changes, change, parse_selector
from confcom.addon.provider import missing_service, provider_of, settle_provider
from confcom.addon.resource import read_file, read_resource, write_resource
from confcom.addon.rules import pccs_is_for_intels_client
from confcom.addon.spec import Spec
from confcom.errors import InputError

BAD_SPECS = {
    "an unknown field": ({"quoteHelpers": {}}, "spec: Object contains unknown field `quoteHelpers`"),
    "an unknown field inside": (
        {"quoteHelper": {"workerz": 2}},
        "spec.quoteHelper: Object contains unknown field `workerz`",
    ),
    "a snake_case field": ({"quote_helper": {}}, "spec: Object contains unknown field `quote_helper`"),
    "no worker": ({"quoteHelper": {"workers": 0}}, "spec.quoteHelper.workers: Expected `int` >= 1"),
    "too many workers": ({"quoteHelper": {"workers": 65}}, "spec.quoteHelper.workers: Expected `int` <= 64"),
    "workers as text": ({"quoteHelper": {"workers": "2"}}, "spec.quoteHelper.workers: Expected `int`, got `str`"),
    "a switch as text": ({"quoteHelper": {"enabled": "no"}}, "spec.quoteHelper.enabled: Expected `bool`, got `str`"),
    "too many slots": ({"quoteHelper": {"slots": 1025}}, "spec.quoteHelper.slots: Expected `int` <= 1024"),
    "a provider of no one": ({"quoteProvider": "aws"}, "spec.quoteProvider: Invalid enum value 'aws'"),
    "a policy of no one": ({"update": {"policy": "Later"}}, "spec.update.policy: Invalid enum value 'Later'"),
    "a batch of none": ({"update": {"batch": 0}}, "spec.update.batch: a batch is at least one node"),
    "a batch below none": ({"update": {"batch": -1}}, "spec.update.batch: a batch is at least one node"),
    "a batch of 0%": (
        {"update": {"batch": "0%"}},
        "spec.update.batch: is neither a number nor a percentage from 1% to 100%",
    ),
    "a batch of 101%": (
        {"update": {"batch": "101%"}},
        "spec.update.batch: is neither a number nor a percentage from 1% to 100%",
    ),
    "a helper without a plugin": (
        {"devicePlugin": {"enabled": False}},
        "spec.quoteHelper.enabled: the quote helper needs the device plugin, which gives it its devices and EPC",
    ),
    "no way to select a node": (
        {"nodes": {"labels": {}, "instanceTypes": []}},
        "spec.nodes: no node can be selected: give labels, instanceTypes or a selector",
    ),
    "a size without a number": (
        {"simulation": {"epc": "GiB"}},
        "spec.simulation.epc: is no size: write a number and a unit, for example 8GiB or 512MiB",
    ),
    "a fraction of a size": (
        {"devicePlugin": {"reserve": "1.5Gi"}},
        "spec.devicePlugin.reserve: is no size: write a number and a unit, for example 8GiB or 512MiB",
    ),
    "a quantity in words": (
        {"quoteHelper": {"resources": {"limits": {"memory": "much"}}}},
        "spec.quoteHelper.resources.limits[...]: is no quantity of Kubernetes: write for example 50m, 2 or 256Mi",
    ),
    "a quantity with a suffix of nobody": (
        {"quoteHelper": {"resources": {"limits": {"memory": "65536ki"}}}},
        "spec.quoteHelper.resources.limits[...]: is no quantity of Kubernetes: write for example 50m, 2 or 256Mi",
    ),
    "a simulation of nothing": (
        {"simulation": {"epc": "0"}},
        "spec.simulation.epc: less than 1 MiB, the smallest unit of EPC",
    ),
    "a simulation of less than a unit": (
        {"simulation": {"epc": "12kB"}},
        "spec.simulation.epc: less than 1 MiB, the smallest unit of EPC",
    ),
    "a PCCS for Azure's client": (
        {"quoteProvider": "azure", "pccs": {"url": "https://p/"}},
        f"spec.quoteProvider: {pccs_is_for_intels_client.message}",
    ),
    "a PCCS with a token for Azure's client": (
        {"quoteProvider": "azure", "pccs": {"configSecret": "s"}},
        f"spec.quoteProvider: {pccs_is_for_intels_client.message}",
    ),
    "a size as a number": ({"devicePlugin": {"reserve": 64}}, "spec.devicePlugin.reserve: Expected `str`, got `int`"),
    "a PCCS that is no URL": (
        {"pccs": {"url": "pccs:8081"}},
        "spec.pccs.url: is no address: it begins with https:// or http://",
    ),
    "a relative kubelet directory": (
        {"kubeletDirectory": "var/lib/kubelet"},
        "spec.kubeletDirectory: is no absolute path without a slash at its end",
    ),
    "a namespace in capitals": (
        {"namespace": "SGX"},
        "spec.namespace: is no name: lower-case letters, digits and dashes, 63 at the most",
    ),
    "an address for an image": (
        {"images": {"default": "https://registry.example/confcom:0.1.0"}},
        "spec.images.default: is no image: write REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST, the name in lower case",
    ),
    "a toleration of everything": (
        {"nodes": {"tolerations": [{"operator": "Exists"}]}},
        "spec.nodes.tolerations[0]: Object missing required field `key`",
    ),
    "a label that is no text": (
        {"nodes": {"labels": {"a": True}}},
        "spec.nodes.labels[...]: Expected `str`, got `bool`",
    ),
    "a label of two words": (
        {"nodes": {"labels": {"a b": "true"}}},
        "spec.nodes.labels: a key: is no label's key: write NAME or DOMAIN/NAME",
    ),
    "a selector for two words": (
        {"nodes": {"selector": {"pool": "a b"}}},
        "spec.nodes.selector[...]: is no label's value: letters, digits, dashes, dots and underscores, 63 at the most",
    ),
    "a toleration of two words": (
        {"nodes": {"tolerations": [{"key": "a b"}]}},
        "spec.nodes.tolerations[0].key: is no label's key: write NAME or DOMAIN/NAME",
    ),
    "a Secret in capitals": (
        {"pccs": {"configSecret": "Token"}},
        "spec.pccs.configSecret: is no name: lower-case letters, digits, dashes and dots, 253 at the most",
    ),
    "a pull secret without a name": (
        {"images": {"pullSecrets": [""]}},
        "spec.images.pullSecrets[0]: Expected `str` of length >= 1",
    ),
    "a list": ([], "spec: Expected `object`, got `array`"),
    "a simulation switched by a word": ({"simulation": True}, "spec.simulation: Expected `object | null`, got `bool`"),
}


@pytest.mark.parametrize("name", BAD_SPECS)
def test_spec_refuses_and_names_the_field(name):
    content, sentence = BAD_SPECS[name]
    with pytest.raises(InputError) as refused:
        Spec.from_dict(content)
    assert str(refused.value) == sentence


GOOD_SPECS = [
    None,
    {},
    {"devicePlugin": {"enabled": False}, "quoteHelper": {"enabled": False}},
    {"simulation": {}, "nodes": {"labels": {}, "instanceTypes": []}},
    {"nodes": {"labels": {}, "instanceTypes": [], "selector": {"a": "b"}}},
    {"update": {"batch": "100%"}},
    {"devicePlugin": {"reserve": "64 MiB"}},
    {"quoteProvider": "azure", "pccs": {"proxy": "http://p:3128", "caConfigMap": "c"}},
    {"simulation": {"epc": "1MiB"}},
    {"images": {"pullSecrets": ["registry.example-pull"]}, "pccs": {"caConfigMap": "roots.internal"}},
    {
        "nodes": {
            "labels": {"a.b/c_d": "", "x": "Y.1_z"},
            "tolerations": [{"key": "a.b/c_d", "value": "", "effect": ""}],
        }
    },
    {"quoteHelper": {"resources": {"requests": {"cpu": "1.5", "memory": "65536Ki"}, "limits": {"memory": "1G"}}}},
]


@pytest.mark.parametrize("content", GOOD_SPECS)
def test_spec_takes(content):
    assert isinstance(Spec.from_dict(content), Spec)


def test_defaults_are_those_of_the_design():
    spec = Spec()
    assert spec.namespace == "confcom-system"
    assert spec.quote_helper.enabled
    assert (spec.quote_helper.workers, spec.quote_helper.slots, spec.device_plugin.provision_units) == (1, 16, 16)
    assert not spec.device_plugin.intel_names
    assert spec.simulation is None
    assert (spec.update.policy, spec.update.batch) == ("Gated", 1)


def test_what_is_written_holds_only_what_differs():
    assert Spec().to_dict() == {}
    spec = Spec.from_dict({"quoteHelper": {"workers": 2, "slots": 16}, "simulation": {}})
    assert spec.to_dict() == {"quoteHelper": {"workers": 2}, "simulation": {"epc": "8GiB"}}


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "quoteHelper": st.fixed_dictionaries(
                {}, optional={"workers": st.integers(1, 64), "slots": st.integers(0, 1024), "enabled": st.booleans()}
            ),
            "simulation": st.one_of(st.none(), st.just({}), st.just({"epc": "28MiB"})),
            "update": st.fixed_dictionaries({}, optional={"batch": st.one_of(st.integers(1, 99), st.just("5%"))}),
            "quoteProvider": st.sampled_from(["auto", "azure", "intel"]),
            "nodes": st.fixed_dictionaries(
                {}, optional={"selector": st.dictionaries(st.sampled_from("abc"), st.text("xyz", max_size=3))}
            ),
        },
    )
)
def test_writing_and_reading_is_the_same_spec(content):
    spec = Spec.from_dict(content)
    assert read_resource(write_resource(spec), "x") == spec


HEAD = {"apiVersion": "confcom.io/v1alpha1", "kind": "ConfidentialComputing", "metadata": {"name": "confcom"}}
BAD_RESOURCES = {
    "nothing": (None, "f: holds no object; write a ConfidentialComputing (confcom.io/v1alpha1)"),
    "a list": ([], "f: holds no object; write a ConfidentialComputing (confcom.io/v1alpha1)"),
    "another kind": (
        HEAD | {"kind": "Pod"},
        "f: holds a Pod (confcom.io/v1alpha1); wanted is a ConfidentialComputing (confcom.io/v1alpha1)",
    ),
    "another version": (
        HEAD | {"apiVersion": "confcom.io/v1"},
        "f: holds a ConfidentialComputing (confcom.io/v1); wanted is a ConfidentialComputing (confcom.io/v1alpha1)",
    ),
    "another name": (
        HEAD | {"metadata": {"name": "other"}},
        "f: metadata.name: there is one ConfidentialComputing per cluster and it is named confcom, not other",
    ),
    "no name": (
        {k: v for k, v in HEAD.items() if k != "metadata"},
        "f: metadata.name: there is one ConfidentialComputing per cluster and it is named confcom, not None",
    ),
    "a stray field": (HEAD | {"data": {}}, "f: data: there is no such field"),
    "a bad spec": (
        HEAD | {"spec": {"quoteHelper": {"workers": 0}}},
        "f: spec.quoteHelper.workers: Expected `int` >= 1",
    ),
}


GOOD = """\
apiVersion: confcom.io/v1alpha1
kind: ConfidentialComputing
metadata: {name: confcom}
spec: {quoteHelper: {workers: 2}}
"""
BAD_FILES = {
    "no YAML": ("{", "f: is not YAML: while parsing a flow node"),
    "no text": (b"\xff\xfe\xff", "f: is not YAML: "),
    "a control character": ("a: \x00", "f: is not YAML: "),
    "a date that is none": (GOOD + "x: 2026-99-99", "f: is not YAML: month must be in 1..12"),
    "nested without an end": ("[" * 100_000, "f: is nested too deeply"),
    "nothing": ("", "f: holds no object"),
    "two documents": (GOOD + "---\n" + GOOD, "f: holds 2 documents; give the ConfidentialComputing alone"),
    "itself": ("a: &a [*a]", "f: has no kind or no apiVersion; wanted is a ConfidentialComputing"),
    "a field twice": (
        GOOD + "spec: {}",
        'f: is not YAML: the key spec stands twice in "<byte string>", line 5, column 1',
    ),
    "a field twice inside": (
        GOOD.replace("workers: 2", "workers: 2, workers: 3"),
        "f: is not YAML: the key workers stands twice",
    ),
    "a name in the place of metadata": (
        GOOD.replace("{name: confcom}", "confcom"),
        "f: metadata.name: there is one ConfidentialComputing per cluster and it is named confcom, not None",
    ),
    "stray fields of several types": (GOOD + "1: 2\nx: y\n2026-01-01: z\n", "f: 1: there is no such field"),
    "a number as a field": (GOOD.replace("quoteHelper:", "1:"), "f: spec: a key: Expected `str`"),
    "a switch as a label": (
        GOOD.replace("quoteHelper: {workers: 2}", "nodes: {labels: {on: 'x'}}"),
        "f: spec.nodes.labels: a key: Expected `str`, got `bool`",
    ),
    "a bad field": (GOOD.replace("2", "0"), "f: spec.quoteHelper.workers: Expected `int` >= 1"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_file_refuses(name):
    content, sentence = BAD_FILES[name]
    with pytest.raises(InputError) as refused:
        read_file(content if isinstance(content, bytes) else content.encode(), "f")
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(GOOD, id="YAML"),
        pytest.param(f"# A comment.\n---\n{GOOD}---\n# Nothing.\n", id="with empty documents around it"),
        pytest.param(json.dumps(yaml.safe_load(GOOD)), id="JSON"),
    ],
)
def test_file_is_read(content):
    assert read_file(content.encode(), "f").quote_helper.workers == 2


@given(st.binary(max_size=200))
def test_any_file_is_read_or_refused(content):
    with contextlib.suppress(InputError):
        read_file(content, "f")


@pytest.mark.parametrize("name", BAD_RESOURCES)
def test_resource_refuses(name):
    content, sentence = BAD_RESOURCES[name]
    with pytest.raises(InputError) as refused:
        read_resource(content, "f")
    assert str(refused.value) == sentence


# --- the words at the terminal ---------------------------------------------------------------------------------------


def test_changes_leave_alone_what_was_not_named():
    spec = Spec.from_dict({"quoteHelper": {"workers": 4}, "images": {"default": "a", "quoteHelper": "b"}})
    assert change(spec, Changes()) == spec
    assert change(spec, Changes(quote_helper=False)).quote_helper.workers == 4


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"namespace": "sgx\n"}, "namespace"),
        ({"images": {"default": "i\n"}}, "images.default"),
        ({"images": {"pullSecrets": ["a", "b\n"]}}, "images.pullSecrets[1]"),
        ({"nodes": {"labels": {"a": "b\n"}}}, "nodes.labels.a"),
    ],
)
def test_a_line_break_is_refused_as_by_the_server(content, field):
    """YAML's `|` ends a text with one, which Python's `$` does not see."""
    with pytest.raises(InputError, match=rf"^spec\.{re.escape(field)}: holds a line break$"):
        Spec.from_dict(content)


@pytest.mark.parametrize(
    "image",
    [
        "i",
        "REGISTRY/confcom:0.1.0",
        "localhost:5000/a/b_c/d__e/f-g.h:X_y.z-1",
        "my-registry.azurecr.io/confcom:0.1.0-2",
        "[2001:db8::1]:5000/confcom",
        f"r.example/confcom:0.1.0@sha256:{'0a' * 32}",
        f"confcom@sha512:{'0a' * 64}",
    ],
)
def test_images_as_runtimes_take_them(image):
    assert Spec.from_dict({"images": {"default": image}}).images.default == image


@pytest.mark.parametrize(
    "image", [" i", "i ", "a b", "i:", ":0.1.0", "r/Confcom", "i:1:2", "i@sha256:12", "-i", "r//i", "i:1 # new"]
)
def test_images_that_no_runtime_takes(image):
    with pytest.raises(InputError, match=r"^spec\.images\.quoteHelper: is no image"):
        Spec.from_dict({"images": {"quoteHelper": image}})


def test_one_image_is_for_both_programs():
    spec = Spec.from_dict({"images": {"default": "a", "quoteHelper": "b"}})
    changed = change(spec, Changes(image="c"))
    assert (changed.device_plugin_image, changed.quote_helper_image) == ("c", "c")


def test_simulation_begins_and_ends():
    spec = change(Spec(), Changes(simulate_epc="28MiB"))
    assert spec.simulation.epc == "28MiB"
    assert change(spec, Changes(simulate_epc="")).simulation is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            Changes(simulate_epc="lots"),
            "--simulate-epc: 'lots' is not a size: write a number and a unit, for example 8GiB or 512MiB",
        ),
        (Changes(simulate_epc="12kB"), "--simulate-epc 12kB: is less than 1 MiB, the smallest unit of EPC"),
        (Changes(node_selector="pool"), "--node-selector pool: 'pool' is no label; write key=value,key=value"),
        (Changes(node_selector="=x"), "--node-selector =x: '=x' is no label; write key=value,key=value"),
    ],
)
def test_changes_refuse(changes, sentence):
    with pytest.raises(InputError) as refused:
        change(Spec(), changes)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("text", "labels"),
    [("", {}), ("a=b", {"a": "b"}), ("a=b,c/d=e=f", {"a": "b", "c/d": "e=f"}), ("a=", {"a": ""})],
)
def test_selector_is_read_as_kubectl_reads_it(text, labels):
    assert parse_selector(text) == labels


@pytest.mark.parametrize(
    ("content", "ids", "provider"),
    [
        ({}, ["azure:///a", "azure:///b"], "azure"),
        ({}, ["azure:///a", "aws:///b"], "intel"),
        pytest.param({}, ["azure:///a", ""], "azure", id="AKS with a virtual node"),
        ({}, [""], "intel"),
        ({}, [], "azure"),
        ({"pccs": {"url": "https://p/"}}, ["azure:///a"], "intel"),
        ({"pccs": {"configSecret": "s"}}, ["azure:///a"], "intel"),
        ({"quoteProvider": "intel"}, ["azure:///a"], "intel"),
        ({"quoteProvider": "azure"}, [""], "azure"),
    ],
)
def test_auto_is_settled_by_the_nodes(content, ids, provider):
    assert provider_of(settle_provider(Spec.from_dict(content), ids)) == provider


@pytest.mark.parametrize(
    ("content", "ids", "lacks"),
    [
        pytest.param({}, ["aws:///b"], True, id="elsewhere"),
        pytest.param({}, [""], True, id="bare metal"),
        pytest.param({"quoteProvider": "intel"}, ["azure:///a"], True, id="Intel's client by name"),
        pytest.param({}, ["azure:///a"], False, id="Azure"),
        pytest.param({"quoteProvider": "azure"}, [""], False, id="Azure's client by name"),
        pytest.param({"pccs": {"url": "https://p/"}}, [""], False, id="a PCCS"),
        pytest.param({"pccs": {"configSecret": "s"}}, [""], False, id="a PCCS with a token"),
        pytest.param({"simulation": {}}, [""], False, id="a simulation"),
        pytest.param({"quoteHelper": {"enabled": False}}, [""], False, id="no helper"),
    ],
)
def test_a_helper_without_a_certificate_service_is_spoken_of(content, ids, lacks):
    sentence = missing_service(settle_provider(Spec.from_dict(content), ids))
    assert (sentence is not None) is lacks
    assert not lacks or "name yours in spec.pccs.url" in sentence
