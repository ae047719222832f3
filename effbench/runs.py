"""What a run is, what it found, and how it came about: plain data that goes to JSON and back."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace

from effbench.recipes import RECIPES, Recipe, resolved
from effbench.variants import VARIANTS

SCHEMA = 2

# How an epoch is chosen from a history: the lowest of this, the first of equals.
SELECTIONS: Mapping[str, Callable[[Epoch], float]] = {
    "val_loss": lambda row: row.validation.loss,
    "val_accuracy": lambda row: -row.validation.correct,
    "final": lambda row: -row.epoch,
}


@dataclass(frozen=True)
class WeightsId:
    """Which weights, wherever their file lies.

    Attributes:
        name: a release of `variants.RELEASES`, or "none" for random weights.
        digest: "md5:..." of the published release, "sha256:..." of any other file, "" for none.
        rescale: the input rescaling these weights expect, "torch" or "tf".
    """

    name: str
    digest: str
    rescale: str

    @property
    def random(self) -> bool:
        """Whether the backbone is untrained."""
        return self.name == "none"

    @property
    def released(self) -> bool:
        """Whether it is, byte for byte, a published release."""
        return self.digest.startswith("md5:")


@dataclass(frozen=True)
class RunSpec:
    """Everything that can change the outcome of a run. Same key, same run.

    Attributes:
        variant: name of a row of `variants.VARIANTS`.
        weights: the backbone's.
        image_size: side of the square input, pixels.
        recipe: resolved, overrides included.
        data: name of a row of `data.DATASETS`.
        data_sha256: of all images and labels of the dataset, before any limit.
        limit: number of training images, or None for all.
        seed: of the head's initial weights, its dropout and the shuffling.
        precision: "float32" or "mixed_bfloat16".
        feature_cache: False runs the backbone in every step instead of once per image, as it must
            where the whole network trains.
        micro_batch: images of a global batch that go through the network at once, or None for all.
    """

    variant: str
    weights: WeightsId
    image_size: int
    recipe: Recipe
    data: str
    data_sha256: str
    limit: int | None
    seed: int
    precision: str
    feature_cache: bool
    micro_batch: int | None = None

    @property
    def key(self) -> str:
        """Readable name and short hash of every field; also the name of the record's folder."""
        return f"{self._name}-s{self.seed}-{_hash(self)}"

    @property
    def group(self) -> str:
        """The key without the seed: runs of one group differ by their seed only."""
        return f"{self._name}-{_hash(replace(self, seed=0))}"

    @property
    def preprocessing(self) -> str:
        """The row of `models.PREPROCESSING` that this run uses."""
        chosen = self.recipe.preprocessing
        return self.weights.rescale if chosen == "weights" else chosen

    @property
    def marks(self) -> dict[str, str]:
        """What keeps this run from being the recipe's full, pretrained result, and by how much."""
        known = self.recipe.name in RECIPES
        standard = resolved(self.recipe.name, self.variant) if known else self.recipe
        changed = {
            field.name: getattr(self.recipe, field.name)
            for field in fields(Recipe)
            if getattr(self.recipe, field.name) != getattr(standard, field.name)
        }
        limits = []
        if self.limit is not None:
            limits.append(f"{self.limit:,} images")
        # The lower of the two ends a training; None is no limit.
        fewer = [
            field
            for field in ("epochs", "steps")
            if field in changed
            and (changed[field] or math.inf) < (getattr(standard, field) or math.inf)
        ]
        limits += [f"{changed.pop(field)} {field}" for field in fewer]
        foreign = not (self.weights.random or self.weights.released)
        native = VARIANTS[self.variant].image_size
        found = (
            ("random weights", self.weights.random, ""),
            ("limited", limits, ", ".join(limits)),
            (
                "weights not a release",
                foreign,
                f"{self.weights.digest[:15]}, {self.weights.rescale}",
            ),
            ("changed recipe", changed, ", ".join(f"{name} {changed[name]}" for name in changed)),
            ("not native size", self.image_size != native, f"{native}"),
            ("mixed_bfloat16", self.precision == "mixed_bfloat16", ""),
            (
                "backbone in every step",
                not self.feature_cache and self.recipe.trains == "head",
                "",
            ),
            ("micro-batches", self.micro_batch is not None, f"of {self.micro_batch}"),
        )
        return {mark: detail for mark, present, detail in found if present}

    @property
    def _name(self) -> str:
        limit = [] if self.limit is None else [f"limit{self.limit}"]
        parts = [self.variant, self.weights.name, self.image_size, self.recipe.name, self.data]
        return "-".join(map(str, parts + limit))


def details(marks: Mapping[str, str]) -> str:
    """Marks, each with how much; "" for none."""
    return ", ".join(f"{mark} ({much})" if much else mark for mark, much in marks.items())


def digest(value: object) -> str:
    """The sha256 of the canonical JSON of a value; hexadecimal."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _hash(spec: RunSpec) -> str:
    return digest(_plain(spec))[:12]


def _plain(value: object) -> object:
    """A dataclass as a dict, without fields at their default: a new field changes no old key."""
    if not is_dataclass(value):
        return value
    return {
        field.name: _plain(getattr(value, field.name))
        for field in fields(value)
        if getattr(value, field.name) != field.default
    }


# With slots, because a record holds dozens: a thousand records load in two thirds of the time.
@dataclass(frozen=True, slots=True)
class Scores:
    """Exact counts over a set of images, and the mean cross-entropy in nats."""

    correct: int
    top5_correct: int
    total: int
    loss: float

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.top5_correct <= self.total or self.total == 0:
            raise ValueError(f"impossible counts: {self}")

    @property
    def accuracy(self) -> float:
        """Top-1 accuracy, 0 to 1."""
        return self.correct / self.total

    @property
    def top5_accuracy(self) -> float:
        """Top-5 accuracy, 0 to 1."""
        return self.top5_correct / self.total


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch: training as Keras counts it (running, dropout on), validation after it.

    `learning_rate` is that of the epoch's last step.
    """

    epoch: int
    learning_rate: float
    train: Scores
    validation: Scores


@dataclass(frozen=True)
class Selected:
    """The scores of one epoch's weights, chosen by `rule` (a name in `SELECTIONS`)."""

    rule: str
    epoch: int
    validation: Scores
    test: Scores


@dataclass(frozen=True)
class Images:
    """How many images were used, and how many training images there are."""

    train: int
    validation: int
    test: int
    train_available: int


@dataclass(frozen=True)
class Predictions:
    """A compressed .npz beside the record, for the weights chosen by the recipe's rule.

    For `validation` and `test` each: `<split>_index` (position in the official files),
    `<split>_label` and `<split>_predicted` (uint8), `<split>_rank` (uint8, 0 is a top-1 hit,
    below 5 a top-5 hit) and `<split>_probability` (float16, [images, classes]).
    """

    file: str
    sha256: str


@dataclass(frozen=True)
class Seconds:
    """Wall-clock seconds per phase, of the process that ran this seed and those beside it."""

    startup: float
    build: float
    features: float
    train: float
    evaluate: float


@dataclass(frozen=True)
class Provenance:
    """How a result was made.

    Attributes:
        started: UTC, ISO 8601.
        weights_file: name of the file, without its folder; "" for random weights.
        weights_sha256: of that file.
        weights_verified: how the loaded tensors were checked.
        device: "cpu", "gpu" or "tpu".
        device_name: what the machine calls it.
        replicas: copies that shared a global batch.
        features_computed: images whose features this process computed.
        features_cached: images whose features came from the cache.
        seeds_together: how many seeds this process trained.
        peak_memory: of that process, bytes.
        versions: of Python and of the packages that matter.
        commit: of effbench, with "+dirty" when files had changed; "" outside a checkout.
        micro_batch: images that went through the network at once, where it was trained; smaller
            than the run asked for where memory was too small. 0 for a head.
        resumed: how often the training went on from a checkpoint.
    """

    started: str
    weights_file: str
    weights_sha256: str
    weights_verified: str
    device: str
    device_name: str
    replicas: int
    features_computed: int
    features_cached: int
    seeds_together: int
    peak_memory: int
    versions: dict[str, str]
    commit: str
    micro_batch: int = 0
    resumed: int = 0


@dataclass(frozen=True)
class RunResult:
    """A finished run."""

    schema: int
    spec: RunSpec
    images: Images
    selected: tuple[Selected, ...]
    history: tuple[Epoch, ...]
    predictions: Predictions
    seconds: Seconds
    provenance: Provenance

    @property
    def marks(self) -> dict[str, str]:
        """Those of its spec, and what the memory of the machine changed."""
        micro = self.provenance.micro_batch
        asked = self.spec.micro_batch or self.spec.recipe.batch_size
        changed = {"micro-batches": f"of {micro}"} if micro not in (0, asked) else {}
        return self.spec.marks | changed

    @property
    def reported(self) -> Selected:
        """The scores of the epoch that the recipe's rule chooses."""
        return next(row for row in self.selected if row.rule == self.spec.recipe.selection)


@dataclass(frozen=True)
class RunFailure:
    """A run that did not finish.

    Attributes:
        kind: of the error: "weights", "data", "checkpoint", "out-of-memory", "non-finite",
            "interrupted", "killed", "crash".
        message: one line.
        log: name of the file beside the record that holds the worker's output; "" for none.
    """

    schema: int
    spec: RunSpec
    kind: str
    message: str
    log: str
    started: str


Record = RunResult | RunFailure
