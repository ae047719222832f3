"""Which engines this machine has; that one is not there is no mistake."""

from __future__ import annotations

from effbench.engines.engine_table import AUTO, ENGINES, choose
from effbench.hardware import machine
from effbench.hardware.checkup import Check


def examine() -> list[Check]:
    """An entry for each engine: whether it can run on the best device of this machine."""
    kind = machine.device("auto")
    usual = {choose(AUTO, kind, frozen_backbone=frozen).name for frozen in (True, False)}
    checks = []
    for name, row in ENGINES.items():
        lack = row.lack(kind)
        if lack is not None:
            text = f"not on this {kind.upper()}: {lack.what}; {lack.hint}"
        elif name in usual:
            text = "what auto takes" + " for frozen backbones of many images" * (not row.runs_steps)
        else:
            text = f"there; --engine {name} takes it"
        checks.append(Check(f"engine {name}", True, text))
    return checks
