"""The README is true: its table is what `report` prints, its figures follow from the records."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from effbench import reference
from effbench.report import frame, table
from effbench.store import Store

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
RESULTS = Store(ROOT / "results")


def test_tables_are_what_report_prints() -> None:
    records = RESULTS.load()
    assert records.problems == records.failures == ()
    printed = table.render(frame.tidy(records.results), records.failures, "markdown")
    (shown,) = re.findall(r"<!-- report -->\n(.*?)<!-- end -->", README, re.DOTALL)
    assert shown.strip() == printed.strip()
    assert (ROOT / "results/table.md").read_text("utf-8") == printed


def test_figures_follow_from_the_records() -> None:
    results = RESULTS.load().results

    def mean(recipe: str, rule: str) -> float:
        chosen = [
            next(row for row in result.selected if row.rule == rule).test.accuracy
            for result in results
            if result.spec.recipe.name == recipe
        ]
        assert len(chosen) == 5
        return 100 * float(np.mean(chosen))

    old, new = "case-study-2021", "case-study"
    published = reference.case_study_test_accuracy()["B0", 224, "imagenet"]
    tests = [100 * row.reported.test.accuracy for row in results if row.spec.recipe.name == old]
    assert min(tests) <= published <= max(tests)
    for figure in (
        f"{min(tests):.2f} to {max(tests):.2f}",
        f"{mean(old, 'val_loss') - published:+.2f}",
        f"{mean(new, 'val_loss') - mean(old, 'val_loss'):+.2f}",
        f"{mean(new, 'final') - mean(old, 'final'):+.2f}",
        f"{mean(new, 'final'):.2f}",
        f"{mean(old, 'final'):.2f}",
    ):
        assert figure in README, figure


def test_full_results_are_not_limited() -> None:
    for result in RESULTS.load().results:
        assert "limited" not in result.spec.marks
        assert "random weights" not in result.spec.marks
        assert (result.images.train, result.images.test) == (45_000, 10_000)
        assert not result.provenance.commit.endswith("+dirty")


def commands() -> list[str]:
    blocks = re.findall(r"```\n(.*?)```", README, re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("effbench")])
def test_commands_and_flags_exist(line: str) -> None:
    words = line.split()[1:]
    names = [word for word in words if not word.startswith("-")][: 2 if words[0] == "bench" else 1]
    shown = subprocess.run(
        [sys.executable, "-m", "effbench.cli", *names, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "PATH": "", "TERM": "dumb"},
    ).stdout
    for flag in (word for word in words if word.startswith("--")):
        assert flag in shown


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("make")])
def test_make_targets_exist(line: str) -> None:
    target = line.split()[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_every_command_stands_in_the_readme() -> None:
    from typer.main import get_command

    from effbench.cli import app

    for name in get_command(app).commands:
        assert f"effbench {name}" in README
