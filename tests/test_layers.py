"""The house: which package may import which, and what stays light."""

import ast
import json
import subprocess
import sys
from collections import Counter
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from support.pictures import fill
from support.records import complete

import effbench
from effbench.records.store import Store

PACKAGE = Path(effbench.__file__).parent

# A package imports from those before it; the root, "", holds what all stand on.
PACKAGES = (
    "",
    "config",
    "data",
    "hardware",
    "records",
    "models",
    "engines",
    "training",
    "sweep",
    "imagenet",
    "export",
    "tpu_plan",
    "bench",
    "report",
    "cli",
)
# These never import one another, either.
APART = ("export", "tpu_plan", "bench", "report")
TENSORFLOW = {"tensorflow", "tensorflow_addons", "tf_keras", "keras"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


SOURCES = {module_name(path): path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))}


def package(module: str) -> str:
    return module.partition(".")[0] if "." in module else ""


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


@cache
def modules(module: str) -> frozenset[str]:
    """Modules of effbench among the imports of one."""
    inside = set()
    for name in imported(SOURCES[module]):
        if name.split(".")[0] == "effbench":
            inner = name.removeprefix("effbench").removeprefix(".")
            candidates = (inner, f"{inner}.__init__", inner.rpartition(".")[0], "__init__")
            inside.add(next(module for module in candidates if module in SOURCES))
    return frozenset(inside)


def test_the_order_names_every_package():
    assert set(PACKAGES) == {package(module) for module in SOURCES}


@pytest.mark.parametrize("module", SOURCES)
def test_imports_come_from_packages_above(module):
    place = PACKAGES.index(package(module))
    below = {name for name in modules(module) if PACKAGES.index(package(name)) > place}
    assert not below, f"{module} imports {below}, which stand below it"
    if package(module) in APART:
        beside = {package(name) for name in modules(module)} & set(APART) - {package(module)}
        assert not beside, f"{module} imports of {beside}"


def test_no_imports_go_in_a_circle():
    TopologicalSorter({module: modules(module) for module in SOURCES}).prepare()


def test_no_two_files_and_no_two_public_classes_share_a_name():
    files = Counter(module.rpartition(".")[2] for module in SOURCES)
    classes = Counter(
        node.name
        for source in SOURCES.values()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in files.items() if count > 1] == ["__init__"]
    assert [name for name, count in classes.items() if count > 1] == []


def test_packages_hold_nothing_but_their_modules():
    filled = {name for name, text in SOURCES.items() if name.endswith(".__init__") and text}
    assert not filled


def test_only_the_set_up_imports_tensorflow():
    users = {
        module
        for module, source in SOURCES.items()
        if {name.split(".")[0] for name in imported(source)} & TENSORFLOW
    }
    assert users == {"hardware.tensorflow_setup"}


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
    ["reference", "case-study"],
    ["sweep", "--help"],
    ["validate", "RESULTS"],
    ["status", "--results", "RESULTS"],
    ["work", "--help"],
    ["show", "B0", "--rerun", "--results", "RESULTS"],
    ["plan", "--help"],
    ["export", "--help"],
    ["predict", "--help"],
    ["imagenet", "--help"],
    ["evaluate", "--help"],
    ["data", "PHOTOS"],
)

# One process for all: what none of them has loaded, none loads.
WATCH = """
import json, sys
from effbench.cli import main
codes = []
for arguments in json.loads(sys.argv.pop()):
    sys.argv[1:] = arguments
    try:
        main.main()
        codes.append(0)
    except SystemExit as end:
        codes.append(end.code or 0)
print("\\n" + json.dumps([codes, sorted({name.split(".")[0] for name in sys.modules})]))
"""


def test_light_commands_do_not_load_tensorflow(tmp_path):
    complete(Store(tmp_path))
    fill(tmp_path / "photos", {"a": 10, "b": 10})
    places = {"RESULTS": str(tmp_path), "PHOTOS": str(tmp_path / "photos")}
    commands = [[places.get(word, word) for word in arguments] for arguments in LIGHT]
    done = subprocess.run(
        (sys.executable, "-c", WATCH, json.dumps(commands)),
        capture_output=True,
        text=True,
        check=True,
    )
    codes, loaded = json.loads(done.stdout.splitlines()[-1])
    assert codes == [0] * len(LIGHT), done.stderr
    assert "effbench" in loaded
    assert not set(loaded) & {*TENSORFLOW, "keras_efficientnet_v2"}
