"""Valid specs and records for tests: a full run of B0, and whatever a test changes about it."""

import io
from dataclasses import replace

import h5py
import numpy as np

from effbench.config.recipes import RECIPES
from effbench.config.run_spec import RunSpec, WeightsId
from effbench.config.variants import VARIANTS
from effbench.records.prediction_arrays import Predictions, prefixed
from effbench.records.record import SCHEMA, Images, Provenance, RunFailure, RunResult, Seconds
from effbench.records.scores import Epoch, Scores, Selected
from effbench.records.store import Store

RANDOM = WeightsId("none", "", "torch")
FILE = WeightsId("imagenet", "sha256:" + "c" * 64, "torch")


def released(variant: str, name: str = "auto") -> WeightsId:
    release = VARIANTS[variant].release(name)
    return WeightsId(release.name, f"md5:{release.md5}", release.rescale)


def spec(**changes: object) -> RunSpec:
    """A full run: the variant's own size and weights, unless `changes` say otherwise."""
    variant = str(changes.get("variant", "B0"))
    plain = RunSpec(
        variant=variant,
        weights=released(variant),
        image_size=VARIANTS[variant].image_size,
        recipe=RECIPES["case-study"],
        data="cifar10",
        data_sha256="d" * 64,
        limit=None,
        seed=0,
        precision="float32",
        feature_cache=True,
    )
    return replace(plain, **changes)


def scores(correct: int = 4500, top5: int = 4990, total: int = 5000, loss: float = 0.25) -> Scores:
    return Scores(correct, top5, total, loss)


def result(
    validation: Scores | None = None, test: Scores | None = None, **changes: object
) -> RunResult:
    """A finished run whose recipe selects an epoch with these scores."""
    validation = validation or scores()
    test = test or scores(8900, 9950, 10_000)
    worse = scores(1, 2, 5000, 9.5)
    plain = RunResult(
        schema=SCHEMA,
        spec=spec(),
        images=Images(45_000, 5_000, 10_000, 45_000),
        selected=(
            Selected("val_loss", 2, validation, test),
            Selected("val_accuracy", 1, worse, worse),
            Selected("final", 2, worse, worse),
        ),
        history=(
            Epoch(1, 0.1 + 0.2, scores(30_000, 44_000, 45_000, 1 / 3), worse),
            Epoch(2, 5e-2, scores(40_000, 44_900, 45_000, 0.2), validation),
        ),
        predictions=Predictions("predictions-000000000000.npz", "0" * 64),
        seconds=Seconds(1.5, 2.5, 3.5, 4.5, 5.5),
        provenance=Provenance(
            started="2025-01-02T03:04:05+00:00",
            weights_file="efficientnetv2-b0-imagenet.h5",
            weights_sha256="e" * 64,
            weights_verified="md5 of the release; 773 tensors equal to the file's",
            device="cpu",
            device_name="A processor, 2 cores",
            replicas=1,
            features_computed=60_000,
            features_cached=0,
            seeds_together=1,
            peak_memory=2_000_000_000,
            versions={"python": "3.11.9", "numpy": "2.1.0"},
            commit="0123456789ab",
        ),
    )
    return replace(plain, **changes)


def failure(**changes: object) -> RunFailure:
    plain = RunFailure(
        SCHEMA, spec(variant="L"), "out-of-memory", "ResourceExhaustedError: OOM", "", "2025-01-02"
    )
    return replace(plain, **changes)


def put(store: Store, record: RunResult) -> RunResult:
    """Saves a finished run as a worker does, with ranks that fit its scores; returns the record."""
    record = replace(record, predictions=store.save_predictions(record.spec.key, ranks(record)))
    store.save(record)
    return record


def ranks(record: RunResult) -> dict[str, np.ndarray]:
    """Predictions that fit a record's scores, as far as a report reads them."""
    reported = record.reported
    return {
        "validation_rank": _ranks(reported.validation),
        "test_rank": _ranks(reported.test),
    }


def _ranks(counts: Scores) -> np.ndarray:
    many = (
        counts.correct,
        counts.top5_correct - counts.correct,
        counts.total - counts.top5_correct,
    )
    return np.repeat(np.array([0, 1, 9], np.uint8), many)


def complete(
    store: Store,
    *,
    test: bool = True,
    names: tuple[str, ...] = (),
    one_rule: bool = False,
    **changes: object,
) -> RunResult:
    """Saves a small finished run that agrees with itself, its predictions included.

    `names` are those of the classes of data that are no row; without `test` it has no test split;
    with `one_rule` it has the predictions of its recipe's epoch alone, as records once had.
    """
    recipe = replace(RECIPES["case-study"], epochs=3)
    chosen = spec(**({"recipe": recipe, "limit": 80} | changes))
    epochs, images, classes = chosen.recipe.epochs, 20, chosen.classes
    label = np.arange(images) % classes
    random = np.random.default_rng(chosen.seed)
    # Of each epoch, for the validation and the test images; without ties.
    logits = random.normal(size=(epochs, 2, images, classes)) + 2 * np.eye(classes)[label]
    probability = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    true = probability[:, :, np.arange(images), label]
    rank = (probability > true[..., None]).sum(axis=-1)

    def counted(epoch: int, split: int) -> Scores:
        split_rank = rank[epoch, split]
        loss = -float(np.log(true[epoch, split]).mean())
        return Scores(int((split_rank == 0).sum()), int((split_rank < 5).sum()), images, loss)

    epochs_by_rule = {
        "val_loss": int(np.argmax(np.log(true[:, 0]).sum(axis=-1))),
        "val_accuracy": int(np.argmax((rank[:, 0] == 0).sum(axis=-1))),
        "final": epochs - 1,
    }
    shown = epochs_by_rule[chosen.recipe.selection]
    kept = {shown} if one_rule else {*epochs_by_rule.values()}
    arrays = {}
    dtype = np.uint8 if classes <= 256 else np.uint16
    for index, split in enumerate(("validation", "test")[: 1 + test]):
        arrays |= {
            f"{split}_index": np.arange(images, dtype=np.int32) + 100 * index,
            f"{split}_label": label.astype(dtype),
        }
        for epoch in kept:
            of_one = {
                f"{split}_predicted": logits[epoch, index].argmax(axis=-1).astype(dtype),
                f"{split}_rank": rank[epoch, index].astype(dtype),
                f"{split}_probability": probability[epoch, index].astype(np.float16),
            }
            plain = epoch == shown
            arrays |= {
                n if plain else prefixed(f"epoch{epoch + 1}", n): a for n, a in of_one.items()
            }
        if names:
            files = [f"{split}/{names[at]}/{number}.jpg" for number, at in enumerate(label)]
            arrays[f"{split}_name"] = np.array(files)
    train = scores(50, 70, 80, 1.0)
    record = result(
        spec=chosen,
        images=Images(80, images, images * test, 45_000, names),
        history=tuple(Epoch(n + 1, 0.01, train, counted(n, 0)) for n in range(epochs)),
        selected=tuple(
            Selected(rule, epoch + 1, counted(epoch, 0), counted(epoch, 1) if test else None)
            for rule, epoch in epochs_by_rule.items()
        ),
        predictions=store.save_predictions(
            chosen.key, arrays, () if one_rule else [epoch + 1 for epoch in kept]
        ),
    )
    store.save(record)
    return record


def h5_file(note: str) -> bytes:
    """A Keras HDF5 file of weights without any; `note` makes its content its own."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["layer_names"] = []
        file.attrs["note"] = note
    return buffer.getvalue()
