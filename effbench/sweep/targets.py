"""What the runs of a sweep are computed with: device, replicas, engine and precision."""

from __future__ import annotations

from dataclasses import dataclass

from effbench.config.sweep_options import DeviceOptions
from effbench.engines import engine_table, xla_devices
from effbench.errors import UsageError
from effbench.hardware import hosts, machine, self_check, shares, tpu


@dataclass(frozen=True)
class Target:
    """What the runs are computed with.

    Attributes:
        device: "cpu", "gpu" or "tpu".
        tpu_name: name of the TPU.
        replicas: how many replicas share a global batch; None for one program without a strategy.
        precision: a row of `PRECISIONS`.
        engine: as in `DeviceOptions`.
        chief: whether this host keeps the records; only one of several does.
    """

    device: str
    tpu_name: str
    replicas: int | None
    precision: str
    engine: str
    chief: bool


def of(options: DeviceOptions) -> Target:
    """What the options ask for, of what is here.

    Raises:
        EffbenchError: a flag does not go with the device, or that is not here.
    """
    for flag, given, kind in (
        ("--replicas", options.replicas, "cpu"),
        ("--tpu-name", options.tpu_name, "tpu"),
    ):
        if given is not None and options.device != kind:
            raise UsageError(f"{flag} goes with --{kind}", f"{flag} {given}", f"add --{kind}")
    tpu_name = tpu.named(options.tpu_name)
    if options.elsewhere:
        device = _elsewhere(options.device)
    else:
        device = machine.device(options.device, tpu_name)
    engine = _engine(options, device)
    return Target(
        device=device,
        tpu_name=tpu_name or tpu.LOCAL,
        replicas=_replicas(options, engine, device, tpu_name or tpu.LOCAL),
        precision=machine.precision(options.precision, device),
        engine=engine,
        # One process drives all hosts of a pod.
        chief=device == "tpu" or hosts.read().chief,
    )


def _engine(options: DeviceOptions, device: str) -> str:
    """The engine that is asked for; on several hosts or a TPU elsewhere that is TensorFlow.

    So it is on parts of a CPU, unless one that drives devices by itself is asked for.

    Raises:
        UsageError: another one was asked for.
        DeviceError: it cannot run here.
    """
    if not (hosts.read().hosts > 1 or options.tpu_name):
        # On other machines it is found there, or not.
        there = engine_table.ENGINES.get(options.engine) if options.elsewhere else None
        chosen = there or engine_table.choose(options.engine, device, frozen_backbone=True)
        if options.replicas is None or chosen.drives:
            return options.engine
    if options.engine not in (engine_table.AUTO, "tensorflow"):
        raise UsageError(
            "several hosts and a TPU elsewhere run in TensorFlow, parts of a CPU in that or in XLA",
            f"--engine {options.engine}",
            "leave --engine out",
        )
    return "tensorflow"


def _elsewhere(wanted: str) -> str:
    """The kind of device of machines that are not looked at.

    Raises:
        UsageError: nobody said it.
    """
    if wanted == "auto":
        raise UsageError(
            "runs on other machines need to be told their device", "none", "add --gpu or --cpu"
        )
    if wanted == "tpu":
        raise UsageError(
            "the replicas of a TPU are counted on its own machine",
            "--tpu on other machines",
            "start 'effbench sweep --tpu' there, with --results on a shared folder",
        )
    return wanted


def _replicas(options: DeviceOptions, engine: str, device: str, tpu_name: str) -> int | None:
    given, host_count = options.replicas, hosts.read().hosts
    if device == "gpu" and options.one_each:
        return None
    if options.elsewhere:
        return given
    if device == "tpu" and options.one_each:
        return shares.chip_replicas()
    if device != "cpu" and engine_table.choose(engine, device, frozen_backbone=True).drives:
        count = xla_devices.count(device)
        return None if device == "gpu" and count == 1 else count
    if device == "tpu":
        return self_check.ask(device, tpu_name).replicas
    if given is not None and host_count > 1:
        raise UsageError("--replicas is for one host", "TF_CONFIG names several", "leave one out")
    if given is None:
        local = self_check.ask(device).replicas if device == "gpu" else 1
        return host_count * local if host_count * local > 1 else None
    return given
