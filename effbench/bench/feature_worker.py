"""A process that computes features by one of effbench's engines, or by a peer with its weights."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from effbench import provenance
from effbench.bench.feature_case import IMAGE, FeatureCase
from effbench.bench.timed_calls import Prepared, for_seconds, serve
from effbench.config.precisions import PRECISIONS
from effbench.config.variants import VARIANTS
from effbench.engines import engine_table, proof
from effbench.engines.engine import TENSORFLOW, Function, Program
from effbench.errors import DeviceError, EffbenchError
from effbench.hardware import devices, machine
from effbench.hardware.tensorflow_setup import tf
from effbench.models import backbone
from effbench.training.features import inputs

# From uint8 [batch, 32, 32, 3] to float32 [batch, width].
Run = Callable[[np.ndarray], np.ndarray]

# Images that features are compared on.
_COMPARED = 8


def main() -> int:
    """Does what `serve` says."""
    return serve(FeatureCase, _prepared, for_seconds, EffbenchError)


def _prepared(case: FeatureCase) -> Prepared:
    variant, size = VARIANTS[case.variant], case.image_size
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (case.batch, IMAGE, IMAGE, 3), np.uint8)
    engine = None
    if case.ours:
        precision = PRECISIONS[case.precision]
        row, engine, _ = engine_table.started(
            case.tool, case.device, precision, frozen_backbone=True
        )
    if engine is not None and row.drives:
        device = devices.driven(case.device, engine.device, engine.count)
    else:
        device = devices.connect(case.device)
    policy = "float32" if engine is None or engine.float32_graph else case.precision
    with device.layout.scope(), tf.device(device.layout.placement):
        model = device.layout.mirror(backbone.build(variant, size, policy))
    # Random weights alone make numbers that grow from layer to layer.
    backbone.calibrate(model, size, variant.rescale, images[:_COMPARED])
    run: Run
    if engine is not None:
        part = case.batch // device.layout.replicas
        forward = inputs.of_network(model, size, variant.rescale, device, part, engine)
        program, version = engine.compile(partial(device.layout.map, forward)), engine.version
        run = partial(_first, program)
    else:
        plain = backbone.forward(model, size, variant.rescale, case.batch, towers=1)
        run, version = _PEERS[case.tool](plain, case)
    features = run(images)[:_COMPARED]
    difference = None
    if engine is not TENSORFLOW and case.device == "cpu":
        few = backbone.forward(model, size, variant.rescale, _COMPARED, device.threads)
        (reference,) = TENSORFLOW.compile(few)(images[:_COMPARED])
        difference = proof.difference(features, reference)
    return Prepared(lambda: run(images), version, difference)


def _first(program: Program, images: np.ndarray) -> np.ndarray:
    return program(images)[0]


# Peers are run as their documentation says: whatever it is by default.


def _onnxruntime(forward: Function, case: FeatureCase) -> tuple[Run, str]:
    from effbench.engines.onnxruntime import converted
    from effbench.hardware.onnx_setup import onnxruntime

    if case.precision != "float32":
        raise DeviceError(
            "onnxruntime computes in float32 on a CPU", case.precision, "leave it out"
        )
    images = tf.TensorSpec((case.batch, IMAGE, IMAGE, 3), tf.uint8, "images")
    content = converted(forward, [images]).SerializeToString()
    session = onnxruntime.InferenceSession(content, None, ["CPUExecutionProvider"])
    return lambda given: session.run(None, {"images": given})[0], onnxruntime.__version__


def _openvino(forward: Function, case: FeatureCase) -> tuple[Run, str]:
    from effbench.engines.openvino import PRECISIONS as KINDS
    from effbench.engines.openvino import converted, has_bfloat16
    from effbench.hardware.openvino_setup import openvino

    if case.precision != "float32" and not has_bfloat16():
        rule = "OpenVINO computes in bfloat16 on a CPU that does"
        raise DeviceError(rule, machine.cpu_name(), "leave it out")
    images = tf.TensorSpec((case.batch, IMAGE, IMAGE, 3), tf.uint8, "images")
    concrete = tf.function(forward, autograph=False).get_concrete_function(images)
    options = {"INFERENCE_PRECISION_HINT": KINDS[case.precision]}
    program = openvino.compile_model(converted(concrete), "CPU", options)
    return lambda given: program([given])[0], provenance.version("openvino")


_PEERS: Mapping[str, Callable[[Function, FeatureCase], tuple[Run, str]]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}

if __name__ == "__main__":
    sys.exit(main())
