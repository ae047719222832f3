"""What a command of effbench did, for tests."""

from typing import NamedTuple


class Done(NamedTuple):
    code: int
    out: str
    err: str


def one_line(done: Done, code: int, text: str) -> None:
    assert done.code == code
    assert "Traceback" not in done.err
    assert done.err.count("\n") == 1, done.err
    assert done.err.startswith("effbench: ")
    assert text in done.err
    assert done.out == ""
