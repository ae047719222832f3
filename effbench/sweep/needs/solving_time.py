"""How long regressions of many classes take, guessed by their size before a sweep begins them."""

from __future__ import annotations

from collections.abc import Iterable

from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.cpu import cores, counted
from effbench.sweep.needs.timed_processes import Counts

# A regression is guessed from so many seconds on; of a shorter one nobody need know before.
LONG = 900.0
# Seconds of a core for one L2, by image, feature and class: 1.5e-8 for 45,000 x 1,280 x 10, and
# 1.7e-8 for 1,000 x 1,000 x 1,000 (AMD EPYC, 2 cores).
_COST = 1.6e-8
# As in `training.l2_grid`, which loads what trains.
_ENOUGH = _FOLDS = 5
_QUICKER = "--recipe case-study trains a head of as many classes in a small part of that"


def seconds(spec: RunSpec, counts: Counts) -> float:
    """Seconds of all regressions of a run, at most; 0 where that is not `LONG`, or it has none."""
    solved = sum(count * _size(spec, images) for count, images in _solutions(spec, counts))
    guessed = solved * _COST / cores()
    return guessed if guessed >= LONG else 0.0


def multiply_adds(spec: RunSpec, counts: Counts) -> float:
    """Those of these seconds, at what a core does in one: 1e10."""
    return seconds(spec, counts) * cores() * 1e10


def remarks(specs: Iterable[RunSpec], counts: Counts) -> list[str]:
    """A line on the regressions of each recipe that take long; none where none do."""
    longest: dict[str, tuple[float, RunSpec]] = {}
    for spec in specs:
        guessed = seconds(spec, counts)
        before, _ = longest.get(spec.recipe.name, (0.0, spec))
        if guessed > before:
            longest[spec.recipe.name] = guessed, spec
    return [_said(spec, counts, guessed) for guessed, spec in longest.values()]


def _said(spec: RunSpec, counts: Counts, guessed: float) -> str:
    solutions = sum(count for count, _ in _solutions(spec, counts))
    return (
        f"{spec.recipe.name} solves up to {solutions:,} regressions of {spec.classes:,} classes "
        f"for {spec.variant}, about {guessed / 3600:,.1f} hours on {counted()}; {_QUICKER}"
    )


def _size(spec: RunSpec, images: float) -> float:
    """Numbers that an iteration works on; there are no more components than images."""
    return images * min(VARIANTS[spec.variant].width, images) * spec.classes


def _solutions(spec: RunSpec, counts: Counts) -> Iterable[tuple[int, float]]:
    """How many regressions are solved, and of how many images: those of folds that choose too."""
    if spec.recipe.epochs:  # it trains otherwise
        return
    turns = spec.folds or 1
    train, validation = float(counts.train), float(counts.splits[1]) if counts.splits else 0.0
    if spec.folds:
        validation = counts.all / turns
        train = counts.all - 2 * validation
    yield turns * spec.recipe.l2_values, train
    of_class = (train + validation) / spec.classes
    if counts.splits and validation < _ENOUGH * spec.classes:
        folds = max(2, min(_FOLDS, round(of_class)))
        yield turns * folds * spec.recipe.l2_values, (train + validation) * (1 - 1 / folds)
