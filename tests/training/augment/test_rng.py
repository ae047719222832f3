"""Draws are uniform, and the same however they are computed."""

import numpy as np
import pytest
from scipy import stats

from effbench.hardware.tensorflow_setup import tf
from effbench.training.augment.rng import derived, uniform

SEED = tf.constant([1, 2])


@pytest.mark.parametrize("shape", [(1,), (7, 3), (64, 4), (2000,)])
def test_compiled_or_not(shape):
    def program(seed):
        return uniform(shape, derived(seed, 3))

    plain, compiled = tf.function(program)(SEED), tf.function(program, jit_compile=True)(SEED)
    np.testing.assert_array_equal(plain, compiled)
    assert plain.shape == shape


def test_uniform():
    got = uniform((50_000,), SEED).numpy()
    assert got.dtype == np.float32
    assert (got >= 0).all()
    assert (got < 1).all()
    assert stats.kstest(got, "uniform").pvalue > 0.01
    assert abs(stats.pearsonr(got[1:], got[:-1])[0]) < 3 / np.sqrt(len(got))


def test_the_first_rows_of_a_larger_draw_are_the_same():
    np.testing.assert_array_equal(uniform((5, 3), SEED), uniform((90, 3), SEED)[:5])


def test_derived_seeds_differ():
    seeds = {
        tuple(derived(tf.constant([7, step]), n).numpy()) for step in range(50) for n in range(6)
    }
    assert len(seeds) == 300
    assert tuple(derived(SEED, 0).numpy()) != tuple(SEED.numpy())
