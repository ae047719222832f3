"""What is said of memory is less than what XLA's compiler found, and not much less."""

import json
from pathlib import Path

import pytest

from effbench.config.variants import VARIANTS
from effbench.models import memory

PLANS = Path(__file__).parents[2] / "results/plan.json"


def programs(recipe: str, name: str) -> list[tuple[str, dict[str, int]]]:
    runs = [run for plan in json.loads(PLANS.read_bytes()) for run in plan["runs"]]
    return [
        (run["variant"], program)
        for run in runs
        if (run["recipe"], run["tpu"]) == (recipe, "v3-8")
        for program in run["programs"][:1]
        if program["name"].startswith(name)
    ]


@pytest.mark.parametrize(
    ("least", "recipe", "name"),
    [(memory.training, "finetune", "step"), (memory.inference, "case-study", "features")],
)
def test_a_compiled_program_takes_more_but_not_much_more(least, recipe, name):
    compiled = programs(recipe, name)
    assert len(compiled) == 9
    for variant, program in compiled:
        row = VARIANTS[variant]
        said = least(row, row.image_size, program["images"], "mixed_bfloat16")
        assert 1.5 * said < program["peak"] < 4.1 * said, variant


def test_float32_takes_twice_the_room_between_layers():
    b0 = VARIANTS["B0"]
    half, whole = (
        memory.training(b0, 224, 8, precision) - 8 * b0.parameters
        for precision in ("mixed_bfloat16", "float32")
    )
    assert whole == 2 * half
    assert memory.training(b0, 224, 16, "float32") - 8 * b0.parameters == 2 * whole
