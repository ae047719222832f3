"""The programs that a run executes on each replica: what a plan compiles, and a TPU runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from effbench.config import schedule
from effbench.config.recipes import Recipe
from effbench.config.run_spec import RunSpec
from effbench.config.variants import VARIANTS
from effbench.data.splits import CLASSES, FULL
from effbench.hardware.devices import Device
from effbench.hardware.distribution import Layout
from effbench.hardware.tensorflow_setup import tf
from effbench.models import backbone
from effbench.records.record import SELECTIONS
from effbench.training import evaluate, feature_cache, fine_tune_step, linear_probe
from effbench.training import inputs as lookups
from effbench.training.evaluate import Evaluator

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
        return _TRAINS[spec.recipe.trains](spec, batch, device)


def _network(spec: RunSpec, batch: int | None, device: Device) -> list[Program]:
    """Of a recipe that trains the whole network: a step in each stage, and evaluation.

    With `batch`, a step is one of that many images on each replica and the run has as many more of
    them, as if each were a micro-batch with an optimizer's step of its own.
    """
    layout, whole = device.layout, spec.recipe.batch_size
    own = batch * layout.replicas if batch else whole
    recipe = replace(spec.recipe, batch_size=own)
    model, noise = backbone.trainable(
        VARIANTS[spec.variant], spec.precision, recipe.survival, device.kind
    )
    images = [np.zeros((count, SIDE, SIDE, 3), np.uint8) for count in FULL]
    task = fine_tune_step.Task(
        images=lookups.gathered(images[0], layout),
        labels=np.zeros(FULL[0], np.uint8),
        recipe=recipe,
        preprocessing=spec.preprocessing,
        seed=spec.seed,
        micro_batch=own,
        device=device.kind,
        layout=layout,
    )
    trainer = fine_tune_step.Trainer(model, noise, task)
    epochs = _epochs(spec.recipe)
    evaluated = images[1].nbytes + images[2].nbytes
    found = [
        Program(
            f"step at {stage.image_size}",
            trainer.step(stage),
            (
                tf.TensorSpec((own,), tf.int32),
                tf.TensorSpec((own,), tf.int32),
                tf.TensorSpec((2,), tf.int32),
            ),
            own // layout.replicas,
            math.ceil(sum(epochs[epoch] for epoch in stage.epochs) * whole / own),
            evaluated,
        )
        for stage in schedule.split(recipe, spec.image_size)
    ]
    few = evaluate.batch(layout) * layout.replicas
    small = lookups.backbone(images[1][:few], spec, model, device)
    rounds = sum(bool(steps) for steps in epochs) + 1
    calls = rounds * math.ceil(FULL[1] / few) + math.ceil(FULL[2] / few)
    variables = sum(math.prod(each.shape) * each.dtype.size for each in trainer.variables)
    variables -= sum(math.prod(each.shape) * each.dtype.size for each in model.variables)
    held = variables + images[0].nbytes + evaluated
    body = _evaluation(
        "evaluation", Evaluator(small, few, layout), layout, 1, VARIANTS[spec.variant].width, calls
    )
    # The largest first. The last has a loop of one turn.
    return [*reversed(found), replace(body, held=held, body=body)]


def _epochs(recipe: Recipe) -> list[int]:
    """Steps of each epoch."""
    whole = FULL[0] // recipe.batch_size
    most = recipe.epochs * whole if recipe.steps is None else recipe.steps
    return [max(0, min(whole, most - epoch * whole)) for epoch in range(recipe.epochs)]


def _frozen(spec: RunSpec, batch: int | None, device: Device) -> list[Program]:
    """Of a recipe that trains the head alone: features once, then the head on them."""
    layout = device.layout
    model = backbone.build(VARIANTS[spec.variant], spec.image_size, spec.precision)
    variant, recipe = VARIANTS[spec.variant], spec.recipe
    usual = feature_cache.batch_size(spec.image_size, device.kind, layout.replicas)
    arrays = [np.zeros((images, variant.width), np.float32) for images in FULL]
    train, validation, test = (lookups.gathered(values, layout) for values in arrays)
    evaluators = (
        Evaluator(validation, FULL[1], layout),
        Evaluator(test, FULL[2], layout),
    )
    labels = [np.zeros(images, np.uint8) for images in FULL]
    task = linear_probe.Task(train, labels[0], evaluators[0], labels[1], variant.width, layout)
    trainer = linear_probe.Trainer(task, recipe)
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
    chunks, rest = divmod(sum(FULL), feature_cache.CHUNK)
    return chunks * math.ceil(feature_cache.CHUNK / images) + math.ceil(rest / images)


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


# By what of the network a recipe trains.
_TRAINS: Mapping[str, Callable[[RunSpec, int | None, Device], list[Program]]] = {
    "head": _frozen,
    "network": _network,
}
