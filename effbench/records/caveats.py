"""What keeps a run from being the recipe's full, pretrained result. A new caveat is a new row."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from operator import attrgetter

from effbench.config.recipe_numbers import Recipe
from effbench.config.recipes import RECIPES, resolved
from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS

_NUMBERS = tuple(field.name for field in fields(Recipe))
_values = attrgetter(*_NUMBERS)


@dataclass(frozen=True)
class Caveat:
    """One reason.

    Attributes:
        name: the mark that tables show.
        meaning: what a reader has to know, without a full stop.
        detail: from a run and its recipe's standard: how much of it there is, "" where there is no
            more to say, or None for a run that the caveat does not hold for.
    """

    name: str
    meaning: str
    detail: Callable[[RunSpec, Recipe], str | None]


def of_spec(spec: RunSpec, standard: Recipe | None = None) -> dict[str, str]:
    """The marks of a run, each with how much of it there is, in the order of the table.

    Args:
        spec: what the run is.
        standard: its recipe for its variant when it was run; None for the recipe of today.
    """
    standard = standard or _of_today(spec)
    details = {caveat.name: caveat.detail(spec, standard) for caveat in CAVEATS}
    return {name: detail for name, detail in details.items() if detail is not None}


def details(marks: Mapping[str, str]) -> str:
    """The marks as one text, each with how much of it there is; "" for no marks."""
    return ", ".join(f"{mark} ({much})" if much else mark for mark, much in marks.items())


def _of_today(spec: RunSpec) -> Recipe:
    """The recipe's standard, or what was run where the recipe is not known."""
    known = spec.recipe.name in RECIPES
    return resolved(spec.recipe.name, spec.variant) if known else spec.recipe


def _changed(spec: RunSpec, standard: Recipe) -> dict[str, object]:
    """The numbers of the recipe that are not its standard ones."""
    if spec.recipe == standard:  # as nearly always, and at once
        return {}
    values = zip(_NUMBERS, _values(spec.recipe), _values(standard), strict=True)
    return {name: value for name, value, usual in values if value != usual}


def _fewer(spec: RunSpec, standard: Recipe) -> dict[str, object]:
    """The changed numbers that end a training early: lower epochs or steps. None is no limit."""
    return {
        name: value
        for name, value in _changed(spec, standard).items()
        if name in ("epochs", "steps")
        and (getattr(spec.recipe, name) or math.inf) < (getattr(standard, name) or math.inf)
    }


def _limited(spec: RunSpec, standard: Recipe) -> str | None:
    images = [spec.fewer] if spec.fewer else []
    fewer = _fewer(spec, standard).items()
    limits = images + [f"{value} {name[: -1 if value == 1 else None]}" for name, value in fewer]
    return ", ".join(limits) if limits else None


def _other_numbers(spec: RunSpec, standard: Recipe) -> str | None:
    fewer = _fewer(spec, standard)
    changed = {name: value for name, value in _changed(spec, standard).items() if name not in fewer}
    return ", ".join(f"{name} {value}" for name, value in changed.items()) if changed else None


def _foreign(spec: RunSpec, _: Recipe) -> str | None:
    if spec.weights.random or spec.weights.released:
        return None
    return f"{spec.weights.digest[:15]}, {spec.weights.rescale}"


def _resized(spec: RunSpec, _: Recipe) -> str | None:
    native = VARIANTS[spec.variant].image_size
    return f"{native}" if spec.image_size != native else None


def _direct(spec: RunSpec, _: Recipe) -> str | None:
    return "" if spec.recipe.way.frozen_backbone and not spec.feature_cache else None


# Those that a record, or whoever reads it, may add to what its spec says.
MICRO_BATCHES = "micro-batches"
SKIPPED = "unreadable files skipped"
LEAKED = "images seen in training"
UNSOLVED = "not converged"
UNDECIDED = "strongest L2"
WEAKEST = "weakest L2"
ANOTHER_RULE = "another rule"
OLD_GPU = "GPU resized otherwise"
SEARCHED = "searched"
REPLACED = "engine replaced"

CAVEATS = (
    Caveat(
        "random weights",
        "the backbone is untrained; nothing about the variant follows from it",
        lambda spec, standard: "" if spec.weights.random and standard.pretrained else None,
    ),
    Caveat(
        "from scratch",
        "trained from random weights, as the recipe says; nothing was learned from other images",
        lambda spec, standard: "" if spec.weights.random and not standard.pretrained else None,
    ),
    Caveat(
        "limited",
        "fewer images or epochs than the recipe says; not comparable with a full run",
        _limited,
    ),
    Caveat(
        SKIPPED,
        "files that were meant to be images could not be read, and neither trained nor judged",
        lambda *_: None,
    ),
    Caveat(
        LEAKED,
        "held-out photos have the pixels of others that trained, so the figures are too high; "
        "'effbench data' names them",
        lambda *_: None,
    ),
    Caveat(
        UNSOLVED,
        "the regression was ended before its gradient was small, so it is not its solution yet",
        lambda *_: None,
    ),
    Caveat(
        UNDECIDED,
        "the strongest L2 of all was chosen, as the validation images tell few of them apart: "
        "probabilities are hardly those of a trained head; take more such images, or --kfold 5",
        lambda *_: None,
    ),
    Caveat(
        WEAKEST,
        "the weakest L2 of all was chosen, so that a weaker one may be better; try --set l2_from=",
        lambda *_: None,
    ),
    Caveat(
        "weights not a release",
        "loaded from a file that is not, byte for byte, a published release",
        _foreign,
    ),
    Caveat(
        "changed recipe",
        "a number of the recipe was changed on the command line",
        _other_numbers,
    ),
    Caveat(
        ANOTHER_RULE,
        "the epoch is chosen by another rule than the recipe's",
        lambda *_: None,
    ),
    Caveat(
        SEARCHED,
        "the best of several values by validation accuracy is shown, so that this accuracy is too "
        "high; no other images had a part in the choice",
        lambda *_: None,
    ),
    Caveat(
        "not native size",
        "the images have another size than the variant's native one",
        _resized,
    ),
    Caveat(
        "mixed_bfloat16",
        "the backbone computed in bfloat16",
        lambda spec, _: "" if spec.precision == "mixed_bfloat16" else None,
    ),
    Caveat(
        "tensorfloat32",
        "products of float32 numbers were rounded to 10 bits, as NVIDIA cards do for speed",
        lambda spec, _: "" if spec.precision == "tensorfloat32" else None,
    ),
    Caveat(
        OLD_GPU,
        "made before effbench knew that XLA on a GPU resizes images otherwise than TensorFlow, "
        "and rounds float32 to 10 bits; not comparable with other devices",
        lambda *_: None,
    ),
    Caveat(
        REPLACED,
        "another engine took the place of the one in brackets, which is broken, or whose features "
        "were too far from TensorFlow's; 'effbench show' says which and why",
        lambda *_: None,
    ),
    Caveat(
        "backbone in every step",
        "no features were cached; the result is the same but for rounding",
        _direct,
    ),
    Caveat(
        MICRO_BATCHES,
        "a batch went through the network in parts, each with its own BatchNorm statistics",
        lambda spec, _: f"of {spec.micro_batch}" if spec.micro_batch is not None else None,
    ),
)
