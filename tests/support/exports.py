"""A store with a run whose network takes no time to build, to be exported."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.classifiers import NAMES, tiny
from support.records import put, result, spec

from effbench.config.recipes import RECIPES
from effbench.data import datasets
from effbench.export import classifier, load
from effbench.records.record import Images, RunResult
from effbench.records.scores import Scores, Selected
from effbench.records.store import Store


def exportable(tmp_path: Path, patch: pytest.MonkeyPatch, names: tuple[str, ...] = NAMES) -> Store:
    """The store; the working directory is an empty one, and every run's network the same."""

    def probabilities(images: np.ndarray) -> np.ndarray:
        return model.model(images).numpy()

    model = tiny(names=names)
    network = SimpleNamespace(probabilities=probabilities)
    patch.setattr(load, "load", lambda *_: network)
    patch.setattr(classifier, "build", lambda *_: model)
    patch.setattr(datasets, "classes", lambda *_: names)
    (tmp_path / "here").mkdir()
    patch.chdir(tmp_path / "here")
    store = Store(tmp_path / "results")
    put(store, result(spec=spec(recipe=RECIPES["finetune"])))
    return store


def of_digits(store: Store, images: np.ndarray, labels: np.ndarray, sha256: str) -> RunResult:
    """A run on 100 of the digits that said of test images what the network says."""
    said = tiny(names=datasets.NUMBERS).model(images).numpy()
    predicted = said.argmax(1)
    correct = int((predicted == labels).sum())
    scores = Scores(correct, len(labels), len(labels), 1.0)
    record = result(
        spec=spec(recipe=RECIPES["finetune"], data="digits", data_sha256=sha256, limit=100),
        images=Images(100, 25, 25, 1258),
        selected=tuple(
            Selected(rule, 2, scores, scores) for rule in ("val_loss", "val_accuracy", "final")
        ),
    )
    arrays = {
        "test_label": labels.astype(np.uint8),
        "test_predicted": predicted.astype(np.uint8),
        "test_probability": said.astype(np.float16),
    }
    saved = store.save_predictions(record.spec.key, arrays)
    record = replace(record, predictions=saved)
    store.save(record)
    return record


def here() -> list[str]:
    """The names in the working directory."""
    return sorted(path.name for path in Path().iterdir())
