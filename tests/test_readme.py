"""The READMEs are true: tables are what `report` prints, figures follow from the records."""

import json
import re
import shlex
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep
from support import result_pages
from typer.main import get_command
from typer.testing import CliRunner

from effbench.cli.app import application
from effbench.config.variants import select
from effbench.export import evaluation, speed
from effbench.export.formats import FORMATS
from effbench.hardware.tpu_slices import SLICES
from effbench.records import caveats
from effbench.records.store import Store
from effbench.report import build, per_class
from effbench.report import published as reference
from effbench.report.comparison import compare
from effbench.report.sections import Section
from effbench.report.select import Selection
from effbench.tables import markdown

ROOT = result_pages.ROOT
README = (ROOT / "README.md").read_text("utf-8")
PAGE = result_pages.PAGE.read_text("utf-8")
# The figures of sentences are looked for in these, however their lines are broken.
README_WORDS, PAGE_WORDS = (" ".join(text.split()) for text in (README, PAGE))
RESULTS = Store(ROOT / "results")
STALE = "what is printed has changed: run 'make tables', and read what became of it"

SHOWN = [(block["command"], block["text"]) for block in result_pages.PRINTED.finditer(PAGE)]


def test_there_is_a_table_to_check() -> None:
    assert PAGE.count("<!-- report -->") == len(SHOWN) >= 1


@pytest.mark.parametrize(("command", "shown"), SHOWN, ids=[command for command, _ in SHOWN])
def test_tables_are_what_their_commands_print(command, shown, run, monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    done = run(*shlex.split(command)[1:])
    assert (done.code, done.err) == (0, "")
    assert shown.strip() == done.out.strip(), STALE


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (result_pages.TABLE_COMMAND, result_pages.TABLE),
        (result_pages.EXPORTS_COMMAND, result_pages.EXPORTS),
    ],
    ids=["report", "evaluate"],
)
def test_the_tables_of_results_are_what_their_commands_print(
    command, file, run, monkeypatch
) -> None:
    monkeypatch.chdir(ROOT)
    done = run(*shlex.split(command)[1:])
    assert (done.code, done.err) == (0, "")
    assert file.read_text("utf-8") == done.out, STALE


@pytest.mark.parametrize("name", FORMATS)
def test_the_lines_that_load_a_model_stand_in_the_readme(name) -> None:
    """`export/test_formats.py` runs them."""
    assert name == "keras2" or f"\n{FORMATS[name].loading}\n" in README
    assert f"`{name}`" in README


def test_the_plot_is_what_report_draws(run, tmp_path, monkeypatch) -> None:
    (shown,) = re.findall(r"!\[[^]]*\]\((plots/[^)]*)\)", PAGE)
    monkeypatch.chdir(ROOT)
    done = run(*shlex.split(result_pages.PLOT_COMMAND)[1:], tmp_path)
    assert done.code == 0
    assert ROOT / "results" / shown == result_pages.PLOT

    def rounded(path: Path) -> str:
        """Other processors add up the same numbers to other last digits."""
        return re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.3f}", path.read_text())

    assert rounded(tmp_path / result_pages.PLOT.name) == rounded(result_pages.PLOT), STALE


def test_figures_follow_from_the_records() -> None:
    results = [row for row in RESULTS.load().results if row.spec.image_size == 224]

    def accuracies(recipe: str, rule: str) -> list[float]:
        """Of the seeds in their order, percent, of the test set."""
        chosen = [
            100 * next(row for row in result.selected if row.rule == rule).test.accuracy
            for result in results
            if result.spec.recipe.name == recipe
        ]
        assert len(chosen) == 5
        return chosen

    def mean(recipe: str, rule: str) -> float:
        return float(np.mean(accuracies(recipe, rule)))

    old, new = "case-study-2021", "case-study"
    published = reference.case_study()["B0", 224, "imagenet"].test_accuracy
    tests = accuracies(old, "val_loss")
    assert min(tests) <= published <= max(tests)
    worst, *others = sorted(accuracies(new, "val_loss"))
    (pair,) = (
        build.read(RESULTS, Selection(where="image_size == 224", group_by="data")).sections[0].pairs
    )
    for figure in (
        f"{min(tests):.2f} to {max(tests):.2f}",
        f"{mean(old, 'val_loss') - published:+.2f}",
        f"{mean(new, 'val_loss') - mean(old, 'val_loss'):+.2f}",
        f"{mean(new, 'final') - mean(old, 'final'):+.2f}",
        f"{mean(new, 'final'):.2f} against {mean(old, 'final'):.2f}",
        f"first epoch, with {worst:.2f}",
        f"{others[0]:.2f} to {others[-1]:.2f}",
        f"span {max(tests) - min(tests):.2f} points",
        f"p = {pair.p:.2f}",
    ):
        assert figure in PAGE_WORDS, figure


@pytest.fixture(scope="module")
def case_study() -> Section:
    (section,) = build.read(RESULTS, Selection(recipes="case-study")).sections
    return section


def test_what_is_said_of_the_linear_probe_follows_from_the_records(tmp_path) -> None:
    probes = Store(ROOT / "results/linear-probe").load(checked=True).results
    by_images = {result.spec.per_class: result for result in probes if result.spec.image_size == 96}
    shares = [
        f"{100 * by_images[count].reported.test.accuracy:.2f}" for count in (10, 100, 1000, None)
    ]
    assert (
        "reach {} %, a hundred {} %, a thousand {} %, all 4,500 {} %".format(*shares) in PAGE_WORDS
    )
    whole = by_images[None]
    assert len(whole.l2_search.values) == 23
    assert whole.l2_search.past
    assert f"the regression takes {whole.seconds.train:.0f} seconds" in PAGE_WORDS
    heads = [
        result
        for result in RESULTS.load().results
        if (result.spec.image_size, result.spec.recipe.name) == (96, "case-study")
    ]
    last = np.mean(
        [100 * row.test.accuracy for head in heads for row in head.selected if row.rule == "final"]
    )
    assert (
        f"{100 * whole.reported.test.accuracy - last:.2f} better than that head's last"
        in PAGE_WORDS
    )
    change, *others = (
        row
        for row in compare(str(ROOT / "results"), str(ROOT / "results/linear-probe")).changes
        if row.difference
    )
    better = [f"{row.new - row.base:.2f}" for row in others]
    said = "at 128, 160 and 192 it is {}, {} and {} points better".format(*better)
    assert said in PAGE_WORDS
    smaller, larger, largest = others
    solved = {
        result.spec.image_size: 100 * result.reported.test.accuracy
        for result in probes
        if result.spec.per_class is None
    }
    assert f"At 160 it reaches {larger.new:.2f} %, more than" in PAGE_WORDS
    assert f"{larger.new:.2f} and {solved[224]:.2f} %, with 51 % of the arithmetic" in PAGE_WORDS
    assert f"192 has {largest.new:.2f}" in PAGE_WORDS
    assert f"128 is worse, with {smaller.new:.2f} %" in PAGE_WORDS
    (section,) = (
        section
        for section in build.read(Store(ROOT / "results/linear-probe"), Selection()).sections
        if len(section.rows) > 1
    )
    letters = {row.spec.image_size: set(row.letters) for row in section.rows}
    assert letters[160] & letters[192] & letters[224]
    assert not letters[128] & (letters[160] | letters[192] | letters[224])
    work = {row.spec.image_size: row.cost.gflops for row in section.rows}
    assert round(100 * work[160] / work[224]) == 51
    assert f"{larger.new:.2f} % at 160 and {solved[224]:.2f} % at 224" in README_WORDS
    native = [
        result
        for result in RESULTS.load().results
        if (result.spec.image_size, result.spec.recipe.name) == (224, "case-study")
    ]
    assert larger.new > np.mean([100 * result.reported.test.accuracy for result in native])
    # `compare` of the whole folders cannot say which of two recipes at 224 is meant.
    for name, whole_folder in (("native", "results"), ("solved", "results/linear-probe")):
        (tmp_path / name / "runs").mkdir(parents=True)
        for run in (ROOT / whole_folder / "runs").glob("B0-imagenet-224-*-cifar10-*"):
            if "2021" not in run.name:
                (tmp_path / name / "runs" / run.name).symlink_to(run)
    (pair,) = compare(str(tmp_path / "native"), str(tmp_path / "solved")).changes
    assert (
        f"At 224 it is {pair.new - pair.base:.2f} points better than the case study's head, "
        f"which is not shown to be real (p = {pair.p:.2f})" in PAGE_WORDS
    )
    said = f"It is {change.new - change.base:.2f} points better than the case study's head"
    assert said in PAGE_WORDS
    assert f"{change.new - change.base:.2f} points more at 96 pixels" in README_WORDS
    low, high = (100 * bound for bound in (change.difference.low, change.difference.high))
    assert f"(95 % interval {low:.2f} to {high:.2f}, p = {change.p:.0e};" in PAGE_WORDS


def test_what_is_said_of_bfloat16_follows_from_the_records() -> None:
    half = ROOT / "results/bfloat16"
    (probe,), (heads,) = (
        [row for row in compare(str(base), str(half)).changes if row.difference]
        for base in (ROOT / "results/linear-probe", ROOT / "results")
    )
    runs = {
        (row.spec.recipe.name, row.spec.precision): row
        for folder in (half, ROOT / "results/linear-probe")
        for row in Store(folder).load(checked=True).results
        if row.spec.image_size == 224
    }
    solved, before = (runs["linear-probe", name] for name in ("mixed_bfloat16", "float32"))
    bounds = [
        f"{100 * row.difference.low:.2f} to {100 * row.difference.high:.2f}"
        for row in (probe, heads)
    ]
    computed = [
        round(row.provenance.features_computed / row.seconds.features) for row in (solved, before)
    ]
    for figure in (
        f"{solved.reported.test.correct:,} test images right in place of "
        f"{before.reported.test.correct:,}: {probe.new - probe.base:.2f} points "
        f"(95 % interval {bounds[0]}, McNemar p = {probe.p:.1g})",
        f"{heads.new:.2f} % in place of {heads.base:.2f}, {heads.new - heads.base:+.2f} "
        f"({bounds[1]}, p = {heads.p:.2f})",
        f"{100 * solved.provenance.engine_difference:.1f} % from TensorFlow's",
        f"at {computed[0]} images/s, beside {computed[1]} of the run",
    ):
        assert figure in PAGE_WORDS, figure


def test_what_is_said_of_the_insects_follows_from_the_records() -> None:
    store = Store(ROOT / "results/hymenoptera")
    (probe,) = (
        result
        for result in store.load(checked=True).results
        if (result.spec.image_size, result.spec.recipe.name) == (224, "linear-probe")
    )
    ants, bees = per_class.read(store, [probe]).classes
    for figures in (ants, bees):
        said = f"{figures.recall.value:.2f} % of the {figures.images} {figures.name}"
        assert said in PAGE_WORDS


def test_what_is_said_of_the_rule_follows_from_the_records(case_study) -> None:
    letters = {row.spec.image_size: set(row.letters) for row in case_study.rows}
    assert letters[160] & letters[192] & letters[224]
    assert not letters[224] & (letters[96] | letters[128])
    hours = {row.spec.image_size: row.cost.hours for row in case_study.rows}
    assert hours[224] > 2 * hours[160]
    last = {row.spec.image_size: f"{row.by('final'):.2f}" for row in case_study.rows}
    runs = [each for row in case_study.rows for each in row.results]
    first = [each for each in runs if each.reported.epoch == 1]
    for figure in (
        f"for {len(first)} of these {len(runs)} runs that is the first",
        f"160, 192 and 224 have {last[160]}, {last[192]} and {last[224]}",
    ):
        assert figure in PAGE_WORDS, figure
    large = [each.reported.epoch for each in runs if each.spec.image_size == 224]
    assert sorted(large) == [1, 24, 24, 24, 24]


def test_what_the_readme_says_of_b0_follows_from_the_records(case_study) -> None:
    (row,) = (row for row in case_study.rows if row.spec.image_size == 224)
    tests = [100 * run.reported.test.accuracy for run in row.results]
    assert len(tests) == 5
    assert f"{np.mean(tests):.2f} ± {np.std(tests, ddof=1):.2f} %" in README_WORDS


def test_what_is_said_of_s_and_t_follows_from_the_published_table() -> None:
    published = reference.case_study()
    t, s = published["T", 320, "imagenet"], published["S", 384, "imagenet"]
    right = [round(100 * row.test_accuracy) for row in (t, s)]
    low, high = confint_proportions_2indep(right[0], 10_000, right[1], 10_000, method="wald")
    for figure in (
        f"T {t.test_accuracy}, S {s.test_accuracy}",
        f"{t.test_accuracy - s.test_accuracy:.2f} points",
        f"{100 * low:.2f} to {100 * high:.2f}",
    ):
        assert figure in PAGE_WORDS, figure
    flaws = reference.flaws()
    assert [flaw.kind for flaw in flaws["S"]] == ["shared optimizer"]
    assert flaws["T"] == ()


def test_what_is_said_of_whole_networks_follows_from_the_records() -> None:
    runs = Store(ROOT / "results/network").load().results
    assert {(row.images.train, row.spec.image_size) for row in runs} == {(25_000, 96)}
    assert not any(row.provenance.commit.endswith("+dirty") for row in runs)
    (whole_float,) = (
        row for row in runs if (row.spec.recipe.name, row.spec.precision) == ("finetune", "float32")
    )
    (whole_cosine,) = (
        row
        for row in runs
        if (row.spec.recipe.name, row.spec.recipe.unfreeze) == ("finetune-cosine", "all")
    )
    found = {row.spec.recipe.name: row for row in runs if row not in (whole_float, whole_cosine)}
    test = {name: 100 * row.reported.test.accuracy for name, row in found.items()}
    assert (
        f"{100 * whole_float.reported.test.accuracy:.2f} % beside {test['finetune']:.2f} in "
        "bfloat16. `finetune-cosine`, whose rate falls to 0, has "
        f"{100 * whole_cosine.reported.test.accuracy:.2f}, which" in PAGE_WORDS
    )
    (section,) = build.read(Store(ROOT / "results/network"), Selection(group_by="data")).sections
    same = [
        set(row.letters)
        for row in section.rows
        if row.spec.recipe.name in ("finetune", "finetune-cosine")
    ]
    assert len(same) == 4
    assert set.intersection(*same)
    hours = {row.spec.key: row.cost.hours for row in section.rows}
    stages = found["finetune-cosine"]
    longer = hours[whole_cosine.spec.key] / hours[stages.spec.key]
    assert f"which took {longer:.1f} times as long" in PAGE_WORDS
    right = stages.reported.test
    assert f"same {right.correct:,} of {right.total:,} images are right" in PAGE_WORDS
    head, last = test["case-study"], found["case-study"].selected[-1]
    probe = test["linear-probe"]
    assert found["finetune-cosine"].spec.recipe.unfreeze == "stage5"
    assert (last.rule, last.epoch) == ("final", 25)
    gains = {name: accuracy - head for name, accuracy in test.items()}
    adabelief = found["finetune-adabelief"]
    steps = [
        sum(row.train.total for row in found[name].history) // 64
        for name in ("finetune", "progressive")
    ]
    for figure in (
        f"{gains['finetune']:.1f} and {gains['progressive']:.1f} points better",
        f"gains {gains['finetune-adabelief']:.1f}**, or "
        f"{test['finetune-adabelief'] - 100 * last.test.accuracy:.1f} on the head's last epoch",
        f"it has {100 * adabelief.history[1].validation.accuracy:.1f} on validation",
        f"they are {steps[0]:,} and {steps[1]:,} steps",
        f"{test['finetune'] - probe:.1f} and {test['progressive'] - probe:.1f} better than",
        f"are {test['finetune-cosine'] - probe:.1f} points better than `linear-probe`**",
    ):
        assert figure in PAGE_WORDS, figure


def test_what_is_said_of_exports_follows_from_their_records() -> None:
    paths = (ROOT / "results/export").rglob("*.evaluation.json")
    records = [evaluation.load(path) for path in paths]
    photos = [record for record in records if record.data == "hymenoptera"]
    assert {record.format for record in photos} == set(FORMATS)
    assert {record.against.disagree for record in photos if record.quantize != "int8"} == {0}
    (integers,) = (record for record in photos if record.quantize == "int8")
    against = integers.against
    assert f"{against.disagree} of {integers.total} photos another class" in PAGE_WORDS
    assert f"(p = {against.p:.2f})" in PAGE_WORDS
    assert integers.notes
    cifar = [record for record in records if record.data == "cifar10"]
    assert {record.total for record in cifar} == {10_000}
    same = {record.format for record in cifar if record.against.disagree == 0}
    halves = next(record for record in cifar if record.format == "openvino").against
    assert f"{halves.disagree} of 10,000 another class (p = {halves.p:.2f})" in PAGE_WORDS
    lite = {record.model: record for record in cifar if record.format == "tflite"}
    float16, fixed = (lite[f"B0-96-{kind}.tflite"].against for kind in ("float16", "fixed"))
    assert f"`float16` {float16.disagree} (p = {float16.p:.2f})" in PAGE_WORDS
    for image in (*halves.disagreements, *float16.disagreements):
        assert abs(image.run_probability - image.model_probability) < 0.01
    said = f"{fixed.disagree} of 10,000 are of another class (p = {fixed.p:.2f})"
    assert said in PAGE_WORDS
    integers = lite["B0-96-int8.tflite"]
    assert integers.notes
    for said in (
        f"{integers.accuracy:.2%}".replace("%", " %")
        + f" right, {-100 * integers.gained:.2f} points",
        f"({integers.against.disagree} of 10,000 images are of another class, "
        f"p = {integers.against.p:.1e};",
    ):
        assert said in PAGE_WORDS
    named = ("keras", "keras2", "savedmodel", "onnx", "tflite")
    assert same >= {*named}
    said = f"{', '.join(f'`{name}`' for name in named[:-1])} and `{named[-1]}` for all 10,000"
    assert said in PAGE_WORDS


@pytest.mark.parametrize(
    "words",
    [
        "The server itself has not been tried",
        "`huggingface_hub.ModelCard.validate` asks the Hub over the network, so that a test has it "
        "ask a stand-in",
        "on CPUs that have bfloat16 it computes either format in that unless told "
        '`{"INFERENCE_PRECISION_HINT": "f32"}`',
    ],
)
def test_what_was_not_tried_and_what_surprises_is_said_of_exports(words) -> None:
    assert words in PAGE_WORDS


def test_what_is_said_of_the_speed_of_exports_is_what_was_measured() -> None:
    path = ROOT / "results/export/speed.md"
    speeds = [
        speed.ModelSpeed(
            **row | {"paces": tuple(speed.BatchSpeed(**pace) for pace in row["paces"])}
        )
        for row in json.loads(path.with_suffix(".json").read_text("utf-8"))
    ]
    assert path.read_text("utf-8").startswith(markdown(speed.table(speeds)))
    assert {row.format for row in speeds} == set(FORMATS)
    gains = {}
    for row in speeds:
        one, many = row.paces
        assert (one.batch, many.batch) == (1, 32)
        gains[row.format] = f"{many.per_core_second / one.per_core_second:.1f} times"
    said = (
        f"`keras` takes {gains['keras']} as many in a second of a core as one by one, `onnx` "
        f"{gains['onnx']} and `openvino` {gains['openvino']}"
    )
    assert said in PAGE_WORDS


def test_full_results_are_not_limited() -> None:
    for result in RESULTS.load().results:
        assert "limited" not in caveats.of_spec(result.spec)
        assert "random weights" not in caveats.of_spec(result.spec)
        assert (result.images.train, result.images.test) == (45_000, 10_000)
        assert not result.provenance.commit.endswith("+dirty")


def commands(first: str) -> list[str]:
    blocks = re.findall(r"```\n(.*?)```", README + PAGE, re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return sorted({line for line in lines if line.startswith(first)})


@cache
def help_of(*names: str) -> str:
    """Wide enough for every flag to stand whole in its line."""
    done = CliRunner().invoke(
        application(), [*names, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}
    )
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize("line", commands("effbench"))
def test_commands_and_flags_exist(line: str) -> None:
    words = line.split()[1:]
    names = [word for word in words if not word.startswith("-")][: 2 if words[0] == "bench" else 1]
    shown = help_of(*names)
    for flag in (word for word in words if word.startswith("--")):
        assert flag in shown


def test_the_plan_is_of_all_variants_and_what_is_said_of_it() -> None:
    plans = json.loads((ROOT / "results/plan.json").read_text("utf-8"))
    runs = {
        (run["recipe"], run["tpu"], run["variant"]): run for plan in plans for run in plan["runs"]
    }
    networks = [row.name for row in select("v2")]
    kinds = dict.fromkeys(("finetune-adabelief", "progressive", "scratch"), ("v3-8",))
    kinds |= {"case-study": SLICES, "finetune": ("v3-8", "v5e-8")}
    assert set(runs) == {
        (recipe, tpu, variant)
        for recipe, tpus in kinds.items()
        for tpu in tpus
        for variant in networks
    }
    assert not [where for where, run in runs.items() if run["problem"] or run["excess_bytes"]]
    for recipe, tpu, words in (
        ("case-study", "v2-8", "{:.3g} minutes of a v2-8's own"),
        ("case-study", "v3-8", "{:.3g} of a v3-8's"),
        ("case-study", "v5e-8", "{:.3g} of a v5e-8's"),
        ("finetune", "v3-8", "{:.3g} minutes of a v3-8's time for all nine"),
        ("finetune", "v5e-8", "{:.3g} of a v5e-8's time"),
        ("finetune-adabelief", "v3-8", "{:.3g} minutes for all nine"),
        ("progressive", "v3-8", "{:.3g} for all nine"),
    ):
        seconds = sum(runs[recipe, tpu, name]["seconds"] for name in networks)
        assert words.format(seconds / 60) in PAGE_WORDS
    for name in networks:
        same = [runs[recipe, "v3-8", name]["seconds"] for recipe in ("progressive", "scratch")]
        assert same[0] == same[1]


def test_what_is_said_of_composers_plan_follows_from_it() -> None:
    plan = json.loads((ROOT / "results/plan-composer.json").read_text("utf-8"))
    (run,) = plan["runs"]
    assert (run["recipe"], run["variant"], run["tpu"]) == ("composer", "V1-B0", "v3-8")
    assert not run["problem"]
    assert f"{run['peak_bytes'] / 2**30:.2f} GiB" in PAGE_WORDS
    assert f"{run['seconds'] / 60:.3g} minutes for 400 epochs" in PAGE_WORDS


def test_what_is_said_of_composers_plan_on_imagenet_follows_from_it() -> None:
    plan = json.loads((ROOT / "results/plan-composer-imagenet.json").read_text("utf-8"))
    assert [run["tpu"] for run in plan["runs"]] == ["v3-8", "v5e-8"]
    for run in plan["runs"]:
        assert (run["recipe"], run["variant"], run["data"]) == ("composer", "V1-B0", "imagenet")
        assert (run["image_size"], run["batch_size"], run["problem"]) == (224, 4096, "")
        assert run["programs"][0]["source"] == "bytes"
    hours = [f"{run['seconds'] / 3600:.1f}" for run in plan["runs"]]
    paces = [f"{run['images_per_second']:,.0f}" for run in plan["runs"]]
    words = f"{hours[0]} hours of a v3-8's time for 400 epochs, {hours[1]} of a v5e-8's, by bytes"
    assert words in PAGE_WORDS
    assert f"send {paces[0]} images a second to the one and {paces[1]} to the other" in PAGE_WORDS
    assert f"{hours[1]} hours of a v5e-8 [by plan]" in PAGE_WORDS


def test_what_is_said_of_planned_training_steps_follows_from_the_plans() -> None:
    """The paper's hours stand in the published table."""
    plans = [json.loads((ROOT / "results/plan-training.json").read_text("utf-8"))]
    plans += json.loads((ROOT / "results/plan.json").read_text("utf-8"))
    runs = {
        run["variant"]: run
        for plan in plans
        for run in plan["runs"]
        if (run["recipe"], run["tpu"]) == ("finetune", "v3-8")
    }
    steps = {name: run["programs"][0] for name, run in runs.items()}
    hours = {row.variant: row.train_hours for row in reference.PAPER_TRAINING.rows}
    pairs = (("S", "V1-B5"), ("M", "V1-B7"), ("L", "V1-B7"))
    for new, old in pairs:
        assert (steps[new]["images"], steps[old]["images"]) == (16, 16)
        assert (steps[new]["source"], steps[old]["source"]) == ("bytes", "bytes")
    small, middle, large = (steps[old]["seconds"] / steps[new]["seconds"] for new, old in pairs)
    words = (
        f"S trains {small:.2f} times as fast as V1-B5, and M {middle:.2f} and L {large:.2f} times"
    )
    assert words in PAGE_WORDS
    assert (
        f"v3-8](#would-it-run-on-a-tpu) S {small:.2f} times as fast as B5, M {middle:.2f} as"
        in PAGE
    )
    paper = [f"{hours[old] / hours[new]:.2f}" for new, old in pairs]
    assert f"training times have {paper[0]}, {paper[1]} and {paper[2]}" in PAGE_WORDS
    peaks = [f"{runs[name]['peak_bytes'] / 2**30:.2f}" for name in ("V1-B5", "V1-B7")]
    assert f"{peaks[0]} and {peaks[1]} GiB" in PAGE_WORDS


@pytest.mark.parametrize("line", commands("make"))
def test_make_targets_exist(line: str) -> None:
    target = line.split()[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_every_command_stands_in_the_readme() -> None:
    for name in get_command(application()).commands:
        assert f"effbench {name}" in README
    assert "`bench training`" in README


def test_the_readme_is_short_and_names_what_is_there() -> None:
    assert len(README.splitlines()) <= 220
    named = re.findall(r"[`(](\w+/[\w/-]+\.(?:py|md|txt))\b", README)
    assert len(named) >= 8
    assert not [name for name in named if not (ROOT / name).exists()]
    packages = re.findall(r"^- `(\w+)/`", README, re.MULTILINE)
    folders = {init.parent.name for init in (ROOT / "effbench").glob("*/__init__.py")}
    assert sorted(packages) == sorted(folders | {"effbench"})


def test_what_is_said_of_features_follows_from_their_record() -> None:
    rows = json.loads((ROOT / "results/bench-features.json").read_bytes())["rows"]
    others = (
        *(("tensorflow", "", True), ("timm", "eager", False), ("timm", "compiled", False)),
        *(("onnxruntime", "", False), ("openvino", "", False)),
    )
    precisions = ("float32", "mixed_bfloat16")
    for network, precision in product(("B0 at 224", "S at 384", "L at 480"), precisions):
        variant, _, size = network.split()
        speeds = {
            (row["case"]["tool"], row["case"]["way"], row["case"]["ours"]): row["speeds"]
            for row in rows
            if row["case"]["variant"] == variant
            and row["case"]["image_size"] == int(size)
            and row["case"]["precision"] == precision
        }
        auto = speeds["openvino", "", True]
        times = [np.median(np.divide(auto, speeds[side])) for side in others if speeds[side]]
        cells = [f"{ratio:.2f}" for ratio in times]
        if precision != "float32":
            cells.insert(3, "-")  # ONNX Runtime has no bfloat16 on a CPU
        assert f"| {network}, {precision} | {np.median(auto):.1f} | {' | '.join(cells)} |" in PAGE
        # OpenVINO by its defaults is the same: equal, within the spread of the rounds.
        assert min(times[:-1]) > 1
        assert times[-1] > 0.97


def test_what_is_said_of_all_nine_follows_from_their_record() -> None:
    rows = json.loads((ROOT / "results/bench-features-v2.json").read_bytes())["rows"]
    speeds = {
        (row["case"]["variant"], row["case"]["precision"], row["case"]["tool"]): row["speeds"]
        for row in rows
    }

    def times(precision: str, tool: str) -> str:
        """The least and the most over the networks, with what each is of."""
        ratios = {
            row.name: np.median(
                np.divide(
                    speeds[row.name, precision, "openvino"], speeds[row.name, precision, tool]
                )
            )
            for row in select("v2")
        }
        assert min(ratios.values()) > 1
        ends = (min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__))
        first, last = (f"{ratios[name]:.2f} ({name})" for name in ends)
        return f"{first} to {last}"

    half = "mixed_bfloat16"
    assert (
        f"In float32 it is {times('float32', 'tensorflow')} times as fast as TensorFlow, "
        f"{times('float32', 'onnxruntime')} as ONNX Runtime and {times('float32', 'timm')} as timm "
        f"uncompiled; in bfloat16 {times(half, 'tensorflow')} times as fast as TensorFlow and "
        f"{times(half, 'timm')} as timm."
    ) in PAGE_WORDS


def test_what_is_said_of_steps_beside_timm_follows_from_their_record() -> None:
    rows = json.loads((ROOT / "results/bench-step-timm.json").read_bytes())["rows"]
    ratios = {
        (row["case"]["precision"], peer["way"]): peer["ratios"]
        for row in rows
        for peer in row["peers"]
    }
    eager, compiled = (
        [f"{np.median(ratios[precision, way]):.2f}" for precision in ("float32", "mixed_bfloat16")]
        for way in ("eager", "compiled")
    )
    assert (
        f"in float32 {eager[0]} times as fast as timm as it is and {compiled[0]} times as with "
        f"`torch.compile`, in bfloat16 {eager[1]} and {compiled[1]} times"
    ) in PAGE_WORDS
    rounds = np.concatenate(list(ratios.values()))
    assert f"went from {rounds.min():.2f} to {rounds.max():.2f}" in PAGE_WORDS
    assert rounds.min() > 1


@pytest.mark.parametrize("variant", ["B6", "B7", "L2"])
def test_what_is_said_of_the_largest_planned_networks_follows_from_their_plans(variant) -> None:
    name = f"plan-v1-{variant.lower()}.md"
    plan = (ROOT / "results" / name).read_text("utf-8")
    (row,) = (line for line in plan.splitlines() if line.startswith(f"| V1-{variant}"))
    step = row.split("|")[-4].strip()
    assert f"([{name}]({name})), {step} ms" in PAGE


def test_what_is_said_of_training_speed_follows_from_its_record() -> None:
    lines = (ROOT / "results/bench-training.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")] for line in lines if line.startswith("| ")]
    speeds = {row[1]: float(row[5]) for row in rows[1:]}
    others = {float(row[10]) for row in rows[1:]}
    said = (
        f"[S {speeds['S'] / speeds['V1-B5']:.2f} times as fast as B5, "
        f"M {speeds['M'] / speeds['V1-B7']:.2f} and L {speeds['L'] / speeds['V1-B7']:.2f} as B7]"
    )
    assert f"{said}(bench-training.md), a step on a CPU with two cores that did nothing" in PAGE
    assert max(others) < 0.1
