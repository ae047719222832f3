"""The parent of all child processes, and their half of it; scripts play the children."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from pydantic import TypeAdapter
from support import children

from effbench import subprocesses
from effbench.errors import RelayedError
from effbench.subprocesses import NoAnswerError

NUMBER = TypeAdapter(int)


def ask(seconds: float = 60.0) -> int:
    return subprocesses.ask("a.module", b"3", NUMBER, os.environ, seconds)


def gone(pid: int) -> bool:
    """Within seconds: who takes a process over reaps it when it likes."""
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


def test_the_last_line_is_the_answer(monkeypatch):
    children.play(monkeypatch, "say('noise'); say(2 * int(asked))")
    assert ask() == 6


def test_an_answer_may_be_long(monkeypatch):
    children.play(monkeypatch, "say(json.dumps('x' * (1 << 20)))")
    answer = subprocesses.ask("a.module", b"", TypeAdapter(str), os.environ, 60.0)
    assert len(answer) == 1 << 20


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("sys.exit(3)", "ended with code 3: it said nothing"),
        ("sys.exit('noise\\nwhy')", "ended with code 1: why"),
        ("os.abort()", "ended by SIGABRT"),
        ("say('six')", "it answered 'six"),
        ("", "it answered ''"),
    ],
)
def test_no_answer_is_said_with_its_reason(code, text, monkeypatch):
    children.play(monkeypatch, code)
    with pytest.raises(NoAnswerError) as caught:
        ask()
    assert text in str(caught.value)


def test_an_error_of_ours_comes_back_as_its_line(monkeypatch):
    children.play(monkeypatch, "print('noise\\nit cannot be', file=sys.stderr); sys.exit(4)")
    with pytest.raises(RelayedError, match=r"^it cannot be$"):
        ask()


@pytest.mark.parametrize("code", ["time.sleep(60)", "say(3); time.sleep(60)"])
def test_who_takes_too_long_is_ended(code, monkeypatch):
    children.play(monkeypatch, code)
    before = psutil.Process().children()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        ask(1.0)
    assert time.monotonic() - began < 20
    assert psutil.Process().children() == before


def test_a_child_is_ended_with_all_that_it_started(monkeypatch):
    code = """
import subprocess
say(subprocess.Popen(["sleep", "60"]).pid)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
say("deaf")
time.sleep(60)
"""
    children.play(monkeypatch, code)
    with subprocesses.start("a.module", os.environ, patience=0.2) as child:
        child.tell(b"go")
        grandchild = int(child.hear())
        assert child.hear() == b"deaf\n"
    assert gone(child.pid)
    assert gone(grandchild)


@pytest.mark.parametrize("code", ["", "os.kill(os.getpid(), signal.SIGKILL)", "time.sleep(60)"])
def test_its_temporary_folder_goes_with_it(code, monkeypatch):
    head = "import tempfile; from pathlib import Path; here = Path(tempfile.gettempdir());"
    children.play(monkeypatch, f"{head} (here / 'left.py').touch(); say(here);\n{code}")
    with subprocesses.start("a.module", os.environ) as child:
        child.tell(b"go")
        folder = Path(os.fsdecode(child.hear().strip()))
        assert folder.name.startswith("effbench-")
    assert folder != Path(os.environ.get("TMPDIR", "/tmp"))
    assert not folder.exists()


PARENT = """
import os, signal, sys
from effbench import subprocesses
subprocesses.COMMAND = (sys.executable, "-c", sys.argv[1])
with subprocesses.start("a.module", os.environ) as child:
    child.tell(b"go")
    print(child.pid, child.hear().decode(), end="", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""

CHILD = """
import os, time
from effbench import child_process
channel, asked = child_process.channel(), child_process.asked()
next(asked)
open(os.environ["TMPDIR"] + "/left.py", "w").close()
channel.write((os.environ["TMPDIR"] + "\\n").encode())
time.sleep(60)
"""


def test_a_child_ends_with_its_parent_and_leaves_nothing():
    done = subprocess.run(
        (sys.executable, "-c", PARENT, CHILD), capture_output=True, text=True, check=False
    )
    pid, folder = done.stdout.split()
    assert gone(int(pid)), done.stderr
    assert not Path(folder).exists()


def test_what_it_printed_is_known_from_its_end(monkeypatch, tmp_path):
    children.play(monkeypatch, "sys.stderr.write('x' * (1 << 18) + '\\nlast\\n')")
    for log in (None, tmp_path / "log"):
        with subprocesses.start("a.module", os.environ, log) as child:
            child.tell(b"go")
            assert child.hear() == b""
            assert child.wait() == 0
            assert child.printed().endswith("x\nlast\n")
            assert len(child.printed()) <= 1 << 16
    assert (tmp_path / "log").stat().st_size > 1 << 18


def test_a_line_of_one_that_died_has_no_end(monkeypatch):
    children.play(monkeypatch, "say('whole'); sys.stdout.write('hal'); sys.stdout.flush()")
    with subprocesses.start("a.module", os.environ) as child:
        child.tell(b"go")
        assert [child.hear() for _ in range(3)] == [b"whole\n", b"hal", b""]
