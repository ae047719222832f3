"""A process of its own that starts a device and runs one tiny step on every replica."""

from __future__ import annotations

import sys

from effbench import provenance
from effbench.errors import DeviceError, EffbenchError
from effbench.hardware import devices
from effbench.hardware.self_check import FOUND, Found
from effbench.hardware.tensorflow_setup import keras, tf


def main() -> int:
    """Tries the device named by the arguments; says what it found as a line of JSON."""
    kind, tpu_name = sys.argv[1:]
    try:
        device = devices.connect(kind, tpu_name=tpu_name)
        _step(device)
    except EffbenchError as error:
        print(error, file=sys.stderr)
        return 1
    found = Found(
        name=device.name,
        replicas=device.replicas,
        keras=2 if keras.Model.__module__.startswith("tf_keras") else 3,
        versions={
            "TensorFlow": tf.__version__,
            "Addons": provenance.version("tensorflow-addons"),
            "libtpu": provenance.version("libtpu") if kind == "tpu" else "",
        },
    )
    print(FOUND.dump_json(found).decode())
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
        got = float(tf.function(lambda row: layout.step(program, row))(tf.ones((1, 8))))
    if got != 64 * layout.replicas:
        raise DeviceError(
            f"a tiny step on {layout.replicas} replicas must come to {64 * layout.replicas}",
            str(got),
            "the device or its driver is broken",
        )


if __name__ == "__main__":
    sys.exit(main())
