"""Predictions for every image exactly once, and exact counts of what they get right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from scipy.special import log_softmax, softmax

from effbench.data.splits import label_dtype
from effbench.engines.engine import TENSORFLOW, Engine
from effbench.errors import NonFiniteError
from effbench.hardware.distribution import ALONE, Layout
from effbench.hardware.tensorflow_setup import tf
from effbench.records.scores import Scores
from effbench.training import feeding
from effbench.training.feeding import Readable

# From positions (int32 [batch]), or from images (uint8 [batch, h, w, 3]) where these are fed, to
# features (float32 [batch, width]), inside a tf.function.
Lookup = Callable[[tf.Tensor], tf.Tensor]

# Images that all replicas look at together, if the number of replicas divides it.
BATCH = 128

# Logits that are worked on at once: a softmax takes several copies of them in float64, which of
# 10,000 images of 10,000 classes are gigabytes.
_AT_ONCE = 2**22

# What to do about numbers that are not finite.
LOOK = "look at the weights and the precision; float32 may help"


def batch(layout: Layout) -> int:
    """Images that each replica looks at together."""
    return -(-BATCH // layout.replicas)


class Evaluator:
    """Logits of heads over one split, compiled once for each number of heads.

    Every replica gets as many batches. They are padded with the first image and its rows dropped
    again, so shapes are static and every image counts once.

    Attributes:
        batches: positions, int32 [n, batch]; n divides by the replicas.
    """

    def __init__(
        self,
        lookup: Lookup,
        images: int,
        layout: Layout = ALONE,
        rows: Readable | None = None,
        engine: Engine = TENSORFLOW,
    ) -> None:
        """`lookup` gives the features of `images` images by position, `batch(layout)` at once.

        With `rows`, in which all images are, it gives those of images that it is handed.
        """
        self._images = images
        self._rows = rows
        self._batch = batch(layout)
        whole = self._batch * layout.replicas
        padded = np.zeros(-(-images // whole) * whole, np.int32)
        padded[:images] = np.arange(images)
        self.batches = padded.reshape(-1, self._batch)
        self._lookup = lookup
        self._layout = layout
        self._run = engine.compile(partial(layout.map, self.share))

    def logits(self, kernels: np.ndarray, biases: np.ndarray) -> np.ndarray:
        """Logits of several heads.

        Args:
            kernels: float32 [heads, width, classes].
            biases: float32 [heads, classes].

        Returns:
            float32 [heads, images, classes].
        """
        parts = [self._run(batches, kernels, biases)[0] for batches in self._fed()]
        padded = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return padded.transpose(1, 0, 2, 3).reshape(*biases.shape[:1], -1, biases.shape[1])[
            :, : self._images
        ]

    def _fed(self) -> Iterator[np.ndarray]:
        """All batches at once, or the pixels of some after those of others."""
        if self._rows is None:
            yield self.batches
            return
        rows = self._rows
        size = feeding.batches_at_once(rows, self._batch, self._layout.replicas)
        pieces = [self.batches[first : first + size] for first in range(0, len(self.batches), size)]
        yield from feeding.ahead(partial(feeding.gathered, rows), pieces)

    def share(self, batches: tf.Tensor, kernels: tf.Tensor, biases: tf.Tensor) -> tf.Tensor:
        """A replica's share: int32 [n, batch], or pixels, to float32 [n, heads, batch, classes]."""

        def one(batch: tf.Tensor) -> tf.Tensor:
            features = self._lookup(tf.reshape(batch, (self._batch, *batch.shape[1:])))
            return tf.matmul(features, kernels) + biases[:, None]

        return tf.map_fn(one, batches, fn_output_signature=tf.float32)


def ranks(logits: tf.Tensor | np.ndarray, labels: tf.Tensor | np.ndarray) -> tf.Tensor:
    """How many classes come before the true one; 0 is a top-1 hit, below 5 a top-5 hit.

    Of equal logits the lower class comes first, as in `argmax`.

    Args:
        logits: float [n, classes].
        labels: int [n].

    Returns:
        int32 [n].
    """
    logits, labels = tf.convert_to_tensor(logits), tf.cast(labels, tf.int32)
    true = tf.gather(logits, labels, axis=1, batch_dims=1)[:, None]
    lower = tf.range(logits.shape[1]) < labels[:, None]
    before = (logits > true) | ((logits == true) & lower)
    return tf.reduce_sum(tf.cast(before, tf.int32), axis=1)


def score(logits: np.ndarray, labels: np.ndarray) -> Scores:
    """Exact counts and the mean cross-entropy (nats) of logits [n, classes] for labels [n].

    Raises:
        NonFiniteError: a logit is NaN or infinite.
    """
    if not np.isfinite(logits).all():
        raise NonFiniteError("the outputs are not finite", "NaN or infinity", LOOK)
    rank = ranked(logits, labels)
    likelihood = np.concatenate(
        [
            log_softmax(logits[rows].astype(np.float64), axis=1)[
                np.arange(len(labels[rows])), labels[rows]
            ]
            for rows in _pieces(logits)
        ]
    )
    loss = -float(likelihood.mean())
    return Scores(int((rank == 0).sum()), int((rank < 5).sum()), len(labels), loss)


def _pieces(logits: np.ndarray) -> Iterator[slice]:
    """Rows of logits [n, classes] that are worked on at once."""
    images = max(1, _AT_ONCE // logits.shape[1])
    for first in range(0, len(logits), images):
        yield slice(first, first + images)


def ranked(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Their `ranks`, int32 [n]."""
    return np.concatenate([ranks(logits[rows], labels[rows]).numpy() for rows in _pieces(logits)])


def per_image(name: str, logits: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of `Predictions` that follow from logits [n, classes], for one split."""
    dtype = label_dtype(logits.shape[1])
    probability = np.empty(logits.shape, np.float16)
    for rows in _pieces(logits):
        probability[rows] = softmax(logits[rows].astype(np.float64), axis=1)
    return {
        f"{name}_label": labels.astype(dtype),
        f"{name}_predicted": logits.argmax(axis=1).astype(dtype),
        f"{name}_rank": ranked(logits, labels).astype(dtype),
        f"{name}_probability": probability,
    }
