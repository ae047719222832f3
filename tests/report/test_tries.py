"""Searches in reports: who is shown, by what it was chosen, and how all that was tried is told."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from support.outcomes import finished
from support.records import failure, result, spec

from effbench.config import searches
from effbench.config.recipe_numbers import Recipe
from effbench.config.recipes import RECIPES
from effbench.records import search_files
from effbench.records.merge import merge
from effbench.records.store import Store
from effbench.records.validate import problems
from effbench.report import build, tries
from effbench.report.comparison import compare
from effbench.report.render import document, page, terminal
from effbench.report.rows import Row
from effbench.report.select import Selection

RATE = "maximal_learning_rate"
RATES = (1e-4, 3e-4, 1e-3)


def recipe(rate: float, **changes: object) -> Recipe:
    return replace(RECIPES["finetune"], maximal_learning_rate=rate, **changes)


def ran(store: Store, validation: int, test: int, seed: int = 0, **changes: object) -> None:
    """A run with so many of 100 validation images right, which are half of the test images too."""
    right = [np.arange(100) < count for count in (validation, test)]
    finished(store, np.concatenate(right), seed, **changes)


def searched(store: Store, *numbers: str, **changes: object) -> None:
    search_files.keep(store, [searches.of(spec(**changes), numbers)])


@pytest.fixture
def store(tmp_path) -> Store:
    """The best on the validation images is the worst on the test images."""
    store = Store(tmp_path / "results")
    for rate, validation, test in zip(RATES, (80, 90, 85), (95, 60, 90), strict=True):
        ran(store, validation, test, recipe=recipe(rate))
    searched(store, RATE, recipe=recipe(5e-4))
    return store


def rows(store: Store, **selection: object) -> Sequence[Row]:
    (section,) = build.read(store, Selection(**selection)).sections
    return section.rows


def test_the_validation_images_choose_and_the_row_says_among_what(store):
    (row,) = rows(store)
    assert row.spec.recipe.maximal_learning_rate == 3e-4
    said = f"{RATE} 0.0003 of 0.0001, 0.0003, 0.001: the best of 3"
    assert row.marks["searched"] == said
    assert (row.flat["searched"], row.flat["tried"]) == (RATE, 3)


def test_runs_that_no_search_joins_stay_rows_of_their_own(store):
    for path in store.directory.glob("searches/*"):
        path.unlink()
    assert len(rows(store)) == 3
    assert all("searched" not in row.marks for row in rows(store))


def test_a_value_that_is_added_alone_joins(store):
    ran(store, 95, 50, recipe=recipe(5e-4))
    (row,) = rows(store)
    assert row.spec.recipe.maximal_learning_rate == 5e-4
    assert row.flat["tried"] == 4


def test_of_equals_the_smallest_is_chosen_and_test_images_have_no_say(store):
    ran(store, 90, 99, recipe=recipe(5e-4))
    (row,) = rows(store)
    assert row.spec.recipe.maximal_learning_rate == 3e-4


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (("sgdw", "rmsprop", "adamw"), ("rmsprop", "sgdw", "adamw")),
        (("sgdw", "lamb", "adamw"), ("sgdw", "lamb", "adamw")),
    ],
)
def test_of_equal_words_it_is_the_recipes_own_then_the_first_that_ran(names, order):
    runs = [
        result(
            spec=spec(recipe=recipe(5e-4, optimizer=name)),
            standard=RECIPES["finetune"],
            provenance=replace(result().provenance, started=f"2025-01-0{day}T03:04:05+00:00"),
        )
        for day, name in enumerate(names, 1)
    ]
    search = searches.of(runs[0].spec, ["optimizer"])
    failed = spec(recipe=recipe(5e-4, optimizer="adabelief"))
    found = tries.of([[run] for run in reversed(runs)], [failed], [search])
    (joined,) = {id(row): row for row in found.values()}.values()
    assert [row.values for row in joined.tries] == [(name,) for name in (*order, "adabelief")]
    assert joined.chosen.values == order[:1]


def test_seeds_that_only_the_best_has_do_not_unseat_it(store):
    ran(store, 70, 60, 1, recipe=recipe(3e-4))  # worse than another value's first seed
    (row,) = rows(store)
    assert row.spec.recipe.maximal_learning_rate == 3e-4
    assert row.seeds == [0, 1]


def test_two_searches_that_share_a_run_are_one(store):
    ran(store, 92, 50, recipe=recipe(3e-4, dropout=0.1))
    searched(store, "dropout", recipe=recipe(3e-4))
    (row,) = rows(store)
    assert row.tries.numbers == ("dropout", RATE)
    assert (row.spec.recipe.dropout, row.flat["tried"]) == (0.1, 4)


def test_a_rate_that_failed_was_tried_too(store):
    store.save(failure(spec=spec(recipe=recipe(1.0))))
    (row,) = rows(store)
    assert row.marks["searched"].endswith("0.001, 1.0: the best of 4, 1 of which failed")


def test_every_format_lists_what_was_tried_but_not_its_test_figures(store):
    report = build.read(store, Selection())
    markdown = document.render(report, "markdown")
    lines = [line for line in markdown.splitlines() if f"{RATE} " in line and "| B0 " in line]
    assert [("chosen" in line, "80.00" in line) for line in lines[1:]] == [
        (False, True),
        (True, False),
        (False, False),
    ]
    assert "87.50" not in markdown
    assert "Costs of B0 are of the value that was chosen; all 3 that were tried" in markdown
    plain = json.loads(document.render(report, "json"))
    (found,) = plain["searches"]
    assert [tried["val_accuracy_mean"] for tried in found["tried"]] == [80, 90, 85]
    assert [tried["values"][RATE] for tried in found["tried"] if tried["chosen"]] == [3e-4]
    assert document.render(report, "csv").count("\n") == 2
    shown = "".join(map(str, terminal.render(report, 100)))
    assert "Values tried" in shown
    assert "Values tried" in page.render(report, _drawings(store, report))


def _drawings(store: Store, report: build.Report) -> list:
    from effbench.report.charts.drawing import draw

    return list(draw(store, report.sections))


def test_tried_gives_each_value_a_row_and_says_what_that_means(store, run):
    assert len(rows(store, tries=True)) == 3
    done = run("report", "--tried", "--results", store.directory)
    assert done.out.startswith("Every value of a search has a row of its own (--tried):")
    assert "87.50" in done.out


def test_without_test_images_the_accuracy_itself_is_too_high(store):
    from effbench.report import notes

    (row,) = rows(store)
    untested = replace(row, results=tuple(_without_test(run) for run in row.results))
    said = "\n".join(notes.notes([untested], few=True))
    assert "Of B0 the best of several values is shown, by the accuracy that chose it" in said
    assert "by the accuracy that chose it" not in "\n".join(notes.notes([row], few=True))


def _without_test(run):
    return replace(run, selected=tuple(replace(row, test=None) for row in run.selected))


def test_compare_takes_the_best_of_each_side(store, tmp_path):
    other = Store(tmp_path / "new")
    ran(other, 70, 60, recipe=recipe(1e-4))
    ran(other, 91, 60, recipe=recipe(1e-3))
    searched(other, RATE, recipe=recipe(1e-4))
    (change,) = compare(str(store.directory), str(other.directory)).changes
    assert (change.base, change.new) == (75, 75.5)
    assert change.remark == f"{RATE} 0.0003 -> 0.001, best of 3 -> 2"


def test_show_lists_the_search_of_a_run(store, run):
    key = spec(recipe=recipe(1e-4)).key
    done = run("show", key, "--results", store.directory)
    assert "Values tried in this search" in done.out
    assert f"{RATE} 0.0003" in done.out


def test_a_merge_brings_what_was_searched(store, tmp_path):
    target = Store(tmp_path / "merged")
    merge([store.directory], target.directory)
    assert search_files.read(target).known == search_files.read(store).known
    assert len(rows(target)) == 1


def test_a_damaged_search_is_a_problem_and_joins_nothing(store):
    (path,) = store.directory.glob("searches/*")
    path.write_text('{"numbers": ["speed"]}')
    report = build.read(store, Selection())
    assert len(report.sections[0].rows) == 3
    assert any(line.startswith(f"{path}: it does not say which") for line in report.problems)
    assert any(finding.path == path for finding in problems(store.directory).findings)
