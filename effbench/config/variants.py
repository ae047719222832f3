"""The networks, EfficientNetV2 and its forerunner, and the weights released for them.

What the package `keras-efficientnet-v2` knows (rescale mode, md5 of every release) is read from
its source, so it is never out of step with the installed version, and no TensorFlow is loaded.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from effbench.config.compound_scaling import scaled
from effbench.errors import EffbenchError, UsageError

_RELEASED = "https://github.com/leondgarse/keras_efficientnet_v2/releases/download"
_NETWORKS = "efficientnet_v2.py"


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
class Family:
    """Networks of one paper.

    Attributes:
        name: what `select` calls all of them.
        title: their name in the field.
        url: the folder that their weights are released in.
        prefix: how the names of the files begin.
        config: from a network's key in the package's tables to what the package builds.
    """

    name: str
    title: str
    url: str
    prefix: str
    config: Callable[[str], dict[str, object]]


def _written_out(model_type: str) -> dict[str, object]:
    return _package_table("BLOCK_CONFIGS")[model_type]


@cache
def _scaled_up(model_type: str) -> dict[str, object]:
    table = _package_table("BLOCK_CONFIGS", "efficientnet_v1.py")
    return scaled(table["base"], table[model_type.removeprefix("v1-")])


FAMILIES: Mapping[str, Family] = {
    row.name: row
    for row in (
        Family(
            *("v2", "EfficientNetV2", f"{_RELEASED}/effnetv2_pretrained"),
            *("efficientnetv2-", _written_out),
        ),
        Family(
            *("v1", "EfficientNet", f"{_RELEASED}/effnetv1_pretrained"),
            *("efficientnet", _scaled_up),
        ),
    )
}


@dataclass(frozen=True)
class Variant:
    """One network.

    Attributes:
        name: the field's short name, "B0" to "XL"; of EfficientNetV1 with "V1-" before it.
        builder: the function of `keras_efficientnet_v2` that builds it.
        model_type: its key in the package's tables.
        image_size: native (evaluation) resolution in pixels.
        parameters: weights of the backbone without its top, BatchNorm statistics included.
        width: number of features after global average pooling.
        family: name of a row of `FAMILIES`.
    """

    name: str
    builder: str
    model_type: str
    image_size: int
    parameters: int
    width: int
    family: str = "v2"

    @property
    def config(self) -> Mapping[str, object]:
        """The package's own description of this network, as a row of `BLOCK_CONFIGS`."""
        return FAMILIES[self.family].config(self.model_type)

    @property
    def url(self) -> str:
        """The folder that its weights are released in."""
        return FAMILIES[self.family].url

    @property
    def rescale(self) -> str:
        """The package's default input rescaling for this network: "torch" or "tf"."""
        return str(self.config["rescale_mode"])

    @property
    def releases(self) -> dict[str, Release]:
        """The published weights, by release name, in the order of `RELEASES`."""
        hashes = _package_table("FILE_HASH_DICT").get(self.model_type, {})
        prefix = FAMILIES[self.family].prefix
        return {
            name: Release(
                name,
                f"{prefix}{self.model_type}-{kind.suffix}.h5",
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
    "noisy_student": _ReleaseKind("noisy_student", None),
}
# The case study: imagenet, and imagenet21k-ft1k for XL, which has no imagenet release. V1-L2 has
# noisy_student alone.
AUTO = ("imagenet", "imagenet21k-ft1k", "noisy_student")

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
        Variant("V1-B0", "EfficientNetV1B0", "v1-b0", 224, 4_049_564, 1280, "v1"),
        Variant("V1-B1", "EfficientNetV1B1", "v1-b1", 240, 6_575_232, 1280, "v1"),
        Variant("V1-B2", "EfficientNetV1B2", "v1-b2", 260, 7_768_562, 1408, "v1"),
        Variant("V1-B3", "EfficientNetV1B3", "v1-b3", 300, 10_783_528, 1536, "v1"),
        Variant("V1-B4", "EfficientNetV1B4", "v1-b4", 380, 17_673_816, 1792, "v1"),
        Variant("V1-B5", "EfficientNetV1B5", "v1-b5", 456, 28_513_520, 2048, "v1"),
        Variant("V1-B6", "EfficientNetV1B6", "v1-b6", 528, 40_960_136, 2304, "v1"),
        Variant("V1-B7", "EfficientNetV1B7", "v1-b7", 600, 64_097_680, 2560, "v1"),
        Variant("V1-L2", "EfficientNetV1L2", "v1-l2", 800, 475_894_996, 5504, "v1"),
    )
}
# What else `select` knows: those that a sweep trains unless it is told others, and all.
USUAL = "v2"
EVERYTHING = "all"


def select(names: str) -> list[Variant]:
    """The rows named in a comma-separated list, in the table's order.

    Args:
        names: of networks, of families, which are all of their networks, or "all".

    Raises:
        UsageError: a name is not in the table.
    """
    given = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in given if not _named(name)]
    if unknown or not given:
        received = ", ".join(unknown).upper() or "an empty list"
        choices = f"{', '.join(VARIANTS)}; or {', '.join(FAMILIES)} or {EVERYTHING}"
        raise UsageError("unknown variant", received, f"choose from {choices}")
    wanted = {row.name for name in given for row in _named(name)}
    return [row for name, row in VARIANTS.items() if name in wanted]


def _named(name: str) -> list[Variant]:
    """The rows that one name stands for, in any case of letters; none for an unknown one."""
    if name.lower() == EVERYTHING:
        return list(VARIANTS.values())
    names = (name.upper(), name.lower())
    return [row for row in VARIANTS.values() if row.name == names[0] or row.family == names[1]]


@cache
def _package_table(name: str, file: str = _NETWORKS) -> dict[str, dict[str, object]]:
    """A literal table of a file of `keras_efficientnet_v2`, read without importing it."""
    spec = find_spec("keras_efficientnet_v2")
    if spec is None or not spec.submodule_search_locations:
        raise EffbenchError("a package is missing", "keras-efficientnet-v2", "run 'make setup'")
    source = Path(spec.submodule_search_locations[0], file).read_text("utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            table: dict[str, dict[str, object]] = ast.literal_eval(node.value)
            return table
    raise EffbenchError(
        "keras-efficientnet-v2 is not the version effbench knows", f"no {name}", "run 'make setup'"
    )
