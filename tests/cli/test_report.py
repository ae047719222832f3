"""report and compare as they are typed."""

import gc
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.commandline import Done, one_line
from support.outcomes import finished, group
from support.records import failure, put, result, spec

from effbench.config.recipes import RECIPES
from effbench.config.variants import VARIANTS
from effbench.records.store import Store


def test_report_formats_exclude_one_another(run, tmp_path):
    put(Store(tmp_path), result())
    done = run("report", "--markdown", "--csv", "--results", tmp_path)
    one_line(done, 2, "formats exclude one another: --markdown --csv; ")


def test_report_prints_or_writes_the_same(run, tmp_path):
    put(Store(tmp_path / "r"), result())
    printed = run("report", "--results", tmp_path / "r")
    assert (printed.code, printed.err) == (0, "")
    assert "| B0 " in printed.out
    assert run("report", "--markdown", "--results", tmp_path / "r") == printed
    file = tmp_path / "new" / "table.md"
    assert run("report", "--results", tmp_path / "r", "--output", file) == Done(0, "", "")
    assert file.read_text("utf-8") == printed.out
    rows = json.loads(run("report", "--json", "--results", tmp_path / "r").out)["results"]
    assert [row["variant"] for row in rows] == ["B0"]
    assert run("report", "--csv", "--results", tmp_path / "r").out.startswith("variant,")
    assert r"\toprule" in run("report", "--latex", "--results", tmp_path / "r").out


def test_of_several_conditions_all_hold(run, tmp_path):
    store = Store(tmp_path)
    for size in (64, 96):
        put(store, result(spec=spec(image_size=size)))
    conditions = ("--where", "image_size == 64 or image_size == 96", "--where", "image_size > 64")
    rows = json.loads(run("report", "--json", "--results", tmp_path, *conditions).out)["results"]
    assert [row["image_size"] for row in rows] == [96]


def test_a_report_takes_the_place_of_no_photo(run, tmp_path):
    photo = tmp_path / "ant.jpg"
    photo.write_bytes(b"a photo")
    done = run("report", "--results", tmp_path / "r", "--csv", "--output", photo)
    one_line(done, 2, f"what is there is not replaced: {photo}")
    assert photo.read_bytes() == b"a photo"


@pytest.mark.parametrize("output", [".", "r"])
def test_a_directory_cannot_be_the_output(output, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(Store(Path("r")), result())
    one_line(run("report", "--results", "r", "--output", output), 2, "is a directory")


def test_report_names_what_it_left_out_and_goes_on(run, tmp_path):
    store = Store(tmp_path)
    put(store, result())
    broken = store.folder("[red]broken")
    broken.mkdir()
    (broken / "record.json").write_text("{")
    done = run("report", "--results", tmp_path)
    assert done.code == 0
    assert "| B0 " in done.out
    assert done.err.startswith(f"effbench: left out: {broken}: ")
    assert done.err.count("\n") == 1


def test_a_record_of_a_newer_effbench_does_not_stop_the_report(run, tmp_path):
    put(Store(tmp_path), result())
    put(Store(tmp_path), result(spec=replace(spec(), variant="B9")))
    done = run("report", "--results", tmp_path)
    assert done.code == 0
    assert "| B0 " in done.out


@pytest.mark.parametrize("arguments", [(), ("--json",), ("--csv",), ("--latex",)])
def test_a_directory_without_runs_is_one_line(arguments, run, tmp_path):
    one_line(run("report", *arguments, "--results", tmp_path), 1, f"no runs to report: {tmp_path};")
    one_line(run("report", "--results", tmp_path / "no"), 1, "run 'effbench sweep' first")


@pytest.fixture
def terminal(monkeypatch, capsys) -> None:
    """Standard output is a terminal of 80 characters, without colours."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)


def test_a_terminal_gets_the_answer_and_tables_that_fit(run, tmp_path, terminal):
    put(Store(tmp_path), result())
    done = run("report", "--results", tmp_path)
    assert (done.code, done.err) == (0, "")
    title, _, answer, *rest = done.out.splitlines()
    assert title == "case-study on cifar10"
    assert answer.startswith("B0 gets 89.00 % of the test images right")
    assert max(map(len, rest)) <= 80
    assert "|" not in done.out
    done = run("report", "--columns", "Model,hours", "--results", tmp_path)
    assert "Model" in done.out
    assert "|" not in done.out


def test_what_is_asked_for_by_its_format_is_the_same_on_a_terminal(run, tmp_path, terminal):
    put(Store(tmp_path), result())
    assert "| B0 " in run("report", "--markdown", "--results", tmp_path).out
    assert run("report", "--csv", "--results", tmp_path).out.startswith("variant,")
    file = tmp_path / "report.md"
    run("report", "--results", tmp_path, "--output", file)
    assert "| B0 " in file.read_text("utf-8")


def test_a_comparison_on_a_terminal_begins_with_its_verdict(run, sides, terminal):
    done = run("compare", *sides)
    assert done.code == 1
    assert done.out.startswith("The one row that was tested fell by more than 0.3 points and more")
    assert max(map(len, done.out.splitlines())) <= 80
    assert "FELL" in done.out
    assert json.loads(run("compare", *sides, "--json").out)["changes"]


def test_markdown_begins_with_the_answer(run, sides):
    text = run("report", "--results", sides[0]).out
    assert text.splitlines()[2].startswith("B0 gets ")
    assert run("compare", *sides).out.startswith("The one row that was tested fell by more than")


def test_the_answer_is_to_be_had_alone(run, tmp_path):
    put(Store(tmp_path), result())
    (alone,) = run("report", "--answer", "--results", tmp_path).out.splitlines()
    assert alone == run("report", "--results", tmp_path).out.splitlines()[2]
    put(Store(tmp_path), result(spec=spec(recipe=RECIPES["finetune"])))
    first, _, second = run("report", "--answer", "--results", tmp_path).out.splitlines()
    assert first == f"case-study on cifar10: {alone}"
    assert second.startswith("finetune on cifar10: B0 gets ")


def test_of_failures_alone_the_answer_names_them(run, tmp_path):
    Store(tmp_path).save(failure())
    done = run("report", "--answer", "--results", tmp_path)
    assert (done.code, done.err) == (0, "")
    assert failure().spec.key in done.out


def test_an_answer_is_broken_between_words_on_a_terminal(run, tmp_path, terminal):
    put(Store(tmp_path), result())
    lines = run("report", "--answer", "--results", tmp_path).out.splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= 80


def test_pairs_and_columns_exclude_one_another(run, tmp_path):
    put(Store(tmp_path), result())
    done = run("report", "--pairs", "--columns", "Model", "--results", tmp_path)
    one_line(done, 2, "these exclude one another: --columns --pairs")


def test_every_pair_is_shown_if_asked_for(run, tmp_path):
    for place, name in enumerate(list(VARIANTS)[:9]):
        for size in (96, 128)[: 2 if name == "B0" else 1]:
            group(Store(tmp_path), [0.5 + 0.02 * place], 200, variant=name, image_size=size)
    group(Store(tmp_path), [0.9], 200, variant="XL", image_size=160)
    short, full = (run("report", *flags, "--results", tmp_path).out for flags in ((), ("--pairs",)))
    assert "(the first 45; --json has 10 more)" in short
    assert "--json has" not in full
    assert [text.count("McNemar |") for text in (short, full)] == [45, 55]


def test_failures_have_no_place_in_a_csv(run, tmp_path):
    Store(tmp_path).save(failure())
    done = run("report", "--csv", "--results", tmp_path)
    assert (done.code, done.out) == (1, "")
    assert "no finished run for a CSV" in done.err
    put(Store(tmp_path), result())
    done = run("report", "--csv", "--results", tmp_path)
    assert done.code == 0
    assert done.err == "effbench: not in the table: 1 runs that failed\n"


def rewritten(store: Store, **changes: object) -> Path:
    """A record with other values at its top level."""
    record = put(store, result())
    path = store.folder(record.spec.key) / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


def test_a_record_of_an_older_schema_is_read(run, tmp_path):
    path = rewritten(Store(tmp_path), schema=1)
    content = json.loads(path.read_text())
    del content["sha256"]
    path.write_text(json.dumps(content))
    done = run("report", "--results", tmp_path)
    assert (done.code, done.err) == (0, "")
    assert "| B0 " in done.out


def test_a_record_of_a_newer_schema_is_left_out(run, tmp_path):
    rewritten(Store(tmp_path), schema=99)
    put(Store(tmp_path), result(spec=spec(seed=1)))
    done = run("report", "--results", tmp_path)
    assert done.code == 0
    assert "upgrade effbench" in done.err
    assert "| B0 " in done.out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--variants", "B9"], "unknown variant: B9"),
        (["--columns", "speed"], "no such column: speed; the closest are"),
        (["--where", "size > 3"], "--where is no expression over columns"),
        (["--sort", "size"], "no such column: size"),
        (["--group-by", ""], "no such column: an empty list"),
        (["--price-per-hour", "-1"], "--price-per-hour"),
        (["--data-dir", "nowhere"], "nowhere"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_bad_flags_are_one_line(arguments, text, run, tmp_path):
    put(Store(tmp_path), result())
    one_line(run("report", "--results", tmp_path, *arguments), 2, text)


def test_nothing_that_fits_is_one_line(run, tmp_path):
    put(Store(tmp_path), result())
    one_line(
        run("report", "--results", tmp_path, "--variants", "T"), 1, "no run fits the selection"
    )


def test_a_price_makes_dollars(run, tmp_path):
    put(Store(tmp_path), result())
    assert "dollars" not in run("report", "--results", tmp_path).out
    done = run("report", "--results", tmp_path, "--price-per-hour", "3600", "--json")
    assert json.loads(done.out)["results"][0]["dollars"] == pytest.approx(17.5)


def test_garbage_is_collected_again_after_a_report(run, tmp_path):
    put(Store(tmp_path), result())
    run("report", "--results", tmp_path)
    assert gc.isenabled()


@pytest.fixture
def sides(tmp_path) -> tuple[Path, Path]:
    group(Store(tmp_path / "base"), [0.90, 0.90, 0.90])
    group(Store(tmp_path / "new"), [0.85, 0.85, 0.85])
    return tmp_path / "base", tmp_path / "new"


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        ([], 1),
        (["--max-drop", "10"], 0),
        (["--alpha", "0"], 0),
        (["--json"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_compare_fails_for_a_drop_that_is_too_large_and_significant(flags, code, run, sides):
    done = run("compare", *sides, *flags)
    assert (done.code, done.err) == (code, "")
    assert "FELL" in done.out or not code
    assert run("compare", *reversed(sides), *flags).code == 0


def test_compare_as_json(run, sides):
    (change,) = json.loads(run("compare", *sides, "--json").out)["changes"]
    assert change["verdict"] == "FELL"
    assert change["difference"]["mean"] == pytest.approx((change["new"] - change["base"]) / 100)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["nowhere"], 2, "compare takes results directories, or a published table: nowhere;"),
        (["base", "--max-drop", "-1"], 2, "--max-drop"),
        (["base", "--alpha", "2"], 2, "--alpha"),
        ([], 2, "Missing argument"),
        (["empty"], 1, "no finished run to compare: empty (none there); sweep into it first"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_compared_is_one_line(arguments, code, text, run, sides, monkeypatch):
    monkeypatch.chdir(sides[0].parent)
    Path("empty").mkdir()
    one_line(run("compare", "new", *arguments), code, text)


def test_lost_predictions_are_said_to_be_on_standard_error(run, sides):
    lost = finished(Store(sides[1]), np.arange(2000) < 1000, variant="B1")
    (Store(sides[1]).folder(lost.spec.key) / lost.predictions.file).unlink()
    done = run("report", "--results", sides[1])
    assert done.code == 0
    assert done.err.count("\n") == 1
    assert lost.predictions.file in done.err


@pytest.mark.parametrize("loss", ["run", "predictions"])
def test_what_could_not_be_checked_is_said_and_may_fail(loss, run, sides):
    new = Store(sides[1])
    for side in sides:
        group(Store(side), [0.9], variant="T")
    (lost,) = [each for each in new.load().results if each.spec.variant == "T"]
    name = "record.json" if loss == "run" else lost.predictions.file
    (new.folder(lost.spec.key) / name).unlink()
    flags = ("--max-drop", "20")
    done = run("compare", *sides, *flags)
    assert done.code == 0
    assert "- NOT CHECKED: T-imagenet-320-case-study-cifar10" in done.out
    assert run("compare", *sides, *flags, "--require-all").code == 1


def test_verdicts_on_one_seed_each_are_of_these_seeds(run, tmp_path):
    for name, rate in (("B0", 0.9), ("T", 0.8)):
        group(Store(tmp_path), [rate], variant=name)
    assert "| of these seeds |" in run("report", "--results", tmp_path).out
    text = run("compare", tmp_path, tmp_path).out
    assert "one seed on a side" in text
