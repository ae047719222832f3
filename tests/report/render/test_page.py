import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from support.outcomes import finished
from support.records import complete, failure, put, result, scores, spec
from typer.testing import CliRunner

from effbench.cli.app import application
from effbench.config.recipes import RECIPES
from effbench.data import datasets
from effbench.records.record import RunResult
from effbench.records.store import Store
from effbench.report import build, summary, transfer
from effbench.report.charts.drawing import draw
from effbench.report.render import columns, page, run_details
from effbench.report.render.document import Wanted
from effbench.report.sections import Section
from effbench.report.select import Selection

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&<!--"


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "script" in self.open:
            self.scripts[-1] += data
        elif "style" not in self.open:
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def content(self) -> dict:
        return json.loads(self.scripts[0])


def render(store: Store, names: str | None = None, **selection: str) -> str:
    found = build.read(store, Selection(**selection))
    return page.render(found, list(draw(store, found.sections)), None, Wanted(names))


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """Two sections, one of two rows; a failure with hostile texts, and a run with some."""
    store = Store(tmp_path_factory.mktemp("results"))
    for variant, seed in (("B0", 0), ("B0", 1), ("B1", 0), ("B1", 1)):
        complete(store, variant=variant, seed=seed)
    recipe = replace(RECIPES["case-study-2021"], epochs=3)
    hostile = complete(store, recipe=recipe)
    made = replace(
        hostile.provenance,
        weights_file=HOSTILE,
        device_name=HOSTILE,
        versions={HOSTILE: HOSTILE},
        commit=HOSTILE,
    )
    store.save(replace(hostile, provenance=made))
    store.save(failure(message=HOSTILE, kind=HOSTILE))
    return store


@pytest.fixture(scope="module")
def text(store) -> str:
    return render(store)


@pytest.fixture(scope="module")
def found(text) -> Page:
    return Page(text)


# --- nothing breaks out, nothing is fetched -------------------------------------------------------


def test_hostile_texts_stay_text(found):
    assert HOSTILE in found.text
    assert len(found.all("script")) == len(found.scripts) == 3
    assert not [each for each in found.all("img") if "onerror" in each or each["src"] == "x"]
    assert not [name for _, attributes in found.elements for name in attributes if name[:2] == "on"]
    hostile = [
        "scores" in run
        for run in found.content["provenance"]["runs"].values()
        if any(HOSTILE in text for text in run["facts"].values())
    ]
    assert sorted(hostile) == [False, True]  # the failure, and the finished run


def test_only_the_scripts_of_the_page_may_run(found):
    policy = next(each["content"] for each in found.all("meta") if "http-equiv" in each)
    assert "default-src 'none'" in policy
    allowed = re.findall(r"'sha256-([^']+)'", policy)
    digests = [hashlib.sha256(script.encode()).digest() for script in found.scripts[1:]]
    assert allowed == [base64.b64encode(digest).decode() for digest in digests]
    assert "unsafe-inline" not in policy.split("script-src")[1]
    assert "unsafe-eval" not in policy


def test_nothing_is_fetched(found, text):
    for tag, attributes in found.elements:
        assert tag not in {"link", "iframe", "object", "base"}
        for name in ("src", "href", "action", "poster", "srcset"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/png;base64,")), (tag, value)
    assert "url(" not in re.search(r"<style>(.*?)</style>", text, re.S)[1]
    assert "@import" not in text


def test_no_place_on_this_machine_is_told(store, text):
    assert str(store.directory) not in text
    assert str(Path.cwd()) not in text
    assert str(Path.home()) + "/" not in text


# --- structure ------------------------------------------------------------------------------------


def test_headings_go_down_one_step_at_a_time(found):
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_page_asks_what_imagenet_accuracy_predicts(store, found):
    alone = Page(render(store, variants="B0"))
    for page_found, networks in ((found, "2 networks say"), (alone, "1 network says")):
        assert transfer.QUESTION in page_found.text
        assert f"{networks} nothing of whether one predicts the other" in page_found.text
    figures = [each["data-figure"] for each in alone.all("div") if "data-figure" in each]
    assert not [name for name in figures if name.startswith("transfer")]


def test_landmarks_names_and_a_way_past_the_navigation(found):
    assert found.all("html") == [{"lang": "en"}]
    assert [len(found.all(tag)) for tag in ("header", "nav", "main", "h1", "title")] == [1] * 5
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for link in found.all("a"):
        assert link["href"].removeprefix("#") in ids
    assert found.all("a")[0] == {"class": "skip", "href": "#content"}


def test_wide_tables_scroll_by_keyboard_under_a_name(found):
    regions = [each for each in found.all("div") if each.get("role") == "region"]
    assert len(regions) >= len(found.all("table"))
    assert all(each["tabindex"] == "0" and each["aria-label"] for each in regions)
    assert len({each["aria-label"] for each in regions}) == len(regions)


def test_every_plot_has_a_caption_its_data_and_a_description(found):
    plots = [each["data-figure"] for each in found.all("div") if "data-figure" in each]
    content = found.content
    assert plots
    assert sorted(plots) == sorted(content["figures"])
    assert len(found.all("figure")) == len(found.all("figcaption")) == len(plots)
    for figure in content["figures"].values():
        assert figure["description"].endswith(".")
        assert set(figure["titles"]) <= set(figure["data"])
        assert len({len(values) for values in figure["data"].values()}) == 1


def test_sizes_of_json_are_kept_small(found):
    content = found.content
    assert len(content["specs"]) < len(content["figures"])
    assert ": " not in found.scripts[0][:200]


# --- content --------------------------------------------------------------------------------------


def sections(store: Store) -> Sequence[Section]:
    return build.read(store, Selection()).sections


def test_the_page_says_what_the_tables_say(store, found):
    for section in sections(store):
        assert section.title in found.text
        accuracies = columns.table(section.rows, columns.ACCURACY)
        for table in (accuracies, columns.costs(section.rows, "")):
            assert all(column.title in found.text for column in table.columns)
            assert all(" ".join(cell.split()) in found.text for row in table.rows for cell in row)
        assert all(note in found.text for note in section.notes)


def test_costs_tell_rows_of_changed_recipes_apart(tmp_path):
    put(Store(tmp_path), result())
    changed = replace(RECIPES["case-study"], batch_size=64)
    put(Store(tmp_path), result(spec=spec(recipe=changed)))
    (section,) = sections(Store(tmp_path))
    names = [row[0] for row in columns.costs(section.rows, "").rows]
    assert names == ["B0", "B0 changed recipe (batch_size 64)"]


def test_other_columns_stand_instead_of_the_usual(store):
    found = Page(render(store, "Model,hours", variants="B1"))
    heads = re.findall(r"Accuracy (Model .*?) B1", found.text)
    assert heads == ["Model hours marks"]


def test_every_run_and_failure_has_its_provenance(store, found):
    records = store.load()
    told = found.content["provenance"]
    buttons = {each["data-run"] for each in found.all("button") if "data-run" in each}
    keys = {each.spec.key for each in (*records.results, *records.failures)}
    assert buttons == set(told["runs"]) == keys
    for record in records.results:
        run = told["runs"][record.spec.key]
        facts = run["facts"] | told["shared"][run["shared"]]
        assert facts["data"].endswith(record.spec.data_sha256)
        assert record.provenance.weights_sha256 in facts["verified"]
        assert record.predictions.sha256 in facts["predictions"]
        assert {"device", "versions", "commit", "seconds", "peak memory", "recipe"} <= set(facts)
        assert len(run["scores"]) == 2 * len(record.selected)
        assert len(run["history"]) == len(record.history)
        assert len(run["history"][0]) == len(told["history"])
        assert len(run["scores"][0]) == len(told["scores"])


def test_what_seeds_share_is_told_once(store):
    told = run_details.of(build.read(store, Selection(variants="B1")))
    runs = [run for run in told["runs"].values() if "shared" in run]
    assert len(runs) == 2
    assert all("recipe" not in run["facts"] for run in runs)


def test_a_page_about_failures_only(tmp_path):
    store = Store(tmp_path)
    store.save(failure())
    found = Page(render(store))
    assert "ResourceExhaustedError: OOM" in found.text
    assert "0 finished runs; 1 failed" in found.text
    assert not found.all("figure")


def test_images_are_shown_where_the_data_are_at_hand(tmp_path):
    store = Store(tmp_path)
    test = datasets.load("digits").test
    arrays = {"index": test.index.astype("int32")[:20], "label": test.labels[:20]}
    record = complete(store, data="digits")
    old = store.predictions(record)
    saved = store.save_predictions(
        record.spec.key, old | {f"test_{name}": array for name, array in arrays.items()}
    )
    store.save(replace(record, predictions=saved))
    sources = [each["src"] for each in Page(render(store)).all("img")]
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_without_the_data_the_page_says_so(found):
    assert not found.all("img")
    assert "No thumbnails" in found.text


# --- the answer in words --------------------------------------------------------------------------


def words(*results: RunResult) -> Iterator[str]:
    groups, _ = build.gather(Store(Path("nowhere")), results)
    (section,) = build.sections.build(build.rows(groups))
    return summary.sentences(section)


def run(variant: str, correct: int, **changes: object) -> RunResult:
    return result(None, scores(correct, 9950, 10_000), spec=spec(variant=variant, **changes))


def test_one_row_reaches_what_it_reaches():
    first, alone, caveat = words(run("B0", 9000))
    interval = "95 % interval: 89.40 to 90.57"
    assert first == f"B0 gets 90.00 % of the test images right ({interval})."
    assert alone == "There is nothing to compare it with in this table."
    assert caveat == "It is trained with one seed only; another seed may give other figures."


def test_rows_that_were_not_compared_are_not_called_worse():
    text = " ".join(words(run("B0", 9000), run("B1", 8000, limit=None)))
    assert text.startswith("B0 is the best: it gets 90.00 % of the test images right")
    assert "not tested" in text


def test_the_cheapest_of_those_that_cannot_be_told_apart_is_named(store):
    section = next(each for each in sections(store) if len(each.rows) == 2)
    text = " ".join(summary.sentences(section))
    best, other = sorted(
        section.labels,
        key=lambda name: -section.rows[section.labels.index(name)].accuracies["test_accuracy"].mean,
    )
    assert f"It cannot be told apart from {other}: " in text
    assert ("Of these, B0 is the cheapest" in text) == (best == "B1")
    assert ("Of these, B0 is also the cheapest" in text) == (best == "B0")
    assert 'All rows are marked "limited": ' in text


def test_two_that_have_the_same_images_right_may_differ_on_others(tmp_path):
    hits = np.arange(400) >= 40
    for variant in ("B0", "B1"):
        finished(Store(tmp_path), hits, variant=variant)
    (section,) = sections(Store(tmp_path))
    text = " ".join(summary.sentences(section))
    assert "B1: the same images are right, which leaves 0.95 points open." in text


def test_long_lists_are_cut():
    assert summary.listed(["a"]) == "a"
    assert summary.listed(["a", "b", "c"]) == "a, b and c"
    assert summary.listed([str(n) for n in range(9)]) == "0, 1, 2, 3, 4, 5 and 3 more"


# --- the command ----------------------------------------------------------------------------------


def test_the_page_goes_where_it_is_told(store, tmp_path):
    arguments = ["report", "--html", "--results", str(store.directory), "--variants", "B1"]
    done = CliRunner().invoke(application(), [*arguments, "--output", str(tmp_path / "page.html")])
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert (tmp_path / "page.html").read_text("utf-8").startswith("<!doctype html>")


def test_a_page_needs_no_tensorflow_and_a_table_no_altair(store):
    code = """
import sys
from effbench.cli.main import main
try:
    main()
except SystemExit:
    pass
print(sorted({"altair", "jinja2", "vl_convert", "tensorflow"} & set(sys.modules)), file=sys.stderr)
"""
    loaded = {}
    for style in ("--html", "--markdown"):
        arguments = ("report", style, "--variants", "B1", "--results", str(store.directory))
        done = subprocess.run(
            (sys.executable, "-c", code, *arguments), capture_output=True, text=True, check=True
        )
        loaded[style] = done.stderr.splitlines()[-1]
    assert loaded == {"--html": "['altair', 'jinja2', 'vl_convert']", "--markdown": "[]"}
