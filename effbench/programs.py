"""The programs that a run executes on each replica: what a plan compiles, and a TPU runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from effbench import evaluate, features, lookups, models, probe
from effbench.backend import keras, tf
from effbench.dataset import CLASSES, FULL
from effbench.devices import Device
from effbench.evaluate import Evaluator
from effbench.layout import Layout
from effbench.runs import SELECTIONS, RunSpec
from effbench.variants import VARIANTS

SIDE = 32


@dataclass(frozen=True)
class Program:
    """One program of a replica.

    Attributes:
        name: what it does.
        function: the object that the run hands to its strategy.
        inputs: what it is called with; variables and held arrays come besides.
        images: that a replica works on in one call.
        calls: of the whole run, on each replica.
        held: bytes that arrays of other programs take on the device meanwhile.
        body: where there is a loop: one turn of it, as a program of its own. XLA counts the work of
            a loop's body once, however often it goes round.
        turns: of that loop in a call.
    """

    name: str
    function: Callable[..., tf.Tensor]
    inputs: tuple[tf.TensorSpec, ...]
    images: int
    calls: int
    held: int = 0
    body: Program | None = None
    turns: int = 1


@dataclass(frozen=True)
class OneOf(Layout):
    """One replica of several, as `Replicated` has it, but by itself: nothing is added up.

    Attributes:
        copies: how many there are.
        number: of this one; a variable, because what depends on a constant would be computed by the
            compiler.
    """

    placement: str = "/CPU:0"
    copies: int = field(kw_only=True)
    number: tf.Variable = field(kw_only=True)

    @property
    def replicas(self) -> int:
        """Copies that share a global batch."""
        return self.copies

    def hold(self, values: np.ndarray) -> tf.Variable:
        """An array that programs look up: an argument of theirs, not a constant within."""
        return tf.Variable(values, trainable=False)

    def part(self, rows: tf.Tensor) -> tf.Tensor:
        """Inside a program: this replica's rows of [n, ...]; n divides by the replicas."""
        return tf.reshape(rows, (self.replicas, -1, *rows.shape[1:]))[self.number]


def programs(spec: RunSpec, batch: int | None, replicas: int) -> list[Program]:
    """The programs of one run; the first is the one in which the network runs.

    Weights are random and images black: the values do not change a program.

    Args:
        spec: of the run; the batch of its recipe is that of all replicas.
        batch: images that a replica takes at once where the network runs, or None for what the run
            takes.
        replicas: that share the work.
    """
    layout = OneOf(copies=replicas, number=tf.Variable(0))
    device = Device("tpu", "", 1, layout)
    with layout.scope():
        model = models.build(VARIANTS[spec.variant], spec.image_size, spec.precision)
        return _frozen(spec, batch, device, model)


def _frozen(spec: RunSpec, batch: int | None, device: Device, model: keras.Model) -> list[Program]:
    """Of a recipe that trains the head alone: features once, then the head on them."""
    layout = device.layout
    variant, recipe = VARIANTS[spec.variant], spec.recipe
    usual = features.batch_size(spec.image_size, device.kind, layout.replicas)
    arrays = [np.zeros((images, variant.width), np.float32) for images in FULL]
    train, validation, test = (lookups.gathered(values, layout) for values in arrays)
    evaluators = (
        Evaluator(validation, FULL[1], layout),
        Evaluator(test, FULL[2], layout),
    )
    labels = [np.zeros(images, np.uint8) for images in FULL]
    task = probe.Task(train, labels[0], evaluators[0], labels[1], variant.width, layout)
    trainer = probe.Trainer(task, recipe)
    whole = recipe.batch_size
    weights = sum(math.prod(each.shape) * each.dtype.size for each in model.variables)
    everything = weights + sum(values.nbytes for values in arrays)
    found = [
        Program(
            "features",
            lookups.forward(spec, model, device, batch or usual),
            (tf.TensorSpec((batch or usual, SIDE, SIDE, 3), tf.uint8),),
            batch or usual,
            # The run goes chunk by chunk, and takes no batch but its own.
            math.ceil(sum(FULL) / (batch * layout.replicas))
            if batch
            else _feature_calls(usual * layout.replicas),
        ),
        Program(
            "head step",
            trainer.step,
            (
                tf.TensorSpec((whole,), tf.int32),
                tf.TensorSpec((whole,), tf.int32),
                tf.TensorSpec((whole,), tf.float32),
                tf.TensorSpec((2,), tf.int32),
            ),
            whole // layout.replicas,
            recipe.epochs * math.ceil(FULL[0] / whole),
            everything - arrays[0].nbytes,
        ),
    ]
    for name, place, heads, calls in (
        ("validation", 1, 1, recipe.epochs),
        ("last validation", 1, len(SELECTIONS), 1),
        ("test", 2, len(SELECTIONS), 1),
    ):
        evaluator = evaluators[place - 1]
        # One batch of it, which looks up no more than it needs: what a loop does before it begins,
        # with the whole array, is in the program with the loop.
        few = evaluate.batch(layout) * layout.replicas
        small = lookups.gathered(np.zeros((few, variant.width), np.float32), layout)
        body = _evaluation(name, Evaluator(small, few, layout), layout, heads, variant.width, 1)
        program = _evaluation(name, evaluator, layout, heads, variant.width, calls)
        turns = len(evaluator.batches) // layout.replicas
        held = everything - arrays[place].nbytes
        found.append(replace(program, held=held, body=body, turns=turns))
    return found


def _feature_calls(images: int) -> int:
    """Calls for all images of the dataset; a chunk's last one is padded."""
    chunks, rest = divmod(sum(FULL), features.CHUNK)
    return chunks * math.ceil(features.CHUNK / images) + math.ceil(rest / images)


def _evaluation(
    name: str, evaluator: Evaluator, layout: Layout, heads: int, width: int, calls: int
) -> Program:
    rounds = len(evaluator.batches) // layout.replicas
    batch = evaluate.batch(layout)
    return Program(
        name,
        evaluator.share,
        (
            tf.TensorSpec((rounds, batch), tf.int32),
            tf.TensorSpec((heads, width, CLASSES), tf.float32),
            tf.TensorSpec((heads, CLASSES), tf.float32),
        ),
        rounds * batch,
        calls,
    )
