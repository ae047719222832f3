"""What takes much memory is said; what takes little is not."""

from types import SimpleNamespace

import psutil
import pytest
from support.options import sweep_options
from support.records import spec

from effbench.config.recipes import RECIPES
from effbench.errors import UsageError
from effbench.sweep.needs import memory_needed
from effbench.sweep.resolve import resolve


def free(monkeypatch, gigabytes: int) -> None:
    memory = SimpleNamespace(available=gigabytes * 10**9, total=24 * 10**9)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


def test_the_largest_network_says_what_it_needs(monkeypatch):
    free(monkeypatch, 12)
    (line,) = memory_needed.remarks([spec(variant="V1-L2", image_size=800)], "cpu", 1)
    assert line == (
        "memory that a step takes at least: 5 GB for V1-L2 of 8 images of 800 pixels; "
        "12 GB of 24 are free here"
    )
    free(monkeypatch, 3)
    (little,) = memory_needed.remarks([spec(variant="V1-L2", image_size=800)], "cpu", 1)
    assert little.endswith("; 3 GB of 24 are free here, which is too little")
    (same,) = memory_needed.of_inference([("V1-L2", 800, "float32"), ("B0", 224, "float32")], "cpu")
    assert same.partition(";")[0] == line.partition(";")[0]
    assert not memory_needed.remarks([spec(variant="B0"), spec(variant="L")], "cpu", 1)


def test_whole_networks_are_named_the_hungriest_first():
    names = ("B0", "S", "M", "L", "XL")
    specs = [spec(variant=name, recipe=RECIPES["finetune"]) for name in names]
    (line,) = memory_needed.remarks(specs, "tpu", 8)
    assert (
        line.index("XL of 64 images") < line.index("L of 64 images of 480") < line.index("M of 64")
    )
    assert "here" not in line


def largest(**changes: object) -> tuple[str, ...]:
    options = {"variants": "V1-L2", "recipe": "finetune", "batch_size": 32, **changes}
    named = {"weights": "none", "data": "digits", "limit": 100, "device": "cpu"}
    return resolve(sweep_options(**named, **options)).remarks


def test_a_step_larger_than_the_machine_begins_in_parts(monkeypatch):
    """As retries would come to after the system has ended some: it has 24 GB."""
    free(monkeypatch, 20)
    needed, parts = largest()[-2:]
    assert "222 GB for V1-L2 of 32 images of 800 pixels" in needed
    assert parts == (
        "more than this machine's memory at once, so a batch is taken in parts: "
        "--micro-batch 2 for V1-L2 of 32 images of 800 pixels"
    )
    assert not any("in parts" in line for line in largest(micro_batch=2))
    assert not any("in parts" in line for line in largest(variants="B0"))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"oom_retry": False}, "give --micro-batch 2, or less"),
        ({"batch_size": 9}, "give --micro-batch 1, or less"),
        ({"image_size": 2048}, "give a smaller --image-size, another network, or a machine with"),
    ],
)
def test_a_step_that_cannot_fit_is_refused_before_anything_is_built(monkeypatch, changes, line):
    free(monkeypatch, 20)
    with pytest.raises(UsageError, match="a training step fits into the memory") as refused:
        largest(**changes)
    assert line in str(refused.value)
    assert "where there are 24" in str(refused.value)


def test_of_a_network_that_trains_in_part_too_much_is_counted(monkeypatch):
    free(monkeypatch, 20)
    largest(recipe="finetune-cosine", settings=("unfreeze=stage6",), oom_retry=False)
