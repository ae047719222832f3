"""Layer-wise learning-rate decay: the nearer a part of a network is to its input, the slower it is.

Clark et al. 2020 (ELECTRA, section 3.1 and `get_layer_lrs`), Bao et al. 2021 (BEiT); in timm,
`param_groups_layer_decay`: the learning rate of a part is the recipe's times decay ** depth, where
the classifier has depth 0. Here the head convolution has a depth of its own; timm's EfficientNets
give it the last block's. As in timm, the weight decay itself is the same for all, and works by the
learning rate of its part.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from effbench.hardware.tensorflow_setup import keras, tf
from effbench.models.parts import parts

# A number, or one for each number of a variable.
Share = float | np.ndarray


def shares(model: keras.Model, decay: float, trained: Sequence[tf.Variable]) -> list[float]:
    """What each of `trained` moves by, as a share of what the learning rate alone would do.

    Args:
        model: the network without its classifier.
        decay: from one part to the one before it.
        trained: variables of the model or of the classifier, which moves by all of it.
    """
    depths = {
        variable.ref(): depth
        for depth, layers in enumerate(reversed(parts(model)), 1)
        for layer in layers
        for variable in layer.trainable_weights
    }
    return [decay ** depths.get(variable.ref(), 0) for variable in trained]


def slow(
    optimizer: keras.optimizers.legacy.Optimizer,
    variables: Sequence[tf.Variable],
    shares: Sequence[Share],
) -> None:
    """Makes an optimizer move each of its variables by its share.

    What it moves them by is scaled, and not the gradients, to whose scale most optimizers are
    blind. A learning rate is a factor of every optimizer's step, of the momentum that is part of it
    and of the weight decay beside it, so that the outcome is that of another learning rate.
    """
    by_copy = {
        copy._unique_id: share
        for variable, share in zip(variables, shares, strict=True)
        # An optimizer is given the copy of one replica.
        for copy in getattr(variable, "values", [variable])
    }
    whole = optimizer._resource_apply_dense

    def part(grad: tf.Tensor, handle: tf.Variable, **state: object) -> tf.Operation:
        before = tf.identity(handle)
        with tf.control_dependencies([before]):
            moved = whole(grad, handle, **state)
        with tf.control_dependencies([moved]):
            return handle.assign(before + by_copy[handle._unique_id] * (handle - before))

    optimizer._resource_apply_dense = part
