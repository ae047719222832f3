"""The parts of a network from its input to its features, and the network cut in two between them.

The parts are the stem, every block, and the head convolution.
"""

from __future__ import annotations

import re

from effbench.config import network_stages
from effbench.hardware.tensorflow_setup import keras

# How the package names the layers of a part: "stem_", "stack_2_block0_", "post_".
_NAMED = re.compile(r"(stem|stack_\d+_block\d+|post)_")


def parts(model: keras.Model) -> list[list[keras.layers.Layer]]:
    """The layers that hold variables, by part; the first part is the one nearest to the input.

    A layer of another name is a part by itself.
    """
    by_name: dict[str, list[keras.layers.Layer]] = {}
    for layer in model.layers:
        if layer.weights:
            named = _NAMED.match(layer.name)
            by_name.setdefault(named[1] if named else layer.name, []).append(layer)
    return list(by_name.values())


def cut(model: keras.Model, stage: str) -> tuple[keras.Model | None, keras.Model]:
    """The frozen part of a network, None where all of it trains, and the part that trains.

    Both share their layers with the network, of which those of the frozen part train no more.

    Args:
        model: the network without its classifier.
        stage: where the part that trains begins, one of `network_stages.names`.
    """
    if stage == network_stages.ALL:
        return None, model
    # The package counts stages of blocks from 0; what follows them is not a stack.
    named = (f"stack_{network_stages.number(stage) - 1}_", "post_")
    first = next(layer for layer in model.layers if layer.name.startswith(named))
    frozen = keras.Model(model.input, first.input)
    frozen.trainable = False
    return frozen, keras.Model(first.input, model.output)
