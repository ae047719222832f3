"""What libraries write to standard error by themselves."""

import os

import pytest

from effbench.errors import DataError, Interrupted
from effbench.stderr import hushed


def test_it_is_held_back(capfd):
    with hushed():
        os.write(2, b"no GPU")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def fail(error: BaseException) -> None:
    with hushed():
        os.write(2, b"evidence")
        raise error


def test_a_bug_shows_it_an_error_of_the_user_does_not(capfd):
    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError())
    assert capfd.readouterr().err == "evidence"
    with pytest.raises(DataError):
        fail(DataError("a", "b", "c"))
    assert capfd.readouterr().err == ""
    with pytest.raises(Interrupted):
        fail(Interrupted())
    assert capfd.readouterr().err == ""
