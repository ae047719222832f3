"""Full training steps of networks, each at a size of its own, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from effbench import provenance, table_files
from effbench.bench import step
from effbench.bench.comma_lists import refuse_unknown
from effbench.bench.step import PRECISIONS
from effbench.bench.step_messages import Case, Pace, pace
from effbench.config import recipes, schedule
from effbench.config.variants import VARIANTS, select
from effbench.errors import UsageError
from effbench.hardware import machine
from effbench.models.flops import multiply_adds
from effbench.progress import Report, Step
from effbench.tables import Column, Table, markdown


@dataclass(frozen=True)
class SpeedOptions:
    """What to time.

    Attributes:
        variants: names, as `variants.select` takes them.
        image_size: pixels, instead of each variant's native size.
        batch_size: images of a step.
        precision: a name from `PRECISIONS`.
        recipe: name of a recipe that trains whole networks.
        steps: how many steps count.
    """

    variants: str
    image_size: int | None = None
    batch_size: int = 2
    precision: str = "float32"
    recipe: str = "finetune"
    steps: int = 3


@dataclass(frozen=True)
class TrainingSpeed:
    """What came out for one network.

    Attributes:
        case: what was timed.
        parameters: of the backbone.
        flops: multiply-adds of its forward pass, for one image of this size.
        pace: the steps; None where there is a problem.
        memory: most bytes that the process held.
        others: cores that other programs used meanwhile, on average.
        problem: why nothing came out, or "".
    """

    case: Case
    parameters: int
    flops: int
    pace: Pace | None = None
    memory: int | None = None
    others: float | None = None
    problem: str = ""


def run(options: SpeedOptions, report: Report) -> list[TrainingSpeed]:
    """Times all networks.

    Raises:
        UsageError: there is no such network, recipe or precision, or images are too small.
    """
    speeds = []
    for case in list(_cases(options)):
        report(Step(f"{step.name(case)}: {options.steps} steps"))
        variant = VARIANTS[case.variant]
        flops = multiply_adds(variant, case.image_size)
        speed = TrainingSpeed(case, variant.parameters, flops)
        with step.side_of(case) as side:
            side.turn(options.steps)
            if side.problem:
                speeds.append(replace(speed, problem=side.problem))
            else:
                timed = pace(side.train, case.batch_size)
                speeds.append(replace(speed, pace=timed, memory=side.memory, others=side.others))
    return speeds


def _cases(options: SpeedOptions) -> Iterator[Case]:
    refuse_unknown("precision", [options.precision], PRECISIONS)
    for row in select(options.variants):
        size = options.image_size or row.image_size
        recipe = recipes.resolved(options.recipe, row.name)
        if recipe.way.frozen_backbone:
            hint = "name one that does, e.g. finetune"
            raise UsageError("bench training times whole networks", recipe.name, hint)
        recipe = replace(recipe, batch_size=options.batch_size)
        schedule.split(recipe, size)
        yield Case(row.name, size, options.batch_size, options.precision, recipe, infers=False)


def table(speeds: Sequence[TrainingSpeed], hours: Mapping[str, float]) -> Table:
    """The speeds beside hours of training that somebody published, by variant.

    Both are compared with the slowest network that has both.
    """
    paced = {row.case.variant: row.pace.images_per_second for row in speeds if row.pace}
    both = [name for name in paced if name in hours]
    slowest = min(both, key=paced.__getitem__) if both else ""
    columns = (
        Column("Model", words=True),
        *map(Column, ("Size", "Parameters", "GFLOPs")),
        Column("images/s"),
        Column("memory GB", rank=1),
        Column(f"times {slowest}" if slowest else "times"),
        Column("paper, hours", rank=2),
        Column("paper, times"),
        Column("others", rank=3),
    )
    rows = []
    for row in speeds:
        name = row.case.variant
        speed = paced.get(name)
        rows.append(
            (
                *(name, str(row.case.image_size), f"{row.parameters:,}", f"{row.flops / 1e9:.2f}"),
                "-" if speed is None else f"{speed:.3g}",
                "-" if row.memory is None else f"{row.memory / 1e9:.2f}",
                f"{speed / paced[slowest]:.2f}" if speed and slowest else "-",
                f"{hours[name]:g}" if name in hours else "-",
                f"{hours[slowest] / hours[name]:.2f}" if name in hours and slowest else "-",
                "-" if row.others is None else f"{row.others:.2f}",
            )
        )
    return Table("Full training steps", columns, tuple(rows))


def notes(options: SpeedOptions) -> list[str]:
    """What a reader has to know about the figures."""
    versions = ", ".join(f"{name} {text}" for name, text in provenance.versions().items())
    commit = provenance.commit()
    return [
        f"{machine.cpu_name()}; {versions}{f'; commit {commit}' if commit else ''}.",
        f"The recipe {options.recipe} in {options.precision}, {options.batch_size} images a step, "
        f"{options.steps} steps of each after the one that compiles, by their median; memory is "
        "the most that the process held.",
        "others: cores that other programs used meanwhile; times are longer by that, and ratios "
        "hold as far as it is the same for all.",
        "The paper's hours (Tan and Le 2021, table 7) are of whole trainings on ImageNet with 32 "
        "TPUv3 cores; those of EfficientNetV2 are by progressive learning, mostly at smaller "
        "sizes, which a step at the full size does not show.",
    ]


def save(
    speeds: Sequence[TrainingSpeed],
    options: SpeedOptions,
    hours: Mapping[str, float],
    path: Path,
) -> None:
    """Writes the table as Markdown, and every figure as JSON beside it.

    Raises:
        DiskError: the files cannot be written.
    """
    lines = [*notes(options), *(f"Failed: {name_of(row)}" for row in speeds if row.problem)]
    text = f"{markdown(table(speeds, hours))}\n\n" + "\n".join(f"- {line}" for line in lines)
    rows = [asdict(row) for row in speeds]
    document = machine.described() | {"options": asdict(options), "rows": rows}
    table_files.save(path, text, document)


def name_of(row: TrainingSpeed) -> str:
    """A network whose steps failed, and why."""
    return f"{step.name(row.case)}: {row.problem}"
