import errno
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import Timeout
from support.memory import extra
from support.records import complete, failure, put, result, scores, spec

from effbench.config.run_spec import digest
from effbench.errors import DataError, DiskError
from effbench.files import write_atomically
from effbench.records.record import SCHEMA
from effbench.records.schema import intact
from effbench.records.store import LOG, Store, to_json


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def broken(store: Store, content: bytes) -> str:
    """Puts `content` where a record should be; returns the folder's name."""
    folder = store.folder("B0-broken")
    folder.mkdir(parents=True)
    (folder / "record.json").write_bytes(content)
    return folder.name


def test_what_is_saved_is_loaded(store):
    saved = [put(store, result(spec=spec(seed=seed))) for seed in (2, 0, 1)]
    failed = failure()
    store.save(failed)
    found = store.load()
    assert found.results == tuple(sorted(saved, key=lambda each: each.spec.key))
    assert found.failures == (failed,)
    assert found.problems == ()
    assert all(store.finished(each.spec.key) for each in saved)
    assert store.failure(failed.spec.key)
    assert not store.finished(failed.spec.key)


def test_nothing_is_there_before_anything_is_saved(store):
    key = spec().key
    assert not store.finished(key)
    assert not store.failure(key)
    assert store.load() == replace(store.load(), results=(), failures=(), problems=())
    assert not store.directory.exists()


def test_predictions_come_back_and_are_named_by_their_content(store):
    arrays = {"test_label": np.arange(5, dtype=np.uint8), "p": np.ones((5, 10), np.float16)}
    first = store.save_predictions("k", arrays)
    assert store.save_predictions("k", arrays) == first
    assert store.save_predictions("k", {"test_label": np.zeros(1)}).file != first.file
    with np.load(store.folder("k") / first.file, allow_pickle=False) as back:
        assert set(back) == set(arrays)
        for name, array in arrays.items():
            assert back[name].dtype == array.dtype
            np.testing.assert_array_equal(back[name], array)


@pytest.mark.parametrize("what", ["model", "predictions"])
def test_saving_takes_a_fraction_of_the_memory_of_what_is_saved(what, store):
    """Random bytes, which no compression makes smaller."""
    bits = np.random.default_rng(0)
    arrays = {f"arr_{number}": bits.bytes(8 << 20) for number in range(8)}
    arrays = {name: np.frombuffer(content, np.uint8) for name, content in arrays.items()}
    save = {
        "model": lambda: store.save_model("k", list(arrays.values())),
        "predictions": lambda: store.save_predictions("k", arrays),
    }
    assert extra(save[what]) < (64 << 20) / 2
    (path,) = [path for path in store.directory.rglob("*") if path.is_file()]
    with np.load(path, allow_pickle=False) as back:
        assert all(np.array_equal(back[name], array) for name, array in arrays.items())


def test_a_result_without_its_predictions_is_not_finished(store):
    record = put(store, result())
    (store.folder(record.spec.key) / record.predictions.file).unlink()
    assert not store.finished(record.spec.key)


def test_a_result_replaces_a_failure_and_its_log(store):
    key = spec().key
    store.save(failure(spec=spec(), log=LOG))
    write_atomically(store.folder(key) / LOG, b"what it printed")
    assert store.failure(key)
    record = put(store, result())
    assert store.finished(key)
    assert not store.failure(key)
    assert files(store.folder(key)) == [record.predictions.file, "record.json"]


def test_a_failure_does_not_replace_a_result(store):
    record = put(store, result())
    store.save(failure(spec=record.spec))
    assert store.finished(record.spec.key)
    assert store.load() == replace(store.load(), results=(record,), failures=())
    assert "failure.json" not in files(store.folder(record.spec.key))


def test_a_failure_replaces_an_earlier_failure(store):
    store.save(failure(message="first"))
    store.save(failure(message="second"))
    assert [each.message for each in store.load().failures] == ["second"]


def test_predictions_of_an_earlier_result_are_removed(store):
    old = put(store, result())
    saved = store.save_predictions(old.spec.key, {"test_label": np.zeros(9)})
    assert saved.file != old.predictions.file
    assert store.finished(old.spec.key), "until it is replaced, the old result keeps its own"
    store.save(replace(old, predictions=saved))
    assert files(store.folder(old.spec.key)) == sorted([saved.file, "record.json"])


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_before_the_rename_leaves_nothing(store, monkeypatch, error):
    def fail(_: int) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(error):
            store.save(failure())
    assert files(store.directory) == []
    store.save(failure())
    assert store.load().failures == (failure(),)


CRASH = """
import os, signal, sys
from pathlib import Path
from effbench.files import write_atomically
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
write_atomically(Path(sys.argv[1]), b'{"schema":')
"""


def test_kill_before_the_rename_leaves_the_old_file_whole(store):
    record = put(store, result())
    folder = store.folder(record.spec.key)
    for name in ("record.json", "failure.json"):
        done = subprocess.run((sys.executable, "-c", CRASH, str(folder / name)), check=False)
        assert done.returncode == -signal.SIGKILL
    visible = [name for name in files(folder) if not name.startswith(".")]
    assert visible == sorted([record.predictions.file, "record.json"])
    assert store.load() == replace(store.load(), results=(record,), failures=(), problems=())
    assert (folder / "record.json").read_bytes() == to_json(record)


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES]
)
def test_a_full_or_forbidden_disk_is_one_line_and_leaves_nothing(store, monkeypatch, number):
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DiskError) as caught:
        store.save(result())
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"cannot write under {store.folder(spec().key)}: ")
    assert os.strerror(number) in line
    assert files(store.directory) == []


def test_a_read_only_directory_is_one_line(store, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", fail)
    for write in (store.prepare, lambda: store.save(failure()), lambda: store.lock("x")):
        with pytest.raises(DiskError, match="Read-only file system; name a directory that can"):
            write()


def test_a_file_in_place_of_the_directory_is_one_line(tmp_path):
    (tmp_path / "results").write_text("a file")
    store = Store(tmp_path / "results")
    for write in (store.prepare, lambda: store.save(failure()), lambda: store.lock("x")):
        with pytest.raises(DiskError, match="name a directory, not a file"):
            write()
    assert not store.finished(spec().key)
    assert (tmp_path / "results").read_text() == "a file"


def test_a_directory_in_place_of_the_file_is_one_line(tmp_path):
    (tmp_path / "record.json").mkdir()
    with pytest.raises(DiskError):
        write_atomically(tmp_path / "record.json", b"")
    assert files(tmp_path) == []


def test_prepare_leaves_no_file(store):
    store.prepare()
    assert files(store.directory) == []


def with_schema(schema: object) -> bytes:
    return json.dumps(json.loads(to_json(result())) | {"schema": schema}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        to_json(result())[:-200],
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b'"text"',
        b"[" * 100_000,
        b'{"name": "somebody else\'s"}',
        b'{"schema": 1}',
        with_schema(SCHEMA + 1),
        with_schema(0),
        with_schema(True),
        with_schema("1"),
        with_schema(None),
        to_json(failure()),
        to_json(result()).replace(b'"total": 5000', b'"total": 3'),
        to_json(result()).replace(b'"limit": null', b'"limit": "all"'),
    ],
    ids=[
        "empty",
        "brace",
        "cut off",
        "not UTF-8",
        "null",
        "list",
        "text",
        "deep",
        "foreign",
        "no fields",
        "newer schema",
        "schema 0",
        "schema true",
        "schema of another type",
        "no schema",
        "a failure",
        "impossible counts",
        "wrong type",
    ],
)
def test_what_is_no_record_is_a_problem_and_hides_nothing(store, content):
    good = put(store, result())
    folder = broken(store, content)
    found = store.load()
    assert found.results == (good,)
    assert found.failures == ()
    assert len(found.problems) == 1
    assert folder in found.problems[0]
    assert "\n" not in found.problems[0]
    assert not store.finished(folder)


def test_a_newer_schema_says_what_to_do(store):
    folder = broken(store, with_schema(SCHEMA + 1))
    assert store.load().problems == (
        f"{store.folder(folder)}: written by a newer effbench (schema {SCHEMA + 1}, this one reads "
        f"up to {SCHEMA}); upgrade effbench",
    )


@pytest.mark.parametrize("record", [result(), failure()], ids=["result", "failure"])
def test_a_record_of_schema_1_is_read_as_one_of_today(store, record):
    store.save(record)
    path = store.path(record)
    raw = json.loads(path.read_bytes()) | {"schema": 1}
    del raw["sha256"]
    path.write_text(json.dumps(raw))
    assert store.read(record.spec.key) == record
    assert intact(path) is None


def test_a_record_from_before_the_standard_was_kept_is_read_and_finished(store):
    record = put(store, result())
    path = store.path(record)
    raw = json.loads(path.read_bytes())
    del raw["standard"], raw["sha256"]
    path.write_text(json.dumps(raw | {"sha256": digest(raw)}))
    assert store.read(record.spec.key, checked=True) == record
    assert store.finished(record.spec.key)
    assert result(standard=record.spec.recipe).spec.key == record.spec.key


def test_a_changed_record_is_neither_trusted_nor_replaced(store):
    """Reading it for its own sake, as show does, is another matter."""
    record = put(store, result())
    assert store.doubt(record.spec.key) == ""
    path = store.path(record)
    path.write_text(path.read_text().replace('"replicas": 1', '"replicas": 8'))
    assert store.finished(record.spec.key)
    assert store.doubt(record.spec.key).startswith("the record was changed since it was written")
    assert store.read(record.spec.key).provenance.replicas == 8
    assert store.load().problems == ()
    assert store.load(checked=True).results == ()
    (problem,) = store.load(checked=True).problems
    assert problem.startswith(f"{store.folder(record.spec.key)}: changed since it was written")


def test_the_checksum_is_of_the_content_and_not_of_its_form(store):
    path = store.path(put(store, result()))
    assert intact(path)
    raw = json.loads(path.read_bytes())
    path.write_text(json.dumps(dict(reversed(raw.items())), indent=3))
    assert intact(path)
    for changed in ({"seconds": raw["seconds"] | {"train": 9}}, {"note": 1}, {"sha256": ""}):
        path.write_text(json.dumps(raw | changed))
        assert intact(path) is False
    del raw["sha256"]
    path.write_text(json.dumps(raw))
    assert intact(path) is False


def test_a_record_may_hold_any_words(store):
    record = failure(message="Größe [red] \u2028 \x00 \U0001f600")
    store.save(record)
    assert store.load().failures == (record,)
    assert intact(store.path(record))


def test_predictions_are_read_by_their_names(store):
    record = complete(store, one_rule=True)
    arrays = store.predictions(record)
    assert len(arrays) == 10
    some = store.predictions(record, "test_rank", "test_label")
    assert list(some) == ["test_rank", "test_label"]
    for name, array in some.items():
        np.testing.assert_array_equal(array, arrays[name])


def test_optional_predictions_are_read_where_they_are_there(store):
    record = complete(store)
    arrays = store.predictions(record, "test_rank", optional=("test_label", "test_group"))
    assert list(arrays) == ["test_rank", "test_label"]


def objects() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, test_rank=np.array([{}], dtype=object))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda content: content[:-100],
        lambda content: content[:500] + b"?" + content[501:],
        lambda _: b"PK\x05\x06" + bytes(18),
        lambda _: objects(),
    ],
    ids=["empty", "cut off", "a byte", "no arrays", "pickled"],
)
def test_predictions_that_cannot_be_read_are_one_line(store, spoil):
    record = complete(store)
    path = store.folder(record.spec.key) / record.predictions.file
    names = store.predictions(record)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        store.predictions(record, *names)
    line = str(caught.value)
    assert line.startswith(f"cannot read predictions: {path}: ")
    assert "\n" not in line


def test_predictions_that_are_missing_or_lack_an_array_are_one_line(store):
    record = complete(store)
    with pytest.raises(DataError, match=r"'train_rank\.npy' in the archive"):
        store.predictions(record, "train_rank")
    (store.folder(record.spec.key) / record.predictions.file).unlink()
    with pytest.raises(DataError, match="No such file"):
        store.predictions(record)


def test_a_record_of_an_unknown_variant_is_a_problem(store):
    """E.g. of a newer effbench; a report must not end in a traceback because of it."""
    store.save(result(spec=replace(spec(), variant="B9")))
    found = store.load()
    assert found.results == ()
    assert len(found.problems) == 1


def test_a_record_without_the_epoch_its_recipe_selects_is_a_problem(store):
    store.save(replace(result(), selected=result().selected[1:]))
    found = store.load()
    assert found.results == ()
    assert len(found.problems) == 1


def test_a_renamed_folder_is_a_problem(store):
    key = put(store, result()).spec.key
    store.folder(key).rename(store.folder("another"))
    found = store.load()
    assert found.results == ()
    assert len(found.problems) == 1
    assert key in found.problems[0]
    assert not store.finished("another")


def test_a_broken_record_is_run_again_and_replaced(store):
    key = put(store, result()).spec.key
    (store.folder(key) / "record.json").write_text("{")
    assert not store.finished(key)
    put(store, result(validation=scores(4000)))
    assert store.finished(key)


def test_other_files_and_empty_folders_are_no_records(store):
    (store.directory / "runs" / "empty").mkdir(parents=True)
    (store.directory / "runs" / "notes.txt").write_text("mine")
    (store.directory / "README.md").write_text("mine")
    assert store.load() == replace(store.load(), results=(), failures=(), problems=())


HOLD = """
import sys, time
from pathlib import Path
from effbench.records.store import Store
with Store(Path(sys.argv[1])).lock("group"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_ends_with_the_process_that_held_it(store):
    holder = subprocess.Popen(
        (sys.executable, "-c", HOLD, str(store.directory)), stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Timeout), store.lock("group").acquire(timeout=0):
            pass
        with store.lock("another group").acquire(timeout=0) as other:
            assert other.lock_counter == 1
    finally:
        holder.kill()
        holder.wait()
    with store.lock("group").acquire(timeout=5) as lock:
        assert lock.lock_counter == 1


def test_the_records_in_the_repository_are_still_read_and_finished():
    """A change of what a key is made of, or of a field, would orphan them."""
    store = Store(Path(__file__).parents[2] / "results")
    found = store.load()
    assert found.problems == ()
    assert found.results
    for record in found.results:
        assert store.finished(record.spec.key)
        predictions = (store.folder(record.spec.key) / record.predictions.file).read_bytes()
        assert hashlib.sha256(predictions).hexdigest() == record.predictions.sha256
        with np.load(io.BytesIO(predictions), allow_pickle=False) as arrays:
            right = int((arrays["test_rank"] == 0).sum())
            assert right == record.reported.test.correct
            assert len(set(arrays["test_index"].tolist())) == record.images.test


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path):
    target, link = tmp_path / "target.md", tmp_path / "link.md"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    device = tmp_path / "pipe"
    os.mkfifo(device)
    reader = os.open(device, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(device, b"through")
    assert os.read(reader, 100) == b"through"
    assert device.is_fifo()
    os.close(reader)
