"""Compiled programs, kept on disk: the next process, and the next seed, begin at once."""

from __future__ import annotations

import jax

from effbench import cache
from effbench.engines import kept_programs, pjrt
from effbench.progress import Report, silent


def get(text: str, replicas: pjrt.Replicas, report: Report = silent) -> pjrt.Executable:
    """A program for some devices: compiled, or read if it was compiled before.

    What is damaged, or what the device's driver does not take, is compiled again.

    Args:
        text: a StableHLO module.
        replicas: where it is to run.
        report: told why what was compiled before is compiled again.

    Raises:
        jax.errors.JaxRuntimeError: the compiler refuses it.
        DiskError: it cannot be kept.
    """
    name = kept_programs.named(text)
    path = cache.programs() / f"{name}-{kept_programs.named(*_compiler(replicas))}.xla"
    others = not path.exists() and any(cache.programs().glob(f"{name}-*"))
    if program := kept_programs.read(path, report):
        try:
            return pjrt.deserialized(program, replicas)
        except jax.errors.JaxRuntimeError:
            others = True  # its versions are the same, its device is not quite
    if others:
        report(kept_programs.ELSEWHERE)
    executable = pjrt.compiled(text, replicas)
    kept_programs.write(path, pjrt.serialized(executable))
    return executable


def _compiler(replicas: pjrt.Replicas) -> tuple[str, ...]:
    """All that the compiled program follows from besides its text."""
    device = replicas.devices[0]
    return (
        device.device_kind,
        *(kept_programs.on_cpu() if device.platform == "cpu" else ()),
        pjrt.driver(device),
        str(len(replicas.devices)),
        kept_programs.flags(),
    )
