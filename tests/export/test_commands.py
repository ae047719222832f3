"""What a card says to run, read by the real command line in a folder with what it names."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from support.options import sweep_options
from support.pictures import fill
from support.records import h5_file, put, result

from effbench import whereabouts
from effbench.cli.app import application
from effbench.data import datasets
from effbench.export import commands, model_card, writer
from effbench.export.orders import ExportOrder, JudgedData
from effbench.export.quantization import INT8
from effbench.progress import silent
from effbench.records.store import Store
from effbench.sweep.needs import forward_trial
from effbench.sweep.resolve import resolve


@pytest.fixture(autouse=True)
def _reader(monkeypatch, tmp_path):
    """A reader whose folders are called as the card calls them."""
    monkeypatch.setattr(forward_trial, "measured", lambda *_: None)
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "reader" / commands.WEIGHTS).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "reader")
    Path(commands.WEIGHTS, "mine.h5").write_bytes(h5_file("mine"))
    fill(Path(commands.DATA, "bugs"), {"ants": 12, "bees": 12})


def made(**flags: object) -> ExportOrder:
    """An export of what a sweep with these flags would run, from a card's own lines on."""
    (only,) = resolve(sweep_options(variants="B0", device="cpu", **flags)).specs
    record = result(spec=only)
    record = replace(record, provenance=replace(record.provenance, weights_file="mine.h5"))
    store = Store(Path("results"))
    put(store, record)
    return ExportOrder(store, record, "tflite")


def printed(order: ExportOrder) -> list[list[str]]:
    """The words of the commands that stand in the card."""
    text = model_card.text(order, "a" * 64)
    lines = [line for line in text.splitlines() if line.startswith("effbench ")]
    assert [line.split()[1] for line in lines] == ["sweep", "export"]
    return [shlex.split(line)[1:] for line in lines]


def check(order: ExportOrder, run, monkeypatch, capsys) -> None:
    sweep, export = printed(order)
    capsys.readouterr()
    application()([*sweep, "--dry-run", "--force"], standalone_mode=False)
    runs, *_ = capsys.readouterr().out.partition("\n\n")
    assert [line.split("\t")[1] for line in runs.splitlines()] == [order.record.spec.key]
    asked: list[ExportOrder] = []
    monkeypatch.setattr(writer, "export", lambda order, _: asked.append(order) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(*export)
    (again,) = asked
    for name in ("format", "quantize", "input_size", "allow_loss"):
        assert getattr(again, name) == getattr(order, name)
    assert again.record.spec.key == order.record.spec.key
    assert (again.data is None) == (order.data is None)
    assert bool(again.weights_dir) == bool(order.weights_dir)


def test_photos_and_a_file_of_weights_are_in_folders_of_the_reader(run, monkeypatch, capsys):
    flags = {"recipe": "linear-probe", "image_size": 64, "rescale": "tf"}
    folder, weights = Path(commands.DATA, "bugs"), f"{commands.WEIGHTS}/mine.h5"
    order = made(data=str(folder), weights=weights, **flags)
    data = JudgedData("bugs", datasets.load("bugs", folder.resolve(), silent))
    order = replace(order, quantize=INT8, input_size=64, data=data, allow_loss=True)
    check(order, run, monkeypatch, capsys)
    text = model_card.text(order, "a" * 64)
    assert "`DATA_FOLDER` stands for the folder in which the data are." in text
    assert "`WEIGHTS_FOLDER` stands for the folder in which the weights are." in text
    assert str(Path.cwd()) not in text
    # Where this machine no longer knows the folder, its name is that of the data.
    monkeypatch.setattr(whereabouts, "of", lambda _: None)
    assert printed(order)[0] == shlex.split(commands.of(order)[0])[1:]
    assert "DATA_FOLDER/bugs" in commands.of(order)[0]


def test_data_and_weights_with_names_need_no_folder(run, monkeypatch, capsys):
    order = made(data="digits")
    check(order, run, monkeypatch, capsys)
    assert "_FOLDER" not in model_card.text(order, "a" * 64)
    check(replace(order, weights_dir=Path(commands.WEIGHTS)), run, monkeypatch, capsys)
