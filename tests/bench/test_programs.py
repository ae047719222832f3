"""Programs leave for a machine without TensorFlow, and what it measured comes back."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from support import shallow
from support.commandline import one_line

from effbench.bench import program_request, program_table
from effbench.bench.program_request import ProgramRequest
from effbench.config.variants import VARIANTS
from effbench.engines.engine_table import ENGINES, Lack
from effbench.errors import DataError, DeviceError

pytest.importorskip("jax", reason="JAX comes with the plan set")

from effbench.bench import program_export
from effbench.hardware.tensorflow_setup import tf

SMALL = replace(VARIANTS["B0"], image_size=32)


def counting(request):
    """A program with state: a call gives how often it was called, and raises that by 1."""
    calls = tf.Variable(0.0)
    return program_export.Traced(
        lambda x: (x + calls, calls.assign_add(1.0))[0], (np.zeros(3, np.float32),)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of two programs, with what this machine measured of them."""
    home = tmp_path_factory.mktemp("programs")
    asked = [
        ProgramRequest(SMALL, "features", "float32", 4),
        ProgramRequest(SMALL, "step", "mixed_bfloat16", 4),
    ]
    with pytest.MonkeyPatch.context() as patch:
        shallow.at_most(patch, "B0", 1)
        # Real steps are lowered, and run, in `engines.test_xla`.
        patch.setitem(program_export.WORK, "step", counting)
        program_export.write(asked, home, lambda step: None)
    # Isolated, but for the folder: neither TensorFlow nor effbench itself can be found.
    code = (
        "import sys; sys.modules.update(tensorflow=None, pydantic=None, typer=None); "
        "sys.path.insert(0, '.'); from effbench.bench import program_runner as r; "
        f"assert r.__file__.startswith({str(home)!r}); r.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, ".", "--device", "cpu", "--seconds", "0.01"],
        cwd=home,
        env={"JAX_PLATFORMS": "cpu", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return home


def test_programs_run_where_there_is_no_tensorflow(folder):
    found = program_table.read([folder / "measured.json"])
    assert [(row.name, row.problem, row.finite) for row in found.measured] == [
        ("features-B0-float32-4", "", True),
        ("step-B0-bfloat16-4", "", True),
    ]
    assert all(row.slowest <= row.images_per_second <= row.fastest for row in found.measured)
    assert found.about["device"] == "cpu"
    text = (folder / "programs.json").read_text()
    assert json.loads(text)["programs"][1]["changed"]


def test_what_came_back_is_a_record_and_a_table(folder, run, tmp_path):
    path = folder / "measured.json"
    done = run("bench", "programs", "--import", path, "--results", tmp_path)
    assert done.code == 0, done.err
    assert "features" in done.out
    record = json.loads((tmp_path / "bench-programs-cpu.json").read_text())
    speeds = [row["images_per_second"] for row in record["measured"]]
    assert speeds == [row["images_per_second"] for row in json.loads(path.read_text())["measured"]]
    assert "| features" in (tmp_path / "bench-programs-cpu.md").read_text()


def measured(tmp_path, file, **changes):
    about = {"device": "card", "driver": "1"} | changes.pop("about", {})
    row = {
        "name": "features-B0-float32-4",
        "variant": "B0",
        "work": "features",
        "image_size": 224,
        "precision": "float32",
        "batch": 4,
        "engine": "effbench",
        "images_per_second": 100.0,
    }
    path = tmp_path / file
    path.write_text(json.dumps({"about": about, "measured": [row | changes]}))
    return path


def test_the_ratio_is_to_the_best_peer(tmp_path):
    paths = [
        measured(tmp_path, "a"),
        measured(tmp_path, "b", engine="timm, eager", images_per_second=40.0),
        measured(tmp_path, "c", engine="timm, graph", images_per_second=80.0),
        measured(tmp_path, "d", name="step", problem="out of memory", images_per_second=0.0),
    ]
    found = program_table.read(paths)
    first, second = program_table.table(found).rows
    assert first[-4:] == ("100", "40", "80", "1.25")
    assert second[-4:] == ("-", "-", "-", "-")
    assert program_table.notes(found) == ["step, effbench: out of memory"]


def test_two_devices_are_no_table(tmp_path):
    paths = [measured(tmp_path, "a"), measured(tmp_path, "b", about={"device": "other"})]
    with pytest.raises(DataError, match=r"a table is of one device: .*b: other, not card"):
        program_table.read(paths)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "give --export FOLDER, or --import FILE"),
        (["--import", "README.md"], 1, "README.md is no measurement of programs"),
        (["--export", "x", "--work", "all"], 2, "--work is a list: all; choose from features, st"),
        (["--export", "x", "--precision", "int8"], 2, "--precision is a list: int8; choose from"),
        (["--export", "x", "--weights", "README.md"], 2, "--weights is for the features of one"),
    ],
)
def test_what_makes_no_sense_is_one_line(arguments, code, words, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("words")
    one_line(run("bench", "programs", *arguments), code, words)
    assert not (tmp_path / "x").exists()


def test_without_jax_nothing_is_written(monkeypatch):
    xla = replace(ENGINES["xla"], lacks={"cpu": lambda: Lack("no package jax", "install it")})
    monkeypatch.setitem(ENGINES, "xla", xla)
    with pytest.raises(DeviceError, match="programs are lowered with JAX: no package jax"):
        program_request.check()
