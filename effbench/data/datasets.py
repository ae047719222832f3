"""The datasets by name. A new one is a new row of `DATASETS`.

What a loader needs is imported when it loads, because the help of the command line lists the rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from effbench import cache, whereabouts
from effbench.data import links
from effbench.data.outline import Outline
from effbench.errors import UsageError
from effbench.progress import Report, silent

if TYPE_CHECKING:
    from effbench.data.splits import Dataset, Split

NUMBERS = tuple("0123456789")
# The name of the usual recipe: what comes of it depends on the images alone.
RECIPE = "linear-probe"
# Characters of the name of a folder that become part of a key, and so of the name of a file.
_LONGEST = 60


def load(
    name: str,
    directory: Path | None = None,
    report: Report = silent,
    *,
    skip_unreadable: bool = False,
) -> Dataset:
    """The dataset called `name`.

    Args:
        name: name of a row of `DATASETS`; or any other, of the photos in `directory`.
        directory: where its files are; by default Keras's cache and ours are searched, then it
            is downloaded.
        report: told of a download as it comes.
        skip_unreadable: leaves out photos in `directory` that cannot be read.

    Raises:
        DataError: it is missing or damaged.
        UsageError: there is no such dataset.
    """
    if name in DATASETS:
        row = DATASETS[name]
        dataset = row.load(directory, report)
        dataset = replace(dataset, classes=row.classes) if row.classes else dataset
    elif directory is None:
        raise _unknown(name)
    else:
        from effbench.data.photos import load as load_photos

        dataset = load_photos(directory, report, skip_unreadable=skip_unreadable)
    if directory is not None:
        whereabouts.remember(dataset.sha256, directory)
    return dataset


def source(data: str, directory: Path | None = None) -> tuple[str, Path | None]:
    """What a value of --data stands for: a dataset's name, and where its files are.

    Args:
        data: name of a row of `DATASETS`, or the path of a folder of photos or of their table.
        directory: where the files of a dataset are, if that was said.

    Returns:
        A name that may be part of a key, which is no row's where `data` is a path, and an absolute
        path; None where the dataset knows by itself.

    Raises:
        UsageError: there is neither such a dataset nor such a path, or there are two paths.
    """
    if data in DATASETS:
        return data, directory.resolve() if directory else None
    path = Path(data).expanduser()
    if not (path.is_dir() or (path.is_file() and path.suffix.lower() == ".csv")):
        if problem := links.broken(path):
            raise UsageError(problem, data, "name a folder of photos, or a .csv table of them")
        raise _unknown(data)
    if directory is not None:
        rule = "--data-dir says where a dataset with a name is"
        raise UsageError(rule, f"--data {data} --data-dir {directory}", "leave out --data-dir")
    path = path.resolve()
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", path.name if path.is_dir() else path.stem)
    name = plain.strip("._-")[:_LONGEST] or "photos"
    return f"{name}_photos" if name in DATASETS else name, path


def _unknown(name: str) -> UsageError:
    choices = f"choose from {', '.join(DATASETS)}"
    return UsageError(
        "unknown dataset", name, f"{choices}; or name a folder of photos, or a .csv table of them"
    )


def at_hand(name: str, directory: Path | None = None, *, folds: int = 0) -> Split | None:
    """The images that the dataset called `name` is judged by; None where they are not at hand.

    They are its test images, or those of validation where there is no test split; of a
    cross-validation all, of photos only.

    Nothing is downloaded.

    Args:
        name: name of a dataset; one that is not in `DATASETS` is at hand in `directory` only.
        directory: as for `load`.
        folds: of a cross-validation; else 0.

    Raises:
        DataError: the files are damaged, or not in `directory`.
    """
    if name in DATASETS:
        return None if folds else DATASETS[name].at_hand(directory)
    if directory is None:
        return None
    if folds:
        from effbench.data.photos import pooled

        return pooled(directory)
    # Those that cannot be read were refused, or judge nothing.
    dataset = load(name, directory, skip_unreadable=True)
    return dataset.test or dataset.validation


def classes(name: str, count: int) -> tuple[str, ...]:
    """Names of the labels; where no row of `DATASETS` says them, their numbers."""
    row = DATASETS.get(name)
    return row.classes if row and row.classes else tuple(map(str, range(count)))


def of_photos(name: str) -> bool:
    """Whether the images of a dataset are photos of any size, as all but those of rows are."""
    return name not in DATASETS or DATASETS[name].side is None


def recipe(name: str) -> str:
    """The recipe of a dataset for which nobody asks for another one."""
    return DATASETS[name].recipe if name in DATASETS else RECIPE


def names_classes(name: str) -> bool:
    """Whether the table knows the classes of a dataset, so that its records need not say them."""
    return name in DATASETS and DATASETS[name].classes is not None


def outline(name: str, directory: Path | None = None) -> Outline:
    """How much there is of the dataset called `name`; no image is read, and nothing downloaded.

    Args:
        name: as for `load`.
        directory: where photos are that are no row of `DATASETS`.

    Raises:
        DataError: photos cannot be trained on.
        UsageError: there is no such dataset, or nothing was published.
    """
    row = DATASETS.get(name)
    if row is None:
        if directory is None:
            raise _unknown(name)
        from effbench.data.photos import outline as outline_photos

        return outline_photos(directory)
    if row.counts is None:
        known = ", ".join(name for name, row in DATASETS.items() if row.counts)
        raise UsageError("no published counts of images", name, f"choose from {known}")
    return Outline(row.counts, len(row.classes) if row.classes else row.class_count, row.side)


def listed() -> str:
    """All names with what there is to say of them, for the help of a flag."""
    names = [f"{name} ({row.note})" if row.note else name for name, row in DATASETS.items()]
    return f"{', '.join(names)}; or a folder of photos, or a .csv table of them"


def _load(module: str) -> Callable[[Path | None, Report], Dataset]:
    """The function `load` of a module of this package."""

    def load(directory: Path | None, report: Report) -> Dataset:
        dataset: Dataset = import_module(f"effbench.data.named.{module}").load(directory, report)
        return dataset

    return load


def _at_hand(module: str) -> Callable[[Path | None], Split | None]:
    """The function `at_hand` of a module of this package."""

    def at_hand(directory: Path | None) -> Split | None:
        split: Split | None = import_module(f"effbench.data.named.{module}").at_hand(directory)
        return split

    return at_hand


def _photos_at_hand(name: str) -> Callable[[Path | None], Split | None]:
    """The function `at_hand` of photos that come in archives: where they are, or are unpacked."""

    def at_hand(directory: Path | None) -> Split | None:
        downloads = cache.downloads()
        if directory is None and not (downloads / name).is_dir():
            return None
        # From a folder nothing is downloaded.
        return DATASETS[name].load(directory or downloads, silent).test

    return at_hand


@dataclass(frozen=True)
class DatasetSource:
    """Where a dataset comes from, and what its labels mean.

    Attributes:
        load: loads it, as `datasets.load` does.
        at_hand: its test images, as `datasets.at_hand` returns them.
        note: what help says of it; "" for nothing.
        classes: names of the labels; None where the data say them, and so must every record.
        class_count: how many the labels are of, where `classes` does not say it.
        counts: how many training, validation and test images there are, as was published and as
            `load` splits them; None where no plan is made for it.
        side: height and width of its images, pixels; None for photos, which have their own.
        recipe: the recipe where nobody asks for another one.
    """

    load: Callable[[Path | None, Report], Dataset]
    at_hand: Callable[[Path | None], Split | None]
    note: str = ""
    classes: tuple[str, ...] | None = NUMBERS
    class_count: int = len(NUMBERS)
    counts: tuple[int, int, int] | None = None
    side: int | None = 32
    recipe: str = RECIPE


# In the order of batches.meta.
_CIFAR10_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
# In the case study's split.
_CIFAR10_COUNTS = (45_000, 5_000, 10_000)

DATASETS: Mapping[str, DatasetSource] = {
    "cifar10": DatasetSource(
        _load("cifar10"),
        _at_hand("cifar10"),
        classes=_CIFAR10_CLASSES,
        counts=_CIFAR10_COUNTS,
        recipe="case-study",  # what was published is of it
    ),
    "cifar100": DatasetSource(
        *(_load("cifar100"), _at_hand("cifar100")),
        classes=None,
        class_count=100,
        counts=_CIFAR10_COUNTS,
    ),
    # Of the 2,040 and 8,144 images that train, a tenth is held out.
    "flowers102": DatasetSource(
        *(_load("flowers102"), _photos_at_hand("flowers102")),
        classes=None,
        class_count=102,
        counts=(1_836, 204, 6_149),
        side=None,
    ),
    "cars": DatasetSource(
        *(_load("cars"), _photos_at_hand("cars")),
        classes=None,
        class_count=196,
        counts=(7_329, 815, 8_041),
        side=None,
    ),
    "digits": DatasetSource(
        *(_load("digits"), _at_hand("digits")),
        "needs no download",
        counts=(1_258, 180, 359),
    ),
    "random": DatasetSource(
        _load("random_images"), lambda _: None, "for speed", counts=_CIFAR10_COUNTS
    ),
}
