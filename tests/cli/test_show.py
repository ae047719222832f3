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


# As TensorFlow 2.19 begins on a machine without a GPU, line by line.
NOISE = (
    "2026-11-28 11:28:28.145173: E external/local_xla/xla/stream_executor/cuda/cuda_fft.cc:467] "
    "Unable to register cuFFT factory: Attempting to register factory for plugin cuFFT when one "
    "has already been registered",
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "E0000 00:00:1795865308.184105   24924 cuda_dnn.cc:8579] Unable to register cuDNN factory: "
    "Attempting to register factory for plugin cuDNN when one has already been registered",
    "W0000 00:00:1795865308.224724   24924 computation_placer.cc:177] computation placer already "
    "registered. Please check linkage and avoid linking the same target more than once.",
    "2026-11-28 11:28:32.991159: E external/local_xla/xla/stream_executor/cuda/cuda_platform.cc:51"
    "] failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (303)",
    "2026-11-28 11:28:32.991160: I tensorflow/core/platform/cpu_feature_guard.cc:210] This "
    "TensorFlow binary is optimized to use available CPU instructions in performance-critical "
    "operations.",
    "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow with "
    "the appropriate compiler flags.",
    "/a/tf_keras/src/initializers/initializers.py:121: UserWarning: The initializer "
    "VarianceScaling is unseeded and being called multiple times, which will return identical "
    "values each time (even if the initializer is unseeded).",
    "  warnings.warn(",
    "I0000 00:00:1795865341.363943   24968 service.cc:152] XLA service 0x7f2c204ff310 initialized "
    "for platform Host (this does not guarantee that XLA will be used). Devices:",
    "I0000 00:00:1795865341.363997   24968 service.cc:160]   StreamExecutor device (0): Host, "
    "Default Version",
    "I0000 00:00:1795865341.448513   24968 device_compiler.h:188] Compiled cluster using XLA!  "
    "This line is logged at most once for the lifetime of the process.",
)


def failed_with(store: Store, *lines: str) -> str:
    """What is shown of a run whose worker has printed these lines."""
    record = failure(log=LOG)
    store.save(record)
    write_atomically(store.folder(record.spec.key) / LOG, "\n".join((*lines, "")).encode())
    return " ".join(shown(store, record).split())


def test_what_tensorflow_always_says_is_left_out_of_the_end_of_the_log(store):
    said = (
        "W0000 00:00:1795865340.1   24924 bfc_allocator.cc:501] Allocator ran out of memory",
        "  warnings.warn(",  # of another warning
        "Killed",
    )
    text = failed_with(store, *NOISE[:6], said[0], *NOISE[6:], *said[1:])
    assert "the last of 15 lines of " in text
    assert "without 12 that TensorFlow always prints" in text
    assert text.endswith(" ".join(" ".join(said).split()))
    assert "cuDNN" not in text
    assert "unseeded" not in text


def test_a_log_of_nothing_else_has_no_end_to_show(store):
    text = failed_with(store, *NOISE)
    assert "12 lines, all of them what TensorFlow always prints" in text
    assert "cuFFT" not in text


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
