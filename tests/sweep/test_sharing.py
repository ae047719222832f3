"""Several workers on one results folder: leases, takeovers, and what `work` and `status` say."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import OwnerRecord, Timeout
from filelock._marker import encode_marker
from support import no_ops
from support.records import put, result, spec

from effbench import leases
from effbench.failures import FailureKind
from effbench.leases import Claim
from effbench.progress import Step
from effbench.records.store import Store
from effbench.sweep import groups, presence, progress_files, queues, scheduler, worker_process
from effbench.sweep.events import Event
from effbench.sweep.groups import Group
from effbench.sweep.scheduler import SweepCounts
from effbench.training.job import Problem

ALL = "B0,B1,B2,B3,T,S,M,L,XL"


def silent(_: Event) -> None:
    pass


@pytest.fixture(autouse=True)
def _no_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "work", no_ops.work)
    monkeypatch.setattr(scheduler, "LOOK_SECONDS", 0.05)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def owned_elsewhere(store: Store, name: str) -> None:
    """A lease whose owner, on another machine, was killed a moment ago."""
    store.lock(name)
    owner = OwnerRecord(1, "elsewhere", "lease", "t" * 32, leases.seconds(), None)
    store.lease(name).write_bytes(encode_marker(owner))


def test_whoever_takes_part_does_what_is_open_and_the_last_one_closes(store):
    request = no_ops.request(variants="B0,B1", seeds="0,1")
    queue = queues.write(store, request)
    assert queues.read(store) == [queue]
    assert scheduler.take(store, silent) == SweepCounts(4, 0, 0, 0)
    assert queues.read(store) == []
    assert not list(store.directory.glob(".running/*"))
    assert {record.spec.key for record in store.load().results} == {
        spec.key for spec in request.specs
    }
    queues.write(store, request)
    assert scheduler.take(store, silent) == SweepCounts(0, 0, 4, 0)


def test_what_is_forced_is_repeated_once_however_many_take_part(store):
    request = no_ops.request(variants="B0,B1")
    for _ in range(2):
        queues.write(store, request)
        scheduler.take(store, silent)
    forced = no_ops.request(variants="B0,B1", force=True)
    queues.write(store, forced)
    workers = [threading.Thread(target=scheduler.take, args=(store, silent)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    writes = (store.directory / ".writes").read_text().split()
    assert sorted(writes) == sorted([spec.key for spec in request.specs] * 2)


def test_no_group_seems_untried_while_its_sweep_is_removed(store, monkeypatch):
    queue = queues.write(store, no_ops.request(variants="B0,B1"))
    for group in queue.groups:
        queue.settle(group)
    removed = shutil.rmtree
    seen = []

    def slowly(folder: Path, **options: bool) -> None:
        for path in (folder / "done").iterdir():
            path.unlink()
        seen.extend(queue.was_tried(group) for group in queue.groups)
        removed(folder, **options)

    monkeypatch.setattr(shutil, "rmtree", slowly)
    queue.close()
    assert seen == [True, True]
    assert not queue.folder.exists()


def test_a_silent_owners_group_is_taken_over_after_its_time(store, monkeypatch):
    monkeypatch.setenv(leases.SECONDS, "1")
    queue = queues.write(store, no_ops.request())
    owned_elsewhere(store, queue.groups[0].name)
    began = time.monotonic()
    assert scheduler.take(store, silent) == SweepCounts(1, 0, 0, 0)
    assert 1 <= time.monotonic() - began < 20


def test_who_was_taken_over_writes_neither_a_record_nor_a_failure(store, monkeypatch):
    """It finds another's token in its lease, as it would after it had slept for too long."""
    queue = queues.write(store, no_ops.request())
    (group,) = queue.groups

    def overslept(job, *others):
        owned_elsewhere(store, group.name)
        return no_ops.work(job, *others)

    monkeypatch.setattr(worker_process, "work", overslept)
    assert not scheduler.settle(queue, store, group, silent, wait=False)
    assert store.load() == Store(store.directory / "nothing").load()
    assert queue.open() == [group]


def test_of_two_owners_one_writes(store):
    first, second = result(), result(history=())
    saved = store.save_predictions(first.spec.key, {})
    path = store.folder(first.spec.key) / saved.file
    path.rename(path.with_name(first.predictions.file))
    assert store.save(first, first=True)
    assert not store.save(second, first=True)
    assert store.read(first.spec.key) == first
    (store.folder(first.spec.key) / "record.json").write_text("{")
    assert store.save(second, first=True), "what cannot be read is replaced"


@pytest.mark.parametrize("wait", [False, True])
def test_a_lease_whose_owner_died_before_it_wrote_who_it_is_ends(wait, store, monkeypatch):
    monkeypatch.setenv(leases.SECONDS, "1")
    lease = store.lock("group")
    store.lease("group").touch()
    began = time.monotonic()
    while not lease.is_locked:
        with contextlib.suppress(Timeout):
            lease.take(wait=wait)
        assert time.monotonic() - began < 60
        time.sleep(0.05)
    assert time.monotonic() - began >= 1
    assert store.lease("group").stat().st_size
    lease.release()


def test_an_owner_has_as_long_as_a_lease_holds_to_write_who_it_is(store, monkeypatch):
    monkeypatch.setenv(leases.SECONDS, "1")
    lease = store.lock("group")
    began = time.monotonic()
    while time.monotonic() - began < 1.5:  # another one each time, as far as anyone can see
        store.lease("group").unlink(missing_ok=True)
        store.lease("group").touch()
        with pytest.raises(Timeout):
            lease.take()
        time.sleep(0.2)


def test_a_claim_holds_while_its_lease_does(store):
    with store.lock("group").take() as lease:
        claim = Claim(store.lease("group"), lease.token)
        assert claim.holds()
        owned_elsewhere(store, "group")
        assert not claim.holds()
        store.lease("group").unlink()


@pytest.mark.parametrize("text", ["0", "nan", "soon"])
def test_the_time_of_a_lease_is_a_number(text, monkeypatch):
    monkeypatch.setenv(leases.SECONDS, text)
    with pytest.raises(leases.UsageError, match=f"a number from 1 on: {text}"):
        leases.seconds()


def test_groups_with_the_same_features_are_beside_each_other_the_longest_first():
    request = no_ops.request(
        variants="B0,XL,B1", recipe="case-study,linear-probe,finetune-adabelief"
    )
    names = [
        (group.specs[0].variant, group.specs[0].recipe.name)
        for group in groups.ordered(groups.of(request.specs))
    ]
    assert names[0] == ("XL", "finetune-adabelief")
    assert [variant for variant, recipe in names if recipe != "finetune-adabelief"] == [
        *("XL", "XL", "B1", "B1", "B0", "B0")
    ]
    assert names.index(("B1", "finetune-adabelief")) < names.index(("B0", "case-study"))


def test_features_that_others_compute_are_waited_for_or_another_group_is_taken():
    request = no_ops.request(variants="B0,B1", recipe="case-study,linear-probe")
    ordered = groups.ordered(groups.of(request.specs))
    large, small = ordered[0].features, ordered[2].features
    first, second = ordered[0].name, ordered[2].name
    assert list(groups.choices(ordered, (), {large: first})) == [ordered[0], *ordered[2:]]
    both = {large: first, small: second}
    assert list(groups.choices(ordered, (), both)) == [ordered[0], ordered[2]]
    assert list(groups.choices(ordered, {small}, {large: "another"})) == ordered[2:]
    assert list(groups.choices(ordered, {small}, {})) == ordered[2:] + ordered[:2]


def test_who_dies_while_it_computes_features_is_taken_over(store, monkeypatch):
    monkeypatch.setenv(leases.SECONDS, "1")
    queue = queues.write(store, no_ops.request(recipe="case-study,linear-probe"))
    with progress_files.noted(store, queue.groups[0]):
        owned_elsewhere(store, queue.groups[0].name)
        assert scheduler.take(store, silent) == SweepCounts(2, 0, 0, 0)


def test_progress_is_there_while_the_lease_is(store):
    group = Group((spec(),))
    with store.lock(group.name).acquire(timeout=0), progress_files.noted(store, group) as note:
        note(Step("features", 3, 10, "images"))
        (seen,) = progress_files.read(store)
        assert seen.running.computes_features
        assert (seen.running.process, seen.running.step.done) == (os.getpid(), 3)
        assert progress_files.alive(seen)
        note(Step("train"))
        (seen,) = progress_files.read(store)
        assert not seen.running.computes_features
    assert progress_files.read(store) == []


def test_workers_see_each_other_and_a_clock_that_is_wrong(store, monkeypatch):
    with presence.announced(store) as alone:
        assert alone == presence.Others((), ())
        (mine,) = (store.directory / ".workers").iterdir()
    mine.with_name("long.gone.6.lease").touch()
    os.utime(mine.with_name("long.gone.6.lease"), (0, 0))
    mine.with_name("a.host.7.lease").touch()
    now = time.time() + 600
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now)
        with presence.announced(store) as others:
            assert others.names == ("a.host 7",)
            assert others.remarks == (
                "the clock of this machine is 10 minutes ahead of that of the shared folder: times "
                "of its runs will be wrong by as much; set it, e.g. by NTP",
            )


def test_machines_that_do_not_agree_on_a_leases_time_are_told(store, monkeypatch):
    queue = queues.write(store, no_ops.request())
    owned_elsewhere(store, queue.groups[0].name)
    monkeypatch.setenv(leases.SECONDS, "7")
    with pytest.raises(leases.UsageError, match=f"need the same {leases.SECONDS}: "):
        scheduler.settle(queue, Store(store.directory), queue.groups[0], silent, wait=False)


def test_status_tells_all_states_and_estimates_from_what_was_measured(store, run, monkeypatch):
    request = no_ops.request(variants="B0,B1,T", seeds="0,1")
    queue = queues.write(store, request)
    by_variant = {group.specs[0].variant: group for group in queue.groups}
    scheduler.settle(queue, store, by_variant["B0"], silent, wait=False)
    group = by_variant["T"]
    with store.lock(group.name).acquire(timeout=0), progress_files.noted(store, group) as note:
        note(Step("train", 3, 24, "epochs"))
        told = json.loads(run("status", "--json", "--results", store.directory).out)
        plain = run("status", "--results", store.directory, "--price-per-hour", "3600").out
    assert (told["done"], len(told["waiting"]), told["failed"]) == (2, 2, [])
    (running,) = told["running"]
    assert running["step"] == {
        "phase": "train", "done": 3, "total": 24, "unit": "epochs", "note": "", "lasting": False
    }  # fmt: skip
    assert told["spent_seconds"] == 17.5
    assert told["left_seconds"] > 0
    assert plain.startswith("2 done, 2 running, 2 waiting, 0 failed; about ")
    assert "with 1 worker; $17.50 spent, $" in plain
    assert "train 3/24 epochs" in plain
    after = run("status", "--results", store.directory).out
    assert after.startswith("2 done, 0 running, 4 waiting, 0 failed; nobody works on it: ")


def test_bad_folders_are_one_line(store, run):
    for command, words in (("status", "no results to look at"), ("work", "no open runs in this")):
        done = run(command, "--results", store.directory)
        assert done.code == 1
        assert done.err.startswith(f"effbench: {words}")
    queues.write(store, no_ops.request())
    (file,) = store.directory.glob(".queue/*/request.json")
    file.write_text("{}")
    done = run("work", "--results", store.directory)
    assert done.err.startswith("effbench: cannot read what a sweep is to run")


def test_whoever_comes_last_finds_nothing_to_do(store, run):
    put(store, result())
    done = run("work", "--results", store.directory)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("nothing to do: no open runs in ")


def test_two_workers_in_processes_of_their_own(store):
    queues.write(store, no_ops.request(variants=ALL))
    command = (sys.executable, no_ops.__file__, "work", "--results", store.directory)
    env = {**os.environ, no_ops.SECONDS: "0.1"}
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(int(text.split(" saved here")[0].split()[-1]) for text in said) == 9
    assert len((store.directory / ".writes").read_text().split()) == 9


def test_a_machine_whose_disk_is_full_gives_its_run_back(store, run, monkeypatch):
    queues.write(store, no_ops.request(variants="B0,B1"))
    line = "cannot write under /cache: No space left on device; free some space there"
    with monkeypatch.context() as patch:
        full = Problem(FailureKind.DISK, line)
        patch.setattr(worker_process, "work", lambda *_: full)
        done = run("work", "--results", store.directory)
    assert (done.code, done.err) == (1, f"effbench: {line}\n")
    assert not store.load().failures
    assert not list(store.directory.glob(".running/*"))
    assert scheduler.take(store, silent) == SweepCounts(2, 0, 0, 0)
