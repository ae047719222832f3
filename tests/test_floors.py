"""The floors of DESIGN.md, checked from the imports themselves."""

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from records import complete

import effbench
from effbench.store import Store

PACKAGE = Path(effbench.__file__).parent

# A file imports only from lower floors; files of one floor do not import each other.
FLOORS = (
    (
        "__init__",
        "child",
        "errors",
        "reference",
        "report.__init__",
        "report.charts.__init__",
        "report.charts.labels",
        "report.charts.theme",
        "report.letters",
        "report.uncertainty",
        "tpus",
    ),
    (
        "accelerator",
        "backend",
        "cache",
        "cluster",
        "dataset",
        "hush",
        "machine",
        "provenance",
        "recipes",
        "slices",
        "variants",
    ),
    (
        "draws",
        "flags",
        "formats",
        "layout",
        "models",
        "multiply_adds",
        "optimizers",
        "packing",
        "runs",
        "sampling",
        "stages",
        "steps",
    ),
    (
        "compiled",
        "devices",
        "evaluate",
        "facts",
        "predict",
        "progress",
        "randaugment",
        "report.cost",
        "schema",
    ),
    (
        "augment",
        "bench_step",
        "compiling",
        "console",
        "estimate",
        "fetch",
        "jobs",
        "probe",
        "store",
        "trial",
    ),
    (
        "bench_step_table",
        "checkpoint",
        "cifar10",
        "compiler",
        "features",
        "integrity",
        "logs",
        "network",
        "outcome",
        "reference_cli",
        "report.outcomes",
        "show",
        "weights",
    ),
    (
        "data",
        "doctor",
        "finetune",
        "kept",
        "lookups",
        "merge",
        "report.frame",
        "rerun",
        "workloads",
    ),
    (
        "classifier",
        "consistency",
        "heads",
        "machine_cli",
        "networks",
        "programs",
        "report.charts.figure",
        "report.notes",
        "request",
        "stepping",
    ),
    ("experiment", "export", "lowering", "plan", "report.sections", "sweep", "validate"),
    (
        "bench",
        "export_cli",
        "plan_table",
        "records_cli",
        "report.answer",
        "report.charts.curves",
        "report.charts.intervals",
        "report.mistakes",
        "report.select",
        "worker",
    ),
    (
        "bench_report",
        "plan_cli",
        "report.charts.confusion",
        "report.charts.pareto",
        "report.columns",
        "report.read",
        "report.thumbnails",
    ),
    ("bench_cli", "compare", "report.charts.drawing", "report.provenance", "report.table"),
    ("report.changes", "report.charts.files", "report.view"),
    ("report.page",),
    ("report_cli",),
    ("cli",),
)
FLOOR = {module: floor for floor, modules in enumerate(FLOORS) for module in modules}
TENSORFLOW = {"tensorflow", "tensorflow_addons", "tf_keras", "keras"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


SOURCES = {module_name(path): path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))}


def imported(source: str) -> set[str]:
    """Dotted names of all that is imported anywhere in a file, functions included."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import: {ast.unparse(node)}"
            # "from a import b": b is a module of a, or something in a.
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def own(source: str) -> set[str]:
    """Modules of effbench among the imports of a file."""
    found = set()
    for name in imported(source):
        if name.split(".")[0] == "effbench":
            inner = name.removeprefix("effbench").removeprefix(".")
            candidates = (inner, f"{inner}.__init__", inner.rpartition(".")[0], "__init__")
            found.add(next(each for each in candidates if each in SOURCES))
    return found


@cache
def longest_chain(module: str) -> int:
    return 1 + max((longest_chain(each) for each in own(SOURCES[module])), default=0)


def test_the_table_of_floors_names_every_module():
    assert sorted(FLOOR) == sorted(SOURCES)
    assert sum(map(len, FLOORS)) == len(FLOOR), "a module stands on two floors"


@pytest.mark.parametrize("module", SOURCES)
def test_imports_come_from_lower_floors(module):
    wrong = {name for name in own(SOURCES[module]) if FLOOR[name] >= FLOOR[module]}
    assert not wrong, f"{module} (floor {FLOOR[module]}) imports {wrong}"


def test_there_are_no_more_floors_than_needed():
    assert len(FLOORS) == max(map(longest_chain, SOURCES))


def test_only_backend_imports_tensorflow():
    users = {
        module
        for module, source in SOURCES.items()
        if {name.split(".")[0] for name in imported(source)} & TENSORFLOW
    }
    assert users == {"backend"}


LIGHT = (
    ["--help"],
    ["--version"],
    ["variants"],
    ["variants", "--json"],
    ["report", "--results", "RESULTS"],
    ["report", "--json", "--results", "RESULTS"],
    ["report", "--html", "--results", "RESULTS"],
    ["compare", "RESULTS", "RESULTS"],
    ["reference"],
    ["validate", "RESULTS"],
    ["show", "B0", "--rerun", "--results", "RESULTS"],
    ["plan", "--help"],
    ["export", "--help"],
    ["predict", "--help"],
)

WATCH = """
import json, sys
from effbench import cli
try:
    cli.main()
except SystemExit as end:
    code = end.code or 0
print("\\n" + json.dumps([code, sorted({name.split(".")[0] for name in sys.modules})]))
"""


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_light_commands_do_not_load_tensorflow(arguments, tmp_path):
    complete(Store(tmp_path))
    places = {"RESULTS": str(tmp_path)}
    arguments = [places.get(each, each) for each in arguments]
    done = subprocess.run(
        (sys.executable, "-c", WATCH, *arguments), capture_output=True, text=True, check=True
    )
    code, loaded = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    assert "effbench" in loaded
    assert not set(loaded) & {*TENSORFLOW, "keras_efficientnet_v2"}


def test_models_may_be_the_first_module_that_is_imported():
    """keras-efficientnet-v2 imports TensorFlow itself; it must find Keras 2 all the same."""
    code = (
        "import effbench.models; from effbench.backend import keras; print(keras.Model.__module__)"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.startswith("tf_keras.")
