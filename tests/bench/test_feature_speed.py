"""Forward passes beside other tools, by turns."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.commandline import one_line

from effbench.bench import feature_speed, feature_table, feature_worker
from effbench.bench.feature_case import FeatureCase
from effbench.bench.feature_speed import FeatureOptions
from effbench.bench.peers import Peer
from effbench.errors import DeviceError, UsageError

STUB = "support.feature_stub"


@pytest.fixture
def _stubs(monkeypatch):
    """Sides that take no time to start, and do nothing."""
    here = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setattr(feature_speed, "_OURS", STUB)
    ways = {"torch": ("eager",), "timm": ("eager", "compiled"), "onnxruntime": ("",)}
    peers = {name: Peer(STUB, (), ways[name]) for name in ways}
    monkeypatch.setattr(feature_speed, "PEERS", peers)


@pytest.mark.usefixtures("_stubs")
def test_sides_take_turns_and_what_is_missing_is_a_line(run, tmp_path):
    output = tmp_path / "results" / "bench.md"
    done = run(
        *("bench", "features", "--engine", "tensorflow,openvino"),
        *("--peer", "timm,torch,onnxruntime", "--batch-size", "8", "--seconds", "0.05"),
        *("--rounds", "3", "--output", output),
    )
    assert done.code == 1
    lines = done.err.splitlines()
    assert lines[0] == (
        "effbench: timm: No module named 'timm'; pip install 'effbench[peers]', or name an "
        "interpreter that has it with --peer-python"
    )
    assert lines[1].startswith("effbench: B0 at 224, batch 8, float32, torch eager: ended with co")
    assert len(lines) == 2
    document = json.loads(output.with_suffix(".json").read_bytes())
    rows = {row["case"]["tool"]: row for row in document["rows"]}
    assert document["machine"]
    assert len(rows["openvino"]["speeds"]) == 3
    assert rows["tensorflow"]["version"] == "1.2.3"
    assert rows["timm"]["speeds"] == []
    text = output.read_text("utf-8")
    lines = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    cells = {line[5]: line for line in lines if line[1:2] == ["B0"]}
    assert cells["effbench: openvino"][9] == "-"  # ours, the fastest
    ratio, low, _, high = cells["onnxruntime"][9].replace("(", "").strip(")").split()
    assert 1.2 < float(low) <= float(ratio) <= float(high) < 4
    assert "Not timed: timm: No module named 'timm'" in text


@pytest.mark.usefixtures("_stubs")
def test_several_networks_are_drawn_against_their_published_accuracy(run, tmp_path):
    output = tmp_path / "bench.md"
    done = run(
        *("bench", "features", "--variants", "B0,B1", "--engine", "tensorflow,openvino"),
        *("--peer", "onnxruntime", "--seconds", "0.02", "--rounds", "2", "--output", output),
    )
    assert (done.code, done.err) == (0, "")
    svg = (tmp_path / "bench-speeds-float32.svg").read_text("utf-8")
    assert {">B0<", ">B1<", ">effbench<", ">onnxruntime<"} <= set(re.findall(">[a-zB01]+<", svg))
    # Of effbench's engines, the fastest alone.
    assert "openvino" not in svg
    assert Image.open(tmp_path / "bench-speeds-float32.png").width > 500
    assert f"saved: {tmp_path / 'bench-speeds-float32.png'}" in done.out


def test_networks_at_other_sizes_than_their_own_are_not_drawn():
    native = feature_speed.FeatureSpeed(
        FeatureCase("B0", 224, 32, "mixed_bfloat16", "openvino"), speeds=(3.0, 1.0, 2.0)
    )
    slower = replace(native, speeds=(1.0,))
    small = replace(native, case=replace(native.case, image_size=64), speeds=(90.0,))
    assert feature_table.lines([slower, native, small]) == {
        "bfloat16": [("B0", "effbench", 2.0, 1.0, 3.0)]
    }


@pytest.mark.usefixtures("_stubs")
def test_the_fastest_of_several_batches_is_named(run):
    done = run(
        *("bench", "batch", "--cpu", "--batch-size", "4,8", "--engine", "tensorflow"),
        *("--seconds", "0.02", "--rounds", "2"),
    )
    assert (done.code, done.err) == (0, "")
    # A call of the stub takes as long for 8 as for 4.
    assert "in batches of 8, the fastest; a sweep takes 32" in done.out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ("--peer", "caffe"),
            "unknown peer: caffe; choose from torch, timm, onnxruntime, op",
        ),
        (("--engine", "cuda"), "unknown engine: cuda; "),
        (("--engine", "all", "--precision", "int8"), "unknown precision: int8; choose from flo"),
        (("--engine", "all", "--batch-size", "0"), "--batch-size takes whole numbers from 1 to"),
        (("--engine", "all", "--output", "x.json"), "--output names the Markdown file; "),
    ],
)
def test_what_cannot_be_timed_is_refused_in_one_line(flags, words, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one_line(run("bench", "features", *flags), 2, words)


def test_precisions_and_batches_are_compared_apart():
    options = FeatureOptions("B0,S", "tensorflow", "timm", "float32,bfloat16")
    groups = feature_speed.cases(options)
    assert [{(case.variant, case.precision) for case in group} for group in groups] == [
        {("B0", "float32")},
        {("B0", "mixed_bfloat16")},
        {("S", "float32")},
        {("S", "mixed_bfloat16")},
    ]
    assert [(case.tool, case.way, case.batch) for case in groups[2]] == [
        ("tensorflow", "", 16),
        ("timm", "eager", 16),
        ("timm", "compiled", 16),
    ]
    with pytest.raises(UsageError, match="neither"):
        feature_speed.cases(FeatureOptions(engines=""))


@pytest.mark.usefixtures("shallow_networks")
@pytest.mark.parametrize(("tool", "ours"), [("openvino", True), ("onnxruntime", False)])
def test_tools_with_our_weights_compute_our_features(tool, ours):
    case = FeatureCase("B0", 64, 8, "float32", tool, ours=ours)
    ready = feature_worker._prepared(case)
    assert 0 < ready.difference < 1e-4
    assert np.asarray(ready.call()).shape[0] == 8


@pytest.mark.usefixtures("shallow_networks")
def test_a_tool_that_would_compute_in_another_precision_is_refused():
    case = FeatureCase("B0", 64, 8, "mixed_bfloat16", "onnxruntime", ours=False)
    with pytest.raises(DeviceError, match="onnxruntime computes in float32 on a CPU: mixed_bf"):
        feature_worker._prepared(case)


def test_a_row_without_a_problem_has_no_line():
    case = FeatureCase("B0", 64, 8, "float32", "openvino")
    assert feature_table.problems([feature_speed.FeatureSpeed(case, speeds=(1.0,))]) == []


def test_one_reason_for_many_sides_is_one_line():
    case = FeatureCase("B0", 64, 8, "mixed_bfloat16", "onnxruntime")
    row = feature_speed.FeatureSpeed(case, problem="computes in float32")
    other = replace(row, case=replace(case, variant="S"))
    killed = replace(row, problem="ended by SIGKILL")
    assert feature_table.problems([row, other, killed]) == [
        "B0 at 64, batch 8, mixed_bfloat16, effbench, onnxruntime (and 1 more): computes in "
        "float32",
        "B0 at 64, batch 8, mixed_bfloat16, effbench, onnxruntime: ended by SIGKILL",
    ]


def test_of_an_even_number_of_rounds_the_ratio_lies_in_the_middle() -> None:
    case = FeatureCase("B0", 224, 32, "float32", "onnxruntime", "", True, "cpu")
    ours = feature_speed.FeatureSpeed(case, speeds=(10.0, 10.0, 10.0, 10.0))
    other = feature_speed.FeatureSpeed(replace(case, ours=False), speeds=(10.0, 5.0, 2.5, 1.0))
    _, row = feature_table.table([ours, other]).rows
    assert row[8] == "3.00 (1.00 to 10.00)"


def test_what_only_sides_have_is_refused_without_any(run) -> None:
    done = run("bench", "features", "--image-size", 32, "--precision", "bfloat16")
    said = "these go with --engine or --peer: --image-size --precision; add --engine auto"
    one_line(done, 2, said)
