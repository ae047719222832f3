"""A process that times the forward passes of one network, for `forward_trial`."""

from __future__ import annotations

import sys
import time
from functools import partial

import numpy as np

from effbench import child_process
from effbench.config.variants import VARIANTS
from effbench.engines.engine import TENSORFLOW
from effbench.engines.engine_table import AUTO
from effbench.errors import EffbenchError
from effbench.models import backbone
from effbench.sweep import run_job
from effbench.sweep.needs.forward_trial import PASSES, QUESTION, SECONDS, Passes, Question
from effbench.training.features import feature_cache, inputs


def main() -> int:
    """Reads which network, and says how long its passes took."""
    answer = child_process.channel()
    question = QUESTION.validate_json(next(child_process.asked()))
    try:
        passes = _timed(question)
    except EffbenchError as error:
        print(error, file=sys.stderr)
        return child_process.REFUSED
    answer.write(PASSES.dump_json(passes) + b"\n")
    return 0


def _timed(question: Question) -> Passes:
    job, spec = question.job, question.job.specs[0]
    device, engine, _ = run_job.connected(job)
    few = feature_cache.few_pixels(question.images, spec.image_size)
    if job.engine == AUTO and engine.float32_graph and spec.precision == "float32" and few:
        engine = TENSORFLOW
    precision = "float32" if engine.float32_graph else spec.precision
    layout = device.layout
    with layout.scope():
        model = layout.mirror(backbone.build(VARIANTS[spec.variant], spec.image_size, precision))
        batch = feature_cache.batch_size(spec.image_size, device.kind, layout.replicas)
        run = inputs.forward(spec, model, device, batch, engine)
        program = engine.compile(partial(layout.map, run))
        shape = (batch * layout.replicas, 32, 32, 3)
        pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        program(pixels)
        before = time.time() - job.sent
        began, done = time.monotonic(), 0
        while (seconds := time.monotonic() - began) < SECONDS or not done:
            program(pixels)
            done += len(pixels)
        seconds = time.monotonic() - began
    return Passes(done, seconds, before, engine.name, device.name)


if __name__ == "__main__":
    sys.exit(main())
