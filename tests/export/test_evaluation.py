"""What an exported model gets right is counted by its own runtime, and set beside its run."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint
from support.classifiers import image, tiny
from support.commandline import one_line
from support.records import result, spec

from effbench.config.run_spec import WeightsId
from effbench.data import datasets
from effbench.export import evaluation, model_card, numbers
from effbench.export.counting import Held, Run, evaluate, held
from effbench.export.formats import ANY_SIZE, FORMATS, Options
from effbench.export.orders import ExportOrder
from effbench.export.quantization import FLOAT16, FLOAT32, IN_FLOAT
from effbench.progress import silent
from effbench.records.record import Images
from effbench.records.scores import Scores, Selected
from effbench.records.store import Store

CLASSES = datasets.NUMBERS
CLASSIFIER = tiny(names=CLASSES)
DATASET = datasets.load("digits").limited(100)
IMAGES, LABELS = DATASET.test.images, DATASET.test.labels.astype(int)
EXPECTED = CLASSIFIER.model(IMAGES).numpy()


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "digits.tflite"
    FORMATS["tflite"].write(CLASSIFIER, path, ANY_SIZE)
    return path


@pytest.fixture
def run_of_it(tmp_path) -> Run:
    """A run that said the same, but of the first three images."""
    store = Store(tmp_path / "results")
    said = EXPECTED.copy()
    said[:3] = np.roll(said[:3], 1, axis=1)
    predicted = said.argmax(1)
    arrays = {
        "test_label": LABELS.astype(np.uint8),
        "test_predicted": predicted.astype(np.uint8),
        "test_probability": said.astype(np.float16),
    }
    correct = int((predicted == LABELS).sum())
    scores = Scores(correct, len(LABELS), len(LABELS), 1.0)
    record = result(
        spec=spec(data="digits", data_sha256=DATASET.sha256, limit=100),
        images=Images(100, 25, 25, 1258),
        selected=(Selected("val_loss", 2, scores, scores),),
    )
    saved = store.save_predictions(record.spec.key, arrays)
    record = replace(record, predictions=saved)
    store.save(record)
    return Run(store, record)


@pytest.fixture(scope="module")
def digits() -> Held:
    return held("digits", DATASET, None)


def test_images_are_counted_and_the_record_is_read_again(model, digits, tmp_path):
    judged = evaluate(model, digits, silent)
    correct = int((EXPECTED.argmax(1) == LABELS).sum())
    assert (judged.correct, judged.total, judged.split) == (correct, 25, "test")
    order = np.argsort(-EXPECTED, axis=1)[:, :5]
    assert judged.top5_correct == int((order == LABELS[:, None]).any(1).sum())
    low, high = proportion_confint(correct, 25, 0.05, "wilson")
    np.testing.assert_allclose((judged.low, judged.high), (low, high))
    assert judged.size == model.stat().st_size
    assert judged.images_per_second > 0
    assert (judged.format, judged.against) == ("tflite", None)
    judged.save(tmp_path / "x.evaluation.json")
    assert evaluation.load(tmp_path / "x.evaluation.json") == judged


def test_where_a_model_and_its_run_differ_both_are_named(model, digits, run_of_it):
    against = evaluate(model, digits, silent, run_of_it).against
    assert against.disagree == 3
    assert [row.image for row in against.disagreements] == [0, 1, 2]
    first = against.disagreements[0]
    assert first.by_model == CLASSES[EXPECTED[0].argmax()] != first.by_run
    assert first.label == CLASSES[LABELS[0]]
    assert abs(first.model_probability - EXPECTED[0].max()) < 1e-3
    assert against.largest_difference > 0.1
    disagree = against.only_run + against.only_model
    assert against.p == (binomtest(against.only_run, disagree).pvalue if disagree else 1)


def test_the_command_writes_a_record_and_lists_them(model, run, run_of_it, tmp_path, monkeypatch):
    path = tmp_path / "digits.evaluation.json"
    store = run_of_it.store.directory
    where = ("--data", "digits", "--output", path, "--results", store)
    done = run("evaluate", model, *where, "--run", run_of_it.result.spec.key)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{path}: test ")
    assert "another class than its run in 3 images" in done.out
    assert json.loads(path.read_bytes())["total"] == 25
    listed = run("evaluate", "--list", tmp_path)
    assert (listed.code, listed.err) == (0, "")
    titles, _, row = listed.out.strip().splitlines()
    assert "Accuracy" in titles
    assert row.startswith("| digits | test    | digits.tflite |")
    assert "3 of 25" in row


def test_photos_go_through_in_their_own_sizes(model, run, tmp_path):
    for number, name in enumerate(CLASSES):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for count in range(10):
            photo = image(20 + number, 30, 10 * number + count)
            Image.fromarray(photo).save(folder / f"{count}.png")
    done = run(
        "evaluate",
        model,
        "--data",
        tmp_path / "photos",
        "--split",
        "train",
        "--output",
        "/dev/null",
    )
    assert (done.code, done.err) == (0, "")
    assert "train " in done.out


def test_what_cannot_be_evaluated_is_one_line(model, run, run_of_it, tmp_path):
    one_line(run("evaluate", model), 2, "an evaluation is of a model on images: no --data")
    one_line(run("evaluate", model, "--data", "digit"), 2, "unknown dataset: digit")
    one_line(run("evaluate", model, "--data", "digits", "--split", "all"), 2, "no such split: all")
    one_line(run("evaluate", "--list", tmp_path / "none"), 1, "no records of evaluations")
    (tmp_path / "half.evaluation.json").write_text('{"model": ')
    one_line(run("evaluate", "--list", tmp_path), 1, "no record of an evaluation")
    path = tmp_path / "cats.tflite"
    FORMATS["tflite"].write(tiny(), path, ANY_SIZE)
    one_line(run("evaluate", path, "--data", "digits"), 1, "digits must have the same classes")
    key = ("--run", run_of_it.result.spec.key, "--results", run_of_it.store.directory)
    one_line(
        run("evaluate", model, "--data", "random", *key, "--output", tmp_path / "x.json"),
        1,
        "must be of the same data and split",
    )
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize("row", [FLOAT32, FLOAT16], ids=lambda row: row.name)
def test_the_file_says_in_what_it_keeps_its_weights(row, digits, tmp_path):
    path = tmp_path / "x.tflite"
    FORMATS["tflite"].write(CLASSIFIER, path, Options(quantize=row))
    assert evaluate(path, digits, silent).quantize == row.name
    assert numbers.of(path, "openvino") == "float16"
    assert numbers.of(path, "keras") == "float32"


# --- cards ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_the_hub_reads_a_card(name, model, digits, run_of_it, tmp_path):
    from huggingface_hub import ModelCard

    judged = evaluate(model, digits, silent, run_of_it)
    path = tmp_path / "README.md"
    order = ExportOrder(run_of_it.store, run_of_it.result, name, Path("model.bin"))
    path.write_text(model_card.text(order, "a" * 64, judged), "utf-8")
    card = ModelCard.load(path)
    assert card.data.library_name == FORMATS[name].library
    assert card.data.license == "apache-2.0"
    ModelCard(str(card))  # what `card.validate()` sends to the Hub, which alone knows its rules
    (figure,) = card.data.eval_results
    # One that it is known to refuse cards by.
    assert re.fullmatch(r"(?:[\w-]+/)?[\w.-]+", figure.dataset_type, re.ASCII)
    assert (figure.metric_type, figure.dataset_split) == ("accuracy", "test")
    assert figure.metric_value == round(judged.accuracy, 6)
    assert "95 % interval" in figure.metric_name
    for line in FORMATS[name].loading.replace("PATH", "'model.bin'").splitlines():
        assert line in card.text
    assert "a" * 64 in card.text
    assert "effbench sweep" in card.text
    assert f"effbench export {run_of_it.result.spec.key} --format {name}" in card.text


def test_a_card_without_an_evaluation_has_the_figure_of_the_run(run_of_it):
    from huggingface_hub import ModelCard

    order = ExportOrder(run_of_it.store, run_of_it.result, "keras", Path("x.keras"))
    card = ModelCard(model_card.text(order, "b" * 64))
    (figure,) = card.data.eval_results
    assert figure.metric_value == round(run_of_it.result.reported.test.accuracy, 6)


@pytest.mark.parametrize(
    ("more", "words"), [(-1, "4.00 points fewer"), (0, "as many right"), (2, "8.00 points more")]
)
def test_a_card_says_what_a_file_loses_against_its_run(more, words, model, digits, run_of_it):
    judged = evaluate(model, digits, silent, run_of_it)
    of_run = judged.against.correct
    judged = replace(judged, correct=of_run + more, against=replace(judged.against, p=0.25))
    order = ExportOrder(run_of_it.store, run_of_it.result, "tflite", Path("x.tflite"))
    text = model_card.text(order, "a" * 64, judged)
    of_file = f"{(of_run + more) / 25:.2%} ({of_run + more} of 25; 95 % interval "
    assert f"| test accuracy of this file | {of_file}" in text
    assert f"| test accuracy of the run | {of_run / 25:.2%} ({of_run} of 25; 95 % interval " in text
    assert (
        f"| this file against the run | {words}, p = 0.25 (McNemar); "
        "3 of 25 images are of another class |"
    ) in text


def test_a_card_lists_the_parts_that_stay_in_float_and_says_what_a_step_is(
    model, digits, run_of_it
):
    judged = replace(evaluate(model, digits, silent, run_of_it), notes=("sub (0.51 steps off)",))
    order = ExportOrder(run_of_it.store, run_of_it.result, "tflite", Path("x.tflite"))
    text = model_card.text(order, "a" * 64, judged)
    assert f"\n\n{IN_FLOAT}\n\n- `sub (0.51 steps off)`\n" in text
    assert "a step is the smallest difference" in IN_FLOAT


@pytest.mark.parametrize(
    ("name", "side", "words"),
    [
        ("onnx", None, "images of any size, `[n, height, width, 3]`"),
        ("tflite", None, "images of any size, `[1, height, width, 3]`"),
        ("tflite", 96, "images of 96 x 96 pixels and no others, `[1, 96, 96, 3]`"),
    ],
)
def test_a_card_says_which_images_the_model_takes(name, side, words, tmp_path):
    order = ExportOrder(Store(tmp_path), result(), name, Path("x"), input_size=side)
    text = model_card.text(order, "b" * 64)
    assert words in text
    assert ("any size" in text) == (side is None)
    assert ("its sides stretched to the same length, bilinear" in text) == bool(side)


@pytest.mark.parametrize(
    ("digest", "known"), [("md5:0a", "apache-2.0"), ("sha256:0a", "unknown"), ("", "unknown")]
)
def test_a_card_knows_the_license_of_releases_alone(digest, known, tmp_path):
    record = result(spec=spec(weights=WeightsId("imagenet", digest, "torch")))
    text = model_card.text(ExportOrder(Store(tmp_path), record, "keras"), "b" * 64)
    assert f'license: "{known}"\n' in text
    assert f"({digest or 'random'}), license {known} |" in text
