"""Every format: what is written is what is read, and what is damaged says so."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.classifiers import NAMES, image, tiny

from effbench.cli.options import ExportFormat
from effbench.errors import EffbenchError
from effbench.export.formats import FORMATS, read
from effbench.hardware.tensorflow_setup import keras, tf

MODEL = tiny()


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, Path]:
    """The same classifier in each format."""
    folder = tmp_path_factory.mktemp("written")
    paths = {name: folder / f"tiny{row.suffix}" for name, row in FORMATS.items()}
    for name, path in paths.items():
        FORMATS[name].write(MODEL, NAMES, path)
    return paths


@pytest.fixture
def copied(written, tmp_path) -> dict[str, Path]:
    for path in written.values():
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, tmp_path / path.name)
    return {name: tmp_path / path.name for name, path in written.items()}


def test_the_flag_has_every_format():
    assert [each.value for each in ExportFormat] == list(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_read_classifies_images_of_any_size_as_what_was_written(name, written):
    classify = read(written[name])
    for size in ((32, 32), (5, 90), (1, 1), (300, 200)):
        given = image(*size)
        found = classify(given)
        assert tuple(found) == NAMES
        expected = MODEL(given[None]).numpy()[0]
        np.testing.assert_allclose([*found.values()], expected, atol=1e-6)
    assert np.ptp(expected) > 0.1


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_knows_its_own_and_no_other(name, written):
    assert [row for row in FORMATS if FORMATS[row].has(written[name])] == [name]


@pytest.mark.parametrize("name", ["keras", "tflite"])
def test_labels_are_where_other_tools_look(name, written):
    with zipfile.ZipFile(written[name]) as archive:
        assert archive.read("labels.txt").decode().split("\n") == [*NAMES, ""]


def test_keras_opens_its_file_as_any_other(written):
    model = keras.models.load_model(written["keras"])
    given = image(20, 30)[None]
    np.testing.assert_array_equal(model(given), MODEL(given))


def test_a_savedmodel_answers_with_names_and_scores_for_a_batch(written):
    signature = tf.saved_model.load(str(written["savedmodel"])).signatures["serving_default"]
    given = np.stack([image(20, 30, seed) for seed in range(3)])
    found = signature(images=tf.constant(given))
    np.testing.assert_allclose(found["scores"], MODEL(given), atol=1e-6)
    assert [[name.decode() for name in row] for row in found["classes"].numpy()] == [[*NAMES]] * 3


def test_a_tflite_model_has_a_signature_and_needs_no_other_ops(written):
    interpreter = tf.lite.Interpreter(str(written["tflite"]))
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["images"], "outputs": ["scores"]}
    }
    assert not [op for op in interpreter._get_ops_details() if op["op_name"].startswith("Flex")]
    (given,) = interpreter.get_input_details()
    assert given["dtype"] == np.uint8
    assert given["shape_signature"].tolist() == [1, -1, -1, 3]


def largest_file(path: Path) -> Path:
    return max([path, *path.rglob("*")], key=lambda each: each.is_file() and each.stat().st_size)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_model_is_one_line(name, share, copied):
    file = largest_file(copied[name])
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(EffbenchError, match="not a whole model") as caught:
        read(copied[name])
    assert str(copied[name]) in str(caught.value)
    assert str(caught.value).endswith("; give what 'effbench export' wrote")


def test_what_is_no_model_is_one_line(tmp_path):
    file = tmp_path / "notes.keras"
    file.write_text("")
    for path, what in (
        (tmp_path / "none.tflite", "nothing is there"),
        (tmp_path, "a folder of something else"),
        (file, "something else"),
    ):
        with pytest.raises(EffbenchError, match=f"a model is a .*: {path}: {what}; give"):
            read(path)


def test_models_of_others_are_one_line(tmp_path):
    MODEL.save(tmp_path / "plain.keras")
    keras.models.Sequential([keras.layers.Dense(1, input_shape=(2,))]).export(tmp_path / "saved")
    for name in ("plain.keras", "saved"):
        with pytest.raises(EffbenchError, match="not a whole model with the names"):
            read(tmp_path / name)
