"""What a command line asks to be scored; no TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from effbench.config import variants
from effbench.config.run_spec import WeightsId
from effbench.config.variants import Variant
from effbench.errors import UsageError
from effbench.imagenet import protocols
from effbench.imagenet.imagenet_records import ScoringSpec
from effbench.imagenet.validation_sets import ValidationSet
from effbench.models.weights import WeightsSource, classifies


@dataclass(frozen=True)
class ScoringOptions:
    """The options as the command line gives them.

    Attributes:
        variants: comma-separated names, as `variants.select` takes them.
        weights: comma-separated names of releases, "auto", "none", or the path of one file.
        rescale: as in `NetworkOptions`.
        protocol: comma-separated names of rows of `protocols.PROTOCOLS`, and `protocols.OWN`.
        image_size: pixels, instead of the size at which each release was measured: the network's
            own, but for T.
        precision: a row of `PRECISIONS`.
        limit: number of images.
    """

    variants: str = variants.USUAL
    weights: str = "auto"
    rescale: str = "auto"
    protocol: str = protocols.OWN
    image_size: int | None = None
    precision: str = "float32"
    limit: int | None = None


@dataclass(frozen=True)
class Candidate:
    """A network with its weights, before anybody has looked for images.

    Attributes:
        variant: the network.
        source: where the weights come from.
        weights: their identity.
        protocol: name of the protocol.
        image_size: pixels.
    """

    variant: Variant
    source: WeightsSource
    weights: WeightsId
    protocol: str
    image_size: int


def candidates(options: ScoringOptions) -> list[Candidate]:
    """All networks with all of their weights that are asked for.

    Of families some networks may have none of the weights; of networks by their names, each has.

    Raises:
        UsageError: a name is unknown, or a network that was named has none of the weights.
        WeightsError: the file of weights is not there, or has no classifier.
    """
    rows = variants.select(options.variants)
    names = [name.strip() for name in options.weights.split(",") if name.strip()]
    sources = [WeightsSource.parse(name, options.rescale) for name in names]
    if any(source.path for source in sources) and len(rows) * len(names) != 1:
        rule = "a file of weights fits one variant"
        raise UsageError(rule, ",".join(row.name for row in rows), "name that one with --variants")
    for source in sources:
        if source.path and source.path.is_file():  # else `identify` says that it is not there
            classifies(source.path)
    for name in names:
        if name in variants.RELEASES and not any(
            name in protocols.scored(row.name) for row in variants.VARIANTS.values()
        ):
            hint = "name imagenet, imagenet21k-ft1k or noisy_student"
            raise UsageError("a release without the 1,000 classes of ImageNet", name, hint)
    asked = [candidate for row in rows for candidate in _of(row, sources, options)]
    lacking = without(options, asked)
    named = {name.strip().upper() for name in options.variants.split(",")}
    wrong = [name for name in lacking if name in named] if asked else lacking
    if wrong:
        hint = "see 'effbench variants'; name others with --weights, or leave these out"
        raise UsageError(f"none of these weights is of {', '.join(wrong)}", options.weights, hint)
    return asked


def without(options: ScoringOptions, asked: Sequence[Candidate]) -> list[str]:
    """The networks that have none of the weights, by their names."""
    scored = {candidate.variant.name for candidate in asked}
    return [row.name for row in variants.select(options.variants) if row.name not in scored]


def _of(row: Variant, sources: list[WeightsSource], options: ScoringOptions) -> Iterator[Candidate]:
    for source in sources:
        if source.name in variants.RELEASES and source.name not in row.releases:
            continue  # others that were named may be there
        weights = source.identify(row)
        asked = [name.strip() for name in options.protocol.split(",")]
        figure = protocols.published(row.name, weights.name)
        size = options.image_size or (figure.image_size if figure else row.image_size)
        # A release's own may be among those that are named, too.
        for protocol in dict.fromkeys(protocols.of(row.name, weights.name, name) for name in asked):
            yield Candidate(row, source, weights, protocol.name, size)


def spec(candidate: Candidate, images: ValidationSet, options: ScoringOptions) -> ScoringSpec:
    """What is scored of some images."""
    limit = options.limit if options.limit and options.limit < len(images.names) else None
    return ScoringSpec(
        variant=candidate.variant.name,
        weights=candidate.weights,
        image_size=candidate.image_size,
        precision=options.precision,
        protocol=candidate.protocol,
        data=images.name,
        data_sha256=images.sha256,
        limit=limit,
        classes=len(images.classes),
    )
