"""Programs as StableHLO text, compiled and run on devices of JAX's; nothing here needs TensorFlow.

This is the one file that calls what JAX keeps to itself (its PJRT client), because `jax.jit` runs
only what JAX has traced, and these programs are traced by TensorFlow. `test_pjrt` says on what it
relies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import jax
import numpy as np
from jax.interpreters import mlir
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxlib import _jax, xla_client
from jaxlib.mlir import ir

# Counters of steps are int64.
jax.config.update("jax_enable_x64", True)

# What JAX calls our kinds of device.
PLATFORMS = {"cpu": "cpu", "gpu": "cuda", "tpu": "tpu"}


@dataclass(frozen=True)
class Replicas:
    """Devices that run one program together, each with arguments of its own.

    Attributes:
        devices: of one kind, in the order of the replicas.
        everywhere: where an array lies that every replica has whole.
    """

    devices: tuple[jax.Device, ...]
    everywhere: NamedSharding = field(init=False)

    def __post_init__(self) -> None:
        mesh = Mesh(np.array(self.devices), "replica")
        object.__setattr__(self, "everywhere", NamedSharding(mesh, PartitionSpec()))

    def put(self, array: np.ndarray) -> jax.Array:
        """A copy of the array on every device, with its dtype."""
        return jax.device_put(array, self.everywhere)


def mean(array: jax.Array) -> np.ndarray:
    """A copy of what all devices have of an array; the mean where they differ.

    TensorFlow's strategies read BatchNorm's statistics, which each replica has by itself, so too.
    """
    first, *others = (np.array(shard.data) for shard in array.addressable_shards)
    if all(np.array_equal(first, other) for other in others):
        return first
    return np.mean([first, *others], axis=0, dtype=first.dtype)


@dataclass(frozen=True)
class Executable:
    """A program compiled for some devices.

    Attributes:
        loaded: what JAX runs.
        replicas: its devices.
    """

    loaded: _jax.LoadedExecutable
    replicas: Replicas

    @property
    def working_memory(self) -> int:
        """Bytes of a device that it takes beside its arguments and results."""
        return int(self.loaded.get_compiled_memory_stats().temp_size_in_bytes)

    def __call__(self, arguments: Sequence[jax.Array]) -> list[jax.Array]:
        """Starts it, and does not wait for its end.

        Args:
            arguments: as the text lists them, on every device. Those whose place a result takes
                (`tf.aliasing_output`) cannot be used again.

        Returns:
            All results, on every device.
        """
        results = self.loaded.execute_sharded(list(arguments))
        parts = results.disassemble_into_single_device_arrays()
        if len(self.replicas.devices) == 1:
            return [part for (part,) in parts]
        return [
            jax.make_array_from_single_device_arrays(
                arrays[0].shape, self.replicas.everywhere, arrays
            )
            for arrays in parts
        ]


def devices(kind: str, cpus: int = 1) -> tuple[jax.Device, ...]:
    """All devices of a kind that this process can use.

    Args:
        kind: "cpu", "gpu" or "tpu".
        cpus: how many devices the CPU is to be; a process is asked for one number only.

    Raises:
        RuntimeError: JAX has none; the message says why.
    """
    # No other plugin is asked: off a TPU, that of TPUs looks for one on the network for minutes.
    jax.config.update("jax_platforms", PLATFORMS[kind])
    if kind == "cpu" and jax.config.jax_num_cpu_devices != cpus:
        jax.config.update("jax_num_cpu_devices", cpus)
    return tuple(jax.local_devices(backend=PLATFORMS[kind]))


def driver(device: jax.Device) -> str:
    """The versions of what compiles for a device and drives it."""
    platform = " ".join(device.client.platform_version.split())
    return f"jax {jax.__version__}, jaxlib {jax.lib.__version__}, {platform}"


def compiled(text: str, replicas: Replicas) -> Executable:
    """Compiles a program.

    Args:
        text: a StableHLO module.
        replicas: where it is to run.

    Raises:
        jax.errors.JaxRuntimeError: the compiler refuses it.
    """
    with mlir.make_ir_context():
        module = ir.Module.parse(text)
        client = replicas.devices[0].client
        loaded = client.compile_and_load(module, _placed(replicas), _options(replicas))
    return Executable(loaded, replicas)


def serialized(executable: Executable) -> bytes:
    """What `deserialized` takes, in a process of the same versions on devices of the same kind."""
    content: bytes = executable.replicas.devices[0].client.serialize_executable(executable.loaded)
    return content


def deserialized(content: bytes, replicas: Replicas) -> Executable:
    """A program that was compiled before.

    Raises:
        jax.errors.JaxRuntimeError: it was compiled for something else.
    """
    client = replicas.devices[0].client
    loaded = client.deserialize_executable(content, _placed(replicas), _options(replicas))
    return Executable(loaded, replicas)


def _placed(replicas: Replicas) -> _jax.DeviceList:
    return _jax.DeviceList(replicas.devices)


def _options(replicas: Replicas) -> xla_client.CompileOptions:
    options = xla_client.CompileOptions()
    options.num_replicas = len(replicas.devices)
    numbers = [[device.id] for device in replicas.devices]
    options.device_assignment = xla_client.DeviceAssignment.create(np.array(numbers))
    return options
