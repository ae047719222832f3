"""OpenVINO's intermediate representation: a folder with a graph, and its weights in float16."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from effbench.cpu import cores
from effbench.engines.openvino import converted
from effbench.export.classifier import Classifier
from effbench.export.formats import Options
from effbench.export.graph import function
from effbench.export.opened import LABELS, OpenModel, lines
from effbench.hardware.openvino_setup import openvino
from effbench.hardware.tensorflow_setup import tf

# What the Hub calls it, too.
GRAPH = "openvino_model.xml"


def write(classifier: Classifier, path: Path, _: Options) -> None:
    """Writes a folder: the graph from `images` to `scores`, its weights, and the labels."""
    program, images = function(classifier, (None, None, None, 3))
    scores_alone = tf.function(lambda images: program(images)["scores"], autograph=False)
    model = converted(scores_alone.get_concrete_function(images))
    (given,), (scores,) = model.inputs, model.outputs
    given.set_names({"images"})
    scores.set_names({"scores"})
    path.mkdir()
    openvino.save_model(model, path / GRAPH, compress_to_fp16=True)
    (path / LABELS).write_text(lines(classifier.names), "utf-8")


def read(path: Path) -> OpenModel:
    """Reads it with OpenVINO, which computes in float32 on the CPU."""
    names = tuple((path / LABELS).read_text("utf-8").splitlines())
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": cores()}
    compiled = openvino.Core().compile_model(path / GRAPH, "CPU", options)

    def scores(images: np.ndarray) -> np.ndarray:
        return np.array(compiled(images)["scores"])

    return OpenModel(names, scores, f"OpenVINO {openvino.get_version()}")
