"""Plans with a played compiler, and one with the real one."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support import tiny
from support.commandline import one_line
from support.pictures import put
from support.records import spec

from effbench import cache, provenance
from effbench.config.recipes import RECIPES
from effbench.config.run_spec import RunSpec
from effbench.data import datasets
from effbench.data.outline import Outline
from effbench.errors import DiskError, RelayedError
from effbench.hardware.tpu_slices import SLICES
from effbench.models import backbone
from effbench.progress import silent
from effbench.tpu_plan import compile_cache, planner, programs
from effbench.tpu_plan.compile_cache import CrashError
from effbench.tpu_plan.messages import Compiled, LoweredProgram
from effbench.tpu_plan.plan_request import PlanOptions
from effbench.tpu_plan.planner import BATCHES
from effbench.training import variable_packing

GIB = 2**30
# Of the played network: bytes it takes whatever the batch, and for an image.
FIXED, EACH = GIB // 4, 10**7
ARGUMENTS = ["plan", "--tpu-type", "v3-8", "--variants", "B0"]


class Played:
    """Programs whose memory and time are known, and a compiler that does as told."""

    def __init__(self) -> None:
        self.asked: list[tuple[RunSpec, Outline]] = []
        self.compiled: list[tuple[str, str]] = []
        self.crash = ""

    def lower(self, spec, data, batch, replicas, working) -> tuple[LoweredProgram, ...]:
        working()
        self.asked.append((spec, data))
        images = batch or 32
        features = LoweredProgram("features", f"{spec.variant}-{images}", images, 235, 0, "", 1)
        if not spec.recipe.epochs:
            return (features,)
        steps = 8 * data.counts[0] // spec.recipe.batch_size
        return features, LoweredProgram("head step", f"head-{replicas}", 16, steps, GIB, "", 1)

    def compile(self, program, tpu, working) -> Compiled:
        working()
        self.compiled.append((program, tpu.name))
        if self.crash and self.crash in program:
            raise CrashError("ended by SIGSEGV")
        if program.startswith("head"):
            return Compiled("", 1.0, temporaries=GIB, flops=1e6, bytes_accessed=4.5e7)
        images = int(program.split("-")[1])
        needed = FIXED + EACH * images
        if needed > tpu.hbm - GIB // 2:
            return Compiled("no", 1.0, temporaries=needed, available=tpu.hbm - GIB // 2)
        return Compiled(
            "", 9.0, temporaries=needed, flops=2e9 * images, bytes_accessed=9e7 * images
        )


@pytest.fixture
def played(monkeypatch) -> Played:
    found = Played()
    for name in ("lower", "compile"):
        monkeypatch.setattr(compile_cache, name, getattr(found, name))
    monkeypatch.setattr(compile_cache, "check", lambda: None)
    monkeypatch.setattr(compile_cache, "begin", lambda *_: None)
    return found


def test_a_plan_has_a_row_for_each_slice_and_variant(played):
    steps = []
    rows = planner.make(PlanOptions("v3-8,v2-8,v4-8", "S,B0"), steps.append)
    assert [(row.tpu.name, row.spec.variant) for row in rows] == [
        ("v2-8", "B0"),
        ("v2-8", "S"),
        ("v3-8", "B0"),
        ("v3-8", "S"),
        ("v4-8", "B0"),
        ("v4-8", "S"),
    ]
    # What `sweep --tpu` would do: 16 on each replica, of which a v4-8 has four, in bfloat16.
    assert [row.spec.recipe.batch_size for row in rows] == [128] * 4 + [64] * 2
    assert {row.spec.precision for row in rows} == {"mixed_bfloat16"}
    assert [row.spec.image_size for row in rows] == [224, 384] * 3
    assert {(step.total, step.unit) for step in steps} == {(6, "runs")}
    assert "B0 v2-8: compile features" in {step.phase for step in steps}


def test_a_run_is_all_calls_of_all_programs(played):
    (row,) = planner.make(PlanOptions("v3-8", "B0"), silent)
    # 32 x 90 MB and 45 MB, at 450 GB/s.
    assert row.seconds == pytest.approx(235 * 6.4e-3 + 2812 * 1e-4)
    assert row.peak == 2 * GIB
    assert (row.problem, row.excess, row.largest) == ("", 0, None)
    assert row.network is row.programs[0]


def test_a_crash_of_the_compiler_is_one_row(played):
    played.crash = "B0"
    rows = planner.make(PlanOptions("v3-8", "B0,B1"), silent)
    assert rows[0].problem == "features: the compiler crashed: ended by SIGSEGV"
    assert (rows[0].seconds, rows[0].excess) == (0, 0)
    assert rows[1].problem == ""
    assert rows[1].seconds > 0


def test_a_crash_of_the_tracing_is_one_row(played, monkeypatch):
    def crash(spec, data, *_: object) -> tuple[LoweredProgram, ...]:
        if spec.variant == "B0":
            raise CrashError("ended by SIGKILL")
        return played.lower(spec, data, None, 8, lambda: None)

    monkeypatch.setattr(compile_cache, "lower", crash)
    rows = planner.make(PlanOptions("v3-8", "B0,B1"), silent)
    assert [row.problem for row in rows] == ["tracing crashed: ended by SIGKILL", ""]


def best(hbm: int, most: int) -> int:
    room = hbm * GIB - GIB // 2
    return max(each for each in BATCHES if each <= most and FIXED + EACH * each <= room)


@pytest.mark.parametrize(("tpu", "hbm", "replicas"), [("v2-8", 8, 8), ("v5p-8", 95, 4)])
def test_the_largest_batch_that_fits_takes_few_compilations(played, tpu, hbm, replicas):
    (row,) = planner.make(PlanOptions(tpu, "B0", largest=True), silent)
    assert row.largest == best(hbm, 45_000 // replicas)
    assert row.problem == ""
    assert len({program for program, _ in played.compiled if program.startswith("B0")}) <= 7


def test_a_batch_that_does_not_fit_says_by_how_much_and_what_does(played):
    (row,) = planner.make(PlanOptions("v2-8", "B0", batch=2048), silent)
    needed = FIXED + EACH * 2048
    assert row.excess == needed - 7.5 * GIB
    assert row.problem == (
        f"features: needs {needed / GIB:.2f} of 7.50 GiB, {row.excess / GIB:.2f} GiB too much"
    )
    assert row.largest == best(8, 45_000 // 8)


def test_a_crash_while_the_largest_is_looked_for_is_said(played):
    played.crash = "-7"
    (row,) = planner.make(PlanOptions("v2-8", "B0", largest=True), silent)
    assert row.largest is None
    assert row.problem.startswith("the largest batch is not known: batch 7")


@pytest.mark.parametrize("memory", ["line", "steps", "none", "all"])
@pytest.mark.parametrize("first", [1, 32, 700])
def test_the_search_finds_the_largest_whatever_memory_is_like(memory, first):
    takes = {
        "line": lambda batch: 300 + 10 * batch,
        "steps": lambda batch: 300 + 11 * 128 * -(-batch // 128),
        "none": lambda batch: 9000 + batch,
        "all": lambda batch: 1,
    }[memory]
    tried = []

    def measure(batch: int) -> tuple[int, bool]:
        tried.append(batch)
        return takes(batch), takes(batch) <= 8000

    found = planner.largest(measure, 5625, 8000, first)
    assert found == max(
        [each for each in BATCHES if each <= 5625 and takes(each) <= 8000], default=0
    )
    assert len(tried) == len(set(tried)) <= 9


# --- the command line ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["--tpu-type", "v4-8,v9-8"],
            "unknown TPU type: v9-8; choose from v2-8, v3-8, v4-8, v5e-8",
        ),
        (["--variants", "B7"], "unknown variant: B7"),
        (["--recipe", "best"], "unknown recipe: best; choose from linear-probe"),
        (["--markdown", "--json"], "formats exclude one another: --markdown --json"),
        (["--batch-per-replica", "0"], "--batch-per-replica"),
        (["--batch-per-replica", "6000"], "takes up to 5,625 on v3-8: 6,000 on each of 8"),
        (["--price-per-hour", "-1"], "--price-per-hour"),
        (["--tpu"], "--tpu"),
        (["--data", "mnist"], "unknown dataset: mnist; choose from cifar10, "),
        (["--image-size", "31"], "--image-size"),
        (["--set", "crops=1"], "case-study has no such key to --set: crops=1; keys are "),
        (["--set", "batch_size=100"], "divides by the 8 replicas: 100; give a multiple of 8"),
        (["--set", "geometry=crop"], "geometry and filter are for photos, which have sizes"),
        (
            ["--data", "digits", "--recipe", "finetune", "--set", "batch_size=1264"],
            "finetune trains on whole batches of images, of which there are 1,258: a batch of "
            "1264; plan a smaller one, e.g. --set batch_size=32",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_one_line(arguments, text, run, played):
    one_line(run("plan", "--tpu-type", "v3-8", *arguments), 2, text)
    assert played.compiled == []


def test_without_the_extra_it_is_one_line(run, monkeypatch):
    there = provenance.version
    hidden = dict.fromkeys(compile_cache.PACKAGES, "")
    monkeypatch.setattr(provenance, "version", lambda name: hidden.get(name, there(name)))
    one_line(run(*ARGUMENTS), 1, "no jax, jaxlib, libtpu; run 'pip install --no-deps -r")


def test_a_cache_that_cannot_be_written_is_one_line(run, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(compile_cache, "check", lambda: None)
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "file"))
    done = run(*ARGUMENTS, "--quiet")
    one_line(done, 1, "cannot write under")
    assert "EFFBENCH_CACHE" in done.err


def test_a_full_disk_ends_the_plan(run, played, monkeypatch):
    def full(*_: object) -> Compiled:
        raise DiskError("cannot write under x", "No space left on device", "free some space")

    monkeypatch.setattr(compile_cache, "compile", full)
    one_line(run(*ARGUMENTS, "--quiet"), 1, "No space left on device; free some space")


def test_a_batch_that_does_not_fit_is_a_failure_that_says_what_fits(run, played):
    done = run("plan", "--tpu-type", "v2-8", "--variants", "B0", "--batch-per-replica", 2048)
    assert done.code == 1
    last = done.err.splitlines()[-1]
    assert last.startswith("effbench: B0 on v2-8: features: needs 19.32 of 7.50 GiB")
    assert last.endswith(f"the largest batch per replica that fits is {best(8, 5625):,}")
    assert "11.82 GiB too much" in done.out


def test_json_and_markdown_hold_the_same_plan(run, played):
    table = run(*ARGUMENTS, "--markdown", "--price-per-hour", 8)
    assert table.code == 0
    assert "| B0      |" in table.out
    assert "at $8 an hour" in table.out
    assert "not a measurement" in table.out
    plain = json.loads(run(*ARGUMENTS, "--json", "--price-per-hour", 8).out)
    (found,) = plain["runs"]
    assert "not a measurement" in plain["what"]
    assert found["seconds"] == pytest.approx(1.785, abs=1e-3)
    assert found["dollars"] == pytest.approx(found["seconds"] / 450)
    assert [each["name"] for each in found["programs"]] == ["features", "head step"]


@pytest.mark.parametrize(
    ("more", "width"), [([], 80), (["--price-per-hour", 8, "--max-batch"], 100)]
)
def test_a_table_for_people_is_narrow_and_whole(more, width, run, played):
    done = run("plan", "--variants", "v2", *more)
    assert done.code == 0
    table = [line for line in done.out.splitlines() if not line.startswith(("-", "The whole"))]
    assert len(table) == 6 * (2 + 9)
    assert max(len(line.rstrip()) for line in table) <= width
    assert not any("…" in line for line in table)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Photos without a test split, of which one is no image, and nobody may look into any."""
    counts = {"train/ants": 60, "train/bees": 40, "val/ants": 6, "val/bees": 4}
    for name, count in counts.items():
        for number in range(count):
            put(tmp_path / "my ants" / name / f"{number}.JPG", b"")
    put(tmp_path / "my ants" / "train/bees/notes.txt", b"no image")
    return tmp_path / "my ants"


def test_photos_of_ones_own_are_planned_by_how_many_there_are(run, played, folder):
    flags = ("--recipe", "case-study", "--image-size", 96, "--set", "epochs=3", "--json")
    done = run(*ARGUMENTS, "--data", folder, *flags)
    assert done.code == 0, done.err
    ((spec, outline),) = played.asked
    assert (outline.counts, outline.classes, outline.side) == ((100, 10), 2, None)
    assert (spec.data, spec.classes, spec.image_size) == ("my_ants", 2, 96)
    assert (spec.recipe.epochs, spec.recipe.batch_size) == (3, 128)
    plain = json.loads(done.out)
    (found,) = plain["runs"]
    assert found["data"] == "my_ants"
    assert (found["images"], found["classes"]) == ({"train": 100, "validation": 10}, 2)
    # 32 on each of 8 replicas in 6.4 ms.
    assert found["images_per_second"] == pytest.approx(32 * 8 / 6.4e-3)
    about = "Data: my_ants, 2 classes; images: 100 train, 10 validation, 0 test; counted and split"
    assert plain["notes"][0].startswith(about)


def test_imagenet_is_planned_without_a_file_of_it(run, played, folder, monkeypatch):
    """A folder of that name is somebody's own photos, of which there may be fewer."""
    done = run(*ARGUMENTS, "--data", "imagenet", "--recipe", "case-study", "--json")
    ((spec, outline),) = played.asked
    assert (spec.data, spec.classes) == ("imagenet", 1000)
    assert (outline.counts, outline.side) == ((1_281_167, 50_000), None)
    about = "Data: imagenet, 1,000 classes; images: 1,281,167 train, 50,000 validation, 0 test; as"
    assert json.loads(done.out)["notes"][0].startswith(about)
    monkeypatch.chdir(folder.parent)
    folder.rename("imagenet")
    own = run(*ARGUMENTS, "--data", "imagenet", "--recipe", "case-study", "--json")
    assert "imagenet, 2 classes; images: 100 train, 10 validation, 0 test; counted" in own.out


def test_what_the_host_must_feed_is_said_of_photos_alone(run, played, folder):
    photos = run(*ARGUMENTS, "--data", folder).out
    assert "Images/s" in photos
    assert "40,000" in photos
    assert "not in it: " in photos.lower()
    assert "decoding of photos before it" in photos
    assert "augments all of it" not in photos
    known = run(*ARGUMENTS, "--data", "cifar100").out
    assert "Images/s" not in known
    assert "cifar100, 100 classes; images: 45,000 train, 5,000 validation, 10,000 test; as" in known


def test_photos_are_planned_by_their_usual_recipe(run, played, folder):
    done = run(*ARGUMENTS, "--data", folder)
    assert [spec.recipe.name for spec, _ in played.asked] == ["linear-probe"]
    assert "A run without epochs is features alone on the TPU; the host solves" in done.out
    assert "the host solves" not in run(*ARGUMENTS).out


def test_a_set_of_photos_without_a_whole_batch_is_one_line(run, played, folder):
    flags = ("--recipe", "finetune", "--data", folder)
    one_line(run(*ARGUMENTS, *flags), 2, "of which there are 100: a batch of 512; plan a smaller")
    assert played.asked == []
    done = run(*ARGUMENTS, *flags, "--set", "batch_size=32")
    assert done.code == 0
    assert "augments all of it" in done.out


def test_photos_that_cannot_be_trained_on_are_one_line(run, played, tmp_path):
    one_line(run(*ARGUMENTS, "--data", tmp_path), 1, "no folders of classes: ")
    put(tmp_path / "a/1.png", b"")
    one_line(run(*ARGUMENTS, "--data", tmp_path), 1, "there must be two classes or more: a; ")


def test_too_few_photos_have_no_largest_batch(run, played, tmp_path):
    for number in range(40):
        put(tmp_path / f"{'ab'[number % 2]}/{number}.png", b"")
    (found,) = json.loads(run(*ARGUMENTS, "--data", tmp_path, "--max-batch", "--json").out)["runs"]
    assert found["images"]["train"] == 28
    assert found["largest_batch_per_replica"] is None


# --- the real compiler ---------------------------------------------------------------------------

# What the recipes ask for, and what they do not.
ALL_ON = {"crop": 4, "cutout": 0.25, "randaugment": 10.0, "mixup": 0.2, "cutmix": 1.0}
BELIEF = {"optimizer": "adabelief", "schedule": "triangular2", "half_cycle_epochs": 2}

needs_extra = pytest.mark.skipif(
    not all(map(provenance.version, compile_cache.PACKAGES)),
    reason="the plan's extra is not installed",
)


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> tuple[dict, Path]:
    """A plan of B0 on a v3-8, and the cache that it left."""
    cache = tmp_path_factory.mktemp("cache")
    done = real_plan(cache)
    assert done.returncode == 0, done.stderr
    assert "compile features" in done.stderr
    return json.loads(done.stdout), cache


def real_plan(cache: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "effbench.cli.main", *ARGUMENTS, "--json", *more),
        env=os.environ | {"EFFBENCH_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )


@needs_extra
def test_the_head_only_run_of_b0_compiles_for_a_v3(real):
    (found,) = real[0]["runs"]
    assert found["problem"] == ""
    programs = {each["name"]: each for each in found["programs"]}
    assert all(each["compiles"] for each in programs.values())
    features = programs["features"]
    # Twice the multiply-adds of the paper, 0.72e9 an image.
    assert features["flops"] / features["images"] == pytest.approx(1.45e9, rel=0.05)
    assert features["calls"] == 235
    assert 0.1e9 < found["peak_bytes"] < 4e9
    assert 1e-4 < features["seconds"] < 1
    # 45,000 features of 1280 floats are an argument of the head's step, and the others lie beside.
    assert programs["head step"]["peak"] > 60_000 * 1280 * 4
    assert programs["head step"]["calls"] == 25 * 352


@needs_extra
@pytest.mark.parametrize(
    ("most", "changes"), [(variable_packing.MOST, ALL_ON), (0, BELIEF)], ids=["all", "packed"]
)
def test_every_part_of_a_training_step_compiles_for_a_v3(monkeypatch, most, changes):
    """With a network of two layers: the rest of a step is what a real one has."""
    from effbench.tpu_plan import lower_worker

    monkeypatch.setattr(variable_packing, "MOST", most)
    monkeypatch.setattr(backbone, "trainable", lambda *_: tiny.build())
    asked = spec(recipe=replace(RECIPES["progressive"], stages=1, **changes), image_size=64)
    step, _ = programs.programs(asked, datasets.outline("cifar10"), 16, 8)
    text = lower_worker.stablehlo(step)
    assert "all_reduce" in text
    file = lower_worker._keep(text, cache.plans() / "programs")
    found = compile_cache.compile(file, SLICES["v3-8"], lambda: None)
    assert found.problem == ""
    # Two convolutions of 8 channels at 32 x 32 outputs, forward and backward.
    assert found.flops > 3 * 16 * 2 * 32**2 * 8 * (27 + 72)


@needs_extra
@pytest.mark.slow
def test_the_full_training_step_of_b0_compiles_for_a_v3(real):
    done = real_plan(real[1], "--recipe", "finetune-adabelief")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["runs"]
    assert found["problem"] == ""
    step, evaluation = found["programs"]
    assert (step["name"], step["images"], step["calls"]) == ("step at 224", 16, 25 * 351)
    # The backward pass is two forward passes, but for the first layer.
    assert step["flops"] / step["images"] == pytest.approx(3 * 1.45e9, rel=0.1)
    # Three times the network and the 45,000 images, once: new values replace the old.
    assert 3 * 4 * 5.9e6 + 138e6 < step["peak"] < 4e9
    # After each epoch 5,000 images; at the end these and 10,000 for each of three rules.
    assert (evaluation["name"], evaluation["calls"]) == ("evaluation", 28 * 40 + 3 * 79)
    assert evaluation["flops"] / evaluation["images"] == pytest.approx(1.45e9, rel=0.05)


@needs_extra
def test_every_turn_of_a_loop_counts(real):
    programs = {each["name"]: each for each in real[0]["runs"][0]["programs"]}
    validation = programs["validation"]
    # Products of 40 x 16 features and a head, and a conversion of all 5,000 before the loop.
    products = 2 * 640 * 1280 * 10
    assert products <= validation["flops"] <= 1.1 * products + 5000 * 1280
    # Another head is another product; the test set has 79 turns.
    more = programs["last validation"]["flops"] - validation["flops"]
    assert more == pytest.approx(2 * products, rel=0.02)
    assert programs["test"]["images"] == 79 * 16


@needs_extra
def test_a_second_plan_compiles_nothing(real):
    first, cache = real
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}
    again = real_plan(cache)
    assert again.stderr == ""
    assert json.loads(again.stdout) == first
    assert before == {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}


@needs_extra
def test_a_libtpu_that_does_not_load_is_one_line(real, tmp_path):
    _, cache = real
    broken = tmp_path / "libtpu.so"
    broken.write_text("no library")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EFFBENCH_CACHE", str(cache))
        patch.setenv("TPU_LIBRARY_PATH", str(broken))
        with pytest.raises(RelayedError, match=r"^libtpu does not load: "):
            compile_cache.begin(SLICES["v2-8"], lambda: None)
