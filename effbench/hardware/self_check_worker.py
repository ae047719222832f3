"""A process of its own that starts a device and runs one tiny step on every replica."""

from __future__ import annotations

import sys

from effbench import child_process, provenance
from effbench.errors import DeviceError, EffbenchError
from effbench.hardware import devices
from effbench.hardware.self_check import FOUND, WANTED, Found
from effbench.hardware.tensorflow_setup import keras, tf


def main() -> int:
    """Reads which device to try, tries it, and says what it found."""
    answer = child_process.channel()
    wanted = WANTED.validate_json(next(child_process.asked()))
    try:
        device = devices.connect(wanted.kind, tpu_name=wanted.tpu_name)
        _step(device)
    except EffbenchError as error:
        print(error, file=sys.stderr)
        return child_process.REFUSED
    result = Found(
        name=device.name,
        replicas=device.replicas,
        keras=2 if keras.Model.__module__.startswith("tf_keras") else 3,
        versions={
            "TensorFlow": tf.__version__,
            "Addons": provenance.version("tensorflow-addons"),
            "libtpu": provenance.version("libtpu") if wanted.kind == "tpu" else "",
        },
    )
    answer.write(FOUND.dump_json(result) + b"\n")
    return 0


def _step(device: devices.Device) -> None:
    """A product of matrices on every replica, and their sum over all of them.

    Raises:
        DeviceError: it comes out wrong.
    """
    layout = device.layout

    def program(row: tf.Tensor) -> tf.Tensor:
        (total,) = layout.total([tf.reduce_sum(tf.matmul(row, row, transpose_a=True))])
        return total

    with layout.scope():
        run = tf.function(lambda row: layout.step(program, row), autograph=False)
        got = float(run(tf.ones((1, 8))))
    if got != 64 * layout.replicas:
        raise DeviceError(
            f"a tiny step on {layout.replicas} replicas must come to {64 * layout.replicas}",
            str(got),
            "the device or its driver is broken",
        )


if __name__ == "__main__":
    sys.exit(main())
