"""The batch that an accelerator takes: the fastest of three, measured once."""

import time
from pathlib import Path

import numpy as np
import pytest

from effbench import cache
from effbench.progress import Step, silent
from effbench.training.features import measured_batch
from effbench.training.features.feature_cache import CHUNK

IMAGES = np.zeros((5, 8, 8, 3), np.uint8)


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(measured_batch, "SECONDS", 0.02)


class Machine:
    """Takes so many seconds an image in batches of a size; has no memory for other sizes."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.seconds = seconds
        self.compiled: list[int] = []

    def __call__(self, size: int):
        self.compiled.append(size)

        def program(batch: np.ndarray) -> list[np.ndarray]:
            assert batch.shape == (size, 8, 8, 3)
            if size not in self.seconds:
                raise MemoryError
            time.sleep(self.seconds[size] * size)
            return [batch]

        return program


def fastest(machine: Machine, *names: str, report=silent) -> int:
    return measured_batch.fastest([2, 4, 8], names, machine, IMAGES, report)


@pytest.mark.parametrize(
    ("seconds", "best"),
    [({2: 2e-3, 4: 5e-4, 8: 2e-3}, 4), ({2: 1e-3, 4: 3e-3}, 2), ({8: 1e-3}, 8)],
    ids=["the fastest", "one is too large", "two are"],
)
def test_the_fastest_that_fits_is_taken_and_remembered(seconds, best):
    said: list[Step] = []
    machine = Machine(seconds)
    assert fastest(machine, "card", report=said.append) == best
    assert machine.compiled == [2, 4, 8]
    assert said[-1].phase.startswith(f"batches of {best}: ")
    assert said[-1].lasting
    never = Machine({})
    assert fastest(never, "card") == best
    assert never.compiled == []


def test_another_device_or_a_damaged_answer_is_measured_again():
    fastest(Machine({2: 1e-3}), "card")
    assert fastest(Machine({8: 1e-3}), "another card") == 8
    for path in cache.batches().iterdir():
        path.write_text("{")
    assert fastest(Machine({4: 1e-3}), "card") == 4


def test_no_memory_for_any_is_said(tmp_path):
    with pytest.raises(MemoryError, match="not even a batch of 2 images fits"):
        fastest(Machine({}), "card")
    assert not list(Path(tmp_path).rglob("*.json"))


@pytest.mark.parametrize(
    ("usual", "replicas", "sizes"),
    [
        (128, 1, [64, 128, 256]),
        (64, 1, [32, 64, 128]),
        (CHUNK, 1, [CHUNK // 2, CHUNK]),
        (32, 8, [128, 256]),
        (1, 1, [1, 2]),
    ],
)
def test_sizes_are_of_all_replicas_and_fill_no_more_than_a_chunk(usual, replicas, sizes):
    assert measured_batch.sizes(usual, replicas) == sizes
