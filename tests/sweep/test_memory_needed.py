"""What takes much memory is said; what takes little is not."""

from support.records import spec

from effbench.config.recipes import RECIPES
from effbench.sweep import memory_needed


def test_the_largest_network_says_what_it_needs():
    (line,) = memory_needed.remarks([spec(variant="V1-L2", image_size=800)], "cpu", 1)
    assert line.startswith(
        "a step takes more memory than this: V1-L2 of 8 images of 800 pixels 5 GB"
    )
    assert line.endswith(" are free here")
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
