"""The 1,000 classes of ImageNet: ids of WordNet, in the order of a network's outputs.

The order is that of the ids as text (ILSVRC 2012 to 2017, `imagenet_lsvrc_2015_synsets.txt` of
tensorflow/models); the devkit numbers the same classes in another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

COUNT = 1000
PATTERN = re.compile(r"n\d{8}")


@cache
def synsets() -> tuple[str, ...]:
    """All ids, such as "n01440764"."""
    text = files("effbench").joinpath("imagenet", "synsets.txt").read_text("utf-8")
    return tuple(text.split())


@cache
def numbers() -> Mapping[str, int]:
    """The output of a network that stands for each id."""
    return {synset: number for number, synset in enumerate(synsets())}


def unknown(names: Iterable[str]) -> list[str]:
    """Those that are none of the classes, sorted."""
    return sorted(set(names) - numbers().keys())
