"""What a training step does with its gradients: the optimizer, then the average of the weights."""

from __future__ import annotations

from collections.abc import Sequence

from effbench.config.recipe_numbers import Recipe
from effbench.hardware.tensorflow_setup import keras, tf
from effbench.training import optimizers, variable_packing
from effbench.training.fine_tuning import layer_decay


class WeightUpdate:
    """The optimizer of a network, and the moving average of its weights.

    The average's decay is `min(recipe.ema_decay, (1 + n) / (10 + n))` after n steps, as with
    TensorFlow's `ExponentialMovingAverage` given the step; it covers the BatchNorm statistics too
    (google/automl, efficientnetv2/utils.py: `get_ema_vars`).

    Attributes:
        variables: all that it changes besides the network.
    """

    def __init__(
        self,
        recipe: Recipe,
        images: int,
        device: str,
        model: keras.Model,
        trained: list[tf.Variable],
        network: list[tf.Variable],
    ) -> None:
        """To be made in the scope of the layout, before the first step.

        Args:
            recipe: all numbers.
            images: how many train.
            device: kind of device: "cpu", "gpu" or "tpu".
            model: the part of the network that trains.
            trained: its trainable variables, and those of the head.
            network: these, then its other variables.
        """
        self._trained, self._network = trained, network
        self._optimizer = optimizers.build(recipe, images)
        averaged = network if recipe.ema_decay else []
        slots = optimizers.OPTIMIZERS[recipe.optimizer].slots
        count = len(network) + len(averaged) + slots * len(trained)
        self._packed = device == "tpu" and count > variable_packing.MOST
        # What the optimizer works on; a row is a copy, and set back after every step.
        self._optimized, row = trained, []
        if self._packed:
            *large, numbers = variable_packing.pack(trained)
            row = [tf.Variable(numbers)]
            self._optimized = [*large, *row]
            self._setter = variable_packing.Setter(trained)
        # Before the first step, which is traced and may create no variables.
        self._optimizer._create_all_weights(self._optimized)
        self._optimizer.iterations.assign(recipe.start_step)
        if recipe.layer_decay < 1:
            shares = layer_decay.shares(model, recipe.layer_decay, trained)
            packed = variable_packing.pack_shares(shares, trained) if self._packed else shares
            layer_decay.slow(self._optimizer, self._optimized, packed)
        self._average = [
            tf.Variable(
                variable,
                trainable=False,
                # Each replica keeps its own, as it does the statistics.
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.MEAN,
            )
            for variable in (self._held(averaged) if averaged else [])
        ]
        self.variables = [*row, *self._optimizer.variables(), *self._average]

    def averaged(self) -> Sequence[tf.Variable | tf.Tensor]:
        """The average of the network's variables, in their order; themselves where none is kept."""
        if self._packed and self._average:
            return variable_packing.unpack(self._average, self._network)
        return self._average or self._network

    def learning_rate(self) -> float:
        """The learning rate of the last step."""
        rate = self._optimizer._get_hyper("learning_rate")
        return float(rate(self._optimizer.iterations - 1))

    def apply(self, recipe: Recipe, gradients: list[tf.Tensor]) -> None:
        """A step of the optimizer, then of the average."""
        if optimizers.OPTIMIZERS[recipe.optimizer].l2:
            gradients = [
                gradient + recipe.weight_decay * variable
                if variable.shape.rank > 1 or recipe.decay_all
                else gradient
                for gradient, variable in zip(gradients, self._trained, strict=True)
            ]
        self._optimizer.apply_gradients(
            zip(self._held(gradients), self._optimized, strict=True),
            experimental_aggregate_gradients=False,
        )
        if self._packed:
            self._setter.spread(self._optimized, self._trained)
        done = tf.cast(self._optimizer.iterations, tf.float32)
        decay = tf.minimum(recipe.ema_decay, (1 + done) / (10 + done))
        if self._average:
            for average, variable in zip(self._average, self._held(self._network), strict=True):
                average.assign(average + (1 - decay) * (variable - average))

    def _held(self, arrays: list[tf.Tensor | tf.Variable]) -> list[tf.Tensor | tf.Variable]:
        """The arrays as the optimizer and the average hold them."""
        return variable_packing.pack(arrays) if self._packed else arrays
