"""Whole runs by every engine that runs on a CPU come to the same."""

from pathlib import Path

import pytest
from support.options import sweep_options

from effbench.engines.engine_table import ENGINES
from effbench.records.record import RunResult
from effbench.records.store import Store
from effbench.sweep import run_job
from effbench.sweep.resolve import resolve
from effbench.training.job import Job

pytestmark = pytest.mark.usefixtures("shallow_networks")

OTHERS = [name for name, row in ENGINES.items() if name != "tensorflow" and not row.lack("cpu")]
TRAINERS = [name for name in OTHERS if ENGINES[name].runs_steps]


def trained(recipe: str, engine: str, results: Path, **flags: int) -> RunResult:
    """What a run of B0 on some digits comes to."""
    request = resolve(
        sweep_options(
            variants="B0",
            weights="none",
            device="cpu",
            image_size=32,
            data="digits",
            limit=320,
            recipe=recipe,
            **flags,
        )
    )
    job = Job(request.specs, results, request.data_dir, None, "", "cpu", 0.0, engine=engine)
    run_job.run(job, lambda _: None, lambda: False)
    (result,) = Store(results).load().results
    assert result.provenance.engine == engine
    return result


def same(ours: RunResult, theirs: RunResult, tolerance: float) -> None:
    """Counts are equal, and losses within a relative tolerance."""
    for epoch, expected in zip(ours.history, theirs.history, strict=True):
        for split in ("train", "validation"):
            scores, reference = getattr(epoch, split), getattr(expected, split)
            assert scores.loss == pytest.approx(reference.loss, rel=tolerance)
            assert (scores.correct, scores.total) == (reference.correct, reference.total)
    for row, expected_row in zip(ours.selected, theirs.selected, strict=True):
        assert (row.rule, row.epoch) == (expected_row.rule, expected_row.epoch)
        assert row.test.loss == pytest.approx(expected_row.test.loss, rel=tolerance)
        assert row.test.correct == expected_row.test.correct


@pytest.mark.parametrize("recipe", ["case-study", "linear-probe"])
def test_what_trains_on_features_comes_to_the_same_by_every_engine(recipe, tmp_path):
    numbers = {"epochs": 3} if recipe == "case-study" else {}
    theirs = trained(recipe, "tensorflow", tmp_path / "tensorflow", **numbers)
    assert len(OTHERS) == 3, "a set that is missing here would hide the comparison"
    for engine in OTHERS:
        ours = trained(recipe, engine, tmp_path / engine, **numbers)
        assert 0 < ours.provenance.engine_difference < 1e-4
        same(ours, theirs, 1e-3)


def test_twenty_steps_of_a_whole_network_come_to_the_same_by_every_engine(tmp_path):
    numbers = {"epochs": 2, "batch_size": 32}
    theirs = trained("finetune", "tensorflow", tmp_path / "tensorflow", **numbers)
    assert len(theirs.history) * (320 // 32) == 20
    assert TRAINERS == ["xla"]
    for engine in TRAINERS:
        same(trained("finetune", engine, tmp_path / engine, **numbers), theirs, 1e-3)
