"""A new variant, recipe, dataset or optimizer is one row: help, plans and runs know it by that."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import effbench
from effbench.records.store import RECORD

pytestmark = pytest.mark.usefixtures("shallow_networks")

PACKAGE = Path(effbench.__file__).parent

# By file: the row that the new one is put before, and the new one.
ROWS = {
    "config/variants.py": (
        'Variant("B0", ',
        'Variant("NANO", "EfficientNetV2B0", "b0", 32, 5_919_312, 1280),',
    ),
    "config/recipes.py": (
        "_CASE_STUDY,\n",
        'replace(_CASE_STUDY, name="quick", epochs=1, batch_size=8, optimizer="sgd"),',
    ),
    "data/datasets.py": (
        '"digits": DatasetSource(',
        '"numerals": DatasetSource(_load("digits"), lambda _: None, "digits by another name"),',
    ),
    "training/optimizers.py": (
        '"adabelief": Kind(',
        '"sgd": Kind(lambda _, rate: keras.optimizers.legacy.SGD(rate), l2=False, slots=0),',
    ),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with a copy of the package that has the rows."""
    folder = tmp_path_factory.mktemp("rows")
    shutil.copytree(PACKAGE, folder / "effbench")
    for name, (before, row) in ROWS.items():
        path = folder / "effbench" / name
        source = path.read_text("utf-8")
        assert source.count(f"    {before}") == 1, name
        path.write_text(source.replace(f"    {before}", f"    {row}\n    {before}"), "utf-8")
    return folder


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(home), os.environ["PYTHONPATH"]))
    changes = {"PYTHONPATH": path, "EFFBENCH_CACHE": str(home / "cache"), "COLUMNS": "200"}
    command = (sys.executable, "-m", "effbench.cli.main", *arguments)
    return subprocess.run(
        command, cwd=home, env=os.environ | changes, capture_output=True, text=True, check=False
    )


SWEEP = ("sweep", "--variants", "NANO", "--weights", "none", "--data", "numerals", "--cpu")


def test_help_and_lists_name_them(home):
    shown = run(home, "sweep", "--help").stdout
    for name in ("NANO", "quick", "numerals (digits by another name)"):
        assert name in shown
    assert "NANO" in run(home, "variants").stdout
    asked = run(home, *SWEEP, "--recipe", "finetune", "--set", "optimizer=none", "--dry-run")
    assert asked.returncode == 2
    assert asked.stderr.strip() == (
        "effbench: --set optimizer takes another value: none; "
        "choose from sgd, adabelief, rmsprop, adamw, rmsprop-torch"
    )


def test_a_run_of_all_four(home):
    limited = (*SWEEP, "--recipe", "quick", "--limit", "10")
    planned = run(home, *limited, "--dry-run")
    assert planned.stdout.startswith("run\tNANO-none-32-quick-numerals-limit10-s0-"), planned.stderr
    done = run(home, *limited)
    assert done.returncode == 0, done.stderr
    (path,) = (home / "results").rglob(RECORD)
    spec = json.loads(path.read_bytes())["spec"]  # of a variant that this effbench does not know
    assert (spec["variant"], spec["data"]) == ("NANO", "numerals")
    assert (spec["recipe"]["name"], spec["recipe"]["optimizer"]) == ("quick", "sgd")
    assert "| NANO " in run(home, "report", "--markdown").stdout
