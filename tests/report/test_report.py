import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from support.records import FILE, RANDOM, failure, released, result, scores, spec

from effbench.config.recipes import RECIPES
from effbench.config.run_spec import WeightsId
from effbench.config.variants import VARIANTS
from effbench.records.caveats import CAVEATS
from effbench.records.record import Images, RunResult
from effbench.report import rows as frame
from effbench.report import sections
from effbench.report.build import Report
from effbench.report.render.document import Wanted, render

COLUMNS = ["Model", "Size", "acc-val", "top-5", "acc-test", "weight"]


def tables(markdown: str, column: str = "acc-val") -> list[list[dict[str, str]]]:
    """The tables of a Markdown text that have a column, each row by its column titles."""
    found: list[list[list[str]]] = []
    inside = False
    for line in markdown.splitlines():
        if line.startswith("|"):
            if not inside:
                found.append([])
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        inside = line.startswith("|")
    return [
        [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]
        for rows in found
        if column in rows[0]
    ]


def report(*results: RunResult, failures=(), style: str = "markdown", columns=None) -> str:
    rows = [frame.row_of(group) for group in frame.grouped(results)]
    found = Report(tuple(sections.build(rows)), tuple(failures), ())
    return render(found, style, Wanted(columns))


def rows(*results: RunResult) -> list[dict[str, str]]:
    """The rows of all tables of accuracies."""
    return [row for table in tables(report(*results)) for row in table]


VAL, TOP5, TEST = [4501, 4533, 4480], [4980, 4991, 4975], [8986, 9013, 8944]


def seeds(**changes: object) -> list[RunResult]:
    return [
        result(
            scores(val, top5),
            scores(test, 9950, 10_000),
            spec=spec(seed=seed, **changes),
        )
        for seed, (val, top5, test) in enumerate(zip(VAL, TOP5, TEST, strict=True))
    ]


def test_columns_are_the_case_studys_in_its_order():
    text = report(result())
    header = next(line for line in text.splitlines() if line.startswith("|"))
    titles = [cell.strip() for cell in header.strip("|").split("|")]
    assert titles[:6] == COLUMNS
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_one_seed_is_a_figure_with_wilsons_interval_and_without_a_spread():
    (row,) = rows(result(scores(4534, 4988), scores(8986, 9950, 10_000)))
    assert [row[name] for name in COLUMNS] == [
        "B0",
        "224",
        "90.68 [89.84, 91.45]",
        "99.76 [99.58, 99.86]",
        "89.86 [89.25, 90.44]",
        "imagenet",
    ]
    assert "±" not in report(result())
    assert "One seed only (B0)" in report(result())


def test_several_seeds_are_mean_and_sample_standard_deviation():
    def expected(counts: list[int], total: int) -> str:
        rates = 100 * np.array(counts) / total
        return f"{rates.mean():.2f} ± {rates.std(ddof=1):.2f}"  # no predictions, no interval

    (row,) = rows(*seeds())
    assert row["acc-val"] == expected(VAL, 5000)
    assert row["top-5"] == expected(TOP5, 5000)
    assert row["acc-test"] == expected(TEST, 10_000)
    assert row["seeds"] == "3"
    assert "standard deviation over seeds" in report(*seeds())


def test_the_order_of_the_records_does_not_matter():
    results = [*seeds(), *seeds(variant="T"), result(spec=spec(variant="XL"))]
    for style in ("markdown", "csv", "json", "latex"):
        assert report(*results, style=style) == report(*results[::-1], style=style)


def test_variants_stand_in_their_order():
    results = [result(spec=spec(variant=name)) for name in sorted(VARIANTS)]
    assert [row["Model"] for row in rows(*results)] == list(VARIANTS)


def test_the_scores_are_those_of_the_epoch_that_the_recipe_selects():
    recipe = replace(RECIPES["case-study"], selection="final")
    (row,) = rows(result(scores(4500), spec=spec(recipe=recipe)))
    assert row["acc-val"].startswith("0.02 [")


@pytest.mark.parametrize(
    ("changes", "published"),
    [
        ({}, "89.86 (-0.86, outside)"),
        ({"variant": "XL"}, "93.41 (-4.41, outside)"),
        ({"variant": "B3"}, "89.29 (-0.29, within)"),
        ({"recipe": RECIPES["case-study-2021"]}, "89.86 (-0.86, outside)"),
        ({"weights": FILE}, "89.86 (-0.86, outside)"),
        ({"data": "digits"}, None),
        ({"weights": RANDOM}, None),
        ({"weights": released("B0", "imagenet21k")}, None),
        ({"image_size": 192}, None),
        ({"limit": 4000}, None),
        ({"recipe": replace(RECIPES["case-study"], name="other")}, None),
        ({"variant": "XL", "weights": released("XL", "imagenet21k")}, None),
    ],
)
def test_the_published_figure_stands_beside_its_equal_only(changes, published):
    (row,) = rows(result(spec=spec(**changes)))
    assert row.get("published acc-test") == published


@pytest.mark.parametrize(
    ("changes", "mark", "detail"),
    [
        ({"weights": RANDOM}, "random weights", ""),
        ({"limit": 4000}, "limited", "4,000 images"),
        ({"recipe": replace(RECIPES["case-study"], epochs=3)}, "limited", "3 epochs"),
        ({"weights": FILE}, "weights not a release", "sha256:cccccccc"),
        (
            {"recipe": replace(RECIPES["case-study"], batch_size=64)},
            "changed recipe",
            "batch_size 64",
        ),
        ({"image_size": 32}, "not native size", "224"),
    ],
)
def test_marks_stand_in_the_row_and_are_explained_below(changes, mark, detail):
    limited = result(spec=spec(**changes), images=Images(4_000, 1_000, 1_001, 45_000))
    text = report(limited, result(spec=spec(variant="T")))
    found = [row for table in tables(text) for row in table]
    assert [row.get("marks", "-").split(" (")[0] for row in found] == [mark, "-"]
    assert detail in found[0]["marks"]
    notes = [line for line in text.splitlines() if line.startswith(f"- {mark}: ")]
    assert len(notes) == 1


@pytest.mark.parametrize("few", [{"per_class": 10}, {"limit": 4000}])
def test_fewer_images_are_said_to_be_one_draw(few):
    note = "The training images are one draw of all that there are"
    assert note in report(result(spec=spec(**few)))
    assert note in report(result(spec=spec(**few, recipe=RECIPES["linear-probe"])))
    assert note not in report(result())
    assert note not in report(*(result(spec=spec(**few, seed=seed)) for seed in (0, 1)))


def test_without_marks_there_is_neither_column_nor_footnote():
    text = report(result())
    assert "marks" not in tables(text)[0][0]
    assert not [row.name for row in CAVEATS if f"- {row.name}: " in text]


def test_limited_and_full_runs_are_never_in_one_table():
    full = result(scores(4500), spec=spec(seed=0))
    limited = result(scores(100, 200), spec=spec(seed=1, limit=4000))
    text = report(full, limited)
    found = [[(row["acc-val"][:5], row.get("marks")) for row in table] for table in tables(text)]
    assert found == [[("90.00", None)], [("2.00 ", "limited (4,000 images)")]]
    assert "### case-study on cifar10, limited to 4,000 images" in text.splitlines()


def recipe(**changes: object) -> dict[str, object]:
    return {"recipe": replace(RECIPES["case-study"], **changes)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, recipe(epochs=50)),
        (recipe(start_step=352), recipe(start_step=704)),
        ({"limit": 400}, {"limit": 4000}),
        ({}, {"precision": "mixed_bfloat16"}),
        ({}, {"feature_cache": False}),
    ],
    ids=["epochs", "start step", "limit", "precision", "way"],
)
def test_rows_of_different_runs_can_be_told_apart(one, other):
    """Even when they score the same."""
    found = rows(result(spec=spec(**one)), result(spec=spec(**other)))
    assert len(found) == 2
    assert found[0] != found[1]


def test_recipes_and_datasets_have_tables_of_their_own():
    text = report(
        result(),
        result(spec=spec(recipe=RECIPES["case-study-2021"])),
        result(spec=spec(data="digits")),
        result(spec=spec(data="digits", variant="T")),
    )
    titles = [line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")]
    counts = dict(zip(titles, map(len, tables(text)), strict=True))
    assert counts == {
        "case-study on cifar10": 1,
        "case-study-2021 on cifar10": 1,
        "case-study on digits": 2,
    }


def test_failed_runs_are_listed_with_their_reason():
    failed = failure()
    text = report(result(), failures=[failed])
    heading, line = text.strip().splitlines()[-3::2]
    assert heading == "### Failed runs"
    assert line == f"- {failed.spec.key}: {failed.kind}: {failed.message}"
    alone = report(failures=[failed])
    assert tables(alone) == []
    assert line in alone.splitlines()


ODD = "[red]no[/] such | thing *at all* <b> _x_ `y` 100 % \\n $5 & #1"


@pytest.mark.parametrize("style", ["markdown", "json", "latex", "csv"])
def test_odd_characters_in_a_failure_do_no_harm(style):
    text = report(result(), failures=[failure(message=ODD)], style=style)
    if style == "markdown":
        assert len(tables(text)) == 1
        (line,) = [each for each in text.splitlines() if "[red]no[/] such" in each]
        assert r"\| thing \*at all\* \<b> \_x\_ \`y\` 100 % \\n \$5 & #1" in line
    elif style == "json":
        assert json.loads(text)["failures"][0]["message"] == ODD
    elif style == "latex":
        (line,) = [each for each in text.splitlines() if ODD in each]
        assert line.startswith("% ")
    else:
        assert len(list(csv.reader(io.StringIO(text)))) == 2


@pytest.mark.parametrize("style", ["markdown", "latex"])
def test_a_failure_of_several_lines_is_one_line(style):
    """In LaTeX the second would be text of the document."""
    text = report(result(), failures=[failure(message="first\nsecond")], style=style)
    (line,) = [each for each in text.splitlines() if "first" in each]
    assert "second" in line


def expected_means() -> dict[str, float]:
    counts = {"val_accuracy": (VAL, 5000), "val_top5_accuracy": (TOP5, 5000)}
    counts |= {"test_accuracy": (TEST, 10_000)}
    found = {}
    for name, (values, total) in counts.items():
        rates = 100 * np.array(values) / total
        found |= {f"{name}_mean": rates.mean(), f"{name}_std": rates.std(ddof=1)}
    return found


def test_csv_parses_back_to_the_same_numbers():
    text = report(*seeds(), result(spec=spec(variant="T", weights=FILE)), style="csv")
    several, one = csv.DictReader(io.StringIO(text))
    for name, value in expected_means().items():
        assert float(several[name]) == pytest.approx(value, rel=1e-12)
    assert one["val_accuracy_mean"] == "90.0"
    assert one["val_accuracy_std"] == ""
    assert one["marks"] == "weights not a release"
    assert [several[name] for name in ("variant", "image_size", "seeds")] == ["B0", "224", "3"]
    assert float(several["published_test_accuracy"]) == 89.86


def test_json_parses_back_to_the_same_numbers():
    failed = failure()
    text = report(*seeds(), result(spec=spec(data="digits")), failures=[failed], style="json")
    found = json.loads(text)
    several, one = found["results"]
    for name, value in expected_means().items():
        assert several[name] == pytest.approx(value, rel=1e-12)
    assert one["val_accuracy_std"] is None
    assert one["published_test_accuracy"] is None
    assert several["group"] == spec().group
    assert found["failures"] == [
        {"key": failed.spec.key, "kind": failed.kind, "message": failed.message}
    ]


def test_latex_has_booktabs_rules_and_escapes():
    odd = WeightsId("own_weights", "sha256:" + "f" * 64, "tf")
    text = report(*seeds(), result(spec=spec(variant="T", weights=odd)), style="latex")
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{tabular}", r"\end{tabular}"):
        assert text.count(rule) == 2  # accuracies and costs
    body = [line for line in text.splitlines() if line.rstrip().endswith(r"\\")]
    assert len(body) == 6
    assert r"own\_weights" in body[2]
    assert "own_weights" not in text
    assert len({line.count("&") for line in body[:3]}) == 1
    assert r"\item Percent; mean ± standard deviation over seeds" in text


def test_failures_alone_are_valid_json():
    text = report(failures=[failure()], style="json")
    assert json.loads(text)["results"] == []
