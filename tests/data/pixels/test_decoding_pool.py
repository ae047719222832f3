import os
import signal

import pytest
from support.children import play
from support.pictures import fill

from effbench.data.pixels import decoding_pool
from effbench.data.pixels.decoding_tasks import Look, LookTask
from effbench.errors import DataError


@pytest.fixture
def tasks(tmp_path) -> list[LookTask]:
    fill(tmp_path, {"a": 12})
    names = sorted(str(path) for path in tmp_path.rglob("*.png"))
    return [LookTask((name, name)) for name in names]


@pytest.fixture
def _two_cores(monkeypatch):
    monkeypatch.setattr(decoding_pool, "cores", lambda: 2)


def test_batches():
    sizes = [len(batch) for batch in decoding_pool.batches(range(40))]
    assert sizes == [16, 16, 8]


@pytest.mark.usefixtures("_two_cores")
def test_workers_answer_what_is_answered_here(tasks):
    answers = dict(decoding_pool.done(tasks, Look))
    assert answers == {number: task.do() for number, task in enumerate(tasks)}


@pytest.mark.usefixtures("_two_cores")
def test_workers_are_gone_after_the_last_answer_and_after_an_early_end(tasks, monkeypatch):
    pids = []
    start = decoding_pool.subprocesses.start

    def watched(*arguments: object) -> object:
        context = start(*arguments)
        enter = context.__enter__

        class Watched:
            def __enter__(self) -> object:
                child = enter()
                pids.append(child.pid)
                return child

            def __exit__(self, *error: object) -> object:
                return context.__exit__(*error)

        return Watched()

    monkeypatch.setattr(decoding_pool.subprocesses, "start", watched)
    list(decoding_pool.done(tasks, Look))
    early = decoding_pool.done(tasks, Look)
    next(early)
    early.close()
    assert len(pids) == 4
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.usefixtures("_two_cores")
def test_a_worker_that_dies_is_one_line(tasks, monkeypatch):
    play(monkeypatch, f"os.kill(os.getpid(), {int(signal.SIGSEGV)})")
    with pytest.raises(DataError, match="a process that decodes images ended: ended by SIGSEGV; "):
        list(decoding_pool.done(tasks, Look))
