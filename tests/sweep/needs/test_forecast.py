"""What a sweep says of its length before it starts."""

from dataclasses import replace

import numpy as np
import pytest
from support.options import sweep_options
from support.records import put, result

from effbench import cache
from effbench.hardware import machine
from effbench.records.store import Store
from effbench.sweep.needs import forecast, forward_trial, timed_processes
from effbench.sweep.needs.timed_processes import Counts
from effbench.sweep.resolve import resolve

SMALL = ("sweep", "--variants", "B0", "--weights", "none", "--data", "digits", "--cpu")
CASE_STUDY = (*SMALL, "--recipe", "case-study")


def request(**changes):
    plain = {"variants": "B0", "weights": "none", "data": "digits", "device": "cpu"}
    return resolve(sweep_options(**(plain | changes)))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def done(store, spec, **made):
    """A record of a run on this machine: 15.5 s, 3.5 of them for features."""
    record = result(
        spec=spec, images=replace(result().images, train=1_258, validation=180, test=359)
    )
    known = {"device_name": machine.cpu_name(), "features_computed": 1_797}
    return put(store, replace(record, provenance=replace(record.provenance, **(known | made))))


def trial(request, group):
    """Passes at a hundredth of a second each, ready after 10 s."""
    spec, counts = group.specs[0], Counts(1_258, 1_797)
    return timed_processes.TimedProcess(
        spec, counts, "tensorflow", "cpu", "here", "", 200.0, 10.0, 2.0, None, "now", True, True
    )


def test_records_of_this_machine_say_it_by_variant(store, run):
    first, second = request(seeds="0,1").specs
    done(store, first)
    here = forecast.of(request(seeds="1", variants="B0,B1"), store, all_=False)
    assert [row.estimate.basis for row in here.rows] == [
        "records",
        "records, scaled from B0 at 224",
    ]
    assert here.rows[0].estimate.seconds == pytest.approx(17.5)
    assert here.basis == "records of this machine, some scaled"
    # What another machine took, or another engine, says nothing of this one.
    done(store, first, device_name="another, 2 cores")
    assert forecast.of(request(seeds="1"), store, all_=False).seconds is None
    done(store, first, engine="xla")
    assert forecast.of(request(seeds="1"), store, all_=False).seconds is None
    done(store, first)
    shown = run(*CASE_STUDY, "--seeds", "0,1", "--results", store.directory, "--dry-run")
    assert shown.out.splitlines()[:2] == [f"finished\t{first.key}", f"run\t{second.key}"]
    row, last = [line.split() for line in shown.out.splitlines()[-2:]]
    assert row == ["B0", "224", "case-study", "1", "1,258", "0.00", "records"]
    assert last == ["all", "1", "0.00"]


def test_features_in_the_cache_are_not_computed_again(store, monkeypatch, tmp_path):
    monkeypatch.setenv("EFFBENCH_CACHE", str(tmp_path / "cache"))
    done(store, request().specs[0], weights_sha256="")
    home = cache.features() / "B0-224-torch-float32-0123456789ab"
    home.mkdir(parents=True)
    (home / "about.json").write_text('{"weights": "random, seed 0"}')
    for number in range(8):
        np.save(home / f"{number:05d}-0.npy", np.zeros(1))
    kept = forecast.of(request(seeds="1"), store, all_=False)
    assert kept.rows[0].estimate.basis == "records, features kept"
    assert kept.seconds == pytest.approx(14.0)
    next(home.glob("*.npy")).unlink()  # not all of them
    assert forecast.of(request(seeds="1"), store, all_=False).seconds == pytest.approx(17.5)
    splits = request().images.splits
    for digit, images in enumerate(splits):
        home = cache.features() / f"B0-224-torch-float32-{digit:012}"
        home.mkdir()
        (home / "about.json").write_text('{"weights": "random, seed 0, statistics of 12"}')
        assert forecast.of(request(seeds="1"), store, all_=False) != kept
        for number in range(-(-images // 256)):
            np.save(home / f"{number:05d}-0.npy", np.zeros(1))
    assert forecast.of(request(seeds="1"), store, all_=False) == kept


def test_what_no_record_says_is_timed_where_there_is_much_to_do_or_a_limit(store, monkeypatch):
    asked = request(recipe="linear-probe")
    assert forecast.of(asked, store, trial, all_=False).small
    timed = forecast.of(asked, store, trial, all_=True)
    assert timed.seconds == pytest.approx(10 + 17.97)
    assert timed.basis == "a trial of 2 s, without heads"
    monkeypatch.setitem(forecast._WORTH, "cpu", 0.0)
    assert forecast.of(asked, store, trial, all_=False) == timed
    assert forecast.of(asked, store, lambda *_: None, all_=True).seconds is None
    done(store, asked.specs[0])
    assert forecast.of(asked, store, lambda *_: pytest.fail("all is done"), all_=True).rows == ()


def test_a_sweep_that_takes_too_long_is_refused_in_one_line(store, run, monkeypatch):
    done(store, request().specs[0])
    limited = (*CASE_STUDY, "--seeds", "1", "--results", store.directory, "--max-hours")
    refused = run(*limited, "0.001")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.count("\n") == 1
    assert "--max-hours 0.001: about 18 s for 1 run (from records of this machine); " in refused.err
    monkeypatch.setattr(forward_trial, "measured", lambda *_: None)
    probe = (*SMALL, "--recipe", "linear-probe", "--results", store.directory.parent / "none")
    unknown = run(*probe, "--max-hours", "9")
    assert unknown.code == 1
    assert "effbench: --max-hours 9 needs an estimate: " in unknown.err


def test_what_nobody_hears_is_not_estimated(store, run, monkeypatch):
    for seed in request().specs:
        done(store, seed)
    asked = []
    whole = forecast.of
    monkeypatch.setattr(
        forecast, "of", lambda *given, **more: asked.append(given) or whole(*given, **more)
    )
    sweep = (*CASE_STUDY, "--results", store.directory)
    assert run(*sweep, "--quiet").code == 0
    assert not asked
    assert run(*sweep).code == 0
    assert len(asked) == 1
