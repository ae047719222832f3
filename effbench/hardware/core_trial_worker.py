"""A process that times a few convolutions on its share of a CPU's cores, for `core_trial`."""

from __future__ import annotations

import sys
import time

from effbench import child_process
from effbench.hardware.core_trial import RATE, SHARE

_SECONDS = 3.0
_BATCH = 16


def main() -> int:
    """Says that it is ready, waits, and says how many images a second went through."""
    channel, asked = child_process.channel(), child_process.asked()
    SHARE.validate_json(next(asked)).pin()
    from effbench.hardware.tensorflow_setup import tf  # after the cores are its own

    images = tf.random.stateless_uniform([_BATCH, 56, 56, 32], (0, 0))
    kernel = tf.random.stateless_uniform([3, 3, 32, 32], (0, 1))

    @tf.function
    def step() -> tf.Tensor:
        values = images
        for _ in range(8):
            values = tf.nn.relu(tf.nn.conv2d(values, kernel, 1, "SAME")) * 1e-3
        return tf.reduce_sum(values)

    step().numpy()
    channel.write(RATE.dump_json(0.0) + b"\n")
    next(asked)
    began, done = time.monotonic(), 0
    while (seconds := time.monotonic() - began) < _SECONDS:
        step().numpy()
        done += _BATCH
    channel.write(RATE.dump_json(done / seconds) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
