"""Steps of networks at their own sizes: what is asked for, and the table beside the paper's."""

import json
from types import SimpleNamespace

import pytest

from effbench.bench import step, training_speed
from effbench.bench.training_speed import SpeedOptions
from effbench.errors import UsageError
from effbench.report.published import PAPER_TRAINING

# Seconds of a step.
SECONDS = {"V1-B7": 24.0, "S": 3.0, "M": 6.0, "B0": 0.5}


@pytest.fixture
def cases(monkeypatch) -> list:
    """The cases that were asked for; no process is started, and L has too little memory."""
    asked = []

    class Played:
        def __init__(self, case):
            asked.append(case)
            self.problem = "" if case.variant in SECONDS else "out of memory"
            self.train, self.memory, self.others = [], 3 * 10**9, 0.25
            self._seconds = SECONDS.get(case.variant, 0.0)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def turn(self, steps: int) -> None:
            self.train += [self._seconds] * steps

    monkeypatch.setattr(step, "side_of", Played)
    return asked


def test_every_network_has_its_own_size_and_no_inference(cases):
    speeds = training_speed.run(SpeedOptions("V1-B7,S"), lambda _: None)
    assert [(case.variant, case.image_size, case.batch_size) for case in cases] == [
        ("S", 384, 2),
        ("V1-B7", 600, 2),
    ]
    assert not any(case.infers for case in cases)
    assert [speed.pace.images_per_second for speed in speeds] == [2 / 3, 2 / 24]
    assert speeds[1].flops == 37_743_324_192


def test_the_table_sets_ratios_beside_the_papers(cases, tmp_path):
    options = SpeedOptions("V1-B7,S,M,L,B0")
    speeds = training_speed.run(options, lambda _: None)
    hours = {row.variant: row.train_hours for row in PAPER_TRAINING.rows}
    table = training_speed.table(speeds, hours)
    cells = {
        row[0]: dict(zip((c.title for c in table.columns), row, strict=True)) for row in table.rows
    }
    assert cells["M"]["times V1-B7"] == "4.00"
    # "EfficientNetV2-M [...] while training 11x faster" than EfficientNet-B7, says the paper.
    assert cells["M"]["paper, times"] == "10.69"
    assert cells["B0"]["paper, hours"] == "-"
    assert cells["L"]["images/s"] == "-"
    training_speed.save(speeds, options, hours, tmp_path / "speed.md")
    text = (tmp_path / "speed.md").read_text()
    assert "Failed: L at 480" in text
    assert "out of memory" in text
    document = json.loads((tmp_path / "speed.json").read_text())
    assert [row["case"]["variant"] for row in document["rows"]] == ["B0", "S", "M", "L", "V1-B7"]


def test_the_command_says_what_failed(cases, run, tmp_path):
    path = tmp_path / "speed.md"
    done = run("bench", "training", "--variants", "V1-B7,L", "--output", path)
    assert done.code == 1
    assert "0.0833" in done.out
    assert "L at 480" in done.err
    assert path.is_file()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (SpeedOptions("B0", recipe="linear-probe"), "bench training times whole networks"),
        (SpeedOptions("B0", precision="float16"), "unknown precision: float16"),
        (SpeedOptions("B9"), "unknown variant: B9"),
    ],
)
def test_what_cannot_be_timed_is_refused(options, line):
    with pytest.raises(UsageError, match=line):
        training_speed.run(options, lambda _: None)


def test_the_papers_claim_is_what_its_table_says():
    rows = {
        row.variant: SimpleNamespace(hours=row.train_hours, top1=row.top1)
        for row in PAPER_TRAINING.rows
    }
    ratios = [rows["V1-B7"].hours / rows[name].hours for name in ("M", "L")]
    assert [round(ratio, 1) for ratio in ratios] == [10.7, 5.8]
    assert rows["M"].top1 > rows["V1-B7"].top1
