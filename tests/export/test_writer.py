"""What `effbench export` writes of a real run gives that run's own predictions, anywhere."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from support.classifiers import NAMES
from support.commandline import one_line
from support.exports import exportable, here
from support.records import failure, put, result, spec
from support.sweeps import one, sweep

from effbench.config.recipes import RECIPES
from effbench.data import datasets
from effbench.export import classifier, load, writer
from effbench.export.formats import FORMATS
from effbench.export.orders import name_ending
from effbench.export.quantization import FLOAT32, IN_FLOAT, PRECISIONS
from effbench.hardware.tensorflow_setup import tf
from effbench.records.caveats import details
from effbench.records.store import Store

pytestmark = pytest.mark.usefixtures("quick_workers")

# With so high a rate the few steps lead to probabilities that differ from image to image.
SMALL = (
    "--variants B0 --weights none --data digits --limit 64 --image-size 32 --batch-size 16 "
    "--epochs 4 --cpu --recipe finetune --set ema_decay=0 --set warmup_epochs=0 "
    "--set maximal_learning_rate=0.1"
)
# Stored probabilities have the 11 bits of a float16, and the run looked at many images at once.
CLOSE = 1e-3
TESTED = 6


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A run as a user starts it."""
    folder = tmp_path_factory.mktemp("results")
    done = sweep(SMALL, folder, {**os.environ})
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def images(results) -> list[Path]:
    """Its test images as files."""
    found = datasets.load("digits").limited(64).test.images
    for place, pixels in enumerate(found[:TESTED]):
        Image.fromarray(pixels).save(results / f"{place:02}.png")
    return sorted(results.glob("*.png"))


def once(function: Callable[..., object]) -> Callable[..., object]:
    """The same, but called once: the run's network, ten seconds' work, is that of every format."""
    found: list[object] = []

    def call(*arguments: object) -> object:
        if not found:
            found.append(function(*arguments))
        return found[0]

    return call


KEPT_LOAD = load.load
LOAD, BUILD = once(load.load), once(classifier.build)


@pytest.mark.parametrize("name", FORMATS)
def test_an_exported_run_predicts_what_the_run_did(
    name, results, images, run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(load, "load", LOAD)
    monkeypatch.setattr(classifier, "build", BUILD)
    record = one(results)
    key = record.spec.key
    done = run("export", key[-12:], "--format", name, "--results", results)
    assert (done.code, done.err) == (0, "")
    path = Path(f"{key}{name_ending(name, FLOAT32, None)}")
    assert done.out.splitlines()[-1].startswith(f"{path}: ")
    assert "on 4 images at most " in done.out
    assert done.out.rstrip().endswith(f"float32; marks: {details(record.marks)}")
    beside = (path.name, f"{path.name}.README.md", f"{path.name}.json")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(beside)
    predicted = run("predict", path, *images, "--json")
    assert (predicted.code, predicted.err) == (0, "")
    stored = Store(results).predictions(record, "test_probability", "test_predicted")
    probability = stored["test_probability"][:TESTED].astype(np.float64)
    assert len(set(stored["test_predicted"][:TESTED])) > 1
    assert np.ptp(probability, axis=0).max() > 0.5
    rows = json.loads(predicted.out)
    assert [Path(row["image"]) for row in rows] == images
    for row, own in zip(rows, probability, strict=True):
        top = {int(each["class"]): each["probability"] for each in row["classes"]}
        assert len(top) == 5
        assert abs(max(top.values()) - own.max()) < CLOSE
        for label, value in top.items():
            assert abs(value - own[label]) < CLOSE
    if name in LOADERS:
        _opens_without_effbench(LOADERS[name], path, images[0], probability[0])


LOADERS = {"keras": "keras.saving", "keras2": "tf_keras.models"}


def _opens_without_effbench(module: str, path: Path, image: Path, probability: np.ndarray) -> None:
    code = f"""
import sys
# Imports of these fail. TensorFlow takes their types where they are there: twice the time.
for name in ("effbench", "keras_efficientnet_v2", "tensorflow_addons", "jax", "pandas", "scipy"):
    sys.modules[name] = None
import numpy, {module}
from PIL import Image
model = {module}.load_model({str(path)!r})
print(*model(numpy.asarray(Image.open({str(image)!r}))[None]).numpy()[0])
"""
    done = subprocess.run(
        (sys.executable, "-c", code),
        env=os.environ | {"KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1000:]
    np.testing.assert_allclose(list(map(float, done.stdout.split())), probability, atol=CLOSE)


# --- what is refused ------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    return exportable(tmp_path, monkeypatch)


def test_an_unknown_key_or_format_is_a_usage_error(run, store):
    place = ("--results", store.directory)
    one_line(run("export", "B1", *place), 2, "no key of a run holds this: B1; the closest: B0-")
    one_line(run("export", "B0", "--format", "torch", *place), 2, "unknown format: torch; choose")
    assert here() == []


def test_a_run_without_a_model_is_one_line(run, store, monkeypatch):
    monkeypatch.setattr(load, "load", KEPT_LOAD)
    place = ("--results", store.directory)
    store.save(failure())
    one_line(run("export", "L-", *place), 1, "a run that failed has no model: L-")
    one_line(run("export", "B0", *place), 1, "the model of this run was not kept: no ")


def test_what_a_format_cannot_do_is_one_line(run, store):
    place = ("B0", "--results", store.directory)
    for flags, words in (
        (("--input-size", "32"), "--input-size is for --format tflite: keras; leave it out"),
        (("--quantize", "int8"), "--quantize is for --format tflite: keras"),
        (("--format", "tflite", "--quantize", "int8"), "counts what it loses: no --data; name"),
        (("--quantize", "int4"), "unknown --quantize: int4; choose from float32, float16, int8"),
        (("--data", "digits"), "--data must be that of the run: images with sha256"),
        (("--best",), "ways to name runs exclude one another: KEY --best"),
    ):
        one_line(run("export", *place, *flags), 2, words)
    one_line(run("export", "--results", store.directory), 2, "no run is named")
    assert here() == []


def test_many_runs_are_exported_and_what_is_there_and_equal_is_left(run, store):
    for name in ("B1", "S"):
        put(store, result(spec=spec(variant=name, recipe=RECIPES["finetune"])))
    keys = sorted(record.spec.key for record in store.load().results)
    for key in keys:
        store.save_model(key, [np.zeros(1)])
    command = ("export", "--results", store.directory, "--output", "out")
    first = run(*command, "--variants", "B0,S")
    assert first.code == 0
    names = [f"{key}.keras" for key in keys if not key.startswith("B1")]
    assert sorted(path.name for path in Path("out").glob("*.keras")) == names
    before = {path: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    every = run(*command, "--all")
    assert every.code == 0
    assert every.out.count("is there already, and the same") == 2
    assert len([*Path("out").glob("*.keras")]) == 3
    assert before.items() <= {p: p.stat().st_mtime_ns for p in Path("out").iterdir()}.items()
    one_line(run(*command, "--variants", "L"), 1, "must be a finished run in ")


def test_a_folder_for_the_hub_has_what_the_hub_looks_for(run, store):
    from huggingface_hub import ModelCard

    done = run("export", "B0", "--results", store.directory, "--to-hub-folder", "hub")
    assert done.code == 0
    assert sorted(path.name for path in Path("hub").iterdir()) == [
        *(".gitattributes", "README.md", "config.json", "labels.txt"),
        *("model.keras", "model.keras.json"),
    ]
    labels_of = ("check-attr", "filter", "--", "model/variables/variables.index", "model.keras")
    for command in (("init", "--quiet"), labels_of):
        said = subprocess.run(
            ("git", "-C", "hub", *command), capture_output=True, text=True, check=True
        ).stdout
    assert said.count("filter: lfs") == 2
    again = ("export", "B0", "--results", store.directory, "--to-hub-folder", "hub")
    assert run(*again).out == "hub/model.keras: is there already, and the same\n"
    card = Path("hub/README.md").read_bytes()
    Path("hub/README.md").unlink()
    one_line(run(*again), 1, "hub/model.keras; add --force, or name another with --to-hub-folder")
    Path("hub/README.md").write_bytes(card)
    Image.new("RGB", (20, 30)).save("photo.png")
    assert (
        run("predict", "hub", "photo.png").out == run("predict", "hub/model.keras", "photo.png").out
    )
    card = ModelCard.load("hub/README.md")
    assert card.data.model_name.startswith("B0-")
    assert "'model.keras'" in card.text
    labels = json.loads(Path("hub/config.json").read_text())["id2label"]
    assert Path("hub/labels.txt").read_text().splitlines() == [*labels.values()]


def test_a_model_that_loses_too_much_is_not_handed_out(run, store, monkeypatch):
    lost = SimpleNamespace(
        gained=-0.02, accuracy=0.5, total=100, part="test", save=lambda _: None, notes=()
    )
    lost.against = SimpleNamespace(p=0.0625)
    monkeypatch.setattr(writer.counting, "held", lambda *_: lost)
    monkeypatch.setattr(writer.counting, "evaluate", lambda *_: lost)
    data = datasets.load("digits")
    record = put(
        store,
        result(spec=spec(recipe=RECIPES["scratch"], data="digits", data_sha256=data.sha256)),
    )
    command = ("export", "scratch", "--results", store.directory, "--data", "digits")
    done = run(*command)
    assert done.code == 1
    assert (
        "may lose a point of test accuracy against its run: "
        "2.00 points: 50.00% of 100 images, p = 0.062 (McNemar); "
    ) in done.err
    assert "add --allow-loss" in done.err
    assert here() == []
    assert record.spec.key in run("show", "scratch", "--results", store.directory).out


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_there_stays_unless_forced(name, run, store):
    path = Path(f"own{FORMATS[name].suffix}")
    command = ("export", "B0", "--results", store.directory, "--format", name, "--output", path)
    assert run(*command).code == 0
    before = max(each.stat().st_mtime_ns for each in [path, *path.rglob("*")])
    done = run(*command)
    assert (done.code, done.err, done.out) == (0, "", f"{path}: is there already, and the same\n")
    store.save_model(store.load().results[0].spec.key, [np.ones(1)])  # its model is another one now
    done = run(*command)
    one_line(done, 1, f"the output is there already: {path}; add --force, or name another")
    assert max(each.stat().st_mtime_ns for each in [path, *path.rglob("*")]) == before
    assert run(*command, "--force").code == 0
    assert max(each.stat().st_mtime_ns for each in [path, *path.rglob("*")]) > before
    assert here() == sorted([path.name, f"{path.name}.README.md", f"{path.name}.json"])


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize("refused", ["README.md", ".json"])
def test_a_disk_that_is_full_after_the_model_leaves_all_as_it_was(
    refused, force, run, store, monkeypatch
):
    command = ("export", "B0", "--results", store.directory, "--output", "x.keras")
    if force:
        assert run(*command).code == 0
    before = {path: path.read_bytes() for path in Path().iterdir()}
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name.endswith(refused):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    one_line(run(*command, *force), 1, "No space left on device")
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_parts_that_stay_in_float_are_a_list(run, store, monkeypatch):
    parts = (
        "stage 1, block 1, fused convolution: Sigmoid (0.53 steps off)",
        "sub (0.51 steps off)",
    )

    def write(*arguments: object) -> tuple[str, ...]:
        FORMATS["keras"].write(*arguments)
        return parts

    row = replace(FORMATS["keras"], write=write)
    monkeypatch.setattr(writer.formats, "FORMATS", {**FORMATS, "keras": row})
    done = run("export", "B0", "--results", store.directory, "--output", "x.keras")
    assert (done.code, done.err) == (0, "")
    _, words, *items = done.out.splitlines()
    assert words == IN_FLOAT
    assert items == [f"- {part}" for part in parts]


def test_force_takes_the_evaluation_of_other_bytes_away(run, store):
    command = ("export", "B0", "--results", store.directory, "--output", "x.tflite")
    command += ("--format", "tflite", "--force")
    beside = Path("x.tflite.evaluation.json")
    beside.write_text(json.dumps({"sha256": "0" * 64}))
    assert run(*command).code == 0
    assert not beside.exists()


def test_force_takes_no_folder_of_something_else(run, store):
    Path("photos").mkdir()
    Path("photos/a.png").write_text("mine")
    command = ("export", "B0", "--results", store.directory, "--force", "--output", "photos")
    done = run(*command, "--format", "savedmodel")
    one_line(done, 1, "photos is a folder of something else; name another with --output")
    assert Path("photos/a.png").read_text() == "mine"
    shutil.rmtree("photos")
    Path("photos").write_text("a file")
    done = run(*command, "--format", "savedmodel")
    assert done.code == 1
    assert "name a directory, not a file" in done.err
    assert here() == ["photos"]


def test_a_name_that_others_would_not_open_is_a_usage_error(run, store):
    done = run("export", "B0", "--results", store.directory, "--output", "model.h5")
    one_line(
        done,
        2,
        "--output must end in .keras: model.h5; end it in .keras, name a folder",
    )


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (tf.errors.ResourceExhaustedError(0, 0, ""), "No space left on device"),
        (tf.errors.OutOfRangeError(0, 0, ""), "File too large"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_full_disk_is_one_line_and_leaves_nothing(name, error, words, run, store, monkeypatch):
    def full(_: object, path: Path, __: object) -> None:
        path.write_bytes(b"half")
        raise error

    row = replace(FORMATS[name], write=full)
    monkeypatch.setitem(writer.formats.FORMATS, name, row)
    done = run("export", "B0", "--results", store.directory, "--format", name)
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert line.startswith(f"effbench: cannot write under {Path().resolve()}: {words}; ")
    assert here() == []


def test_the_words_of_openvino_for_a_full_disk_are_known_and_other_errors_stay():
    with pytest.raises(OSError, match="No space left"), writer._disk():
        raise RuntimeError("basic_ios::clear: iostream error")
    with pytest.raises(RuntimeError, match="a bug"), writer._disk():
        raise RuntimeError("a bug")


def test_what_differs_from_the_run_does_not_get_its_name(run, store, monkeypatch):
    def other(images: np.ndarray) -> np.ndarray:
        return np.full((len(images), len(NAMES)), 1 / len(NAMES))

    monkeypatch.setattr(load, "load", lambda *_: SimpleNamespace(probabilities=other))
    done = run("export", "B0", "--results", store.directory)
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert "probabilities must be those of the run's network within 0.001: 0." in line
    assert here() == []
    nothing = SimpleNamespace(probabilities=lambda images: other(images) * np.nan)
    monkeypatch.setattr(load, "load", lambda *_: nothing)
    done = run("export", "B0", "--results", store.directory)
    assert (done.code, here()) == (1, [])
    assert "nan off" in done.err


@pytest.mark.parametrize(
    ("ordered", "ending"),
    [
        (("keras", FLOAT32, None), ".keras"),
        (("keras2", FLOAT32, None), "-keras2.keras"),
        (("savedmodel", FLOAT32, None), ""),
        (("tflite", FLOAT32, None), ".tflite"),
        (("tflite", PRECISIONS["int8"], 96), "-int8-96.tflite"),
        (("openvino", FLOAT32, None), ".openvino"),
    ],
)
def test_models_of_a_run_do_not_share_a_name(ordered, ending):
    assert name_ending(*ordered) == ending
