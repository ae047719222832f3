"""How long runs take, from what others took."""

from dataclasses import replace

import pytest
from support.records import RANDOM, put, result, spec

from effbench.config.recipes import RECIPES
from effbench.config.variants import VARIANTS
from effbench.models.flops import multiply_adds
from effbench.records.record import Seconds
from effbench.records.store import RECORD, Store
from effbench.sweep.groups import Group
from effbench.sweep.needs import estimates, timed_processes
from effbench.sweep.needs.estimates import NO_HEAD, Estimate, Estimator
from effbench.sweep.needs.timed_processes import Counts

ALL = Counts(45_000, 60_000)
# Start, build, features, training, evaluation.
SECONDS = Seconds(3.0, 2.0, 600.0, 20.0, 1.0)


def timed(tmp_path, seconds=SECONDS, **changes):
    store = Store(tmp_path)
    record = put(store, result(spec=spec(**changes), seconds=seconds))
    return timed_processes.read(store.folder(record.spec.key) / RECORD)


def group(**changes):
    return Group((spec(**changes),))


def test_the_same_runs_take_what_they_took_and_others_what_their_multiply_adds_say(tmp_path):
    known = Estimator([timed(tmp_path, seed=seed) for seed in (0, 1)])
    assert known.of(group(seed=7), ALL) == Estimate(626.0, "records")
    half = known.of(group(seed=7), Counts(22_500, 30_000))
    assert half.seconds == pytest.approx(5 + 300 + 10.5)
    larger = known.of(group(variant="S"), ALL)
    ratio = multiply_adds(VARIANTS["S"], 384) / multiply_adds(VARIANTS["B0"], 224)
    assert larger.basis == "records, scaled from B0 at 224"
    assert larger.seconds == pytest.approx(5 + 600 * ratio + 21)


def test_a_whole_network_is_scaled_from_features_where_none_was_trained(tmp_path):
    known = Estimator([timed(tmp_path)])
    recipe = replace(RECIPES["finetune"], epochs=2, steps=None)
    whole = known.of(group(recipe=recipe), ALL)
    assert whole.basis == "records, scaled from features of B0 at 224"
    assert whole.seconds == pytest.approx(5 + 3 * 2 * 45_000 * 600 / 60_000)
    trained = timed(tmp_path, Seconds(3.0, 2.0, 0.0, 900.0, 10.0), recipe=recipe)
    assert Estimator([trained]).of(group(recipe=recipe), ALL).basis == "records"


def test_what_nobody_has_measured_stays_unknown(tmp_path):
    assert Estimator([]).of(group(), ALL) == Estimate(None)
    known = Estimator([timed(tmp_path)])
    # A head is trained on other features, in a way that no record shows.
    probe = group(recipe=RECIPES["linear-probe"])
    assert known.of(probe, ALL) == Estimate(605.0, "records, without the head")
    assert known.of(probe, ALL, computed=True) == Estimate(None, NO_HEAD)
    # A few images take what compiling takes: nothing follows for many.
    few = timed(tmp_path, replace(SECONDS, features=20.0), limit=80)
    few = replace(few, passes=120.0, counts=Counts(80, 120))
    assert Estimator([few]).of(group(), ALL) == Estimate(None)
    assert Estimator([few], rough=True).of(group(), ALL).seconds > 600
    assert Estimator([replace(few, warm=True)]).of(group(), ALL).seconds > 600


def test_features_that_groups_share_are_computed_once(tmp_path):
    known = Estimator([timed(tmp_path)])
    groups = [group(weights=RANDOM), group(weights=RANDOM, recipe=RECIPES["case-study-2021"])]
    groups.append(group(weights=RANDOM, recipe=replace(RECIPES["case-study"], epochs=3)))

    def takes(one, computed):
        return known.of(one, ALL, computed=computed)

    first, other, again = estimates.each_once(groups, takes)
    assert first.seconds == 626.0
    assert other.basis == "records, without the head"  # it rescales otherwise
    assert again == Estimate(26.0, "records, features kept")
    assert estimates.total([first, again]) == 652.0
    assert estimates.total([first, Estimate(None)]) is None


@pytest.mark.parametrize(("trained", "known"), [(3.0, False), (11.0, True)])
def test_a_short_training_shows_what_every_training_begins_with(tmp_path, trained, known):
    recipe = replace(RECIPES["finetune"], epochs=1, steps=None)
    seconds = Seconds(3.0, 2.0, 0.0, trained - 1, 1.0, compile=15.0)
    short = timed(tmp_path, seconds, recipe=recipe, limit=320)
    short = replace(short, passes=960.0, counts=Counts(320, 400))
    assert short.warm
    estimate = Estimator([short]).of(group(recipe=recipe), ALL)
    assert (estimate.seconds is not None) == known
