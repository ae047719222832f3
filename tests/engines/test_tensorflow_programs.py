"""What TensorFlow compiles by XLA is kept, checked before it is used, and not kept for ever."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from effbench import cache, cpu
from effbench.engines import kept_programs, tensorflow_programs

PROGRAM = b"a compiled program"


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path))
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_clustering_debug")


def compiling(group="a", content=PROGRAM):
    """What a process was told and finds, whose TensorFlow compiles what is not there."""
    said = []
    with tensorflow_programs.kept(group, said.append):
        flags = os.environ["TF_XLA_FLAGS"].split()
        assert flags[0] == "--tf_xla_clustering_debug"
        (folder,) = (flag.split("=")[1] for flag in flags if "directory=" in flag)
        found = [path.read_bytes() for path in Path(folder).iterdir()]
        if not found:
            (Path(folder) / "update.pb").write_bytes(content)
    os.environ["TF_XLA_FLAGS"] = "--tf_xla_clustering_debug"
    return said, found


def test_a_process_finds_what_the_one_before_it_compiled():
    assert compiling() == ([], [])
    assert compiling() == ([], [PROGRAM])
    assert compiling("b") == ([], [])


def test_what_is_damaged_is_said_and_compiled_again():
    compiling()
    (path,) = cache.programs().rglob("*.pb")
    path.write_bytes(path.read_bytes()[:-1])
    assert compiling() == ([kept_programs.DAMAGED], [])
    assert compiling() == ([], [PROGRAM])


def test_another_processor_of_the_same_name_compiles_its_own(monkeypatch):
    compiling()
    monkeypatch.setattr(cpu, "instructions", lambda: "sse2")
    assert compiling() == ([kept_programs.ELSEWHERE], [])
    assert compiling() == ([], [PROGRAM])


def test_what_cannot_be_kept_ends_no_run(monkeypatch, tmp_path):
    (tmp_path / "programs").write_bytes(b"")
    assert compiling() == ([], [])


def test_only_the_latest_groups_are_kept(monkeypatch):
    monkeypatch.setattr(tensorflow_programs, "GROUPS", 2)
    for number, group in enumerate("abc"):
        compiling(group)
        os.utime(cache.programs() / "tensorflow" / group, (number, number))
    compiling("b")
    assert {path.name for path in (cache.programs() / "tensorflow").iterdir()} == {"b", "c"}


SCRIPT = """
from effbench.hardware.tensorflow_setup import tf
from effbench.engines import tensorflow_programs
with tensorflow_programs.kept("a", print):
    print(tf.function(tf.math.sin, jit_compile=True)(tf.zeros(3)).numpy())
"""


def test_tensorflow_itself_keeps_and_reads_them():
    def run():
        command = [sys.executable, "-c", SCRIPT]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    first = run()
    assert first.stdout == "[0. 0. 0.]\n", first.stderr
    (path,) = cache.programs().rglob("*.pb")
    assert run().stdout == first.stdout
    # Were it not for the checksum, TensorFlow would take what is damaged, and end by it.
    kept_programs.write(path, kept_programs.read(path, print)[:-100])
    assert run().returncode
    path.write_bytes(path.read_bytes()[:-100])
    assert "damaged" in run().stdout
    assert run().stdout == first.stdout
