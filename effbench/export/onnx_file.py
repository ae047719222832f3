"""ONNX, of any number of images of any size; onnxruntime and many others run it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from effbench.cpu import cores
from effbench.export.classifier import Classifier
from effbench.export.formats import Options
from effbench.export.graph import function
from effbench.export.onnx_order import settle
from effbench.export.opened import LABELS, OpenModel, lines

if TYPE_CHECKING:
    import onnx

SIDES = ("batch", "height", "width")


def write(classifier: Classifier, path: Path, _: Options) -> None:
    """Writes a file from `images` (uint8 [n, h, w, 3]) to `scores`, with its labels as metadata."""
    from effbench.engines.onnxruntime import converted
    from effbench.hardware.onnx_setup import onnx

    program, images = function(classifier, (None, None, None, 3))
    model = converted(program, [images])
    model.producer_name = "effbench"
    settle(model.graph)
    _name_sides(model)
    onnx.helper.set_model_props(model, {LABELS: lines(classifier.names)})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _name_sides(model: onnx.ModelProto) -> None:
    """Gives the free sides, which tf2onnx numbers, the names by which people ask for them."""
    graph = model.graph
    (given,), (scores,) = graph.input, graph.output
    free = [side.dim_param for side in given.type.tensor_type.shape.dim[:3]]
    free.append(scores.type.tensor_type.shape.dim[0].dim_param)
    named = dict(zip(free, (*SIDES, SIDES[0]), strict=True))
    for value in (given, scores):
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param in named:
                side.dim_param = named[side.dim_param]


def read(path: Path) -> OpenModel:
    """Reads it with onnxruntime, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    names = session.get_modelmeta().custom_metadata_map[LABELS].splitlines()

    def scores(images: np.ndarray) -> np.ndarray:
        (values,) = session.run(["scores"], {"images": images})
        return values

    return OpenModel(tuple(names), scores, f"onnxruntime {onnxruntime.__version__}")
