"""What a run says of each image: the arrays of a file beside its record, and their names."""

from __future__ import annotations

from dataclasses import dataclass

# The arrays of a split that each epoch has others of.
OF_AN_EPOCH = ("predicted", "rank", "probability")


def of_epoch(epoch: int, name: str) -> str:
    """What predictions call an array, like `test_rank`, of another epoch than the recipe's."""
    return f"epoch{epoch}_{name}" if name.rpartition("_")[2] in OF_AN_EPOCH else name


@dataclass(frozen=True)
class Predictions:
    """A compressed .npz beside the record.

    For `validation`, and for `test` if there is one: `<split>_index` (position in the official
    files), `<split>_label` and `<split>_predicted` (uint8, or uint16 of more than 256 classes),
    `<split>_rank` (likewise; 0 is a top-1 hit, below 5 a top-5 hit) and `<split>_probability`
    (float16, [images, classes]). Where images have files of their own, `<split>_name` (text);
    where they come in groups, `<split>_group` (integers) numbers the group of each.

    These are of the epoch that the recipe's rule chooses. For each other epoch that a rule chooses,
    the arrays of `OF_AN_EPOCH` are there as `epoch<number>_<split>_...`.

    Attributes:
        file: name of the file.
        sha256: the hash of its content.
        epochs: the epochs that it is of, in their order; none in records from before there were
            others than the recipe's.
    """

    file: str
    sha256: str
    epochs: tuple[int, ...] = ()
