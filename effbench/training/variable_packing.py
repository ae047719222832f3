"""Small arrays of a network that are held as one, where there are too many variables for a TPU.

Its compiler takes only so many arguments for a program, and each variable is one: for v3 it refuses
more than 3,293, and L, with the optimizer's state and the average of its weights, has 4,464. Most
are vectors, of BatchNorm and biases. What optimizer and average do to a number does not depend on
the others, so the results are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from effbench.hardware.tensorflow_setup import keras, tf

# Variables of a program above which there are too many; it has a few other arguments besides.
MOST = 3250


def small(array: tf.Tensor | tf.Variable) -> bool:
    """Whether an array goes into the row: a vector or a scalar."""
    return bool(array.shape.rank < 2)


def pack(arrays: Sequence[tf.Tensor | tf.Variable]) -> list[tf.Tensor | tf.Variable]:
    """The large ones as they are, then one row of all the numbers of the small ones."""
    row = [tf.reshape(array, (-1,)) for array in arrays if small(array)]
    return [*(array for array in arrays if not small(array)), tf.concat(row, axis=0)]


def unpack(
    packed: Sequence[tf.Tensor | tf.Variable], like: Sequence[tf.Variable]
) -> list[tf.Tensor | tf.Variable]:
    """Undoes `pack`: arrays in the order and of the shapes of `like`."""
    *large, row = packed
    shapes = [variable.shape for variable in like if small(variable)]
    pieces = iter(tf.split(row, [math.prod(shape) for shape in shapes]))
    rest = iter(large)
    return [
        tf.reshape(next(pieces), variable.shape) if small(variable) else next(rest)
        for variable in like
    ]


def pack_shares(
    shares: Sequence[float], variables: Sequence[tf.Variable]
) -> list[float | np.ndarray]:
    """A number for each variable, as one for each of what `pack` makes of them."""
    pairs = list(zip(shares, variables, strict=True))
    row = [np.full(math.prod(array.shape), share) for share, array in pairs if small(array)]
    large: list[float | np.ndarray] = [share for share, array in pairs if not small(array)]
    return [*large, np.concatenate(row).astype(np.float32)]


class Setter(keras.optimizers.legacy.Optimizer):
    """Sets variables to what it gets as their gradients.

    An optimizer, because that is how a variable changes on all replicas alike.
    """

    def __init__(self, variables: Sequence[tf.Variable]) -> None:
        super().__init__(name="Setter")
        # Before the first step, which is traced and may create no variables.
        self._create_all_weights(variables)

    def spread(
        self, packed: Sequence[tf.Tensor | tf.Variable], variables: Sequence[tf.Variable]
    ) -> None:
        """Sets the small ones of `variables` to what the row of `packed` holds."""
        pairs = zip(unpack(packed, variables), variables, strict=True)
        self.apply_gradients(
            [(array, variable) for array, variable in pairs if small(variable)],
            experimental_aggregate_gradients=False,
        )

    def _resource_apply_dense(
        self, grad: tf.Tensor, handle: tf.Variable, apply_state: object
    ) -> tf.Operation:
        return handle.assign(grad)
