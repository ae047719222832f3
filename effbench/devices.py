"""A kind of device made ready for TensorFlow."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from effbench import machine
from effbench.backend import tf
from effbench.errors import DeviceError


@dataclass(frozen=True)
class Device:
    """Where a run computes.

    Attributes:
        kind: "cpu", "gpu" or "tpu".
        name: what the machine calls it.
        replicas: copies that share a global batch.
        placement: the TensorFlow device that computes, for `tf.device`.
        threads: kernels that run beside each other; 1 where the device is parallel in itself.
    """

    kind: str
    name: str
    replicas: int
    placement: str
    threads: int


def connect(kind: str) -> Device:
    """Starts a device; once in a process, before anything else of TensorFlow runs.

    Raises:
        DeviceError: TensorFlow cannot use it.
    """
    tf.keras.utils.set_random_seed(0)
    return _CONNECT[kind]()


def _cpu() -> Device:
    with contextlib.suppress(RuntimeError):  # devices are fixed already, as in a test session
        tf.config.set_visible_devices([], "GPU")
        # One thread a kernel, one kernel a core: measured 6 % faster for a backbone (in as many
        # towers) than kernels that share the cores, and 1.5 times for heads beside each other.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(machine.cores())
    tf.config.experimental.enable_op_determinism()
    return Device("cpu", machine.cpu_name(), 1, "/CPU:0", machine.cores())


def _gpu() -> Device:
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        raise DeviceError(
            "TensorFlow sees no GPU",
            f"TensorFlow {tf.__version__}, built with CUDA: {tf.test.is_built_with_cuda()}",
            "install the gpu set (make setup ACCEL=gpu) and check the driver, or use --cpu",
        )
    tf.config.experimental.enable_op_determinism()
    details = tf.config.experimental.get_device_details(gpus[0])
    return Device("gpu", str(details.get("device_name", "GPU")), 1, "/GPU:0", 1)


def _tpu() -> Device:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver("local")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (tf.errors.OpError, ValueError) as error:
        raise DeviceError(
            "TensorFlow cannot start the TPU",
            str(error).splitlines()[0],
            "install the tpu set (make setup ACCEL=tpu), or use --cpu",
        ) from error
    tpus = tf.config.list_logical_devices("TPU")
    return Device("tpu", f"TPU, {len(tpus)} cores, one used", 1, tpus[0].name, 1)


_CONNECT = {"cpu": _cpu, "gpu": _gpu, "tpu": _tpu}
