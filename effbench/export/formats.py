"""The formats that a classifier is written to and read from; the names of its classes inside.

A new one is a new row of `FORMATS`. What a row needs is imported when it is used, because the help
of the command line lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from effbench.errors import EffbenchError, UsageError
from effbench.export.opened import OpenModel
from effbench.export.quantization import FLOAT16, FLOAT32, Precision

if TYPE_CHECKING:
    from effbench.export.classifier import Classifier

HINT = "give what 'effbench export' wrote"
# What other tools call a format.
ALIASES = {"saved_model": "savedmodel"}


@dataclass(frozen=True)
class Options:
    """What a format may be asked for.

    Attributes:
        input_size: height and width of the only images that it takes; None for images of any size.
        quantize: in what it keeps and computes numbers.
        images: training images, uint8 [n, h, w, 3] each, which show what range values have.
    """

    input_size: int | None = None
    quantize: Precision = FLOAT32
    images: tuple[np.ndarray, ...] = ()


ANY_SIZE = Options()
# What is to be said of a model that was written, as which of its layers stay in float; or nothing.
Notes = tuple[str, ...] | None


@dataclass(frozen=True)
class Format:
    """How a classifier is kept.

    Attributes:
        suffix: end of its file's or folder's name; "" for a folder that has none.
        has: whether a path holds one, by its first bytes or files.
        write: writes a classifier.
        reader: imports what reads one, and raises whatever its library does where it is damaged.
        needs: packages that are not there in every installation.
        library: what the Hub calls those who open it.
        quantized: whether it takes an `input_size` and all of `quantize`.
        weights: in what it keeps weights, where nothing is quantized.
        many: how many images it takes at once, as its card says.
        loading: the lines of Python that load it, where `PATH` is its path.
    """

    suffix: str
    has: Callable[[Path], bool]
    write: Callable[[Classifier, Path, Options], Notes]
    reader: Callable[[], Callable[[Path], OpenModel]]
    needs: tuple[str, ...] = ()
    library: str = "keras"
    quantized: bool = False
    weights: Precision = FLOAT32
    many: str = "n"
    loading: str = ""

    def require(self, name: str) -> None:
        """Refuses a format whose packages are missing.

        Raises:
            UsageError: the message says how to get them.
        """
        missing = [package for package in self.needs if find_spec(package) is None]
        if missing:
            hint = "pip install 'effbench[export]'"
            raise UsageError(f"{name} needs a package", f"no {', '.join(missing)}", hint)


def named(name: str) -> tuple[str, Format]:
    """The row of a name, or of what other tools call it.

    Raises:
        UsageError: there is none, or a package that it needs is missing.
    """
    name = ALIASES.get(name, name)
    if name not in FORMATS:
        raise UsageError("unknown format", name, f"choose from {', '.join([*FORMATS, *ALIASES])}")
    FORMATS[name].require(name)
    return name, FORMATS[name]


def kind(path: Path) -> str:
    """The name of the format of a file or folder.

    Raises:
        EffbenchError: there is no model.
    """
    rows = [name for name, row in FORMATS.items() if row.has(path)]
    if not rows:
        called = any(row.suffix and path.suffix == row.suffix for row in FORMATS.values())
        kinds = (
            (called and path.exists(), "damaged, cut off, or something else"),
            (path.is_dir(), "a folder of something else"),
            (path.exists(), "something else"),
        )
        what = next((kind for fits, kind in kinds if fits), "nothing is there")
        raise EffbenchError(
            f"a model is a {', '.join(FORMATS)} file or folder", f"{path}: {what}", HINT
        )
    return rows[0]


def read(path: Path) -> OpenModel:
    """The classifier in a file or folder; it is tried on one image.

    Raises:
        EffbenchError: there is no model, or not one that `effbench export` wrote, or not a whole
            one.
        UsageError: a package that it needs is missing.
    """
    _, row = named(kind(path))
    reader = row.reader()  # what cannot be imported says nothing of the file
    try:
        model = reader(path)
        side = model.side or 1
        scores = model.scores(np.zeros((1, side, side, 3), np.uint8))
        if scores.shape != (1, len(model.names)) or len({*model.names}) < len(model.names):
            raise ValueError(f"{scores.shape[1:]} scores of {len(model.names)} classes")
    # Of a damaged file, or of another model, the libraries raise whatever they happen to hit, in
    # words that mean nothing to whoever has only a file.
    except Exception as error:
        raise EffbenchError(
            "a model that is damaged or cut off, or not by 'effbench export'",
            f"{path} ({_bytes(path):,} bytes)",
            "copy it again from where it is whole, or export it again",
        ) from error
    return model


def _bytes(path: Path) -> int:
    """Of a file, or of all files of a folder."""
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())


def _holds(path: Path, magic: bytes, offset: int = 0) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(len(magic)) == magic


def _keras(path: Path) -> bool:
    return _holds(path, b"PK")


def _keras2(path: Path) -> bool:
    """Its first entry, which is not compressed, says which version wrote it."""
    if not _keras(path):
        return False
    with path.open("rb") as file:
        return b'"keras_version": "2.' in file.read(1024)


def _write(module: str) -> Callable[[Classifier, Path, Options], Notes]:
    """The function `write` of a module of this package."""

    def write(classifier: Classifier, path: Path, options: Options) -> Notes:
        notes: Notes = import_module(f"effbench.export.{module}").write(classifier, path, options)
        return notes

    return write


def _reader(module: str) -> Callable[[], Callable[[Path], OpenModel]]:
    """What imports the function `read` of a module of this package."""

    def reader() -> Callable[[Path], OpenModel]:
        read: Callable[[Path], OpenModel] = import_module(f"effbench.export.{module}").read
        return read

    return reader


FORMATS: Mapping[str, Format] = {
    "keras": Format(
        ".keras",
        lambda path: _keras(path) and not _keras2(path),
        *(_write("keras3_file"), _reader("keras3_file")),
        loading="import keras\nmodel = keras.saving.load_model(PATH)\nscores = model(images)",
    ),
    "keras2": Format(
        *(".keras", _keras2, _write("keras2_file"), _reader("keras2_file")),
        library="tf-keras",
        loading="import tf_keras\nmodel = tf_keras.models.load_model(PATH)\nscores = model(images)",
    ),
    "savedmodel": Format(
        "",
        lambda path: (path / "saved_model.pb").is_file(),
        *(_write("savedmodel_folder"), _reader("savedmodel_folder")),
        library="tensorflow",
        loading="import tensorflow as tf\nmodel = tf.saved_model.load(PATH)\n"
        'scores = model.signatures["serving_default"](images=tf.constant(images))["scores"]',
    ),
    "tflite": Format(
        ".tflite",
        lambda path: _holds(path, b"TFL3", 4),
        *(_write("tflite_file"), _reader("tflite_file")),
        library="tflite",
        quantized=True,
        many="1",
        loading="from tensorflow import lite  "
        "# or: from ai_edge_litert import interpreter as lite\nmodel = lite.Interpreter(PATH)\n"
        'scores = model.get_signature_runner()(images=images)["scores"]',
    ),
    "onnx": Format(
        ".onnx",
        # The field of a version, which comes first.
        lambda path: path.suffix == ".onnx" and _holds(path, b"\x08"),
        *(_write("onnx_file"), _reader("onnx_file")),
        needs=("onnx", "tf2onnx", "onnxruntime"),
        library="onnx",
        loading="import onnxruntime\nmodel = onnxruntime.InferenceSession(PATH)\n"
        '(scores,) = model.run(["scores"], {"images": images})',
    ),
    "openvino": Format(
        ".openvino",
        lambda path: (path / "openvino_model.xml").is_file(),
        *(_write("openvino_folder"), _reader("openvino_folder")),
        needs=("openvino",),
        library="openvino",
        weights=FLOAT16,
        loading="import openvino\n"
        'precise = {"INFERENCE_PRECISION_HINT": "f32"}  # else bfloat16 where the CPU has it\n'
        'model = openvino.compile_model(PATH + "/openvino_model.xml", "CPU", precise)\n'
        'scores = model(images)["scores"]',
    ),
}
