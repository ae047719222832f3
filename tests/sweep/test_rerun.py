"""The command that repeats a run, read by the real command line."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from support.options import sweep_options
from support.records import failure, h5_file, result, spec

from effbench.cli.app import application
from effbench.config.recipes import RECIPES
from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.data import datasets
from effbench.errors import EffbenchError
from effbench.hardware import machine, self_check, tpu
from effbench.hardware.self_check import Found
from effbench.sweep.needs import forward_trial
from effbench.sweep.rerun import rerun
from effbench.sweep.resolve import resolve


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    """A machine with every device and CIFAR-10, in a directory with a file of weights."""
    monkeypatch.setattr(machine, "has_gpu", lambda: True)
    monkeypatch.setattr(machine, "has_tpu", lambda: True)
    monkeypatch.setattr(tpu, "build", lambda: True)
    monkeypatch.setattr(self_check, "ask", lambda *_: Found("one core", 1, 2, {}))
    monkeypatch.setattr(forward_trial, "measured", lambda *_: None)
    monkeypatch.setitem(datasets.DATASETS, "cifar10", datasets.DATASETS["digits"])
    monkeypatch.chdir(tmp_path)
    for name in (*FILES, "efficientnetv2-b0-imagenet.h5", "weights.h5"):
        Path(name).write_bytes(h5_file("mine"))


FILES = ("my weights.h5", "-$x.hdf5", "efficientnetv2-b0-imagenet-notop.h5")


def made(device: str, options: dict[str, object]):
    """A record of what a sweep with these options would run."""
    (only,) = resolve(sweep_options(device=device, **options)).specs
    plain = result(spec=only)
    file = options.get("weights")
    provenance = replace(
        plain.provenance, device=device, weights_file=file if file in FILES else "a release"
    )
    return replace(plain, provenance=provenance)


def keys(command: str, capsys) -> list[str]:
    """What the real command line makes of a command."""
    name, *arguments = shlex.split(command)
    assert name == "effbench"
    capsys.readouterr()
    application()([*arguments, "--dry-run"], standalone_mode=False)
    runs, *_ = capsys.readouterr().out.partition("\n\n")
    return [line.split("\t")[1] for line in runs.splitlines()]


CASES = [
    {"variants": "B0"},
    {"variants": "XL"},
    *({"variants": "S", "weights": name} for name in VARIANTS["S"].releases),
    {"variants": "B0", "weights": "none"},
    {"variants": "T", "weights": "none", "data": "digits"},
    {"variants": "B0", "data": "digits", "limit": 20, "seeds": "2147483647"},
    {"variants": "B0", "recipe": "case-study-2021", "epochs": 3},
    {"variants": "B0", "epochs": 50, "batch_size": 7, "start_step": 352},
    {"variants": "B0", "image_size": 64},
    {"variants": "B0", "image_size": 224},
    {"variants": "B0", "precision": "float32"},
    {"variants": "B0", "precision": "mixed_bfloat16"},
    {"variants": "B0", "feature_cache": False},
    {"variants": "B0", "weights": "my weights.h5", "rescale": "tf"},
    {"variants": "B0", "weights": "-$x.hdf5", "rescale": "torch"},
    {"variants": "B0", "weights": "efficientnetv2-b0-imagenet-notop.h5"},
    {"variants": "B0", "weights": "efficientnetv2-b0-imagenet-notop.h5", "rescale": "tf"},
    {"variants": "B0", "settings": ("dropout=0.2", "selection=final")},
    *(
        {"variants": name, "recipe": recipe, "weights": "none", "data": "digits", "batch_size": 16}
        for name in ("B0", "M")
        for recipe in ("finetune", "finetune-adabelief", "progressive", "scratch")
    ),
    {
        "variants": "B0",
        "recipe": "progressive",
        "data": "digits",
        "batch_size": 64,
        "micro_batch": 16,
        "settings": ("learning_rate_batch=64", "flip=False", "mixup=0.1", "steps=70"),
    },
    {
        "variants": "M",
        "weights": "none",
        "data": "digits",
        "limit": 100,
        "recipe": "case-study-2021",
        "epochs": 1,
        "batch_size": 16,
        "start_step": 5,
        "image_size": 32,
        "seeds": "9",
        "precision": "mixed_bfloat16",
        "feature_cache": False,
    },
]


@pytest.mark.parametrize("device", ["cpu", "gpu", "tpu"])
@pytest.mark.parametrize("options", CASES, ids=str)
def test_the_command_leads_to_the_same_key(options, device, capsys):
    record = made(device, options)
    assert keys(rerun(record).command, capsys) == [record.spec.key]
    assert f" --{device} " in rerun(record).command
    assert keys(rerun(failure(spec=record.spec)).command, capsys) == [record.spec.key]


def test_a_run_of_an_older_recipe_is_repeated_with_its_own_numbers(capsys):
    """Though it has no mark: what it does not share with the recipe of today is said."""
    numbers = made("cpu", {"variants": "B0", "epochs": 10, "settings": ("dropout=0.2",)})
    record = replace(numbers, standard=numbers.spec.recipe)
    assert "changed recipe" not in record.marks
    assert "--set dropout=0.2" in rerun(record).command
    assert keys(rerun(record).command, capsys) == [record.spec.key]


def test_the_command_says_no_more_than_it_must():
    plain = made("cpu", {"variants": "B0", "weights": "efficientnetv2-b0-imagenet-notop.h5"})
    assert rerun(plain).command == (
        "effbench sweep --cpu --variants B0 --weights efficientnetv2-b0-imagenet-notop.h5 "
        "--rescale torch --data cifar10 --recipe case-study --seeds 0 --precision float32"
    )
    small = made("tpu", {"variants": "T", "limit": 20, "image_size": 64, "feature_cache": False})
    assert rerun(small).command == (
        "effbench sweep --tpu --variants T --weights imagenet --data cifar10 --recipe case-study "
        "--seeds 0 --precision mixed_bfloat16 --batch-size 16 --image-size 64 --limit 20 "
        "--no-feature-cache"
    )


@pytest.mark.parametrize("device", ["gpu", "tpu"])
def test_the_batch_is_said_where_another_machine_would_choose_another(device, capsys, monkeypatch):
    monkeypatch.setattr(self_check, "ask", lambda *_: Found("eight", 8, 2, {}))
    record = made(device, {"variants": "B0"})
    assert record.spec.recipe.batch_size == 128
    monkeypatch.setattr(self_check, "ask", lambda *_: Found("four", 4, 2, {}))
    assert keys(rerun(record).command, capsys) == [record.spec.key]


@pytest.mark.parametrize("replicas", [2, 8])
def test_a_divided_cpu_is_divided_again(replicas, capsys):
    plain = made("cpu", {"variants": "B0", "replicas": replicas})
    record = replace(plain, provenance=replace(plain.provenance, replicas=replicas))
    assert f"--cpu --replicas {replicas} " in rerun(record).command
    assert keys(rerun(record).command, capsys) == [record.spec.key]


def test_what_the_command_cannot_say_is_a_hint():
    hints = rerun(
        made("cpu", {"variants": "B0", "weights": "my weights.h5", "rescale": "tf"})
    ).hints
    text = "\n".join(hints)
    for words in ("--data-dir", "sha256:", "--force", "commit 0123456789ab", "numpy 2.1.0"):
        assert words in text
    assert "device: unknown" in "\n".join(rerun(failure()).hints)


def changed(**numbers: object) -> RunSpec:
    return spec(recipe=replace(RECIPES["case-study"], **numbers))


@pytest.mark.parametrize(
    ("chosen", "line"),
    [
        (
            changed(dropout=0.2, optimizer="rmsprop"),
            "case-study is another here: optimizer adabelief, not rmsprop; ",
        ),
        (
            spec(recipe=replace(RECIPES["finetune"], steps=None), feature_cache=False),
            "finetune is another here: steps 10000, not None; ",
        ),
        (changed(name="mine"), "this effbench has no such recipe: mine; use the effbench"),
        (
            spec(weights=replace(spec().weights, digest="md5:0")),
            "imagenet of B0 is another file here: md5:",
        ),
    ],
)
def test_what_no_flags_lead_to_is_refused(chosen, line):
    for record, hint in (
        (result(spec=chosen), ", commit 0123456789ab"),
        (failure(spec=chosen), ""),
    ):
        with pytest.raises(EffbenchError) as caught:
            rerun(record)
        assert str(caught.value).startswith(line)
        assert str(caught.value).endswith(f"use the effbench that it ran with{hint}")
