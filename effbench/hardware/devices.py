"""A kind of device made ready for TensorFlow."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from effbench.cpu import cores
from effbench.errors import DeviceError, EffbenchError
from effbench.hardware import hosts, machine, tpu
from effbench.hardware.distribution import Layout, OneProgram, Replicated
from effbench.hardware.tensorflow_setup import tf


@dataclass(frozen=True)
class Device:
    """Where a run computes.

    Attributes:
        kind: "cpu", "gpu" or "tpu".
        name: what the machine calls it.
        threads: kernels that run beside each other; 1 where the device is parallel in itself.
        layout: one device, or the replicas that share a global batch.
        hosts: machines that compute together, each in a process like this one.
    """

    kind: str
    name: str
    threads: int
    layout: Layout
    hosts: int = 1

    @property
    def replicas(self) -> int:
        """Copies that share a global batch."""
        return self.layout.replicas


def connect(
    kind: str, replicas: int | None = None, tpu_name: str = tpu.LOCAL, *, beside: bool = True
) -> Device:
    """Starts a device; once in a process, before anything else of TensorFlow runs.

    Every host of a cluster does it at the same time, and waits for the others.

    Args:
        kind: "cpu", "gpu" or "tpu".
        replicas: parts to divide the CPU into; None is one program on all of it. A GPU or TPU is
            used whole.
        tpu_name: name of the TPU.
        beside: on a CPU, run kernels beside each other, each on one core; else one after another,
            each on all cores.

    Raises:
        DeviceError: TensorFlow cannot use it.
    """
    if kind == "cpu":
        _set_up_cpu(beside)
    several = hosts.read().hosts > 1
    device = _hosts(kind) if several and kind != "tpu" else _CONNECT[kind](replicas, tpu_name)
    # After the strategy: hosts can only be joined before TensorFlow has started.
    tf.keras.utils.set_random_seed(0)
    return device


def driven(kind: str, name: str, count: int) -> Device:
    """Devices that an engine drives by itself: TensorFlow traces, and holds what is not there.

    Args:
        kind: "cpu", "gpu" or "tpu".
        name: what the engine calls one; a CPU keeps its own name.
        count: how many it drives together.
    """
    _set_up_cpu(beside=True)
    tf.keras.utils.set_random_seed(0)
    if kind == "cpu":
        name = machine.cpu_name()
    if count == 1:
        return Device(kind, name, 1, Layout("/CPU:0"))
    return Device(kind, f"{count} x {name}", 1, OneProgram(copies=count))


def cpu() -> Device:
    """The CPU as one program's, once TensorFlow is set up."""
    beside = tf.config.threading.get_intra_op_parallelism_threads() == 1
    return Device("cpu", machine.cpu_name(), cores() if beside else 1, Layout("/CPU:0"))


def _cpu(replicas: int | None, _: str) -> Device:
    if replicas is None:
        return cpu()
    (whole,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * replicas
    tf.config.set_logical_device_configuration(whole, parts)
    strategy = tf.distribute.MirroredStrategy([f"/CPU:{part}" for part in range(replicas)])
    return Device("cpu", machine.cpu_name(), 1, Replicated(strategy=strategy))


def _set_up_cpu(beside: bool) -> None:
    with contextlib.suppress(RuntimeError):  # devices are fixed already, as in a test session
        tf.config.set_visible_devices([], "GPU")
        # One thread a kernel, one kernel a core: measured 6 % faster for a backbone (in as many
        # towers) than kernels that share the cores, and 1.5 times for heads beside each other. But
        # a network that trains cannot be cut, as BatchNorm looks at a whole batch: shared cores
        # were up to 1.3 times faster.
        tf.config.threading.set_intra_op_parallelism_threads(1 if beside else cores())
        tf.config.threading.set_inter_op_parallelism_threads(cores())
    tf.config.experimental.enable_op_determinism()


def _gpu(_: int | None, __: str) -> Device:
    name, count = _set_up_gpus()
    if count == 1:
        return Device("gpu", name, 1, Layout("/GPU:0"))
    strategy = tf.distribute.MirroredStrategy()
    return Device("gpu", f"{count} x {name}", 1, Replicated(strategy=strategy))


def _set_up_gpus() -> tuple[str, int]:
    """The name of the first GPU, and how many there are."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        raise DeviceError(
            "TensorFlow sees no GPU",
            f"TensorFlow {tf.__version__}, built with CUDA: {tf.test.is_built_with_cuda()}",
            "install the gpu set (make setup ACCEL=gpu) and check the driver, or use --cpu",
        )
    tf.config.experimental.enable_op_determinism()
    details = tf.config.experimental.get_device_details(gpus[0])
    return str(details.get("device_name", "GPU")), len(gpus)


def _hosts(kind: str) -> Device:
    """All hosts of TF_CONFIG: on each its GPUs, or its CPU as one replica."""
    if kind == "gpu":
        name, count = _set_up_gpus()
    else:
        name, count = machine.cpu_name(), 1
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise _failed("TensorFlow cannot join the hosts of TF_CONFIG", error, "check it") from error
    host_count = hosts.read().hosts
    if strategy.num_replicas_in_sync != host_count * count:
        replicas = f"{strategy.num_replicas_in_sync} replicas"
        received = f"{replicas} on {host_count} hosts, {count} on this one"
        raise DeviceError("every host must have as many GPUs", received, "use equal hosts")
    return Device(
        kind, f"{host_count} hosts, each {name}", 1, Replicated(strategy=strategy), host_count
    )


def _tpu(_: int | None, name: str) -> Device:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(name)
        tf.config.experimental_connect_to_cluster(resolver)
        # Once in a process: a second time gave NaN or no memory (tensorflow/tpu#766).
        tf.tpu.experimental.initialize_tpu_system(resolver)
        strategy = tf.distribute.TPUStrategy(resolver)
    except (tf.errors.OpError, ValueError, RuntimeError, OSError) as error:
        if name != tpu.LOCAL:
            hint = "give the name of a TPU that is up, in the zone of this machine, with --tpu-name"
            raise _failed(f"TensorFlow cannot connect to the TPU {name}", error, hint) from error
        hint = "use --cpu where there is none" if tpu.build() else "make setup ACCEL=tpu, or --cpu"
        raise _failed("TensorFlow cannot start the TPU", error, hint) from error
    local = tpu.chips() if name == tpu.LOCAL else None
    return Device("tpu", str(local or f"TPU {name}"), 1, Replicated(strategy=strategy))


def _failed(rule: str, error: Exception, hint: str) -> EffbenchError:
    lines = str(error).splitlines() or [type(error).__name__]
    return DeviceError(rule, lines[0], hint)


_CONNECT: Mapping[str, Callable[[int | None, str], Device]] = {
    "cpu": _cpu,
    "gpu": _gpu,
    "tpu": _tpu,
}
