"""The engines, a row each: on what they run, what they need, and which one is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from effbench.config.precisions import NetworkPrecision
from effbench.errors import DeviceError, UsageError
from effbench.hardware import tpu

if TYPE_CHECKING:
    from effbench.engines.engine import Engine

AUTO = "auto"


@dataclass(frozen=True)
class EngineKind:
    """One engine.

    Attributes:
        name: what `--engine` calls it.
        trains: whether it runs training steps; else forward passes of frozen backbones alone.
        lacks: by kind of device, says what is not there for it; "" if nothing. A kind that is not
            in it is one that the engine does not drive.
        drives: whether it drives the device by itself, and TensorFlow only traces.
        start: makes it, in the process that uses it, for a kind of device and a precision.
    """

    name: str
    trains: bool
    drives: bool
    lacks: Mapping[str, Callable[[], str]]
    start: Callable[[str, NetworkPrecision], Engine]

    def missing(self, kind: str) -> str:
        """Why it cannot run on a kind of device, one line; "" if it can."""
        lacks = self.lacks.get(kind)
        return f"it does not run on a {kind.upper()}" if lacks is None else lacks()


def choose(name: str, kind: str, frozen_backbone: bool) -> EngineKind:
    """The engine of a run.

    Args:
        name: a key of `ENGINES`, or "auto": the first there that can run it.
        kind: "cpu", "gpu" or "tpu".
        frozen_backbone: whether its backbone only computes features.

    Raises:
        UsageError: there is no such engine.
        DeviceError: it cannot run here.
    """
    if name == AUTO:
        able = (row for row in ENGINES.values() if row.trains or frozen_backbone)
        return next((row for row in able if not row.missing(kind)), ENGINES["tensorflow"])
    if name not in ENGINES:
        raise UsageError("unknown engine", name, f"choose from {', '.join((AUTO, *ENGINES))}")
    row = ENGINES[name]
    missing = row.missing(kind)
    if missing:
        raise DeviceError(f"--engine {name} on a {kind.upper()}", missing, "or leave it to auto")
    if not (row.trains or frozen_backbone):
        raise UsageError(
            f"--engine {name} runs frozen backbones",
            "a recipe that trains the whole network",
            "use auto",
        )
    return row


def _there() -> str:
    return ""


def _package(name: str, how: str) -> Callable[[], str]:
    return lambda: "" if find_spec(name) else f"no package {name}; {how}"


def _tensorflow_tpu() -> str:
    return "" if tpu.build() else "TensorFlow without TPU support; make setup ACCEL=tpu"


def _jax_on(*plugins: str, accelerator: str) -> Callable[[], str]:
    def lacks() -> str:
        if find_spec("jax") and any(map(find_spec, plugins)):
            return ""
        return f"no jax with {' or '.join(plugins)}; make setup ACCEL={accelerator}"

    return lacks


def _openvino(kind: str, precision: NetworkPrecision) -> Engine:
    from effbench.engines.openvino import OpenvinoEngine

    return OpenvinoEngine(precision.name)


def _xla(kind: str, precision: NetworkPrecision) -> Engine:
    from effbench.engines.xla import XlaEngine

    return XlaEngine(kind, full_float32=precision.full_float32)


def _tensorflow(kind: str, precision: NetworkPrecision) -> Engine:
    from effbench.engines.engine import TENSORFLOW
    from effbench.hardware.tensorflow_setup import tf

    if kind == "gpu":
        tf.config.experimental.enable_tensor_float_32_execution(not precision.full_float32)
    return TENSORFLOW


# In the order in which `auto` tries them. XLA on a CPU is for tests: it is 4 to 8 times slower.
ENGINES: Mapping[str, EngineKind] = {
    row.name: row
    for row in (
        EngineKind(
            "openvino",
            False,
            False,
            {"cpu": _package("openvino", "make setup installs it")},
            _openvino,
        ),
        EngineKind(
            "xla",
            True,
            True,
            {
                "gpu": _jax_on("jax_cuda12_plugin", "jax_cuda13_plugin", accelerator="gpu-xla"),
                "tpu": _jax_on("libtpu", accelerator="tpu-xla"),
                "cpu": _package("jax", "pip install 'effbench[plan]'"),
            },
            _xla,
        ),
        EngineKind(
            "tensorflow",
            True,
            False,
            {"cpu": _there, "gpu": _there, "tpu": _tensorflow_tpu},
            _tensorflow,
        ),
    )
}
