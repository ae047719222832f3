"""B0 and B1 with hardly more than one block a stage, instead of 21 and 27 in all.

What a test of a whole sweep asks for, to be killed, resumed, refused and told apart, does not
depend on how deep a network is; how long it takes to trace and compile one does.
`models/`, `tpu_plan/test_planner.py` and the slow tests have the networks as users have them.
"""

import os
from pathlib import Path

import pytest
from support.at_start.depths import DEPTHS

from effbench.config.variants import VARIANTS


def path() -> str:
    """What PYTHONPATH must be for a process and its children to have the shallow networks."""
    return os.pathsep.join(
        filter(None, (str(Path(__file__).with_name("at_start")), os.environ.get("PYTHONPATH")))
    )


def at_most(patch: pytest.MonkeyPatch, name: str, blocks: int) -> None:
    """Gives this process a variant of no more than so many blocks a stage, for a while.

    Of EfficientNetV1 that is V1-B0, which the package scales all others from.
    """
    from effbench.hardware.tensorflow_setup import keras_efficientnet_v2

    variant = VARIANTS[name]
    tables = {
        variant.model_type: keras_efficientnet_v2.efficientnet_v2.BLOCK_CONFIGS,
        "v1-b0": {"v1-b0": keras_efficientnet_v2.efficientnet_v1.BLOCK_CONFIGS["base"]},
    }
    package = tables[variant.model_type][variant.model_type]
    depths = [min(depth, blocks) for depth in package["depthes"]]
    patch.setitem(package, "depthes", depths)
    patch.setitem(variant.config, "depthes", depths)


def networks(patch: pytest.MonkeyPatch) -> None:
    """Gives this process, and those that it starts, the shallow networks for a while."""
    from effbench.hardware.tensorflow_setup import keras_efficientnet_v2

    for variant in DEPTHS:
        config = keras_efficientnet_v2.efficientnet_v2.BLOCK_CONFIGS[variant]
        patch.setitem(config, "depthes", DEPTHS[variant])
    patch.setenv("PYTHONPATH", path())
