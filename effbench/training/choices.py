"""The fields of a recipe that name a row of a table, and what they can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from effbench.config.geometry import FILTERS, FITS
from effbench.config.recipe_numbers import Recipe
from effbench.errors import UsageError
from effbench.records.scores import SELECTIONS
from effbench.stderr import hushed
from effbench.training.class_weights import CLASS_WEIGHTS


def check(recipe: Recipe, standard: Recipe) -> None:
    """Makes sure that every name in `recipe` is in its table.

    Some tables need TensorFlow, which takes seconds to load: only names that are not those of
    `standard`, the recipe's own row, are looked up.

    Raises:
        UsageError: there is no row of that name.
    """
    for field, names in CHOICES.items():
        name = getattr(recipe, field)
        if name == getattr(standard, field):
            continue
        with hushed():
            known = tuple(names())
        if name not in known:
            hint = f"choose from {', '.join(known)}"
            raise UsageError(f"--set {field} takes another value", name, hint)


def _preprocessing() -> Iterable[str]:
    from effbench.models.preprocessing import PREPROCESSING

    return ("weights", *PREPROCESSING)


def _optimizers() -> Iterable[str]:
    from effbench.training.optimizers import OPTIMIZERS

    return OPTIMIZERS


def _schedules() -> Iterable[str]:
    from effbench.training.optimizers import SCHEDULES

    return SCHEDULES


CHOICES: Mapping[str, Callable[[], Iterable[str]]] = {
    "preprocessing": _preprocessing,
    "optimizer": _optimizers,
    "schedule": _schedules,
    "selection": lambda: SELECTIONS,
    "geometry": lambda: FITS,
    "filter": lambda: FILTERS,
    "class_weights": lambda: CLASS_WEIGHTS,
}
