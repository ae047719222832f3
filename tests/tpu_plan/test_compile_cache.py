"""The compiler's processes, played by scripts: what is kept, what is tried again, what ends all."""

import errno
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from support import children
from support.records import spec

import effbench
from effbench import provenance
from effbench.data import datasets
from effbench.data.outline import Outline
from effbench.errors import DiskError, EffbenchError, RelayedError
from effbench.hardware import tpu as tpus
from effbench.hardware.tpu_slices import SLICES
from effbench.tpu_plan import compile_cache
from effbench.tpu_plan.compile_cache import CrashError
from effbench.tpu_plan.messages import COMPILED, LOWERED, Compiled, LoweredProgram

V3, V2 = SLICES["v3-8"], SLICES["v2-8"]
CIFAR10 = datasets.outline("cifar10")
DONE = Compiled("", 1.5, temporaries=3)
ROWS = (LoweredProgram("features", "a.mlir", 32, 235, 0, "b.mlir", 2),)


class Player:
    """Plays the processes; counts how often one is started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.worked = 0

    def plays(self, code: str) -> None:
        children.play(self._monkeypatch, code)

    def answers(self, answer: bytes) -> None:
        self.plays(f"sys.stdout.write({answer.decode()!r})")

    def working(self) -> None:
        self.worked += 1

    def compile(self, program: str = "a.mlir", tpu=V3) -> Compiled:
        return compile_cache.compile(program, tpu, self.working)


@pytest.fixture
def player(tmp_path, monkeypatch) -> Player:
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))
    return Player(monkeypatch)


def test_an_answer_is_kept_by_program_chip_and_version(player, monkeypatch):
    player.answers(COMPILED.dump_json(DONE))
    assert player.compile() == DONE
    assert player.compile() == DONE
    assert player.worked == 1
    player.compile("b.mlir")
    player.compile(tpu=V2)
    assert player.worked == 3
    monkeypatch.setattr(provenance, "version", lambda _: "2")
    player.compile()
    assert player.worked == 4


def test_a_refusal_is_kept_as_well(player):
    refused = Compiled("needs too much", 1.0, temporaries=9, available=5)
    player.answers(COMPILED.dump_json(refused))
    assert player.compile() == player.compile() == refused
    assert player.worked == 1


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", r"ended by SIGKILL \(often the system out of"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV"),
        ("raise MemoryError('no more')", "MemoryError: no more"),
        ("sys.exit('Check failed: all is lost')", "Check failed: all is lost"),
        ("sys.exit(3)", "it said nothing"),
    ],
)
def test_a_crash_says_why_and_is_not_kept(player, code, text):
    player.plays(code)
    with pytest.raises(CrashError, match=text):
        player.compile()
    player.answers(COMPILED.dump_json(DONE))
    assert player.compile() == DONE
    assert player.worked == 2


def test_a_compiler_that_hangs_is_ended(player, monkeypatch):
    monkeypatch.setattr(compile_cache, "SECONDS", 1)
    player.plays("time.sleep(60)")
    began = time.monotonic()
    with pytest.raises(CrashError, match="no answer in"):
        player.compile()
    assert time.monotonic() - began < 20
    assert not any(
        "time.sleep(60)" in " ".join(each.cmdline()) for each in psutil.Process().children()
    )


def test_an_error_that_another_process_would_meet_too_ends_the_plan(player):
    player.plays("print('noise\\nlibtpu does not load: x; y', file=sys.stderr); sys.exit(4)")
    with pytest.raises(RelayedError, match=r"^libtpu does not load: x; y$"):
        player.compile()


def test_no_room_for_the_cache_is_one_line(player, monkeypatch):
    player.answers(COMPILED.dump_json(DONE))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskError, match="No space left on device; free some space"):
        player.compile()
    monkeypatch.undo()


def test_what_stands_in_the_way_of_all_is_met_before_the_first(player):
    player.answers(COMPILED.dump_json(DONE))
    for _ in range(2):
        compile_cache.begin(V3, player.working)
    assert player.worked == 1


def test_a_compiler_that_crashes_at_once_is_one_line(player):
    player.plays("os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(EffbenchError, match=r"does not start: ended by SIGSEGV; run 'pip "):
        compile_cache.begin(V3, player.working)


def test_a_damaged_answer_is_asked_for_again(player, tmp_path):
    player.answers(COMPILED.dump_json(DONE))
    player.compile()
    (path,) = (tmp_path / "cache/plan/compiled").iterdir()
    path.write_text("{")
    assert player.compile() == DONE
    assert player.worked == 2


def test_programs_are_known_by_all_that_shapes_them(player, tmp_path, monkeypatch):
    player.answers(LOWERED.dump_json(ROWS))
    programs = tmp_path / "cache/plan/programs"
    programs.mkdir(parents=True)
    for name in ("a.mlir", "b.mlir"):
        (programs / name).write_text("module")

    def lower(
        outline: Outline = CIFAR10, batch: int | None = None, replicas: int = 8, **changes: object
    ) -> None:
        asked = spec(**changes), outline, batch, replicas
        assert compile_cache.lower(*asked, player.working) == ROWS

    lower()
    lower()
    assert player.worked == 1
    for count, change in enumerate(
        ({"batch": 8}, {"replicas": 4}, {"image_size": 32}, {"variant": "T"}), start=2
    ):
        lower(**change)
        lower(**change)
        assert player.worked == count
    monkeypatch.setattr(compile_cache, "_source", lambda: "another")
    lower()
    assert player.worked == 6
    lower(recipe=replace(spec().recipe, name="another", pretrained=False))
    lower(recipe=replace(spec().recipe, geometry="crop", filter="bicubic"))
    assert player.worked == 6
    lower(recipe=replace(spec().recipe, dropout=0.5))
    assert player.worked == 7
    # Photos, fewer of them, and of other classes; what they are called is all the same.
    for count, outline in enumerate(
        (replace(CIFAR10, side=None), Outline((220, 24), 10), Outline((220, 24), 2)), start=8
    ):
        for name in ("ants", "bees"):
            lower(outline, classes=outline.classes, data=name)
        assert player.worked == count
    (programs / "b.mlir").unlink()
    lower()
    assert player.worked == 11


def test_without_the_extra_it_says_which_command_installs_it(monkeypatch):
    there = provenance.version
    monkeypatch.setattr(tpus, "build", lambda: False)
    monkeypatch.setattr(
        provenance, "version", lambda name: "" if name in compile_cache.PACKAGES else there(name)
    )
    with pytest.raises(EffbenchError, match="no jax, jaxlib, libtpu; run 'pip install --no-deps"):
        compile_cache.check()


def test_the_tpu_set_has_another_libtpu(monkeypatch):
    monkeypatch.setattr(tpus, "build", lambda: True)
    with pytest.raises(EffbenchError, match="make setup ACCEL=cpu"):
        compile_cache.check()


def test_the_extra_is_what_the_list_pins():
    root = Path(__file__).parents[2]
    lines = (root / "requirements/plan.txt").read_text("utf-8").splitlines()
    pinned = [line for line in lines if not line.startswith("#")]
    assert [line.partition("==")[0] for line in pinned] == list(compile_cache.PACKAGES)
    extra = next(
        line
        for line in (root / "pyproject.toml").read_text("utf-8").splitlines()
        if line.startswith("plan = ")
    )
    assert extra == "plan = [" + ", ".join(f'"{line}"' for line in pinned) + "]"


def test_a_change_anywhere_that_shapes_a_program_is_a_new_key(tmp_path):
    """And of what only shows results it is not: nobody compiles again for another table."""
    package = Path(effbench.__file__).parent
    home = tmp_path / "effbench"
    shutil.copytree(package, home, ignore=shutil.ignore_patterns("__pycache__"))
    before = compile_cache.source_hash(home)
    assert before == compile_cache.source_hash(package)
    for folder in {path.parent for path in home.rglob("*.py")}:
        file = max(folder.glob("*.py"))
        content = file.read_text("utf-8")
        file.write_text(f"{content}# changed\n")
        shown = folder.relative_to(home).parts[:1]
        assert (compile_cache.source_hash(home) == before) == (
            bool(shown) and shown[0] in compile_cache.AFTERWARDS
        ), file
        file.write_text(content)
