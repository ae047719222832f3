"""Published numbers, shipped as CSV with the package."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

CASE_STUDY_DATA = "cifar10"


@cache
def case_study_test_accuracy() -> dict[tuple[str, int, str], float]:
    """The case study's published CIFAR-10 test accuracy, percent, by variant, size and weights."""
    text = files("effbench").joinpath("reference/case_study_results.csv").read_text("utf-8")
    return {
        (row["variant"], int(row["image_size"]), row["weights"]): float(row["test_accuracy"])
        for row in csv.DictReader(text.splitlines())
    }
