import threading
from pathlib import Path

import pytest

from effbench import locks
from effbench.errors import DiskError
from effbench.progress import Step, silent


def test_the_second_waits_for_the_first_and_says_so(tmp_path):
    steps: list[Step] = []
    order = []
    waits = threading.Event()

    def hear(step: Step) -> None:
        steps.append(step)
        waits.set()

    def second() -> None:
        with locks.held(tmp_path / "x" / ".lock", hear, "another one works"):
            order.append("second")

    with locks.held(tmp_path / "x" / ".lock", silent, ""):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(20)
        order.append("first")
    thread.join(20)
    assert order == ["first", "second"]
    assert [(step.phase, step.note) for step in steps] == [("wait", "another one works")]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    path = Path(tmp_path, "file", "x", ".lock")
    with pytest.raises(DiskError), locks.held(path, silent, ""):
        pass
