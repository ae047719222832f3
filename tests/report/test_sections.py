"""Which rows stand in one table, and what is said of them."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from support.outcomes import finished, group
from support.records import released, spec

from effbench.config.recipes import RECIPES
from effbench.records.store import Store
from effbench.report import build, cost, letters, summary
from effbench.report.build import Report
from effbench.report.render import columns
from effbench.report.render.document import render
from effbench.report.select import Selection

SMALL = {"weights": released("B0")}


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path)


def report(store: Store, **selection: str) -> Report:
    return build.read(store, Selection(**selection))


def test_rows_that_differ_have_different_letters_and_rows_that_do_not_share_one(store):
    group(store, [0.90, 0.901, 0.899], variant="B0")
    group(store, [0.902, 0.90, 0.90], variant="B1")
    group(store, [0.80, 0.801, 0.799], variant="B2")
    (section,) = report(store).sections
    assert [row.letters for row in section.rows] == ["a", "a", "b"]
    real = {
        frozenset(section.labels[place] for place in (pair.first, pair.second)): pair.real
        for pair in section.pairs
    }
    assert real == {
        frozenset({"B0", "B1"}): False,
        frozenset({"B0", "B2"}): True,
        frozenset({"B1", "B2"}): True,
    }
    better = section.pairs[0].difference
    assert better.low <= better.mean <= better.high
    assert all(pair.difference.mean >= 0 for pair in section.pairs)


def test_p_values_are_corrected_for_their_number(store):
    for place, name in enumerate(("B0", "B1", "B2", "B3")):
        group(store, [0.90 - 0.004 * place], variant=name)
    (section,) = report(store).sections
    assert {pair.difference.test for pair in section.pairs} == {"McNemar"}
    raw = min(pair.difference.p for pair in section.pairs)
    assert min(pair.p for pair in section.pairs) == pytest.approx(6 * raw)


def test_one_seed_says_that_it_knows_nothing_of_others(store):
    group(store, [0.9], variant="B0")
    group(store, [0.9, 0.91], variant="B1")
    (section,) = report(store).sections
    assert any("One seed only (B0)" in note for note in section.notes)


def test_a_run_without_predictions_is_shown_but_not_compared(store):
    group(store, [0.9, 0.91], variant="B0")
    group(store, [0.9, 0.92], variant="B1")
    lost = finished(store, np.arange(2000) < 1500, variant="B2")
    (store.folder(lost.spec.key) / lost.predictions.file).unlink()
    found = report(store)
    (section,) = found.sections
    assert [row.letters != "" for row in section.rows] == [True, True, False]
    assert section.rows[2].accuracies["test_accuracy"].mean == 75
    assert len(found.problems) == 1
    assert lost.predictions.file in found.problems[0]
    assert any(lost.spec.group in note for note in section.notes)


def test_predictions_that_are_not_the_records_are_not_used(store):
    group(store, [0.9], variant="B0")
    wrong = finished(store, np.arange(2000) < 1500, variant="B1")
    other = finished(store, np.arange(2000) < 1400, variant="B2")
    path = store.folder(wrong.spec.key) / wrong.predictions.file
    path.write_bytes((store.folder(other.spec.key) / other.predictions.file).read_bytes())
    found = report(store)
    (problem,) = found.problems
    assert "not the run's predictions" in problem
    assert wrong.spec.key in problem
    assert [row.spec.variant for row in found.sections[0].rows] == ["B0", "B2"]


def test_other_content_of_the_same_data_is_another_table(store):
    group(store, [0.9], variant="B0")
    group(store, [0.9], variant="B1", data_sha256="e" * 64)
    titles = [section.title for section in report(store).sections]
    assert titles == [
        "case-study on cifar10 of content dddddddd",
        "case-study on cifar10 of content eeeeeeee",
    ]
    assert len(report(store, group_by="variant").sections) == 2


def test_grouping_by_data_compares_recipes(store):
    group(store, [0.90, 0.90, 0.90], variant="B0")
    group(store, [0.80, 0.80, 0.80], variant="B0", recipe=RECIPES["case-study-2021"])
    assert len(report(store).sections) == 2
    found = report(store, group_by="data")
    (section,) = found.sections
    assert section.title == "cifar10"
    assert section.labels == ("B0 case-study", "B0 case-study-2021")
    assert section.pairs[0].real
    assert "| case-study-2021 |" in render(found, "markdown").replace("  ", "")


def test_a_row_without_seeds_stands_beside_those_that_have_some(store):
    group(store, [0.90, 0.91, 0.92])
    group(store, [0.80], recipe=RECIPES["linear-probe"])
    (section,) = build.read(store, Selection(group_by="data")).sections
    seeded, solved = section.rows
    assert (seeded.seeds, solved.seeds, solved.one_seed) == ([0, 1, 2], [], False)
    (pair,) = section.pairs
    assert (pair.difference.test, pair.verdict) == ("paired t", "yes")
    assert not any("One seed only" in note for note in section.notes)
    assert any("for one seed or none" in note for note in section.notes)
    shown = columns.on_terminal(section.rows, section.labels).only(["Model", "test", "seeds"])
    assert [row[1].split("±")[1].strip() for row in shown.rows] == [
        f"{seeded.accuracy.std:.2f}",
        "-",
    ]
    assert [row[2] for row in shown.rows] == ["3", "-"]
    text = " ".join(summary.sentences(section))
    assert "one seed" not in text


def test_labels_say_what_differs_and_no_more(store):
    group(store, [0.9], variant="B0")
    group(store, [0.9], variant="B0", image_size=192)
    group(store, [0.9], variant="B1")
    group(store, [0.9], variant="B0", image_size=192, precision="mixed_bfloat16")
    (section,) = report(store).sections
    assert section.labels == ("B0 192 float32", "B0 192 mixed_bfloat16", "B0 224", "B1")


def test_labels_leave_out_the_changed_numbers_that_all_have(store):
    changed = replace(RECIPES["finetune"], batch_size=64, label_smoothing=0.2)
    group(store, [0.9], variant="B0", recipe=changed)
    group(store, [0.9], variant="B0", recipe=replace(changed, unfreeze="stage5"))
    (section,) = report(store, group_by="data").sections
    assert section.labels == ("B0", "B0 changed recipe (unfreeze stage5)")


def test_too_many_rows_are_not_compared_each_with_each(store):
    for size in range(200, 219):
        group(store, [0.9], variant="B0", image_size=size, images=200)
    (section,) = report(store).sections
    assert section.pairs == ()
    assert any("19 rows are too many" in note for note in section.notes)
    (section,) = report(store, where="image_size < 218").sections
    assert len(section.pairs) == 18 * 17 // 2


def test_flaws_of_published_rows_stand_below_them(store):
    for name in ("XL", "S", "T"):
        group(store, [0.9], variant=name, weights=released(name))
    (section,) = report(store).sections
    flaws = {note.split(":")[0] for note in section.notes if note.startswith("published")}
    assert flaws == {"published XL", "published S", "published, every row"}
    assert any("epoch 1 of 25 was chosen" in note for note in section.notes)


@pytest.mark.parametrize("rows", range(1, 7))
def test_letters_are_shared_by_just_those_that_do_not_differ(rows):
    random = np.random.default_rng(rows)
    pairs = list(itertools.combinations(range(rows), 2))
    for _ in range(30):
        different = {pair for pair in pairs if random.random() < 0.4}
        found = letters.assign(rows, sorted(different))
        assert all(found)
        for first, second in pairs:
            shared = set(found[first]) & set(found[second])
            assert bool(shared) == ((first, second) not in different)


def test_letters_start_with_the_first_row():
    assert letters.assign(3, [(0, 2)]) == ["a", "ab", "b"]
    assert letters.assign(2, []) == ["a", "a"]


def test_the_front_is_what_nothing_beats():
    costs = [1.0, 2.0, 3.0, 4.0, None, 2.0]
    accuracies = [0.5, 0.9, 0.8, 0.95, 0.99, 0.9]
    assert cost.front(costs, accuracies) == [True, True, False, True, False, True]


def test_measured_costs_compare_on_one_device_only(store):
    from dataclasses import replace

    group(store, [0.9], variant="B0")
    plain = finished(store, np.arange(2000) < 1500, variant="B1")
    slow = replace(plain.provenance, device_name="A slow one")
    store.save(replace(plain, provenance=slow))
    first, second = report(store).sections[0].rows
    assert {"parameters", "gflops", "hours"} <= set(first.pareto)
    assert "hours" in second.pareto
    assert "parameters" not in second.pareto


def test_seeds_of_one_process_cost_once(store):
    group(store, [0.9, 0.9, 0.9], variant="B0")
    row = report(store).sections[0].rows[0]
    assert row.cost.hours == pytest.approx((1.5 + 2.5 + 3.5 + 4.5 + 5.5) / 3600)
    assert row.cost.images_per_second == pytest.approx(60_000 / 3.5)
    priced = build.read(store, Selection(), price=3.6).sections[0].rows[0]
    assert priced.flat["dollars"] == pytest.approx(3.6 * row.cost.hours)


def test_features_from_the_cache_are_said_to_be(store):
    from dataclasses import replace

    plain = finished(store, np.arange(2000) < 1500)
    cached = replace(plain.provenance, features_computed=0, features_cached=60_000)
    store.save(replace(plain, provenance=cached))
    (section,) = report(store).sections
    assert section.rows[0].cost.images_per_second is None
    assert any("from the cache" in note for note in section.notes)


def test_the_report_is_the_same_every_time(store):
    group(store, [0.9, 0.91], variant="B0")
    group(store, [0.9, 0.92], variant="B1")
    assert render(report(store), "json") == render(report(store), "json")
    assert spec().group  # a name, not a number of this process


def test_a_first_epoch_that_was_chosen_is_said_to_be(store):
    from dataclasses import replace

    usual = finished(store, np.arange(2000) < 1500, seed=0)
    early = finished(store, np.arange(2000) < 1500, seed=1)
    chosen, second, last = early.selected
    better = replace(last, test=replace(chosen.test, correct=chosen.test.correct + 20))
    store.save(replace(early, selected=(replace(chosen, epoch=1), second, better)))
    (section,) = report(store).sections
    (note,) = [note for note in section.notes if note.startswith("epoch: ")]
    assert "for 1 of 2 runs" in note
    assert "is +1.00 points from it" in note
    assert section.rows[0].flat["reported_epochs"] == "1, 2"
    assert usual.reported.epoch == 2
