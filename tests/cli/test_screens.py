"""What commands print on a terminal fits its width, and no figure is cut."""

import io
import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from rich.console import Console
from support.records import complete, failure, spec

from effbench.bench import step, step_table
from effbench.bench.comparisons import TimingComparison
from effbench.bench.work_timing import Timing
from effbench.cli import bench_output, bench_steps, console, plan, predictions
from effbench.data.outline import Outline
from effbench.export.predict import Prediction
from effbench.hardware.tpu_slices import SLICES
from effbench.records.store import Store
from effbench.report.published import TABLES
from effbench.tpu_plan import planner
from effbench.tpu_plan.estimate import ProgramEstimate

WIDTH = 80


@pytest.fixture
def screen(monkeypatch) -> io.StringIO:
    """A terminal of 80 columns in place of standard output; holds what was printed there."""
    shown = io.StringIO()
    terminal = Console(
        file=shown,
        width=WIDTH,
        force_terminal=True,
        color_system=None,
        highlight=False,
        markup=False,
    )
    monkeypatch.setattr(console.out, "__dict__", terminal.__dict__)
    return shown


def fits(screen: io.StringIO, *texts: str) -> str:
    printed = screen.getvalue()
    assert printed
    assert max(map(len, printed.splitlines())) <= WIDTH
    for text in texts:
        assert text in printed
    return printed


def test_variants(run, screen):
    assert run("variants").code == 0
    fits(screen, "207,615,832", "GFLOPs", "93.35", "imagenet21k-ft1k", "also shows md5.")


@pytest.mark.parametrize("name", ["", *TABLES])
def test_reference(name, run, screen):
    assert run("reference", *filter(None, [name])).code == 0
    fits(screen, *(cell for row in TABLES[name].cells for cell in row[1:-1]) if name else TABLES)


def test_show(run, screen, tmp_path):
    store = Store(tmp_path)
    record = complete(store)
    assert run("show", "B0", "--results", tmp_path).code == 0
    printed = fits(screen, "val_accuracy", f"{record.reported.test.accuracy:.2%}")
    # A fact that takes several lines goes on under its beginning.
    digest = record.spec.data_sha256
    assert digest in "".join(line.strip() for line in printed.splitlines())


def test_show_of_a_failure(run, screen, tmp_path):
    Store(tmp_path).save(failure(message="a long story, told in full: " * 9))
    assert run("show", "L-", "--results", tmp_path).code == 0
    fits(screen, "out-of-memory")


def test_validate_and_merge(run, screen, tmp_path):
    complete(Store(tmp_path / "one"))
    assert run("merge", tmp_path / "one", "--results", tmp_path / "two").code == 0
    assert run("validate", tmp_path / "two").code == 0
    fits(screen, "1 record, 0 problems")


def test_timings(screen):
    timings = (Timing("the backbone in every step", 912.345, 2_400_000_000), Timing("cached", 55.0))
    findings = ("cached features are 16.6 times faster, set-up and compilation included " * 3,)
    bench_output.comparison(TimingComparison(timings, findings))
    fits(screen, "912.35", "2.40 GB", "55.00")


def test_steps(screen):
    """The rows that are in results/, as they were printed when they were measured."""
    content = json.loads((Path(__file__).parents[2] / "results/bench-step.json").read_text("utf-8"))
    rows = TypeAdapter(tuple[step.TimedCase, ...]).validate_python(content["rows"])
    options = TypeAdapter(step.StepOptions).validate_python(content["options"])
    bench_steps._print_steps(step_table.show(rows, options))
    fits(screen, *(f"{row.ratio:.2f}" for row in rows))


@pytest.mark.parametrize("data", [Outline((45_000, 5_000, 10_000), 10, 32), Outline((20, 9), 2)])
@pytest.mark.parametrize("price", [None, 4.0])
def test_a_plan(price, data, screen):
    estimate = ProgramEstimate(
        name="step at 480",
        images=16,
        calls=10_000,
        problem="",
        compiles=True,
        peak=12_345_678_901,
        excess=0,
        flops=1.45e12,
        bytes_accessed=98.7e9,
        seconds=0.12345,
        source="XLA",
        compile_seconds=103.0,
    )
    rows = [
        planner.PlannedRun(spec(variant="XL"), SLICES["v3-8"], data, (estimate,), "", 1024),
        planner.PlannedRun(
            spec(variant="L"), SLICES["v3-8"], data, (), "the compiler crashed: " + "why " * 30
        ),
    ]
    plan._print(rows, price)
    fits(screen, "1,024", "20.6", "123.45")


def test_predictions(screen):
    top = tuple((f"class {number}", 0.2) for number in range(5))
    path = Path("a folder with a long name/" * 4 + "photo.jpg")
    predictions._print([Prediction(path, top)], as_json=False)
    fits(screen, "class 4", "20.00%")
