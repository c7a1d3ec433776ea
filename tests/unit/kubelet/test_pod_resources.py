import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from confcom.errors import KubeletError
from confcom.kubelet import podresources_pb2 as pr
from confcom.kubelet.pod_resources import MAX_KEPT_IDS, Holding, holdings

EPC, SLOT, GPU = "kubernetes.azure.com/sgx_epc_mem_in_MiB", "confcom.io/sgx-quote", "nvidia.com/gpu"


def answer(*pods):
    """Pods as (namespace, name, {container: [(resource, [ids])]})."""
    return pr.ListPodResourcesResponse(
        pod_resources=[
            pr.PodResources(
                namespace=namespace,
                name=name,
                containers=[
                    pr.ContainerResources(
                        name=container,
                        devices=[pr.ContainerDevices(resource_name=resource, device_ids=ids) for resource, ids in held],
                    )
                    for container, held in containers.items()
                ],
            )
            for namespace, name, containers in pods
        ]
    ).SerializeToString()


def read(data):
    return list(holdings(data, resources=(EPC, SLOT), with_ids=(SLOT,)))


def test_one_message_per_device_is_summed_and_only_slots_keep_ids():
    data = answer(
        ("prod", "a", {"app": [(EPC, ["0"]), (EPC, ["1"]), (SLOT, ["slot-3"]), (GPU, ["g"])], "side": [(GPU, ["h"])]}),
        ("test", "b", {"app": [(EPC, ["2", "3", "4"])]}),
        ("test", "c", {"app": []}),
    )
    assert read(data) == [
        Holding(namespace="prod", pod="a", container="app", resource=EPC, units=2),
        Holding(namespace="prod", pod="a", container="app", resource=SLOT, units=1, device_ids=("slot-3",)),
        Holding(namespace="test", pod="b", container="app", resource=EPC, units=3),
    ]


def test_nobody_holds_anything():
    assert read(b"") == []
    assert read(answer(("n", "p", {"c": []}))) == []


def test_kept_ids_are_bounded_and_counted_all_the_same():
    (held,) = read(answer(("n", "p", {"c": [(SLOT, [f"slot-{index}"]) for index in range(200)]})))
    assert held.units == 200
    assert held.device_ids == tuple(f"slot-{index}" for index in range(MAX_KEPT_IDS))


def test_fields_that_a_newer_kubelet_adds_are_skipped():
    # Field 4 of a pod as varint, 64 bits, 32 bits and text, and a field number that takes two bytes.
    more = b"\x20\xff\xff\x03" + b"\x21" + bytes(8) + b"\x25" + bytes(4) + b"\x22\x01x" + b"\xa2\x06\x01x"
    pod = (
        pr.PodResources.FromString(
            pr.ListPodResourcesResponse.FromString(answer(("n", "p", {"c": [(EPC, ["0"])]})))
            .pod_resources[0]
            .SerializeToString()
        ).SerializeToString()
        + more
    )
    data = b"\x0a" + bytes([len(pod)]) + pod
    assert [held.units for held in read(data)] == [1]


def test_truncation_at_every_byte_is_an_error_or_a_shorter_answer():
    whole = answer(("n", "p", {"c": [(EPC, ["0"]), (SLOT, ["slot-0"])]}))
    for end in range(1, len(whole)):
        with pytest.raises(KubeletError, match=r"^the kubelet's PodResources answer is broken at byte \d+$"):
            read(whole[:end])


@pytest.mark.parametrize(
    ("data", "at"),
    [
        (b"\x0a", 1),
        (b"\x0a\x05abc", 2),
        (b"\x0a" + b"\xff" * 11, 1),
        (b"\x09\x00", 1),
        (b"\x0d\x00", 1),
        (b"\x0b", 1),
        (b"\x0f\x00", 1),
        (b"\xff" * 12, 0),
        (b"\x08" + b"\x80" * 3, 1),
    ],
    ids=[
        "no length",
        "long length",
        "endless length",
        "short fixed64",
        "short fixed32",
        "group",
        "wire 7",
        "endless key",
        "endless varint",
    ],
)
def test_what_is_no_protobuf_is_refused_with_its_place(data, at):
    with pytest.raises(KubeletError, match=rf"^the kubelet's PodResources answer is broken at byte {at}$"):
        read(data)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_give_holdings_or_the_one_error(data):
    with contextlib.suppress(KubeletError):
        read(data)


NAMES = st.text(max_size=5)
HELD = st.lists(st.tuples(st.sampled_from([EPC, SLOT, GPU]), st.lists(NAMES, max_size=3)), max_size=4)


@settings(max_examples=100)
@given(st.lists(st.tuples(NAMES, NAMES, st.dictionaries(NAMES, HELD, max_size=2)), max_size=4))
def test_agrees_with_protobuf(pods):
    expected = {}
    for index, (_, _, containers) in enumerate(pods):
        for container, held in containers.items():
            for resource, ids in held:
                if resource != GPU:
                    key = (index, container, resource)
                    expected[key] = expected.get(key, 0) + len(ids)
    assert sorted(held.units for held in read(answer(*pods))) == sorted(expected.values())
