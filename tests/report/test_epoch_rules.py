"""A report on another rule than the recipes', and what it says of what the rule decides."""

import csv
import io
import json
from dataclasses import replace
from statistics import fmean

import pytest
from support.commandline import one_line
from support.records import complete, released, result, scores, spec

from effbench.cli.options import EpochRule
from effbench.config.recipes import RECIPES
from effbench.records.record import RunResult
from effbench.records.scores import SELECTIONS, Selected
from effbench.records.store import Store
from effbench.report import build, epoch_rules, summary
from effbench.report.comparison import compare
from effbench.report.render import comparison_table, document, page
from effbench.report.render.document import render
from effbench.report.rows import grouped, row_of
from effbench.report.sections import Section
from effbench.report.select import Selection

RECIPE = replace(RECIPES["case-study"], epochs=12)
LEAD = (
    "Every run with epochs is shown at the last epoch (--select final), whatever its recipe's rule."
)


@pytest.fixture
def store(tmp_path) -> Store:
    """Two rows of three seeds each, with the predictions of every rule."""
    return filled(Store(tmp_path / "all"))


@pytest.fixture
def older(tmp_path) -> Store:
    """The same runs, with the predictions of one rule."""
    return filled(Store(tmp_path / "older"), one_rule=True)


def filled(store: Store, **changes: object) -> Store:
    for seed in (1, 2, 3):
        for variant in ("B0", "B1"):
            complete(store, recipe=RECIPE, seed=seed, variant=variant, **changes)
    return store


def by(store: Store, rule: str | None) -> build.Report:
    return build.read(store, Selection(rule=rule))


def test_the_flag_takes_every_rule():
    assert [*EpochRule] == [*SELECTIONS]


@pytest.mark.parametrize("rule", SELECTIONS)
def test_all_figures_are_those_of_the_rule(rule, store):
    (section,) = by(store, rule).sections
    assert len(section.pairs) == 1
    for row in section.rows:
        chosen = [run.selected[[*SELECTIONS].index(rule)] for run in row.results]
        assert row.accuracy.mean == pytest.approx(100 * fmean(s.test.accuracy for s in chosen))
        assert row.reported_epochs == sorted({selected.epoch for selected in chosen})
        assert row.letters
        hits = row.samples["test_accuracy"].hits.sum(axis=1)
        assert hits.tolist() == [selected.test.correct for selected in chosen]
        right, _, _ = row.per_class.counts
        assert right.sum() == pytest.approx(fmean(hits))


def test_it_is_marked_in_the_first_lines_and_in_the_tables(store):
    report = by(store, "final")
    title = "case-study on cifar10, limited to 80 images, 12 epochs, at the last epoch"
    assert render(report, "markdown").startswith(f"{LEAD}\n\n### {title}\n")
    content = json.loads(render(report, "json"))
    assert (content["select"], [*content["answer"]]) == ("final", [title])
    assert {row["selection"] for row in content["results"]} == {"final"}
    assert LEAD in render(report, "latex").splitlines()[1]
    rows = csv.DictReader(io.StringIO(render(report, "csv", document.Wanted("variant"))))
    assert all(row["marks"].endswith("another rule") for row in rows)
    assert LEAD.split(",", maxsplit=1)[0] in page.render(report, [])


def test_the_recipes_own_rule_is_no_mark(store):
    usual, asked = (by(store, rule).sections for rule in (None, "val_loss"))
    assert [section.title for section in asked] == [section.title for section in usual]
    assert asked[0].rows[0].columns == usual[0].rows[0].columns


def test_no_published_figure_stands_beside_another_rule():
    run = result(spec=spec())
    shown = [epoch_rules.chosen([run], rule)[0] for rule in ("val_loss", "final")]
    ours, other = (row_of(tuple(runs)) for runs in shown)
    assert ours.accuracy.published == 89.86
    assert other.accuracy.published is None


def test_records_of_one_rule_join_with_their_counts_and_say_what_is_missing(older):
    report = by(older, "final")
    (section,) = report.sections
    assert (report.problems, report.left_out, section.pairs) == ((), (), ())
    assert all(row.accuracy.low is None for row in section.rows)
    means = [row.by("final") for row in by(older, None).sections[0].rows]
    assert [row.accuracy.mean for row in section.rows] == means
    (note,) = [note for note in section.notes if note.startswith("The records of these rows keep")]
    assert "of the last epoch they have counts, but no interval over seeds, no compar" in note
    assert "not tested: their records keep the predictions of another rule alone." in " ".join(
        summary.sentences(section)
    )
    assert all(row.per_class is None for row in section.rows)


def of_one_rule(store: Store) -> RunResult:
    """A whole network's record as it once was, with the scores of its own rule alone."""
    run = complete(store, recipe=replace(RECIPES["finetune"], epochs=12, steps=None), one_rule=True)
    alone = replace(run, selected=run.selected[2:])
    store.save(alone)
    return alone


def test_runs_without_scores_by_the_rule_are_named(store, run):
    alone = of_one_rule(store)
    report = by(store, "val_loss")
    assert len(report.sections) == 1
    text = render(report, "markdown")
    line = f"{alone.spec.key}: it was scored at the last epoch alone; run it again with --force"
    assert "1 run has no scores of that epoch and is in no table." in text.splitlines()[0]
    assert "### Without scores of the epoch of the lowest validation loss" in text
    for style in ("markdown", "json", "latex"):
        assert line in render(report, style).replace("\\", "")
    assert line in page.render(report, [])
    done = run("report", "--csv", "--select", "val_loss", "--results", store.directory)
    assert done.err == "effbench: not in the table: 1 runs without scores by val_loss\n"
    assert render(by(store, "final"), "markdown").count(alone.spec.variant)


def test_a_report_of_such_runs_alone_is_refused(run, tmp_path):
    of_one_rule(Store(tmp_path))
    done = run("report", "--select", "val_accuracy", "--results", tmp_path)
    one_line(done, 1, "no run was scored at the epoch of the best validation accuracy: 1 runs, ")


def test_another_word_is_no_rule(run, store):
    done = run("report", "--select", "best", "--results", store.directory)
    assert done.code == 2
    assert "'best' is not one of 'val_loss', 'val_accuracy', 'final'" in done.err


# --- what the rule decides ------------------------------------------------------------------------


def section(*accuracies: tuple[float, float], **changes: object) -> Section:
    """A row for each variant, with its accuracies at the recipe's epoch and at the last."""
    runs = []
    for variant, rates in zip(("B0", "B1", "B2"), accuracies, strict=False):
        count, last = (scores(round(100 * rate), 9990, 10_000) for rate in rates)
        chosen = spec(variant=variant, weights=released(variant), **changes)
        both = Selected("val_loss", 2, scores(), count), Selected("final", 3, scores(), last)
        runs.append(result(spec=chosen, selected=both))
    (built,) = build.sections.build([row_of(group) for group in grouped(runs)])
    return built


def test_a_rule_that_decides_more_than_the_variants_differ_is_said():
    table = section((89.0, 90.3), (88.6, 88.7), (80.0, 80.0))
    (said,) = epoch_rules.decides(table.rows, table.labels)
    assert said == (
        "The rule that chooses the epoch moves B0 by 1.30 points, more than the 0.40 points "
        "between B0 and B1; --select shows all by another rule."
    )
    assert said in table.notes
    assert said == [*summary.sentences(table)][-1]
    assert said not in document.notes(table, document.USUAL)


def test_what_is_no_result_at_all_is_said_before_what_the_rule_decides():
    table = section((89.0, 90.3), (88.6, 88.7), limit=400)
    (said,) = epoch_rules.decides(table.rows, table.labels)
    *others, last = summary.sentences(table)
    assert last.startswith('All rows are marked "limited": ')
    assert last.endswith(f"; t{said[1:]}")
    assert len(others) < 4
    assert said in document.notes(table, document.USUAL)


def test_a_rule_that_makes_another_row_the_best_is_said():
    table = section((89.0, 89.1), (88.6, 89.5))
    (said,) = epoch_rules.decides(table.rows, table.labels)
    assert "moves B1 by 0.90 points, more than the 0.40 points between B0 and B1" in said
    assert "(at the last epoch, B1 is the best)" in said


@pytest.mark.parametrize(
    "accuracies",
    [
        ((89.0, 89.3), (88.6, 88.9)),  # less than the rows differ
        ((89.0, 89.05), (88.99, 88.99)),  # too little for anyone to care
        ((89.0, 91.0),),  # nothing to compare with
    ],
)
def test_a_rule_that_decides_less_is_not_mentioned(accuracies):
    table = section(*accuracies)
    assert not [*epoch_rules.decides(table.rows, table.labels)]


# --- compare --------------------------------------------------------------------------------------


def test_a_comparison_by_another_rule(store, older):
    sides = str(store.directory), str(store.directory)
    found = compare(*sides, rule="final")
    assert {change.p for change in found.changes} == {1}
    assert found.changes[0].base == by(store, "final").sections[0].rows[0].accuracy.mean
    assert comparison_table.verdict(found, 0.3, 0.05).startswith(f"{LEAD} None of the 2 rows")
    assert json.loads(comparison_table.as_json(found, 0.3, 0.05))["rule"] == "final"
    one_side = compare(str(store.directory), str(older.directory), rule="final")
    assert {(change.p, change.remark) for change in one_side.changes} == {
        (None, "predictions there -> missing")
    }
    neither = compare(str(older.directory), str(older.directory), rule="final")
    assert {change.remark for change in neither.changes} == {
        "neither side has kept the predictions by final"
    }


def test_a_comparison_names_what_was_not_scored(store):
    alone = of_one_rule(store)
    found = compare(str(store.directory), str(store.directory), rule="val_loss")
    name = alone.spec.group.rpartition("-")[0]
    assert name not in [change.name for change in found.changes]
    sides = compare(str(store.directory), str(store.directory))
    assert name in [change.name for change in sides.changes]


def test_the_published_table_is_of_one_rule(store, run):
    done = run("compare", store.directory, "case-study", "--select", "final")
    one_line(done, 2, "case-study has no figures by this rule: --select final; ")
