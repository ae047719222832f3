"""What a run came to, and how it came about: plain data that goes to JSON and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

from pydantic import Field

from effbench.config.recipe_numbers import Recipe
from effbench.config.run_spec import RunSpec
from effbench.data import datasets
from effbench.failures import FailureKind
from effbench.records import caveats
from effbench.records.l2_search import L2Search, L2Value
from effbench.records.prediction_arrays import Predictions
from effbench.records.scores import Epoch, Scores, Selected

SCHEMA = 2


@dataclass(frozen=True)
class Turn:
    """One turn of a cross-validation, in which a fold tests and the next one chooses.

    Attributes:
        epoch: the one that was chosen; 0 where there are none.
        l2: the L2 that was chosen; None where there are epochs.
        train: scores of the images that trained.
        validation: scores of those that chose.
        test: scores of those that tested.
        unsolved: as in an `L2Search`.
    """

    epoch: int
    l2: float | None
    train: Scores
    validation: Scores
    test: Scores
    unsolved: str = ""


@dataclass(frozen=True)
class Images:
    """How many images were used, and how many training images there are.

    `test` is 0 where the data have no test images. `classes` names the labels where no row of
    `datasets.DATASETS` does. `skipped` is how many unreadable files were left out; `leaked` how
    many held-out photos have the pixels of one that trains, or may in a cross-validation. `made`
    names the splits that the data do not have themselves, and `split_sha256` is the hash of all
    names, labels and splits of photos.
    """

    train: int
    validation: int
    test: int
    train_available: int
    classes: tuple[str, ...] = ()
    skipped: int = 0
    leaked: int = 0
    made: tuple[str, ...] = ()
    split_sha256: str = ""


@dataclass(frozen=True)
class Seconds:
    """Wall-clock seconds per phase, of the process that ran this seed and those beside it.

    Their sum is all that it took, from the sweep's starting it to the writing of the record; in a
    training that went on from a checkpoint, also what was trained before. Records from before the
    later fields have what these stand for among the others: imports in `startup`, the reading of
    images in `build`, compilation in `features` or `train`; and lack what it took to write.

    Attributes:
        startup: until the device was there.
        build: of the network and its weights.
        features: forward passes of images whose features are kept.
        train: training, and the validation of each epoch.
        evaluate: the scores of the chosen weights.
        imports: until Python and its packages were there.
        data: reading and decoding of images, and waiting for them.
        compile: the first call of programs beyond what others take, and of each training stage
            the first step; what an engine is compared with is part of it.
        write: of predictions, weights and curves.
        other: all the rest.
    """

    startup: float
    build: float
    features: float
    train: float
    evaluate: float
    imports: float = 0.0
    data: float = 0.0
    compile: float = 0.0
    write: float = 0.0
    other: float = 0.0


@dataclass(frozen=True)
class Provenance:
    """How a result was made.

    Attributes:
        started: UTC, ISO 8601.
        weights_file: name of the file, without its folder; "" for random weights.
        weights_sha256: the sha256 of that file.
        weights_verified: how the loaded tensors were checked.
        device: "cpu", "gpu" or "tpu".
        device_name: what the machine calls it.
        replicas: copies that shared a global batch.
        features_computed: images whose features this process computed.
        features_cached: images whose features came from the cache.
        seeds_together: how many seeds this process trained.
        peak_memory: the most memory that the process held, bytes.
        versions: the versions of Python and of the packages that matter.
        commit: effbench's commit, with "+dirty" when files had changed; "" outside a checkout.
        micro_batch: images that went through the network at once, where it was trained; smaller
            than the run asked for where memory was too small. 0 for a head.
        resumed: how often the training went on from a checkpoint.
        engine: what ran the network, a row of `engines.engine_table.ENGINES`; "" in records from
            before there was a choice, when it was TensorFlow.
        engine_version: its version.
        engine_difference: how far its features were from TensorFlow's on the CPU, relative to
            their norm; None where it is TensorFlow.
        engine_refused: the engine that it took the place of, and why that was refused; else "".
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
    engine: str = ""
    engine_version: str = ""
    engine_difference: float | None = None
    engine_refused: str = ""


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    `standard` is its recipe for its variant when it was run, whatever the recipe became since;
    None in records from before it was kept. `l2_search` is there instead of a history where there
    are no epochs, and `turns` instead of either in a cross-validation. These are of the recipe's
    rule; `other_turns` has, by the name of each other rule, those that it makes of the same heads:
    none where there are no epochs, and in records from before they were kept. `l2_curve` has the
    values of L2 of all turns together, where there are no epochs; it is empty in records from
    before it was kept.
    """

    schema: int
    spec: RunSpec
    images: Images
    selected: tuple[Selected, ...]
    history: tuple[Epoch, ...]
    predictions: Predictions
    seconds: Seconds
    provenance: Provenance
    standard: Recipe | None = None
    l2_search: L2Search | None = None
    turns: tuple[Turn, ...] = ()
    other_turns: dict[str, tuple[Turn, ...]] = field(default_factory=dict)
    l2_curve: tuple[L2Value, ...] = ()

    @cached_property
    def marks(self) -> dict[str, str]:
        """The marks of its spec, and what only became known as it ran.

        Unreadable files may have been left out; lack of memory may have changed the micro-batch; a
        regression may not have come to the end, or an engine may have been refused.
        """
        made, search, images = self.provenance, self.l2_search, self.images
        asked = self.spec.micro_batch or self.spec.recipe.batch_size
        searches = [search, *self.turns]
        left = "; ".join(row.unsolved for row in searches if row and row.unsolved)
        smaller = made.micro_batch not in (0, asked)
        details = {
            caveats.SKIPPED: f"{images.skipped:,}" if images.skipped else "",
            caveats.LEAKED: f"{images.leaked:,}" if images.leaked else "",
            caveats.UNSOLVED: left,
            caveats.UNDECIDED: search.undecided if search else "",
            caveats.WEAKEST: search.open_ended if search else "",
            caveats.MICRO_BATCHES: f"of {made.micro_batch}" if smaller else "",
            caveats.REPLACED: made.engine_refused.partition(":")[0],
        }
        marks = caveats.of_spec(self.spec, self.standard)
        marks = marks | {name: detail for name, detail in details.items() if detail}
        return marks | ({caveats.OLD_GPU: ""} if made.device == "gpu" and not made.engine else {})

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that it is evaluated on, the one that it is judged by last."""
        return tuple(self.reported.splits)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the labels."""
        return self.images.classes or datasets.classes(self.spec.data, self.spec.classes)

    @property
    def rule(self) -> str:
        """The rule of `SELECTIONS` that chooses the epoch that is reported."""
        return self.spec.recipe.selection

    @cached_property
    def reported(self) -> Selected:
        """The scores of the epoch that the rule chooses."""
        return next(row for row in self.selected if row.rule == self.rule)

    @property
    def has_predictions(self) -> bool:
        """Whether the run has kept the predictions of that epoch."""
        return True

    def array(self, name: str) -> str:
        """What the file of predictions calls an array of that epoch."""
        return name


@dataclass(frozen=True)
class RunFailure:
    """A run that did not finish.

    Attributes:
        kind: the kind of the error; text where another effbench wrote a kind that is not known
            here.
        message: the error in one line.
        log: name of the file beside the record that holds the worker's output; "" for none.
        standard: as in a `RunResult`.
    """

    schema: int
    spec: RunSpec
    kind: Annotated[FailureKind | str, Field(union_mode="left_to_right")]
    message: str
    log: str
    started: str
    standard: Recipe | None = None

    @property
    def marks(self) -> dict[str, str]:
        """The marks of its spec."""
        return caveats.of_spec(self.spec, self.standard)


Record = RunResult | RunFailure
