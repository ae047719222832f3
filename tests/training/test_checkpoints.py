"""Checkpoints: two are kept, a broken one is passed over, a foreign one is refused."""

import errno
import json
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from support.memory import extra
from support.records import scores

from effbench.errors import CheckpointError, DiskError
from effbench.records.scores import Epoch
from effbench.training import checkpoints
from effbench.training.checkpoints import Checkpoint, Deferred, Keeper, State


def made(step: int = 1, **changes: object) -> Checkpoint:
    history = [Epoch(1, 0.1, scores(), scores())]
    state = State(1, 2, step, 0.1 + 0.2, 3, 4, history, 5.5, **changes)
    generator = np.random.default_rng(step)
    variables = [generator.standard_normal((3, 2), np.float32), np.array(7, np.int64)]
    kept = {1: [np.ones(3, np.float32)], 12: [np.zeros(2, np.float32)]}
    return Checkpoint(state, variables, kept)


def same(first: Checkpoint, second: Checkpoint) -> bool:
    arrays = [(*each.variables, *chain(*each.kept.values())) for each in (first, second)]
    alike = first.state == second.state and [*first.kept] == [*second.kept]
    return alike and all(
        one.dtype == other.dtype and one.tobytes() == other.tobytes()
        for one, other in zip(*arrays, strict=True)
    )


@pytest.fixture
def keeper(tmp_path) -> Keeper:
    return Keeper(tmp_path / "own", "run", "effbench 1", 10)


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "own").iterdir())


def test_none_is_there_at_first(keeper):
    assert keeper.load() is None
    assert keeper.before(9) == "none"


def test_it_comes_back_bit_for_bit(keeper):
    keeper.save(made())
    assert same(keeper.load(), made())


def test_two_are_kept_and_the_newest_is_read(keeper, tmp_path):
    for step in (1, 2, 10):
        keeper.save(made(step))
    assert len(files(tmp_path)) == 2
    assert same(keeper.load(), made(10))
    older, newest = files(tmp_path)
    assert keeper.before(11) == str(newest)
    # Its weights are those that failed.
    assert keeper.before(10) == str(older)
    assert keeper.before(2) == "none"


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_broken_newest_falls_back_to_the_one_before(damage, keeper, tmp_path):
    keeper.save(made(1))
    keeper.save(made(2))
    newest = files(tmp_path)[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes({"cut": content[:-100], "flip": content, "empty": b""}[damage])
    assert same(keeper.load(), made(1))
    assert keeper.damaged == (newest.name,)
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize(
    "other",
    [("another", "effbench 1"), ("run", "effbench 2")],
    ids=["another run", "another effbench"],
)
def test_a_foreign_one_is_refused_and_left_alone(other, keeper, tmp_path):
    keeper.save(made())
    with pytest.raises(CheckpointError) as error:
        Keeper(tmp_path / "own", *other, 10).load()
    assert "another run or another effbench" in str(error.value)
    assert f"remove {tmp_path / 'own'} to begin this run anew" in str(error.value)
    assert same(keeper.load(), made())


def test_the_names_in_a_file_stay_as_they_are(keeper, tmp_path):
    """So that trainings go on that an earlier effbench began."""
    keeper.save(made())
    (path,) = files(tmp_path)
    with np.load(path) as archive:
        about = json.loads(archive["arr_0"].tobytes())
    assert (about["format"], [*about["state"]]) == (
        2,
        [
            *("epoch", "place", "step", "loss", "correct", "top5_correct"),
            *("history", "seconds", "resumed"),
        ],
    )


def test_one_of_another_format_is_refused(keeper, monkeypatch):
    monkeypatch.setattr(checkpoints, "FORMAT", checkpoints.FORMAT + 1)
    keeper.save(made())
    monkeypatch.undo()
    with pytest.raises(CheckpointError):
        keeper.load()


def test_a_full_disk_leaves_those_before(keeper, tmp_path, monkeypatch):
    keeper.save(made(1))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints.np, "savez", full)
    with pytest.raises(DiskError, match="No space left on device"):
        keeper.save(made(2))
    monkeypatch.undo()
    assert len(files(tmp_path)) == 1
    assert same(keeper.load(), made(1))


def test_variables_are_read_one_by_one_while_they_are_written(keeper):
    variables = [np.full(1 << 20, number, np.float64) for number in range(8)]
    variables.append(np.array(7, np.int64))
    deferred = [Deferred(partial(np.add, variable, 0)) for variable in variables]
    assert extra(lambda: keeper.save(Checkpoint(State(step=1), deferred, {}))) < (64 << 20) / 2
    assert same(keeper.load(), Checkpoint(State(step=1), variables, {}))


def test_one_is_due_after_its_minutes(tmp_path):
    assert not Keeper(tmp_path, "run", "effbench 1", 1e9).due
    assert Keeper(tmp_path, "run", "effbench 1", 0).due


def test_without_minutes_none_is_kept(tmp_path):
    keeper = Keeper(tmp_path / "own", "run", "effbench 1", None)
    keeper.save(made())
    assert not keeper.due
    assert keeper.load() is None
    assert not (tmp_path / "own").exists()
