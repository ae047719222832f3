"""What `effbench bench features` asks of the processes that it times: stdlib alone."""

from __future__ import annotations

from dataclasses import dataclass

# Side of the images that are given, pixels.
IMAGE = 32


@dataclass(frozen=True)
class FeatureCase:
    """Forward passes that a process of its own is timed at.

    Attributes:
        variant: effbench's name of the network.
        image_size: pixels that it sees; the images that it is given are resized inside.
        batch: images of a call, uint8 [batch, 32, 32, 3].
        precision: "float32" or "mixed_bfloat16".
        tool: what runs it: a key of `engines.engine_table.ENGINES`, or of `feature_speed.PEERS`.
        way: how, where there are several: "eager" or "compiled"; else "".
        ours: whether it is one of effbench's engines.
        device: kind of device.
    """

    variant: str
    image_size: int
    batch: int
    precision: str
    tool: str
    way: str = ""
    ours: bool = True
    device: str = "cpu"
