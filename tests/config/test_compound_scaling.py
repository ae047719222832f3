"""The networks of the first EfficientNet, scaled as its authors' code and the package do it."""

import pytest

from effbench.config.compound_scaling import channels
from effbench.config.variants import VARIANTS


@pytest.mark.parametrize(
    ("wanted", "expected"), [(32, 32), (32 * 1.4, 48), (3, 8), (12, 16), (80 * 1.1, 88), (20.9, 24)]
)
def test_channels_are_multiples_of_8_and_never_a_tenth_less(wanted, expected):
    assert channels(wanted) == expected


def test_b7_is_the_papers():
    """Twice as wide and 3.1 times as deep as B0 (Tan and Le 2019, and tensorflow/tpu)."""
    config = VARIANTS["V1-B7"].config
    assert config["out_channels"] == [32, 48, 80, 160, 224, 384, 640]
    assert config["depthes"] == [4, 7, 7, 10, 10, 13, 4]
    assert (config["first_conv_filter"], config["output_conv_filter"]) == (64, 2560)
    assert config["kernel_sizes"] == VARIANTS["V1-B0"].config["kernel_sizes"]
