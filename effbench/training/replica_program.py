"""A program that a replica executes again and again, as a plan compiles it and a run calls it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from effbench.hardware.distribution import Layout
from effbench.hardware.tensorflow_setup import tf
from effbench.training import evaluate
from effbench.training.evaluate import Evaluator


@dataclass(frozen=True)
class Program:
    """One program of a replica.

    Attributes:
        name: what it does.
        function: the object that the run hands to its strategy.
        inputs: what it is called with; variables and held arrays come besides.
        images: how many images a replica works on in one call.
        calls: how many calls the whole run makes, on each replica.
        held: bytes that arrays of other programs take on the device meanwhile.
        body: where there is a loop, one turn of it, as a program of its own. XLA counts the work of
            a loop's body once, however often it goes round.
        turns: turns of that loop in a call.
    """

    name: str
    function: Callable[..., tf.Tensor]
    inputs: tuple[tf.TensorSpec, ...]
    images: int
    calls: int
    held: int = 0
    body: Program | None = None
    turns: int = 1


def evaluation(
    name: str,
    evaluator: Evaluator,
    layout: Layout,
    head: tuple[int, int, int],
    calls: int,
    fed: tuple[int, ...] = (),
    dtype: tf.DType = tf.uint8,
) -> Program:
    """Logits of one split, batch by batch in a loop.

    Args:
        name: what it does.
        evaluator: evaluates the split.
        layout: the replica's.
        head: how many heads are evaluated beside each other, of how many features and classes.
        calls: how many calls the whole run makes.
        fed: as for `images_of`.
        dtype: likewise.
    """
    rounds = len(evaluator.batches) // layout.replicas
    batch = evaluate.batch(layout)
    return Program(
        name,
        evaluator.share,
        (
            images_of(fed, rounds, batch, dtype=dtype),
            tf.TensorSpec(head, tf.float32),
            tf.TensorSpec((head[0], head[2]), tf.float32),
        ),
        rounds * batch,
        calls,
    )


def images_of(fed: tuple[int, ...], *shape: int, dtype: tf.DType = tf.uint8) -> tf.TensorSpec:
    """What a program is given of images: of each its pixels, or its position where `fed` is ().

    Args:
        fed: the shape of an image that the host hands over.
        shape: how many images.
        dtype: of their pixels, or of what a frozen part of a network made of them.
    """
    return tf.TensorSpec((*shape, *fed), dtype if fed else tf.int32)


def size_of(variables: Iterable[tf.Variable]) -> int:
    """How many bytes the variables take."""
    return sum(math.prod(variable.shape) * variable.dtype.size for variable in variables)
