import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import typer
from support import shallow, zygote
from support.commandline import Done

from effbench import subprocesses

TESTS = Path(__file__).parent
# These begin: where the last one to begin takes minutes, the other workers wait for it.
LONGEST = (
    "training/test_replicas.py",
    "tpu_plan/test_planner.py",
    "sweep/test_scheduler.py",
    "models/test_backbone.py",
    "export/test_writer.py",
    "training/test_head_training.py",
    "training/test_fine_tune_run.py",
    "training/test_fine_tune.py",
    "training/augment/test_policy.py",
    "sweep/test_photos.py",
    "bench/test_comparisons.py",
    "models/test_weights.py",
    "training/augment/test_randaugment.py",
    "test_rows.py",
    "imagenet/test_scoring.py",
    "training/test_feeding.py",
)
# XLA on a CPU compiles in two thirds of the time; TensorFlow and JAX read it when they are loaded.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
# Nobody listens on the discard port: a test that forgets its server fails fast, and stays here.
NOWHERE = "http://127.0.0.1:9"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files that take longest first, in the order of `LONGEST`."""
    ranks = {TESTS / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@pytest.fixture(scope="session", autouse=True)
def _commands_are_made_once() -> Iterator[None]:
    """Typer makes all commands of the command line from their functions each time it is called."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Points every cache and every download of the tests, and of their processes, elsewhere."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EFFBENCH_CACHE", str(home / "effbench"))
        patch.setenv("KERAS_HOME", str(home / "keras"))
        patch.setenv("EFFBENCH_CIFAR10_URL", f"{NOWHERE}/cifar-10-python.tar.gz")
        patch.setenv("EFFBENCH_CIFAR100_URL", f"{NOWHERE}/cifar-100-python.tar.gz")
        patch.setenv("EFFBENCH_WEIGHTS_URL", NOWHERE)
        yield


@pytest.fixture(scope="module")
def shallow_networks() -> Iterator[None]:
    """B0 and B1 of few blocks, for the tests of a file whose subject is not the network."""
    with pytest.MonkeyPatch.context() as patch:
        shallow.networks(patch)
        yield


@pytest.fixture(scope="session")
def _relay() -> Iterator[tuple[str, ...]]:
    """What starts children as forks of one process, which has the shallow networks."""
    with contextlib.ExitStack() as serving:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", shallow.path())
            command = serving.enter_context(zygote.serving())
        # What other files start has the networks as users have them.
        yield command


@pytest.fixture(scope="module")
def quick_workers(_relay: tuple[str, ...], shallow_networks: None) -> Iterator[None]:
    """Workers that start in no time, for files whose subject is what they do after that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocesses, "COMMAND", _relay)
        patch.setenv(zygote.RELAY, json.dumps(_relay))
        yield


@pytest.fixture
def run(monkeypatch, capsys) -> Callable[..., Done]:
    """Runs the command line as the entry point does."""

    from effbench.cli import main

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["effbench", *map(str, arguments)])
        before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
        capsys.readouterr()
        try:
            main.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def terminal(monkeypatch) -> Callable[[int], None]:
    """Makes what the commands print to a terminal of so many columns."""
    from effbench.cli.console import out

    def terminal(width: int) -> None:
        values = {"_force_terminal": True, "_width": width, "_height": 25}
        for name, value in values.items():
            monkeypatch.setattr(out, name, value)

    return terminal
