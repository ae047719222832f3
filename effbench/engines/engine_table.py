"""The engines, a row each: on what they run, what they need, and which one is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from effbench.config.precisions import NetworkPrecision
from effbench.errors import BrokenEngineError, DeviceError, UsageError, one_line
from effbench.hardware import tpu
from effbench.progress import Report, Step, silent

if TYPE_CHECKING:
    from effbench.engines.engine import Engine

AUTO = "auto"


@dataclass(frozen=True)
class Lack:
    """Why an engine cannot run on a kind of device, and what to do about it."""

    what: str
    hint: str


@dataclass(frozen=True)
class EngineKind:
    """One engine.

    Attributes:
        name: what `--engine` calls it.
        runs_steps: whether it trains whole networks; else it runs frozen backbones alone.
        drives: whether it drives the device by itself, and TensorFlow only traces.
        lacks: by kind of device, finds what is not there for it. A kind that is not in it is one
            that the engine does not drive.
        start: makes it, in the process that uses it, for a kind of device, a precision, and so many
            replicas of a CPU; takes who is told of programs that have to be compiled again.
    """

    name: str
    runs_steps: bool
    drives: bool
    lacks: Mapping[str, Callable[[], Lack | None]]
    start: Callable[[str, NetworkPrecision, int, Report], Engine]

    def lack(self, kind: str) -> Lack | None:
        """Why it cannot run on a kind of device; None if it can."""
        if kind not in self.lacks:
            return Lack(f"it does not run on a {kind.upper()}", "leave --engine out")
        return self.lacks[kind]()


def choose(name: str, kind: str, frozen_backbone: bool) -> EngineKind:
    """The engine of a run.

    Args:
        name: a key of `ENGINES`, or "auto": the first of `AUTO_ORDER` that can run it.
        kind: "cpu", "gpu" or "tpu".
        frozen_backbone: whether its backbone only computes features.

    Raises:
        UsageError: there is no such engine.
        DeviceError: it cannot run here.
    """
    if name == AUTO:
        return _able(kind, frozen_backbone)[0]
    if name not in ENGINES:
        raise UsageError("unknown engine", name, f"choose from {', '.join((AUTO, *ENGINES))}")
    row = ENGINES[name]
    lack = row.lack(kind)
    if lack:
        raise DeviceError(f"{name} cannot run on the {kind.upper()}", lack.what, lack.hint)
    if not (row.runs_steps or frozen_backbone):
        raise UsageError(
            f"--engine {name} runs frozen backbones",
            "a recipe that trains the whole network",
            "use auto",
        )
    return row


class Started(NamedTuple):
    """The engine of a run, in the process that uses it.

    Attributes:
        row: of `ENGINES`.
        engine: made for the device.
        refused: engines that are installed, whose place it took, and why; else "".
    """

    row: EngineKind
    engine: Engine
    refused: str = ""


def started(
    name: str,
    kind: str,
    precision: NetworkPrecision,
    frozen_backbone: bool,
    replicas: int | None = None,
    report: Report = silent,
) -> Started:
    """Makes the engine of a run.

    Args:
        name: as for `choose`, as are `kind` and `frozen_backbone`.
        kind: likewise.
        precision: what it computes in.
        frozen_backbone: likewise.
        replicas: parts that the CPU is divided into; None for none.
        report: told of programs that have to be compiled again, and of an engine that is broken.

    Raises:
        UsageError: there is no such engine.
        DeviceError: it cannot run here, or not in this precision.
    """
    refused = ""
    *others, last = (
        _able(kind, frozen_backbone) if name == AUTO else [choose(name, kind, frozen_backbone)]
    )
    for row in others:
        try:
            return Started(row, _start(row, kind, precision, replicas or 1, report), refused)
        except DeviceError as error:
            # It is broken, or has not the precision, which the next one may have: TensorFlow
            # computes on a CPU whatever it is asked for. But of a device that an engine drives, it
            # is a fault.
            if row.drives:
                raise
            if isinstance(error, BrokenEngineError):
                broken = refusal(row.name, error)
                report(Step(f"auto passes over {broken}", lasting=True))
                refused = joined(refused, broken)
    return Started(last, _start(last, kind, precision, replicas or 1, report), refused)


def refusal(name: str, error: DeviceError) -> str:
    """Which engine was refused and why, without what to do about it."""
    return f"{name}: {str(error).rpartition('; ')[0]}"


def joined(*refusals: str) -> str:
    """Several refusals as one text; "" is none."""
    return "; ".join(filter(None, refusals))


def _start(
    row: EngineKind, kind: str, precision: NetworkPrecision, replicas: int, report: Report
) -> Engine:
    try:
        return row.start(kind, precision, replicas, report)
    except ImportError as error:
        hint = "install it again, or use --engine tensorflow"
        what = one_line(str(error))
        raise BrokenEngineError(f"{row.name} cannot be imported", what, hint) from error


def _able(kind: str, frozen_backbone: bool) -> list[EngineKind]:
    """What `auto` takes, in its order; TensorFlow is there whatever it lacks, to say so."""
    rows = [ENGINES[name] for name in AUTO_ORDER[kind]]
    able = [row for row in rows if row.lack(kind) is None and (row.runs_steps or frozen_backbone)]
    return able or [ENGINES["tensorflow"]]


def _nothing() -> None:
    return None


def _tensorflow_tpu() -> Lack | None:
    hint = "install the tpu set: make setup ACCEL=tpu"
    return None if tpu.build() else Lack("TensorFlow without TPU support", hint)


def _package(name: str, hint: str) -> Callable[[], Lack | None]:
    return lambda: None if find_spec(name) else Lack(f"no package {name}", hint)


def _jax_with(*plugins: str, hint: str) -> Callable[[], Lack | None]:
    def lack() -> Lack | None:
        if find_spec("jax") and any(map(find_spec, plugins)):
            return None
        return Lack(f"no jax with {' or '.join(plugins)}", hint)

    return lack


def _onnxruntime(kind: str, precision: NetworkPrecision, _: int, __: Report) -> Engine:
    from effbench.engines.onnxruntime import OnnxruntimeEngine

    return OnnxruntimeEngine(precision.name)


def _openvino(kind: str, precision: NetworkPrecision, _: int, __: Report) -> Engine:
    from effbench.engines.openvino import OpenvinoEngine

    return OpenvinoEngine(precision.name)


def _xla(kind: str, precision: NetworkPrecision, cpus: int, report: Report) -> Engine:
    from effbench.engines.xla import XlaEngine

    return XlaEngine(kind, cpus, full_float32=precision.full_float32, report=report)


def _tensorflow(kind: str, precision: NetworkPrecision, _: int, __: Report) -> Engine:
    from effbench.engines.engine import TENSORFLOW
    from effbench.hardware.tensorflow_setup import tf

    if kind == "gpu":
        tf.config.experimental.enable_tensor_float_32_execution(not precision.full_float32)
    return TENSORFLOW


ENGINES: Mapping[str, EngineKind] = {
    row.name: row
    for row in (
        EngineKind(
            "onnxruntime",
            False,
            False,
            {"cpu": _package("onnxruntime", "make setup installs it")},
            _onnxruntime,
        ),
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
                "gpu": _jax_with(
                    "jax_cuda12_plugin",
                    "jax_cuda13_plugin",
                    hint="make setup ACCEL=gpu-xla, or pip install 'effbench[gpu-xla]', or "
                    "'effbench[gpu-xla-cuda12]' for a driver that knows no CUDA 13",
                ),
                "tpu": _jax_with(
                    "libtpu",
                    hint="make setup ACCEL=tpu-xla, or pip install 'effbench[tpu-xla]'",
                ),
                "cpu": _package("jax", "pip install 'effbench[plan]'"),
            },
            _xla,
        ),
        EngineKind(
            "tensorflow",
            True,
            False,
            {"cpu": _nothing, "gpu": _nothing, "tpu": _tensorflow_tpu},
            _tensorflow,
        ),
    )
}

# What `auto` tries, by kind of device. On a CPU, OpenVINO is the fastest and knows bfloat16
# (measured: results/bench-features-v2.md), and XLA is 4 to 8 times slower. TensorFlow's own build
# for TPUs has a libtpu that JAX may not fit.
AUTO_ORDER: Mapping[str, tuple[str, ...]] = {
    "cpu": ("openvino", "onnxruntime", "tensorflow"),
    "gpu": ("xla", "tensorflow"),
    "tpu": ("tensorflow", "xla"),
}
