"""A machine in shares: what each process sees of it."""

import os

import pytest

from effbench.errors import UsageError
from effbench.hardware import core_trial, shares, tpu
from effbench.hardware.tpu import GENERATIONS, Chips


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def test_the_cores_of_a_cpu_are_divided_and_none_is_left(eight_cores):
    parts = shares.divide("cpu", 3)
    assert [share.cores for share in parts] == [(0, 1), (2, 3, 4), (5, 6, 7)]
    assert [share.name for share in parts] == ["cores 0-1", "cores 2-4", "cores 5-7"]
    assert parts[1].environment == {"TF_NUM_INTRAOP_THREADS": "3", "OMP_NUM_THREADS": "3"}


def test_each_process_sees_one_gpu_or_chip(eight_cores, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    parts = shares.divide("gpu", 2)
    assert [share.environment["CUDA_VISIBLE_DEVICES"] for share in parts] == ["2", "5"]
    assert [share.cores for share in parts] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    monkeypatch.setattr(tpu, "chips", lambda: Chips(4, GENERATIONS[1]))
    assert [share.name for share in shares.divide("tpu", 4)] == [f"chip {n}" for n in range(4)]
    assert shares.chip_replicas() == 2


@pytest.mark.parametrize(("device", "count"), [("cpu", 9), ("gpu", 3), ("cpu", 0)])
def test_more_shares_than_there_is_are_one_line(device, count, eight_cores, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(UsageError, match=r"--parallel goes from 1 to the .* of this machine"):
        shares.divide(device, count)


@pytest.mark.parametrize(
    ("rates", "best"), [((10, 10.2), 1), ((10, 12, 12.1), 2), ((5, 7, 9, 8), 4)]
)
def test_more_processes_have_to_be_worth_it(rates, best, eight_cores, monkeypatch):
    left = list(rates)
    monkeypatch.setattr(core_trial, "together", lambda _: left.pop(0))
    assert core_trial.best() == best
