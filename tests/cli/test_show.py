"""Which run a part of a key names, and what is said about it."""

import json
from dataclasses import replace

import pytest
from support.records import FILE, complete, failure, put, result, spec

from effbench.cli.console import out
from effbench.cli.show import print_record
from effbench.errors import EffbenchError, UsageError
from effbench.files import write_atomically
from effbench.records.record import Record
from effbench.records.store import LOG, Store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


def shown(store: Store, record: Record) -> str:
    with out.capture() as capture:
        print_record(record, store)
    return capture.get()


def test_any_part_of_a_key_that_no_other_has_names_a_run(store):
    records = [put(store, result(spec=spec(seed=seed))) for seed in (1, 11)]
    store.save(failure())
    for record in (*records, failure()):
        key = record.spec.key
        for part in (key, key[-12:], key[5:], key[:-3]):
            assert store.find(part) == record
    assert store.find("L-") == failure()


def test_parts_of_several_keys_or_of_none_are_one_line(store):
    keys = [put(store, result(spec=spec(seed=seed))).spec.key for seed in range(12)]
    with pytest.raises(UsageError) as caught:
        store.find("case-study")
    assert str(caught.value).startswith("12 runs have this in their key: case-study; B0-")
    assert str(caught.value).endswith(" and 2 more")
    with pytest.raises(UsageError) as caught:
        store.find(keys[3].replace("cifar10", "cifar100"))
    line = str(caught.value)
    assert line.startswith("no key of a run holds this: B0-")
    assert keys[3] in line


def test_where_there_is_no_record_to_show_is_one_line(store):
    with pytest.raises(EffbenchError, match="no runs to show: "):
        store.find("B0")
    folder = store.folder("[red]broken")
    folder.mkdir(parents=True)
    with pytest.raises(EffbenchError, match="no record in the run's folder: "):
        store.find("red")
    (folder / "record.json").write_text("{")
    with pytest.raises(EffbenchError, match=r"cannot read the record: .*EOF while parsing"):
        store.find("red")


def test_everything_about_a_finished_run_is_shown(store):
    record = complete(store)
    text = shown(store, record)
    made = record.provenance
    for words in (
        record.spec.key,
        "limited (80 images, 3 epochs)",
        record.spec.weights.digest,
        record.spec.data_sha256,
        "3 epochs of batches of 128",
        "80 of 45,000 training, 20 validation, 20 test",
        made.weights_sha256,
        made.weights_verified,
        "cpu: A processor, 2 cores",
        made.started,
        "17.5: startup 1.5, build 2.5, features 3.5, train 4.5, evaluate 5.5",
        "2.00 GB",
        "python 3.11.9, numpy 2.1.0",
        made.commit,
        record.predictions.file,
    ):
        assert words in text
    for row in record.selected:
        (line,) = (line for line in text.splitlines() if line.startswith(f"{row.rule} "))
        assert f" {row.validation.accuracy:.2%} " in line
        assert f"{row.test.loss:.4f}" in text
    for row in record.history:
        (line,) = (line for line in text.splitlines() if line.startswith(f"{row.epoch} "))
        assert line.rstrip().endswith(f"{row.validation.top5_accuracy:.2%}")


def test_the_largest_run_fits_80_columns(store, terminal):
    record = put(store, result(spec=spec(weights=FILE)))
    whole = shown(store, record)
    terminal(80)
    text = shown(store, record)
    assert max(map(len, text.splitlines())) <= 80
    assert "10,000" in text
    assert "…" not in text
    # Every word is there, under a hanging indent; of the tables only the images are left out.
    facts = ["".join(part[: part.index("Scores")].split()) for part in (text, whole)]
    assert facts[0] == facts[1]
    assert "A wider terminal also shows images." in text


def test_why_a_run_failed_is_shown_with_the_end_of_its_log(store):
    record = failure(log=LOG)
    store.save(record)
    assert LOG not in shown(store, record)
    lines = "\n".join(f"line {number} [red]" for number in range(100))
    write_atomically(store.folder(record.spec.key) / LOG, lines.encode() + b"\xff")
    text = shown(store, record)
    for words in ("out-of-memory", record.message, record.started, "line 99 [red]", "100 lines"):
        assert words in text
    assert "line 79" not in text


def test_a_run_of_several_seeds_and_replicas_says_so(store):
    record = put(store, result(spec=replace(spec(), feature_cache=False)))
    made = replace(record.provenance, seeds_together=5, replicas=8, weights_file="", commit="")
    text = shown(store, replace(record, provenance=made))
    for words in ("17.5 for 5 seeds: ", "2 cores, 8 replicas", "in every step", "unknown"):
        assert words in text


def test_a_record_that_was_changed_is_shown_with_a_warning(run, tmp_path):
    store = Store(tmp_path)
    record = complete(store)
    assert run("show", "B0", "--results", tmp_path).err == ""
    path = store.path(record)
    raw = json.loads(path.read_text("utf-8"))
    raw["selected"][0]["test"]["correct"] += 1
    path.write_text(json.dumps(raw))
    done = run("show", "B0", "--results", tmp_path)
    assert done.code == 0
    assert "changed since it was written" in done.err
    assert "no table and no comparison has this run" in done.err
