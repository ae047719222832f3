"""Every format: what is written is what is read, and what is damaged says so."""

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.classifiers import NAMES, SIDE, image, tiny

from effbench.errors import DataError, EffbenchError, UsageError
from effbench.export import formats, tflite_file
from effbench.export.formats import ANY_SIZE, FORMATS, Options, kind, named, read
from effbench.export.quantization import FLOAT16, INT8
from effbench.hardware.tensorflow_setup import keras, keras3, tf

CLASSIFIER = tiny()
MODEL = CLASSIFIER.model


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, Path]:
    """The same classifier in each format."""
    folder = tmp_path_factory.mktemp("written")
    paths = {name: folder / name / f"tiny{row.suffix}" for name, row in FORMATS.items()}
    for name, path in paths.items():
        path.parent.mkdir()
        FORMATS[name].write(CLASSIFIER, path, ANY_SIZE)
    return paths


@pytest.fixture
def copied(written, tmp_path) -> dict[str, Path]:
    for name, path in written.items():
        shutil.copytree(path.parent, tmp_path / name)
    return {name: tmp_path / name / path.name for name, path in written.items()}


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_read_classifies_images_of_any_size_as_what_was_written(name, written):
    model = read(written[name])
    assert model.names == NAMES
    answers = []
    for size in ((32, 32), (5, 90), (1, 1), (300, 200)):
        given = image(*size)
        classes = model.classify(given)
        assert tuple(classes) == NAMES
        answers.append(MODEL(given[None]).numpy()[0])
        np.testing.assert_allclose([*classes.values()], answers[-1], atol=5e-3)
    assert np.ptp(answers, axis=0).max() > 0.1
    batch = np.stack([image(20, 30, seed) for seed in range(3)])
    np.testing.assert_allclose(model.scores(batch), MODEL(batch), atol=5e-3)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_knows_its_own_and_no_other(name, written):
    assert [row for row in FORMATS if FORMATS[row].has(written[name])] == [name]
    assert kind(written[name]) == name


@pytest.mark.parametrize("name", ["keras", "keras2", "tflite"])
def test_labels_are_where_other_tools_look(name, written):
    with zipfile.ZipFile(written[name]) as archive:
        assert archive.read("labels.txt").decode().split("\n") == [*NAMES, ""]


@pytest.mark.parametrize("name", FORMATS)
def test_the_lines_that_load_a_format_do(name, written):
    images = np.stack([image(20, 30)])
    keras3()
    space = {"images": images, "PATH": str(written[name])}
    exec(FORMATS[name].loading, space)
    assert len(FORMATS[name].loading.splitlines()) <= 5
    np.testing.assert_allclose(np.asarray(space["scores"]), MODEL(images), atol=5e-3)


# --- Keras 3 --------------------------------------------------------------------------------------


def test_keras_3_has_standard_layers_alone_and_does_not_learn_when_it_is_called(written):
    model = keras3().saving.load_model(written["keras"])
    layers = [*model.layers, *model.get_layer("backbone").layers]
    assert {type(layer).__module__.split(".")[0] for layer in layers} == {"keras"}
    assert "Lambda" not in {type(layer).__name__ for layer in layers}
    assert not model.trainable_variables
    given = np.stack([image(20, 30, seed) for seed in range(3)])
    expected = MODEL(given)
    before = [value.copy() for value in model.get_weights()]
    for answer in (
        *(model(given), model(given, training=False), model.predict(given, verbose=0)),
        model(given),
    ):
        np.testing.assert_allclose(answer, expected, atol=1e-5)
    for value, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)


def test_another_backend_opens_the_same_file_without_effbench(written, tmp_path):
    given = np.stack([image(20, 30)])
    np.save(tmp_path / "images.npy", given)
    code = f"""
import sys
for name in ("effbench", "keras_efficientnet_v2", "tf_keras"):
    sys.modules[name] = None  # an import of it fails
import numpy, keras
model = keras.saving.load_model({str(written["keras"])!r})
images = numpy.load({str(tmp_path / "images.npy")!r})
print(*keras.ops.convert_to_numpy(model(images))[0], *model.predict(images, verbose=0)[0])
"""
    done = subprocess.run(
        (sys.executable, "-c", code),
        env=os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1000:]
    answers = np.array(done.stdout.split(), float).reshape(2, -1)
    np.testing.assert_allclose(answers, np.repeat(MODEL(given), 2, axis=0), atol=1e-5)


def test_keras_2_opens_its_file_as_any_other(written):
    model = keras.models.load_model(written["keras2"])
    given = image(20, 30)[None]
    np.testing.assert_array_equal(model(given), MODEL(given))


@pytest.mark.parametrize("name", ["keras", "keras2", "tflite", "onnx"])
def test_the_same_classifier_is_the_same_bytes_at_another_time(name, written, tmp_path):
    path = tmp_path / written[name].name
    FORMATS[name].write(CLASSIFIER, path, ANY_SIZE)
    assert path.read_bytes() == written[name].read_bytes()
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        if "metadata.json" in archive.namelist():
            assert b'"date_saved": "1980' in archive.read("metadata.json")


# --- the others -----------------------------------------------------------------------------------


def test_a_savedmodel_answers_with_names_and_scores_for_a_batch(written):
    signature = tf.saved_model.load(str(written["savedmodel"])).signatures["serving_default"]
    given = np.stack([image(20, 30, seed) for seed in range(3)])
    answer = signature(images=tf.constant(given))
    np.testing.assert_allclose(answer["scores"], MODEL(given), atol=1e-6)
    assert [[name.decode() for name in row] for row in answer["classes"].numpy()] == [[*NAMES]] * 3


def test_a_tflite_model_has_a_signature_and_needs_no_other_ops(written):
    interpreter = tf.lite.Interpreter(str(written["tflite"]))
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["images"], "outputs": ["scores"]}
    }
    assert not [op for op in interpreter._get_ops_details() if op["op_name"].startswith("Flex")]
    (given,) = interpreter.get_input_details()
    assert given["dtype"] == np.uint8
    assert given["shape_signature"].tolist() == [1, -1, -1, 3]


def test_an_onnx_model_takes_whole_numbers_in_batches_of_any_size(written):
    import onnx

    model = onnx.load(written["onnx"])
    (given,), (scores,) = model.graph.input, model.graph.output
    tensor = given.type.tensor_type
    assert (given.name, scores.name) == ("images", "scores")
    assert tensor.elem_type == onnx.TensorProto.UINT8
    assert [size.dim_value for size in tensor.shape.dim] == [0, 0, 0, 3]
    assert [size.dim_param for size in tensor.shape.dim] == ["batch", "height", "width", ""]
    assert scores.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == 18


def test_openvino_opens_an_onnx_model_in_float32_where_it_is_told_so(written):
    import openvino

    precise = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.compile_model(written["onnx"], "CPU", precise)
    given = np.stack([image(20, 30, seed) for seed in range(3)])
    np.testing.assert_allclose(model(given)["scores"], MODEL(given), atol=1e-4)


def test_openvino_keeps_its_weights_in_half_the_bits(written):
    graph = (written["openvino"] / "openvino_model.xml").read_text()
    assert 'element_type="f16"' in graph
    assert (written["openvino"] / "labels.txt").read_text("utf-8").splitlines() == [*NAMES]


# --- TensorFlow Lite: sizes and fewer bits --------------------------------------------------------


def test_a_fixed_size_is_the_only_one_and_others_are_fitted(tmp_path):
    path = tmp_path / "fixed.tflite"
    FORMATS["tflite"].write(CLASSIFIER, path, Options(SIDE))
    (given,) = tf.lite.Interpreter(str(path)).get_input_details()
    assert (given["shape_signature"].tolist(), given["dtype"]) == ([1, SIDE, SIDE, 3], np.uint8)
    model = read(path)
    assert model.side == SIDE
    exact = image(SIDE, SIDE)
    expected = MODEL(exact[None]).numpy()[0]
    np.testing.assert_allclose([*model.classify(exact).values()], expected, atol=1e-5)
    assert len(model.classify(image(40, 30))) == len(NAMES)


def test_images_of_a_batch_are_shared_out_among_interpreters_of_one_thread(written, monkeypatch):
    """Threads of one interpreter wait busily, and on shared cores take a hundred times longer."""
    threads = []
    plain = tf.lite.Interpreter

    def counted(**options):
        threads.append(options["num_threads"])
        return plain(**options)

    monkeypatch.setattr(tf.lite, "Interpreter", counted)
    monkeypatch.setattr(tflite_file, "cores", lambda: 3)
    model = read(written["tflite"])
    assert threads == [1]
    batch = np.stack([image(20, 30, seed) for seed in range(7)])
    np.testing.assert_allclose(model.scores(batch), MODEL(batch), atol=1e-5)
    assert threads == [1, 1, 1]


def test_the_metadata_are_what_the_schema_says(written):
    """Read as flatbuffers are: an offset to a table, in front of which stand those of its fields.

    The tools of TensorFlow Lite want a protobuf that TensorFlow refuses, so they cannot be asked.
    """
    content = written["tflite"].read_bytes()
    start = content.index(b"M001") - 4
    table = content[start:]

    def number(at: int, size: int = 4) -> int:
        return int.from_bytes(table[at : at + size], "little")

    def field(at: int, index: int) -> int:
        fields = at - number(at)
        offset = number(fields + 4 + 2 * index, 2)
        assert offset, index
        return at + offset

    def follow(at: int) -> int:
        return at + number(at)

    def text(at: int) -> str:
        return table[follow(at) + 4 :][: number(follow(at))].decode()

    def first(at: int) -> int:
        return follow(follow(at) + 4)

    root = follow(0)
    assert text(field(root, 0)) == "tiny"
    graph = first(field(root, 3))
    given, scores = (first(field(graph, index)) for index in (2, 3))
    assert (text(field(given, 0)), text(field(scores, 0))) == ("images", "scores")
    labels = first(field(scores, 6))
    assert (text(field(labels, 0)), table[field(labels, 2)]) == ("labels.txt", 2)
    unit = first(field(given, 4))
    mean, std = (field(follow(field(unit, 1)), index) for index in (0, 1))
    values = [np.frombuffer(table, "<f4", 1, follow(at) + 4)[0] for at in (mean, std)]
    assert values == [0, 1]


@pytest.mark.parametrize("precision", [FLOAT16, INT8], ids=lambda row: row.name)
def test_fewer_bits_give_nearly_the_same(precision, tmp_path):
    path = tmp_path / "small.tflite"
    images = tuple(image(SIDE, SIDE, seed) for seed in range(30))
    notes = FORMATS["tflite"].write(CLASSIFIER, path, Options(SIDE, precision, images))
    model = read(path)
    answers = np.stack([[*model.classify(given).values()] for given in images])
    expected = MODEL(np.stack(images)).numpy()
    assert np.abs(answers - expected).max() < (0.01, 0.2)[precision.integer]
    assert (answers.argmax(1) == expected.argmax(1)).mean() > 0.8
    assert all("steps off" in note for note in notes)
    assert not any(";" in note or "StatefulPartitionedCall" in note for note in notes)
    types = {detail["dtype"] for detail in tf.lite.Interpreter(str(path)).get_tensor_details()}
    assert (np.int8 in types) == precision.integer
    assert (np.float16 in types) == precision.half


# --- what is refused ------------------------------------------------------------------------------


def files(path: Path) -> list[Path]:
    return [file for file in (path, *path.rglob("*")) if file.is_file()]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_model_is_one_line(name, share, copied):
    file = max(files(copied[name]), key=lambda file: file.stat().st_size)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    left = sum(file.stat().st_size for file in files(copied[name]))
    with pytest.raises(EffbenchError) as caught:
        read(copied[name])
    assert str(caught.value) == (
        f"a model that is damaged or cut off, or not by 'effbench export': {copied[name]} "
        f"({left:,} bytes); copy it again from where it is whole, or export it again"
    )


def test_what_is_no_model_is_one_line(tmp_path):
    file, other = tmp_path / "notes.keras", tmp_path / "notes"
    file.write_text("")
    other.write_text("words")
    for path, what in (
        (tmp_path / "none.tflite", "nothing is there"),
        (tmp_path, "a folder of something else"),
        (file, "damaged, cut off, or something else"),
        (other, "something else"),
    ):
        with pytest.raises(EffbenchError, match=f"a model is a .*: {path}: {what}; give"):
            read(path)


def test_models_of_others_are_one_line(tmp_path):
    MODEL.save(tmp_path / "plain.keras")
    keras.models.Sequential([keras.layers.Dense(1, input_shape=(2,))]).export(tmp_path / "saved")
    for name in ("plain.keras", "saved"):
        with pytest.raises(EffbenchError, match="cut off, or not by 'effbench export'"):
            read(tmp_path / name)


def test_a_library_that_cannot_be_imported_is_no_damage(written, monkeypatch):
    def reader():
        raise ImportError("no library")

    monkeypatch.setattr(formats, "FORMATS", {"keras": replace(FORMATS["keras"], reader=reader)})
    with pytest.raises(ImportError, match="no library"):
        read(written["keras"])


def test_a_format_is_called_as_others_call_it_or_refused(monkeypatch):
    assert named("saved_model")[0] == "savedmodel"
    with pytest.raises(
        UsageError, match=r"unknown format: torch; choose from keras, .*saved_model"
    ):
        named("torch")
    missing = replace(FORMATS["onnx"], needs=("onnx", "no_such_package"))
    monkeypatch.setattr(formats, "FORMATS", {**FORMATS, "onnx": missing})
    with pytest.raises(UsageError, match=r"no no_such_package; pip install 'effbench\[export\]'"):
        named("onnx")


@pytest.mark.parametrize("names", [("a", "a"), ("a", "b\nc"), ("a", "b\u2028c"), ("a", "")])
def test_names_that_labels_cannot_hold_are_one_line(names):
    with pytest.raises(DataError, match="names of classes must differ, and each be a line"):
        tiny(names=names)
