"""The command that checks published ImageNet accuracies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from effbench.cli.console import Display, left_out, notes, out, show, warn
from effbench.cli.interruption import interrupted
from effbench.cli.options import (
    CpuOption,
    GpuOption,
    ImageSizeOption,
    PrecisionName,
    Rescale,
    RescaleOption,
    ResultsOption,
    VariantsOption,
    WeightsDirOption,
    only,
    precision_name,
)
from effbench.config.variants import USUAL
from effbench.errors import EffbenchError
from effbench.imagenet.protocols import OWN, PROTOCOLS
from effbench.stderr import hushed

if TYPE_CHECKING:
    from effbench.imagenet.imagenet_records import ImagenetRecord


@interrupted("each release that was scored has its record; run it again to go on")
def imagenet(
    data_dir: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER",
            help="The validation images: 50,000 files and the devkit beside them, folders of "
            "WordNet ids, ImageNetV2's folders, or Parquet files.",
            exists=True,
            file_okay=False,
        ),
    ],
    variants: VariantsOption = USUAL,
    weights: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Comma-separated: auto, imagenet, imagenet21k-ft1k, noisy_student, none (random; "
            "name a --protocol), or an .h5 file with its top.",
        ),
    ] = "auto",
    weights_dir: WeightsDirOption = None,
    rescale: RescaleOption = Rescale.auto,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The answers of files in one folder, where they do not lie beside it: a file of "
            "any name, of the devkit (with meta.mat beside it), of Kaggle or of WordNet ids.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help=f"From an image to a square: {OWN} (that of each release), "
            f"{', '.join(PROTOCOLS)}. Of several between commas, what each costs is said.",
        ),
    ] = OWN,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Score so many images only, marked.")
    ] = None,
    image_size: ImageSizeOption = None,
    precision: Annotated[
        PrecisionName, typer.Option(metavar="NAME", parser=precision_name, help="auto is float32.")
    ] = PrecisionName.auto,
    cpu: CpuOption = False,
    gpu: GpuOption = False,
    results: ResultsOption = Path("results"),
    force: Annotated[bool, typer.Option("--force", help="Score again what was scored.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> int:
    """Score releases with their tops on ImageNet, each as its published figure was measured."""
    only("devices", {"cpu": cpu, "gpu": gpu})
    style = only("formats", {"markdown": markdown, "json": as_json})
    from effbench.hardware import machine
    from effbench.imagenet import imagenet_records, scoring_request, validation_sets
    from effbench.models import weights as weights_module
    from effbench.sweep.needs import memory_needed

    kind = "gpu" if gpu or (not cpu and machine.has_gpu()) else "cpu"
    exact = "float32" if precision is PrecisionName.auto else precision.value
    options = scoring_request.ScoringOptions(
        *(variants, weights, rescale.value, protocol, image_size),
        *(machine.precision(exact, machine.device(kind)), limit),
    )
    candidates = scoring_request.candidates(options)
    if lacking := scoring_request.without(options, candidates):
        warn(f"left out, since none of these weights is theirs: {', '.join(lacking)}")
    networks = {(row.variant.name, row.image_size) for row in candidates}
    for line in memory_needed.of_inference(((*row, options.precision) for row in networks), kind):
        warn(line)
    images = validation_sets.read(data_dir, labels, partial=limit is not None)
    if received := validation_sets.lacking(images):
        warn(f"the validation images are {images.whole:,}, and here are {received}")
    device, records, problems = None, [], []
    with Display(out, 0, quiet=not out.is_terminal, verbose=False) as display:
        for candidate in candidates:
            spec = scoring_request.spec(candidate, images, options)
            told = partial(display.step, spec.variant)
            path = imagenet_records.path(results, spec)
            try:
                if path.is_file() and not force:
                    records.append(_kept(path))
                    continue
                file = None
                if not spec.weights.random:
                    file = weights_module.find(
                        candidate.source, spec.weights, candidate.variant, weights_dir, told
                    )
                with hushed():
                    from effbench.imagenet import scoring

                    device = device or scoring.connect(kind)
                    record = scoring.score(scoring.Scoring(spec, images, file), device, told)
                imagenet_records.save(results, record)
                records.append(record)
            except EffbenchError as error:
                source = candidate.source.path
                name = source.name if source else spec.weights.name
                problems.append(f"{spec.variant} {name}: {error}")
    for problem in problems:
        warn(problem)
    _print(records, style)
    return 1 if problems else 0


def _kept(path: Path) -> ImagenetRecord:
    from effbench.imagenet import imagenet_records

    try:
        return imagenet_records.read(path)
    except ValueError as error:
        raise EffbenchError("cannot read a record", f"{path}: {error}", "give --force") from error


def _print(records: Sequence[ImagenetRecord], style: str | None) -> None:
    from effbench.report.render import imagenet_table

    if style == "json":
        print(imagenet_table.as_json(records), end="")
    elif records and style == "markdown":
        print(imagenet_table.markdown(records), end="")
    elif records:
        table, lines = imagenet_table.on_terminal(records)
        left_out(show(table))
        notes(lines)
