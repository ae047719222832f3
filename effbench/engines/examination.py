"""Which engines this machine has; that one is not there is no mistake."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from effbench.config.precisions import PRECISIONS
from effbench.engines import engine_trial
from effbench.engines.engine_table import AUTO_ORDER, ENGINES
from effbench.engines.engine_trial import Trial
from effbench.errors import EffbenchError
from effbench.hardware import machine
from effbench.hardware.checkup import Check


def examine() -> list[Check]:
    """An entry for each engine: whether it can run on the best device of this machine."""
    kind = machine.device("auto")
    there = [name for name, row in ENGINES.items() if row.lack(kind) is None]
    with ThreadPoolExecutor() as pool:
        outcomes = dict(zip(there, pool.map(lambda name: _tried(name, kind), there), strict=True))
    able = {name: trial for name, trial in outcomes.items() if isinstance(trial, Trial)}
    checks = []
    for name, row in ENGINES.items():
        outcome = outcomes.get(name)
        if lack := row.lack(kind):
            text = f"not on this {kind.upper()}: {lack.what}; {lack.hint}"
        elif isinstance(outcome, Trial):
            text = f"{outcome.version}; {_use(name, kind, able)}"
        else:
            text = str(outcome)
        checks.append(Check(f"engine {name}", not isinstance(outcome, EffbenchError), text))
    return checks


def _tried(name: str, kind: str) -> Trial | EffbenchError:
    try:
        return engine_trial.ask(name, kind)
    except EffbenchError as error:
        return error


def _use(name: str, kind: str, able: Mapping[str, Trial]) -> str:
    """What `auto` takes an engine for."""
    precisions = [
        precision
        for precision, row in PRECISIONS.items()
        if kind in row.kinds and _auto(kind, able, precision, frozen=True) == name
    ]
    taken = [f"features in {' and '.join(precisions)}"] if precisions else []
    if _auto(kind, able, "float32", frozen=False) == name:
        taken.append("whole networks")
    if name == "tensorflow" and kind == "cpu" and not precisions:
        taken.append("features of few images")
    return f"auto takes it for {'; for '.join(taken)}" if taken else f"--engine {name} takes it"


def _auto(kind: str, able: Mapping[str, Trial], precision: str, frozen: bool) -> str | None:
    """The engine that `auto` takes."""
    order = (name for name in AUTO_ORDER[kind] if frozen or ENGINES[name].runs_steps)
    return next(
        (name for name in order if name in able and precision in able[name].precisions), None
    )
