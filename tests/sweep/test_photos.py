"""Photos from a folder: named, trained on, recorded and reported, with and without a test split."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.options import sweep_options
from support.photos import photos
from support.pictures import fill, put

from effbench.config.geometry import Geometry
from effbench.data import datasets
from effbench.errors import DataError, DiskError, UsageError
from effbench.records import describe, validate
from effbench.records.store import Store
from effbench.report import build
from effbench.report.charts import drawing
from effbench.report.mistakes import IMAGES_LISTED
from effbench.report.render import document, page
from effbench.report.select import Selection
from effbench.sweep import fit_for_data, run_job, worker_process
from effbench.sweep.rerun import rerun
from effbench.sweep.resolve import resolve
from effbench.training.job import JOB, Job

pytestmark = pytest.mark.usefixtures("shallow_networks")

FLAGS = {"variants": "B0", "weights": "none", "device": "cpu", "image_size": 32, "epochs": 2}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder that the reader of photos knows, whose photos have no test split."""
    path = tmp_path / "my ants & bees"
    path.mkdir()
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))
    known = {path: photos(2, test=False), tmp_path / "tested.csv": photos(7)}
    (tmp_path / "tested.csv").write_text("file_name,label\n")

    def load(directory: Path, report: object, *, skip_unreadable: bool) -> object:
        return known[directory]

    monkeypatch.setitem(sys.modules, "effbench.data.photos", SimpleNamespace(load=load))
    return path


@pytest.fixture
def table(tmp_path, monkeypatch) -> Path:
    """A real table of photos: pairs of a group, one alone, one that cannot be read, no splits."""
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))
    root = fill(tmp_path / "photos", {"a": 61, "b": 60})
    put(root / "b/broken.jpg", b"")
    rows = [f"{name}/{n:04d}.png,{name},{name}{n // 2}\n" for name in "ab" for n in range(60)]
    rows += ["a/0060.png,a,\n", "b/broken.jpg,b,b0\n"]
    return put(root / "twins.csv", "".join(["file_name,label,group\n", *rows]).encode())


def run(data: Path, results: Path, **flags: object) -> Store:
    options = sweep_options(data=str(data), **FLAGS, **flags)
    request = resolve(options)
    job = Job(
        *(request.specs, results, request.data_dir, None, "", "cpu", 0.0),
        skip_unreadable=options.images.skip_unreadable,
        execution=options.execution,
    )
    messages = []
    run_job.run(JOB.validate_json(JOB.dump_json(job)), messages.append, lambda: False)
    assert sum(message.saved for message in messages) == len(request.specs)
    return Store(results)


# --- names ---------------------------------------------------------------------------------------


def test_a_path_is_a_name_that_a_key_can_have(folder, monkeypatch):
    assert datasets.source(str(folder)) == ("my_ants_bees", folder)
    assert datasets.source(str(folder.parent / "tested.csv"))[0] == "tested"
    monkeypatch.chdir(folder.parent)
    assert datasets.source("tested.csv") == ("tested", folder.parent / "tested.csv")
    digits = folder / "digits"
    digits.mkdir()
    # Not the dataset of that name.
    assert datasets.source(str(digits)) == ("digits_photos", digits)
    assert datasets.source("digits") == ("digits", None)
    assert datasets.source("cifar10", Path("somewhere")) == ("cifar10", Path("somewhere").resolve())


def test_what_is_neither_a_name_nor_a_path_is_refused(folder):
    for wrong in ("mnist", str(folder / "nowhere"), __file__):
        with pytest.raises(UsageError) as caught:
            datasets.source(wrong)
        assert str(caught.value) == (
            f"unknown dataset: {wrong}; choose from {', '.join(datasets.DATASETS)}; "
            "or name a folder of photos, or a .csv table of them"
        )
    with pytest.raises(UsageError, match="leave out --data-dir"):
        datasets.source(str(folder), folder)


def test_a_run_knows_its_classes_and_where_the_photos_are(folder):
    request = resolve(sweep_options(data=str(folder), **FLAGS))
    (spec,) = request.specs
    assert request.data_dir == folder
    assert (spec.data, spec.classes) == ("my_ants_bees", 2)
    assert spec.key.startswith("B0-none-32-case-study-my_ants_bees-s0-")
    cropped = resolve(sweep_options(data=str(folder), settings=("geometry=crop",), **FLAGS))
    assert cropped.specs[0].key != spec.key
    assert cropped.specs[0].recipe.photo_geometry == Geometry("crop")


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (
            {"data": "digits", "settings": ("geometry=pad",)},
            "geometry and filter are for photos, which have sizes of their own: pad, bilinear for "
            "digits; leave them out: its images are squashed, bilinearly, by the network itself",
        ),
        (
            {"data": "digits", "skip_unreadable": True},
            "--skip-unreadable is for photos: --data digits; leave it out",
        ),
        (
            {"data": "digits", "cache_gb": 1.0},
            "--cache-gb is for photos: --data digits; leave it out",
        ),
        ({"limit": 1}, "--limit takes 2 (an image of each class) to 47 images: 1"),
        (
            {"settings": ("geometry=stretch",)},
            "--set geometry takes another value: stretch; choose from squash, crop, pad",
        ),
        (
            {"settings": ("geometry=",)},
            "--set geometry takes another value: nothing; choose from squash, crop, pad",
        ),
        (
            {"settings": ("class_weights=some",)},
            "--set class_weights takes another value: some; choose from none, balanced",
        ),
    ],
)
def test_what_does_not_suit_the_images_is_refused(flags, line, folder):
    with pytest.raises(UsageError) as caught:
        resolve(sweep_options(**{"data": str(folder), **FLAGS, **flags}))
    assert str(caught.value).startswith(line)


def test_photos_that_do_not_fit_in_memory_are_not_run_in_every_step(folder, monkeypatch):
    monkeypatch.setattr(fit_for_data, "HELD_BYTES", 60 * 32**2 * 3)
    flags = FLAGS | {"data": str(folder), "feature_cache": False}
    (spec,) = resolve(sweep_options(**flags)).specs
    assert not spec.feature_cache
    larger = flags | {"image_size": 64}
    with pytest.raises(UsageError, match=r"holds all images .*: 0\.0 GB of 60 photos at 64"):
        resolve(sweep_options(**larger))
    # Whichever of several recipes comes first.
    for recipes in ("finetune,case-study", "case-study,finetune"):
        with pytest.raises(UsageError, match="holds all images"):
            resolve(sweep_options(**larger | {"recipe": recipes}))


# --- runs ----------------------------------------------------------------------------------------


def test_without_a_test_split_nothing_is_called_a_test_accuracy(folder, tmp_path):
    store = run(folder, tmp_path / "results", settings=("class_weights=balanced",))
    (result,) = store.load(checked=True).results
    assert result.classes == ("class 0", "class 1")
    assert (result.images.test, result.reported.test) == (0, None)
    arrays = store.predictions(result)
    assert not any("test_" in name for name in arrays)
    assert arrays["validation_name"][1] == "class 1/1.jpg"
    assert arrays["validation_probability"].shape == (12, 2)
    assert not validate.problems(store.directory).errors

    report = build.read(store, Selection())
    (section,) = report.sections
    (row,) = section.rows
    assert row.metric.name == "val_accuracy"
    assert {*row.accuracies} == {"val_accuracy"}  # and no top-5 of two classes
    text = document.render(report, "markdown")
    first, _, _ = text.split("\n\n")[1].partition(". ")
    assert "; there is no test split: the figures are of the validation images" in first
    assert "acc-test" not in text
    assert "test accuracy" not in text.lower().replace("test_accuracy", "")
    again = rerun(result)
    assert "--data my_ants_bees" in again.command
    assert "class_weights=balanced" in again.command
    assert any("give the path of that folder of photos" in hint for hint in again.hints)


def test_photos_of_a_table_are_tested_and_each_class_is_known(folder, tmp_path):
    store = run(folder.parent / "tested.csv", tmp_path / "results", seeds="0-1")
    results = store.load(checked=True).results
    assert [result.spec.classes for result in results] == [7, 7]
    assert results[0].images.test == len(store.predictions(results[0])["test_label"]) == 12
    assert not validate.problems(store.directory).errors
    (section,) = build.read(store, Selection()).sections
    (row,) = section.rows
    assert "val_top5_accuracy" in row.accuracies
    assert row.per_class is not None
    assert [figures.name for figures in row.per_class.classes] == [f"class {n}" for n in range(7)]
    assert np.isclose(row.columns["balanced_accuracy"], row.per_class.balanced_accuracy)

    (section,) = build.read(store, Selection(rule="final")).sections
    (last,) = section.rows
    assert last.reported_epochs == [len(results[0].history)]
    right, images, _ = last.per_class.counts
    assert 100 * right.sum() / images.sum() == pytest.approx(row.by("final"))


def test_a_head_is_the_same_with_the_backbone_in_every_step(folder, tmp_path):
    cached, direct = (
        run(folder, tmp_path / str(flag), feature_cache=flag).load().results[0]
        for flag in (True, False)
    )
    computed = [result.provenance.features_computed for result in (cached, direct)]
    assert computed == [60, 0]
    for ours, theirs in zip(cached.history, direct.history, strict=True):
        assert ours.train.loss == pytest.approx(theirs.train.loss, rel=1e-3)
        assert ours.validation.loss == pytest.approx(theirs.validation.loss, rel=1e-3)


def test_photos_that_changed_since_are_no_run_of_the_sweep(folder, tmp_path):
    request = resolve(sweep_options(data=str(folder), **FLAGS))
    job = Job(request.specs, tmp_path, folder.parent / "tested.csv", None, "", "cpu", 0.0)
    with pytest.raises(run_job.DataError, match="no longer what the sweep began with"):
        run_job.run(job, lambda _: None, lambda: False)


def test_what_is_known_of_the_images_is_in_the_record_and_wherever_it_is_shown(table, tmp_path):
    with pytest.raises(DataError, match=r"1 of 122 images cannot be read: b/broken\.jpg"):
        resolve(sweep_options(data=str(table), **FLAGS))
    store = run(table, tmp_path / "results", skip_unreadable=True, cache_gb=1.0)
    (result,) = store.load(checked=True).results
    images = result.images
    dataset = datasets.load("twins", table, skip_unreadable=True)
    assert (images.skipped, images.split_sha256) == (1, dataset.split_sha256)
    assert images.made == ("train", "validation", "test")
    assert result.marks["unreadable files skipped"] == "1"

    arrays = store.predictions(result)
    for name, split in dataset.held_out.items():
        groups = arrays[f"{name}_group"]
        np.testing.assert_array_equal(groups, split.groups)
        twins = [file[:2] + str(int(file[2:6]) // 2) for file in arrays[f"{name}_name"]]
        assert len(set(zip(groups, twins, strict=True))) == len({*groups}) < len(groups)
    assert not validate.problems(store.directory).errors

    report = build.read(store, Selection())
    (row,) = report.sections[0].rows
    assert row.samples["test_accuracy"].groups is not None
    made = "The train, validation and test splits were made by effbench: stratified, seed 42."
    skipped = "unreadable files skipped: files that were meant to be images could not be read"
    assert made in report.sections[0].notes
    assert any(note.startswith(skipped) for note in report.sections[0].notes)
    for style in document.STYLES:
        assert "unreadable files skipped" in document.render(report, style)
    for style in ("csv", "json", "markdown"):
        assert "unreadable files skipped (1)" in document.render(report, style)
    html = page.render(report, [*drawing.draw(store, report.sections)], table)
    assert "unreadable files skipped (1)" in html
    assert made in html
    wrong = int((arrays["test_rank"] > 0).sum())
    assert html.count("data:image/png") == min(wrong, IMAGES_LISTED) > 0
    facts = dict(describe.of_result(result))
    assert facts["marks"].endswith("unreadable files skipped (1)")
    assert facts["images"].endswith(" test; 1 file could not be read")
    assert facts["splits"] == f"{made[0].lower()}{made[1:-1]}; sha256 {images.split_sha256}"
    assert rerun(result).command.endswith(" --skip-unreadable")


def test_the_worker_is_told_what_the_command_line_says(table, run, monkeypatch):
    jobs = []
    monkeypatch.setattr(worker_process, "work", lambda job, *_: jobs.append(job))
    words = "sweep --cpu --variants B0 --weights none --skip-unreadable --cache-gb 2.5 --data"
    done = run(*words.split(), table, "--results", table.parent / "results")
    assert done.code == 0, done.err
    (job,) = (JOB.validate_json(JOB.dump_json(job)) for job in jobs)
    assert (job.data_dir, job.skip_unreadable, job.execution.cache_gb) == (table, True, 2.5)


def test_room_for_pixels_is_asked_for_before_hours_are_spent(table, tmp_path):
    with pytest.raises(DiskError, match="--cache-gb"):
        run(table, tmp_path / "results", skip_unreadable=True, cache_gb=1e-5)
