import pytest

from effbench.errors import UsageError
from effbench.hardware import tpu_slices
from effbench.hardware.tpu import GENERATIONS
from effbench.hardware.tpu_slices import SLICES


@pytest.mark.parametrize(
    ("name", "replicas", "gib", "tflops", "gbps"),
    [
        ("v2-8", 8, 8, 22.5, 350),
        ("v3-8", 8, 16, 61.5, 450),
        ("v4-8", 4, 32, 275, 1200),
        ("v5e-8", 8, 16, 197, 819),
        ("v5p-8", 4, 95, 459, 2765),
        ("v6e-8", 8, 32, 918, 1638),
    ],
)
def test_replicas_are_cores_or_joined_cores_with_their_share_of_a_chip(
    name, replicas, gib, tflops, gbps
):
    tpu = SLICES[name]
    assert tpu.replicas == replicas
    assert tpu.hbm == gib * 2**30
    assert tpu.flops_per_second == pytest.approx(tflops * 1e12)
    assert tpu.bytes_per_second == pytest.approx(gbps * 1e9)


def test_every_generation_has_a_slice_and_a_topology_of_its_own():
    assert [row.generation for row in SLICES.values()] == list(GENERATIONS)
    for row in SLICES.values():
        assert row.topology.startswith(f"{row.generation.name}:")


def test_slices_are_selected_in_the_order_of_the_table():
    assert [row.name for row in tpu_slices.select("v5e-8, V2-8")] == ["v2-8", "v5e-8"]
    assert tpu_slices.select("all") == list(SLICES.values())


@pytest.mark.parametrize(("names", "received"), [("v3-8,v9-8", "v9-8"), ("", "an empty list")])
def test_an_unknown_type_names_the_known_ones(names, received):
    with pytest.raises(UsageError, match=f"unknown TPU type: {received}; choose from v2-8, v3-8"):
        tpu_slices.select(names)
