"""What takes much memory is said; what takes little is not."""

from types import SimpleNamespace

import psutil
from support.records import spec

from effbench.config.recipes import RECIPES
from effbench.sweep import memory_needed


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
