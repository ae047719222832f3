"""The program of a run that solves a regression: features; the rest is done by the host."""

from __future__ import annotations

from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.data.outline import Outline
from effbench.hardware.devices import Device
from effbench.models import backbone
from effbench.training.features import feature_program
from effbench.training.replica_program import Program


def programs(spec: RunSpec, data: Outline, batch: int | None, device: Device) -> list[Program]:
    """Lists the program, as `methods.Method` says."""
    model = backbone.build(VARIANTS[spec.variant], spec.image_size, spec.precision)
    return [feature_program.program(spec, data, model, batch, device)]
