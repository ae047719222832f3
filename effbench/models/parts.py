"""The parts of a network from its input to its features: stem, every block, head convolution."""

from __future__ import annotations

import re

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
