import json
import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.records import RANDOM, complete, released, result, scores, spec
from typer.testing import CliRunner

from effbench.cli.app import application
from effbench.config.recipes import RECIPES
from effbench.config.variants import select
from effbench.errors import UsageError
from effbench.records.record import RunResult
from effbench.records.store import Store
from effbench.report.build import gather, rows
from effbench.report.charts import (
    against_imagenet,
    curves,
    intervals,
    labels,
    pareto,
    plot_files,
)
from effbench.report.charts.drawing import Drawing, draw
from effbench.report.charts.figure import Figure
from effbench.report.charts.labels import Box
from effbench.report.charts.theme import THEMES
from effbench.report.published import imagenet
from effbench.report.sections import GROUP_BY, Section, build

KINDS = ("intervals", "pareto", "transfer", "curves", "confusion")


def section(*results: RunResult) -> Section:
    """Of runs without predictions."""
    (only,) = build(rows(gather(Store(Path("nowhere")), results)[0]))
    return only


def drawings(store: Store, group_by: tuple[str, ...] = GROUP_BY) -> list[Drawing]:
    return list(draw(store, build(rows(gather(store, store.load().results)[0]), group_by)))


def run(variant: str = "B0", correct: int = 8900, **changes: object) -> RunResult:
    return result(None, scores(correct, 9950, 10_000), spec=spec(variant=variant, **changes))


def by_row(figure: Figure) -> dict[object, dict[str, object]]:
    return {record["row"]: dict(record) for record in figure.records}


@pytest.fixture
def store(tmp_path) -> Store:
    """Two rows of two seeds and one of one, all with predictions."""
    store = Store(tmp_path)
    for variant, seeds in (("B0", 2), ("B1", 2), ("T", 1)):
        for seed in range(seeds):
            complete(store, variant=variant, seed=seed)
    return store


# --- which plots there are ------------------------------------------------------------------------


def test_a_section_has_every_kind_of_plot(store):
    (drawing,) = drawings(store)
    assert [figure.kind for figure in drawing.figures if figure.kind != "pareto"] == [
        "intervals",
        "transfer",
        *["curves"] * 3,
        *["confusion"] * 3,
    ]
    assert {figure.kind for figure in drawing.figures} == set(KINDS)


def test_one_row_is_compared_with_nothing():
    alone = section(run())
    assert len(list(intervals.figures(alone))) == 1
    assert not list(pareto.figures(alone))


def test_costs_that_do_not_differ_are_no_plot():
    names = {figure.name.split("-")[-1] for figure in pareto.figures(section(run(), run("B1")))}
    assert names == {"gflops", "parameters"}


def test_one_epoch_is_no_curve():
    short = replace(run(), history=run().history[:1])
    assert not list(curves.figures(section(short)))


def test_without_predictions_there_are_no_matrices(tmp_path):
    store = Store(tmp_path)
    store.save(run())
    (drawing,) = drawings(store)
    assert {figure.kind for figure in drawing.figures} == {"intervals", "curves"}


# --- what they show -------------------------------------------------------------------------------


def test_intervals_show_mean_bounds_seeds_and_what_was_published(store):
    (drawing,) = drawings(store)
    first = drawing.figures[0]
    what = [(record["row"], record["what"]) for record in first.records]
    assert what.count(("B0", "one seed")) == 2
    assert ("T", "one seed") not in what
    row = drawing.section.rows[0].accuracies["test_accuracy"]
    mean = next(record for record in first.records if record["row"] == "B0")
    assert mean["accuracy"] == pytest.approx(row.mean, abs=0.005)
    assert (mean["low"], mean["high"]) == pytest.approx((row.low, row.high), abs=0.005)
    published = [record for record in first.records if record["what"] == "published"]
    assert {record["row"]: record["accuracy"] for record in published} == {
        label: each.accuracies["test_accuracy"].published
        for label, each in zip(drawing.section.labels, drawing.section.rows, strict=True)
        if each.accuracies["test_accuracy"].published is not None
    }


def test_the_front_is_that_of_the_rows():
    found = section(run("B0", 8900), run("B1", 8800), run("B2", 9100))
    figure = next(each for each in pareto.figures(found) if each.name.endswith("gflops"))
    assert {name: row["front"] for name, row in by_row(figure).items()} == {
        "B0": "yes",
        "B1": "no",
        "B2": "yes",
    }
    assert figure.summary == "On the front: B0 and B2."


def test_costs_are_in_the_unit_of_the_title():
    found = section(run("B0"), run("B1"))
    figure = next(each for each in pareto.figures(found) if each.name.endswith("parameters"))
    assert by_row(figure)["B0"]["cost"] == pytest.approx(5.919)
    assert figure.columns["cost"] == "Parameters, millions"


def test_devices_have_fronts_of_their_own():
    slow = run("B1")
    slow = replace(
        slow,
        seconds=replace(slow.seconds, features=9000.0),
        provenance=replace(slow.provenance, device_name="Another"),
    )
    found = section(run("B0", 9100), slow)
    figure = next(each for each in pareto.figures(found) if each.name.endswith("hours"))
    assert {row["front"] for row in by_row(figure).values()} == {"yes"}
    assert '"field": "device"' in json.dumps(figure.spec)


def test_families_have_shapes_of_their_own_at_equal_cost():
    """V1 against V2; where there is one family only, no word is lost on it."""
    both = section(run("B0", 9000), run("V1-B0", 8900), run("V1-B4", 9200))
    figure = next(each for each in pareto.figures(both) if each.name.endswith("gflops"))
    rows = by_row(figure)
    assert [row["family"] for row in rows.values()] == ["EfficientNetV2"] + ["EfficientNet"] * 2
    assert '"shape": {"field": "family"' in json.dumps(figure.spec)
    assert '"stroke": {"field": "family"' in json.dumps(figure.spec)
    assert figure.summary == (
        "On the front: all rows. By the means and at no more cost, EfficientNetV2 matches 0 of 2 "
        "networks of EfficientNet and EfficientNet matches 0 of 1 networks of EfficientNetV2."
    )
    alone = section(run("B0", 9000), run("B1", 9100))
    figure = next(each for each in pareto.figures(alone) if each.name.endswith("gflops"))
    assert "family" not in json.dumps([figure.records, figure.spec])


def test_each_family_has_its_own_front_and_says_where_the_other_is_ahead():
    """V1-B4 takes more multiply-adds than T and is worse; it is still the best of its family."""
    both = section(run("B0", 9000), run("T", 9300), run("V1-B0", 8900), run("V1-B4", 9200))
    figure = next(each for each in pareto.figures(both) if each.name.endswith("gflops"))
    assert {row["front"] for row in by_row(figure).values()} == {"yes"}
    assert figure.columns["front"] == "on the front of its family"
    assert "EfficientNetV2 matches 1 of 2 networks of EfficientNet" in figure.summary
    assert "V1-B4" not in figure.summary


def test_networks_stand_at_their_published_imagenet_accuracy_and_all_have_names():
    names = [row.name for row in select("v2")]
    networks = [run(name, 9000 + 40 * place) for place, name in enumerate(names)]
    ours = replace(released("S"), digest="sha256:" + "c" * 64)
    marked = run("S", 9300, weights=ours, image_size=300)
    (figure,) = against_imagenet.figures(section(*networks, run(weights=RANDOM)))
    assert [record["label"] for record in figure.records] == names
    assert [record["top1"] for record in figure.records] == [
        round(imagenet()[name, released(name).name].top1, 2) for name in names
    ]
    assert {record["marks"] for record in figure.records} == {""}
    assert figure.summary.startswith("Kendall's tau of 9 networks is 1.00 (")
    (figure,) = against_imagenet.figures(section(networks[0], marked))
    assert figure.records[1]["marks"] == (
        "weights not a release (sha256:cccccccc, tf), not native size (384)"
    )
    assert figure.summary.startswith("2 networks say nothing")
    assert not list(against_imagenet.figures(section(networks[0])))


def test_curves_are_means_and_ranges_over_seeds_over_what_was_published():
    seeds = [run(seed=seed) for seed in range(2)]
    other = scores(4000, 4900, 5000, 0.5)
    seeds[1] = replace(
        seeds[1], history=(seeds[1].history[0], replace(seeds[1].history[1], validation=other))
    )
    (figure,) = curves.figures(section(*seeds))
    last = figure.records[1]
    assert (last["accuracy"], last["accuracy_low"], last["accuracy_high"]) == (85, 80, 90)
    assert last["accuracy_published"] == pytest.approx(84.64)
    assert last["chosen"] == 2
    assert "published" in figure.summary


def test_losses_beyond_all_numbers_are_gaps():
    first, last = run().history
    wild = replace(last, validation=scores(loss=float("nan")), train=scores(loss=float("inf")))
    (figure,) = curves.figures(section(replace(run(), history=(first, wild))))
    assert (figure.records[1]["loss"], figure.records[1]["loss_training"]) == (None, None)
    json.dumps([figure.records, figure.spec], allow_nan=False)


@pytest.mark.parametrize(
    "changes", [{"data": "digits"}, {"image_size": 96}, {"variant": "B0", "recipe": "other"}]
)
def test_other_runs_have_no_published_curve(changes):
    if "recipe" in changes:
        changes["recipe"] = replace(RECIPES["case-study"], name="other")
    (figure,) = curves.figures(section(run(**changes)))
    assert all(record["accuracy_published"] is None for record in figure.records)
    assert "accuracy_published" not in json.dumps([figure.spec, list(figure.columns)])
    assert "published" not in figure.summary


def test_matrices_are_percent_of_the_true_class_with_its_name(store):
    (drawing,) = drawings(store)
    figure = next(each for each in drawing.figures if each.kind == "confusion")
    assert {record["label"] for record in figure.records} >= {"cat", "airplane"}
    sums = dict.fromkeys(drawing.classes, 0.0)
    for record in figure.records:
        sums[record["label"]] += record["share"]
    assert list(sums.values()) == pytest.approx([100] * 10, abs=0.05)


def test_rows_of_a_section_share_their_scales(store):
    (drawing,) = drawings(store)
    for kind in ("curves", "confusion"):
        specs = [json.dumps(each.spec) for each in drawing.figures if each.kind == kind]
        assert len({tuple(re.findall(r'"domain": \[[^]]*\]', spec)) for spec in specs}) == 1


def test_no_spec_names_a_colour(store):
    (drawing,) = drawings(store)
    text = json.dumps([figure.spec for figure in drawing.figures])
    assert not re.search(r'"#[0-9a-f]{3,6}"|"(red|blue|black|white|gr[ae]y)"', text)
    assert len({json.dumps(theme.config) for theme in THEMES.values()}) == 2


# --- names of points ------------------------------------------------------------------------------


def test_names_lie_on_nothing_and_inside():
    random = np.random.default_rng(0)
    frame = Box(0, 0, 300, 200)
    points = [(float(x), float(y)) for x, y in random.uniform((0, 0), (300, 200), (40, 2))]
    names = [f"row {place}" for place in range(40)]
    whiskers = [Box(x, y - 10, x, y + 10) for x, y in points]
    found = labels.arranged(points, names, range(40), whiskers, frame)
    boxes = [labels._box(points[place], names[place], label) for place, label in found.items()]
    assert 10 < len(boxes) < 40
    assert all(box.inside(frame) for box in boxes)
    assert not any(one.meets(other) for one, other in combinations(boxes, 2))
    assert not any(box.meets(each) for box in boxes for each in whiskers)


def test_the_first_in_order_is_named_first():
    points = [(50.0, 50.0), (52.0, 50.0)]
    tight = Box(40, 44, 100, 56)
    assert list(labels.arranged(points, ["a", "b"], [1, 0], [], tight)) == [1]


# --- files ----------------------------------------------------------------------------------------


def test_files_are_svg_and_png_on_white_ground(store, tmp_path):
    (drawing,) = drawings(store)
    few = replace(drawing, figures=drawing.figures[:1])
    svg, png = plot_files.write([few], tmp_path / "deep" / "plots")
    assert [path.name for path in (svg, png)] == [
        "intervals-case-study-on-cifar10-limited-to-80-images-3-epochs.svg",
        "intervals-case-study-on-cifar10-limited-to-80-images-3-epochs.png",
    ]
    text = svg.read_text("utf-8")
    assert re.search(r'<rect[^>]*fill="white"', text)
    assert few.figures[0].title in text
    assert "case-study on cifar10" in text
    image = Image.open(png).convert("RGB")
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert image.width > 500


def test_every_kind_compiles_and_has_marks(store, tmp_path):
    (drawing,) = drawings(store)
    kinds = {figure.kind: figure for figure in drawing.figures}
    few = replace(drawing, figures=tuple(kinds.values()))
    for path in plot_files.write([few], tmp_path):
        if path.suffix == ".svg":
            assert len(re.findall(r"graphics-symbol|mark-symbol|mark-rect", path.read_text())) > 1


def test_sections_and_rows_never_share_a_file(tmp_path):
    store = Store(tmp_path)
    for name in ("a.b", "a-b"):
        recipe = replace(RECIPES["case-study"], name=name, epochs=3)
        complete(store, recipe=recipe)
    names = [figure.name for drawing in drawings(store) for figure in drawing.figures]
    assert len(set(names)) == len(names)
    assert any(name.endswith("-2") for name in names)


def report(store: Store, *arguments: str):
    return CliRunner().invoke(
        application(), ["report", "--results", str(store.directory), *arguments]
    )


def test_plots_alone_print_the_files_only(store, tmp_path):
    done = report(store, "--plots", str(tmp_path / "plots"), "--variants", "T")
    assert done.exit_code == 0
    assert done.stdout == ""
    written = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert sorted(line.split("/")[-1] for line in done.stderr.split()) == written
    assert all("-t." in name or name.startswith("intervals") for name in written)


def test_plots_beside_a_format_leave_its_output_alone(store, tmp_path):
    plain = report(store, "--csv", "--variants", "T")
    both = report(store, "--csv", "--variants", "T", "--plots", str(tmp_path / "plots"))
    assert both.stdout == plain.stdout
    assert list((tmp_path / "plots").iterdir())


def test_selections_that_make_no_sense_write_nothing(store, tmp_path):
    done = report(store, "--plots", str(tmp_path / "plots"), "--where", "nonsense > 1")
    assert isinstance(done.exception, UsageError)
    assert not (tmp_path / "plots").exists()
