"""What a tensor of a converted graph is, in words that say where in the network it stands."""

from __future__ import annotations

import re
from collections.abc import Mapping

from effbench.hardware.tensorflow_setup import keras

# How the package names layers: "stem_conv", "stack_2_block0_se_1_conv", "post_bn".
_NAMED = re.compile(r"(?:stack_(?P<stack>\d+)_block(?P<block>\d+)|(?P<end>stem|post))_(?P<rest>.*)")
_ENDS: Mapping[str, str] = {"stem": "stem", "post": "head convolution"}
# What stands in a block, by the beginning of the rest of a layer's name.
_IN_BLOCK: Mapping[str, str] = {
    "se_1": "squeeze of squeeze-and-excitation",
    "se_2": "excitation of squeeze-and-excitation",
    "fu": "fused convolution",
    "MB_dw": "depthwise convolution",
    "MB_pw": "projection",
    "sortcut": "expansion",
}


def described(tensor: str, backbone: keras.Model) -> str:
    """Where a tensor stands: "stage 5, block 2, excitation of squeeze-and-excitation: Sigmoid".

    Stages are the paper's, blocks are counted from 1. What is not in the backbone keeps the name of
    its scope.

    Args:
        tensor: its name in the graph, with those of all that was made one with it, after ";".
        backbone: the network.
    """
    scope = tensor.partition(";")[0]
    *parts, operation = scope.split("/")
    layers = {layer.name: layer for layer in backbone.layers}
    layer = next((layers[part] for part in reversed(parts) if part in layers), None)
    while layer is not None:
        if named := _NAMED.match(layer.name):
            return f"{_words(named)}: {operation}"
        # Without a name of its own: it belongs to what it takes, at last.
        before = [*layer.inbound_nodes[0].iterate_inbound()]
        layer = before[-1][0] if before else None
    return scope.replace("/", ": ")


def _words(named: re.Match[str]) -> str:
    if end := named["end"]:
        return _ENDS[end]
    inside = [words for start, words in _IN_BLOCK.items() if named["rest"].startswith(start)]
    return ", ".join([f"stage {int(named['stack']) + 1}, block {int(named['block']) + 1}", *inside])
