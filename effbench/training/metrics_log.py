"""The learning curve as it grows: a CSV file beside the record, and TensorBoard's logs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from effbench.hardware.tensorflow_setup import tf
from effbench.records.scores import Epoch
from effbench.records.store import Store


class Logs:
    """The logs of one run."""

    def __init__(self, store: Store, key: str, tensorboard: bool) -> None:
        """A file appears when something is first written to it."""
        self._store = store
        self._key = key
        folder = store.directory / "tensorboard" / key
        self._board = (
            tf.summary.create_file_writer(str(folder))
            if tensorboard
            else tf.summary.create_noop_writer()
        )

    def steps(self, last: int, losses: np.ndarray, learning_rate: float) -> None:
        """Notes the mean loss of some steps, float32 [n], the last of which is number `last`."""
        self._note(last, {"loss": float(losses.mean()), "learning_rate": learning_rate})

    def epoch(self, last: int, history: Sequence[Epoch]) -> None:
        """Notes the last epoch of `history`, which ended with step number `last`."""
        self._store.save_history(self._key, history)
        row = history[-1]
        for name, scores in (("train", row.train), ("validation", row.validation)):
            self._note(
                last,
                {
                    f"epoch_{name}_loss": scores.loss,
                    f"epoch_{name}_accuracy": scores.accuracy,
                    f"epoch_{name}_top5_accuracy": scores.top5_accuracy,
                },
            )

    def _note(self, step: int, values: dict[str, float]) -> None:
        with self._board.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step)
        self._board.flush()
