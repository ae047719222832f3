"""Random numbers that are the same on every kind of device, compiled or not."""

from __future__ import annotations

from effbench.hardware.tensorflow_setup import tf


def uniform(shape: tuple[int, ...], seed: tf.Tensor) -> tf.Tensor:
    """Draws from 0 to below 1.

    TensorFlow's own floats are made of the same random bits in one way by its CPU kernel and in
    another by XLA, and every kind of device has a generator of its own unless one is named.

    Args:
        shape: shape of the result. A larger result begins with the same rows.
        seed: int32 [2].

    Returns:
        float32, multiples of 2^-24.
    """
    bits = tf.random.stateless_uniform(shape, seed, None, None, tf.uint32, alg="philox")
    return tf.cast(tf.bitwise.right_shift(bits, 8), tf.float32) * 2**-24


def derived(seed: tf.Tensor, number: tf.Tensor | int) -> tf.Tensor:
    """Another seed, int32 [2], for each number; draw nothing from `seed` itself then."""
    return tf.random.experimental.stateless_fold_in(seed, number, alg="philox")
