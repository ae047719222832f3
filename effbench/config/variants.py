"""The nine EfficientNetV2 networks and the weights released for them.

What the package `keras-efficientnet-v2` knows (rescale mode, md5 of every release) is read from
its source, so it is never out of step with the installed version, and no TensorFlow is loaded.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from effbench.errors import EffbenchError, UsageError


@dataclass(frozen=True)
class Release:
    """One published file of weights.

    Attributes:
        name: what the package calls it, e.g. "imagenet21k-ft1k".
        file: its file name, e.g. "efficientnetv2-b0-21k-ft1k.h5".
        md5: of that file, from the package's table.
        rescale: the input rescaling it was trained with, "torch" or "tf".
    """

    name: str
    file: str
    md5: str
    rescale: str


@dataclass(frozen=True)
class Variant:
    """One network.

    Attributes:
        name: the field's short name, "B0" to "XL".
        builder: the function of `keras_efficientnet_v2` that builds it.
        model_type: its key in the package's tables.
        image_size: native (evaluation) resolution in pixels.
        parameters: weights of the backbone without its top, BatchNorm statistics included.
        width: number of features after global average pooling.
    """

    name: str
    builder: str
    model_type: str
    image_size: int
    parameters: int
    width: int

    @property
    def config(self) -> Mapping[str, object]:
        """The package's own description of this network: its row of `BLOCK_CONFIGS`."""
        return _package_table("BLOCK_CONFIGS")[self.model_type]

    @property
    def rescale(self) -> str:
        """The package's default input rescaling for this network: "torch" or "tf"."""
        return str(self.config["rescale_mode"])

    @property
    def releases(self) -> dict[str, Release]:
        """The published weights, by release name, in the order of `RELEASES`."""
        hashes = _package_table("FILE_HASH_DICT").get(self.model_type, {})
        return {
            name: Release(
                name,
                f"efficientnetv2-{self.model_type}-{kind.suffix}.h5",
                str(hashes[kind.suffix]),
                kind.rescale or self.rescale,
            )
            for name, kind in RELEASES.items()
            if kind.suffix in hashes
        }

    def release(self, name: str) -> Release:
        """The release called `name`; "auto" is the case study's choice for this network.

        Raises:
            UsageError: there is no such release for this network.
        """
        releases = self.releases
        if name == "auto":
            name = next((choice for choice in AUTO if choice in releases), name)
        if name not in releases:
            hint = f"it has {', '.join(releases)}; choose one of them or leave {self.name} out"
            raise UsageError(
                f"{self.name} has no such release of weights",
                name,
                hint if releases else "there is none; give --weights none",
            )
        return releases[name]


@dataclass(frozen=True)
class _ReleaseKind:
    suffix: str  # in file names and in the package's table of hashes
    rescale: str | None  # None: the variant's own


RELEASES: Mapping[str, _ReleaseKind] = {
    "imagenet": _ReleaseKind("imagenet", None),
    "imagenet21k": _ReleaseKind("21k", "tf"),
    "imagenet21k-ft1k": _ReleaseKind("21k-ft1k", "tf"),
}
# The case study: imagenet, and imagenet21k-ft1k for XL, which has no imagenet release.
AUTO = ("imagenet", "imagenet21k-ft1k")

VARIANTS: Mapping[str, Variant] = {
    row.name: row
    for row in (
        Variant("B0", "EfficientNetV2B0", "b0", 224, 5_919_312, 1280),
        Variant("B1", "EfficientNetV2B1", "b1", 240, 6_931_124, 1280),
        Variant("B2", "EfficientNetV2B2", "b2", 260, 8_769_374, 1408),
        Variant("B3", "EfficientNetV2B3", "b3", 300, 12_930_622, 1536),
        Variant("T", "EfficientNetV2T", "t", 320, 12_743_412, 1024),
        Variant("S", "EfficientNetV2S", "s", 384, 20_331_360, 1280),
        Variant("M", "EfficientNetV2M", "m", 480, 53_150_388, 1280),
        Variant("L", "EfficientNetV2L", "l", 480, 117_746_848, 1280),
        Variant("XL", "EfficientNetV2XL", "xl", 512, 207_615_832, 1280),
    )
}


def select(names: str) -> list[Variant]:
    """The rows named in a comma-separated list, in the table's order; "all" is all nine.

    Raises:
        UsageError: a name is not in the table.
    """
    if names.strip().lower() == "all":
        return list(VARIANTS.values())
    wanted = [name.strip().upper() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in VARIANTS]
    if unknown or not wanted:
        raise UsageError(
            "unknown variant", ", ".join(unknown) or "an empty list", f"choose from {_names()}"
        )
    return [row for name, row in VARIANTS.items() if name in wanted]


def _names() -> str:
    return ", ".join(VARIANTS) + " or all"


@cache
def _package_table(name: str) -> dict[str, dict[str, object]]:
    """A literal table of `keras_efficientnet_v2.efficientnet_v2`, read without importing it."""
    spec = find_spec("keras_efficientnet_v2")
    if spec is None or not spec.submodule_search_locations:
        raise EffbenchError("a package is missing", "keras-efficientnet-v2", "run 'make setup'")
    source = Path(spec.submodule_search_locations[0], "efficientnet_v2.py").read_text("utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            table: dict[str, dict[str, object]] = ast.literal_eval(node.value)
            return table
    raise EffbenchError(
        "keras-efficientnet-v2 is not the version effbench knows", f"no {name}", "run 'make setup'"
    )
