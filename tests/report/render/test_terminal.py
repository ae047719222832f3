"""Reports and comparisons fit a terminal, whatever there is to say, and no figure is cut."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from support.outcomes import finished, group
from support.records import FILE, RANDOM, complete, failure, put, result, scores, spec

from effbench.config.recipes import RECIPES
from effbench.config.variants import VARIANTS
from effbench.records.scores import Selected
from effbench.records.store import Store
from effbench.report import build, comparison, summary
from effbench.report.render import comparison_table, pair_table, terminal
from effbench.report.render.document import Wanted
from effbench.report.rows import Accuracy
from effbench.report.select import Selection

RESULTS = Path(__file__).parents[3] / "results"
WIDTHS = (80, 120, 200)


def one(store: Store) -> None:
    put(store, result())


def two(store: Store) -> None:
    for name, rate in (("B0", 0.900), ("T", 0.899)):
        group(store, [rate], 500, variant=name)


def many(store: Store) -> None:
    """The variants, some in two sizes, one of one seed, one without predictions."""
    rows = [(name, {}) for name in list(VARIANTS)[:9]]
    rows += [(name, {"image_size": 96}) for name in ("B0", "B1", "B3")]
    for place, (name, size) in enumerate(rows):
        rates = [0.80 + 0.01 * place, 0.805 + 0.01 * place]
        group(store, rates[: 1 if name == "B2" else 2], 600, variant=name, **size)
    for lost in [run for run in store.load().results if run.spec.variant == "M"]:
        (store.folder(lost.spec.key) / lost.predictions.file).unlink()


def marked(store: Store) -> None:
    """Rows that only a long label tells apart, with every mark; and failures."""
    recipe = RECIPES["case-study"]
    for number, size in enumerate((32, 64)):
        changed = replace(recipe, batch_size=64, epochs=3 + number, dropout=0.2)
        for weights in (FILE, RANDOM):
            group(
                store,
                [0.7],
                200,
                recipe=changed,
                weights=weights,
                image_size=size,
                limit=400,
                precision="mixed_bfloat16",
                feature_cache=False,
            )
    store.save(failure(message="[red]no[/] such " + "device_or_file_" * 12))


def sections(store: Store) -> None:
    for recipe in RECIPES.values():
        for name in ("B0", "XL"):
            group(store, [0.8], 200, variant=name, recipe=recipe)


def failures(store: Store) -> None:
    for name in ("L", "XL"):
        store.save(failure(spec=spec(variant=name)))


CASES = (one, two, many, marked, sections, failures)


def printed(console_width: int, parts) -> list[str]:
    console = Console(
        width=console_width, file=io.StringIO(), force_terminal=True, color_system=None
    )
    for part in parts:
        console.print(part)
    return console.file.getvalue().splitlines()


def shown(report: build.Report, width: int, wanted: Wanted | None = None) -> list[str]:
    return printed(width, terminal.render(report, width, wanted or Wanted()))


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> Callable[..., build.Report]:
    """The report of a case, or of a folder of the repository; each is read once."""

    @cache
    def store(case: Callable[[Store], None]) -> Store:
        made = Store(tmp_path_factory.mktemp(case.__name__))
        case(made)
        return made

    @cache
    def read(case: Callable[[Store], None] | str, group_by: str = "recipe,data") -> build.Report:
        at = Store(RESULTS.parent / case) if isinstance(case, str) else store(case)
        return build.read(at, Selection(group_by=group_by))

    return read


def title(value: object) -> str:
    return getattr(value, "__name__", str(value))


def figure(accuracy: Accuracy) -> str:
    return f"{accuracy.mean:.2f}" + (f" ± {accuracy.std:.2f}" if accuracy.std is not None else "")


@pytest.mark.parametrize(
    ("case", "group_by"),
    [
        *((case, "recipe,data") for case in (*CASES, "results", "results/network")),
        *((case, "data") for case in (marked, sections, "results/baseline")),
    ],
    ids=title,
)
def test_no_line_is_longer_than_the_terminal_and_no_figure_is_cut(case, group_by, reports):
    report = reports(case, group_by)
    for width in WIDTHS:
        for wanted in (Wanted(), Wanted(pairs=True), Wanted("Model,group,acc-test,details")):
            lines = shown(report, width, wanted)
            assert max(map(len, lines)) <= width
            text = "\n".join(lines)
            for row in (row for section in report.sections for row in section.rows):
                assert figure(row.accuracies["test_accuracy"]) in text
                if wanted.columns is None:
                    assert figure(row.accuracies["val_top5_accuracy"]) in text


def test_80_columns_have_what_matters_and_more_have_more(reports):
    report = reports(many)
    heads = {
        width: next(line for line in shown(report, width) if line.startswith("Model"))
        for width in WIDTHS
    }
    assert re.split(r" {2,}", heads[80]) == (
        ["Model", "Size", "val", "top-5", "test", "same as", "GFLOPs"]
    )
    assert "test interval" in heads[120]
    assert "hours" in heads[120]
    assert "peak GB" in heads[200]


def test_one_seed_among_several_has_an_unknown_spread(tmp_path):
    group(Store(tmp_path), [0.9])
    group(Store(tmp_path), [0.8, 0.81], variant="T")
    text = "\n".join(shown(build.read(Store(tmp_path), Selection()), 80))
    assert "±    ?" in text


def test_every_sign_of_a_mark_has_its_meaning_below(reports):
    lines = shown(reports(marked, "data"), 80)
    signs = set("".join(re.findall(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]+", "\n".join(lines))))
    assert len(signs) >= 6
    for sign in signs:
        assert any(line.startswith(f"{sign} ") for line in lines)
    text = " ".join("\n".join(lines).split())
    assert text.count("the backbone is untrained; nothing about the variant follows") >= 1
    assert "changed recipe (batch_size 64, dropout 0.2)" in text


def test_signs_begin_with_one_in_every_table(tmp_path):
    store = Store(tmp_path)
    group(store, [0.7], 200, weights=RANDOM)
    group(store, [0.7], 200, weights=FILE, data="digits")
    lines = shown(build.read(store, Selection()), 80)
    assert [line.split(":")[0].split(" (")[0] for line in lines if line.startswith("¹ ")] == [
        *("¹ random weights", "¹ weights not a release")
    ]


def test_no_mark_no_sign(reports):
    text = "\n".join(shown(reports(one), 80))
    assert not re.search(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]", text)


def test_pairs_are_a_triangle_or_the_closest_or_all_of_them(reports):
    report = reports(many)
    (section,) = report.sections
    count = len(section.pairs)
    assert count == 11 * 10 // 2
    closest = shown(report, 80)
    assert any(f"the {pair_table.CLOSEST} closest of {count} pairs" in line for line in closest)
    triangle = pair_table.on_terminal(section, 200)
    assert len(triangle.rows) == 10
    assert sum(cell != "" for row in triangle.rows for cell in row[1:]) == count
    for pair in section.pairs:
        row = next(row for row in triangle.rows if row[0] == section.labels[pair.second])
        titles = [column.title for column in triangle.columns]
        cell = row[titles.index(section.labels[pair.first])]
        assert cell == f"{100 * pair.difference.mean:.2f} {pair_table.SIGNS[pair.verdict]}"
    every = shown(report, 80, Wanted(pairs=True))
    assert sum(" paired t" in line or " McNemar" in line for line in every) >= count


def test_the_closest_pairs_are_those_of_the_least_difference(reports):
    report = reports(many)
    (section,) = report.sections
    rows = pair_table.on_terminal(section, 80).rows
    by = [float(row[2].split()[0]) for row in rows]
    least = sorted(100 * pair.difference.mean for pair in section.pairs)[: len(by)]
    assert by == pytest.approx(least, abs=0.005)


def test_notes_that_sections_share_stand_once(reports):
    lines = shown(reports(sections), 80)
    assert sum(line.startswith("- Percent;") for line in lines) == 1
    assert sum(line == "Notes" for line in lines) == 1


def test_notes_on_columns_without_room_are_left_out(reports):
    report = reports(many)
    assert not any("Seconds and hours" in line for line in shown(report, 80))
    assert any("Seconds and hours" in line for line in shown(report, 120))
    assert any("A wider terminal also shows test interval" in line for line in shown(report, 80))


def test_failures_stand_at_the_end_and_are_said_first(reports):
    lines = shown(reports(marked), 80)
    assert lines[0] == "1 run failed and is in no table; the end says why."
    place = lines.index("Failed runs")
    assert "[red]no[/] such" in " ".join(" ".join(lines[place:]).split())


# --- the answer -----------------------------------------------------------------------------------


def answer(report: build.Report) -> list[str]:
    (section,) = report.sections
    return list(summary.sentences(section))


def demo(store: Store) -> None:
    """As `make demo`: every variant of V2 from random weights, and little apart."""
    for number, name in enumerate(list(VARIANTS)[:9]):
        group(store, [0.8 + 0.001 * number], 200, variant=name, weights=RANDOM, data="digits")


def ruled(store: Store) -> None:
    """Two variants and more than their difference between the rules, with every caveat."""
    for variant, correct in (("B0", 8900), ("B1", 8910)):
        for seed in range(2):
            shown = Selected("val_loss", 2, scores(), scores(correct, 9950, 10_000))
            last = Selected("final", 2, scores(), scores(9200 + correct % 100, 9950, 10_000))
            of = {"variant": variant, "weights": FILE, "image_size": 96, "seed": seed}
            record = result(spec=spec(**of), selected=(shown, last))
            put(store, record)


def untested(store: Store) -> None:
    """Photos without a test split."""
    for variant in ("B0", "B1"):
        for seed in range(2):
            complete(
                store, names=("ants", "bees"), test=False, classes=2, variant=variant, seed=seed
            )


@pytest.mark.parametrize("group_by", ["recipe,data", "data", "variant"])
@pytest.mark.parametrize(
    "case",
    [
        *(one, two, many, marked, sections, failures, demo, ruled, untested),
        *("results", "results/network", "results/linear-probe", "results/hymenoptera"),
        *("results/baseline", "results/blurred-or-sharp"),
    ],
    ids=title,
)
def test_the_answer_is_two_to_four_sentences(case, group_by, reports):
    for section in reports(case, group_by).sections:
        said = list(summary.sentences(section))
        assert 2 <= len(said) <= 4
        assert all(re.match(r"[A-Z].*\.$", sentence) for sentence in said)
        # One item is one sentence.
        assert not any(re.search(r"[.?!] [A-Z]", sentence) for sentence in said)


@pytest.mark.parametrize("case", [ruled, untested, "results"], ids=title)
def test_what_the_answer_leaves_out_stands_in_the_notes(case, reports):
    for section in reports(case).sections:
        for row in section.rows:
            for mark in row.marks:
                assert any(note.startswith(f"{mark}: ") for note in section.notes)
        if any(row.one_seed for row in section.rows):
            assert any(note.startswith("One seed only") for note in section.notes)


def test_the_answer_for_one_row(reports):
    assert answer(reports(one)) == [
        "B0 gets 89.00 % of the test images right (95 % interval: 88.37 to 89.60).",
        "There is nothing to compare it with in this table.",
        "It is trained with one seed only; another seed may give other figures.",
    ]


def test_the_answer_for_two_rows_that_cannot_be_told_apart(reports):
    best, alike, cheapest, caveat = answer(reports(two))
    assert best.startswith("B0 is the best: it gets ")
    assert alike.startswith("It cannot be told apart from T: the difference may be nothing, or up ")
    assert cheapest == "Of these, B0 is also the cheapest."
    assert caveat.startswith("All rows are trained with one seed only")


def test_the_cheapest_is_named_with_its_share(tmp_path):
    for name, rates in (("B0", [0.9, 0.91]), ("S", [0.905, 0.912])):
        group(Store(tmp_path), rates, variant=name)
    said = answer(build.read(Store(tmp_path), Selection()))
    assert said[2] == "Of these, B0 is the cheapest, with 9 % of the arithmetic of S."


@pytest.mark.parametrize(
    ("seeds", "text"),
    [
        (1, "T is worse with these seeds; one seed each says nothing of other seeds."),
        (3, "T is worse by more than chance."),
    ],
)
def test_a_row_that_is_worse_is_said_to_be(seeds, text, tmp_path):
    for name, rate in (("B0", 0.9), ("T", 0.7)):
        group(Store(tmp_path), [rate] * seeds, variant=name)
    assert text in answer(build.read(Store(tmp_path), Selection()))


def test_rows_that_are_level_are_said_to_be(tmp_path):
    right = np.arange(200) < 100
    for name in ("B1", "B0"):
        finished(Store(tmp_path), right, variant=name)
    said = answer(build.read(Store(tmp_path), Selection()))
    assert said[0].startswith("B0 is the best, level with B1: it gets 50.00 % ")


def test_rows_without_predictions_are_not_called_worse(tmp_path, reports):
    text = " ".join(answer(reports(many)))
    assert text.startswith("B3 96 is the best: it gets ")
    assert "; M could not be compared, for want of predictions." in text


def test_without_predictions_nothing_is_called_worse(tmp_path):
    for name, rate in (("B0", 0.9), ("T", 0.7)):
        group(Store(tmp_path), [rate], variant=name)
    lost = Store(tmp_path).load().results[0]
    (Store(tmp_path).folder(lost.spec.key) / lost.predictions.file).unlink()
    said = answer(build.read(Store(tmp_path), Selection()))
    assert said[1] == "Whether others are truly worse was not tested: predictions are missing."


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"weights": RANDOM, "limit": 400}, 'marked "random weights"'),
        ({"limit": 400, "weights": FILE}, 'marked "limited"'),
        ({"weights": FILE}, "one seed only"),
    ],
)
def test_the_gravest_caveat_is_the_one_that_is_said(changes, text, tmp_path):
    group(Store(tmp_path), [0.9], **changes)
    said = answer(build.read(Store(tmp_path), Selection()))
    assert text in said[-1]


def test_a_caveat_of_some_rows_names_them(tmp_path):
    group(Store(tmp_path), [0.9, 0.91])
    group(Store(tmp_path), [0.8, 0.81], variant="T", weights=FILE)
    said = answer(build.read(Store(tmp_path), Selection()))
    assert said[-1].startswith('T is marked "weights not a release": ')


@pytest.mark.parametrize("count", [1, 2])
def test_failures_alone_are_the_answer(count, tmp_path):
    for name in ("L", "XL")[:count]:
        Store(tmp_path).save(failure(spec=spec(variant=name)))
    report = build.read(Store(tmp_path), Selection())
    runs = "1 run" if count == 1 else "2 runs"
    text = f"No run has finished, so there is nothing to compare: {runs} failed."
    assert summary.opening(report) == text
    assert " ".join(shown(report, 80)).startswith(text)


# --- compare --------------------------------------------------------------------------------------


def compared(base: Path, new: str) -> comparison.Comparison:
    return comparison.compare(str(base), new)


@pytest.mark.parametrize("case", [one, many, sections], ids=title)
def test_a_comparison_fits_the_terminal(case, tmp_path):
    case(Store(tmp_path))
    for new in (str(tmp_path), "case-study"):
        found = compared(tmp_path, new)
        for width in WIDTHS:
            lines = printed(width, comparison_table.on_terminal(found, 0.3, 0.05, width))
            assert max(map(len, lines)) <= width
            for change in found.changes:
                base, new = f"{change.base:.2f}", f"{change.new:.2f}"
                figures = rf" {base} +{new} +{re.escape(f'{change.new - change.base:+.2f}')}\b"
                assert any(re.search(figures, line) for line in lines)


def test_a_verdict_says_what_fell(tmp_path):
    group(Store(tmp_path / "base"), [0.9, 0.9, 0.9])
    group(Store(tmp_path / "new"), [0.8, 0.8, 0.8])
    fell = compared(tmp_path / "base", str(tmp_path / "new"))
    (change,) = fell.changes
    assert comparison_table.verdict(fell, 0.3, 0.05) == (
        "The one row that was tested fell by more than 0.3 points and more than chance: "
        f"{change.name} ({change.new - change.base:+.2f})."
    )
    rose = compared(tmp_path / "new", str(tmp_path / "base"))
    assert comparison_table.verdict(rose, 0.3, 0.05) == (
        "The one row that was tested did not fall by more than 0.3 points and more than chance."
    )


def test_a_verdict_says_what_was_not_checked(tmp_path):
    many(Store(tmp_path))
    text = comparison_table.verdict(compared(tmp_path, str(tmp_path)), 0.3, 0.05)
    assert text == (
        "None of the 11 rows that were tested fell by more than 0.3 points and more than chance. "
        "1 row of BASE could not be checked."
    )


def test_a_verdict_without_a_test_claims_nothing(tmp_path):
    lost = put(Store(tmp_path), result())
    (Store(tmp_path).folder(lost.spec.key) / lost.predictions.file).unlink()
    text = comparison_table.verdict(compared(tmp_path, str(tmp_path)), 0.3, 0.05)
    assert text.startswith("Nothing is known of a change: no row could be tested.")
