"""What the columns of a text table say, and which are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from effbench.report.rows import Accuracy, Row
from effbench.report.select import TITLES, known

Text = Callable[[Row], str]
NOTHING = "-"


def _accuracy(metric: str) -> Text:
    def text(row: Row) -> str:
        found = row.accuracies[metric]
        spread = "" if found.std is None else f" ± {found.std:.2f}"
        interval = "" if found.low is None else f" [{found.low:.2f}, {found.high:.2f}]"
        return f"{found.mean:.2f}{spread}{interval}"

    return text


def _published(row: Row) -> str:
    found: Accuracy = row.accuracies["test_accuracy"]
    if found.published is None:
        return NOTHING
    where = {True: ", within", False: ", outside", None: ""}[found.within]
    return f"{found.published:.2f} ({found.difference:+.2f}{where})"


def _figure(name: str) -> Text:
    """A column of the frame, as it is."""
    return lambda row: plain(row.flat[name])


def plain(value: object) -> str:
    """A figure in few digits; "-" for nothing."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) >= 10 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


ACCURACY: dict[str, Text] = {
    "Model": _figure("variant"),
    "Size": _figure("image_size"),
    "acc-val": _accuracy("val_accuracy"),
    "top-5": _accuracy("val_top5_accuracy"),
    "acc-test": _accuracy("test_accuracy"),
    "weight": _figure("weights"),
    "recipe": _figure("recipe"),
    "published acc-test": _published,
    "same as": _figure("letters"),
    "seeds": _figure("seeds"),
    "epoch": _figure("reported_epochs"),
    "marks": _figure("details"),
}
_TITLES = {name: title for title, name in TITLES.items()} | {"seconds_per_image": "images/s"}
COST: dict[str, Text] = {
    "Model": _figure("variant"),
    "Size": _figure("image_size"),
    "recipe": _figure("recipe"),
    "acc-test": lambda row: f"{row.accuracies['test_accuracy'].mean:.2f}",
    "parameters": _figure("parameters"),
    "GFLOPs": _figure("gflops"),
    "images/s": _figure("images_per_second"),
    "start s": _figure("startup_seconds"),
    "build s": _figure("build_seconds"),
    "features s": _figure("features_seconds"),
    "train s": _figure("train_seconds"),
    "evaluate s": _figure("evaluate_seconds"),
    "hours": _figure("hours"),
    "dollars": _figure("dollars"),
    "peak GB": _figure("peak_memory_gb"),
    "device": _figure("device"),
    "best for": lambda row: ", ".join(_TITLES.get(name, name) for name in row.pareto) or NOTHING,
}
# Left out of a table in which no row has them, or all the same.
_OPTIONAL = ("published acc-test", "same as", "marks", "dollars")
_TELLING = ("recipe", "device", "best for")


def table(rows: Sequence[Row], columns: Mapping[str, Text]) -> dict[str, list[str]]:
    """The text of every cell by column, of the columns that say something."""
    cells = {title: [text(row) for row in rows] for title, text in columns.items()}
    return {
        title: column
        for title, column in cells.items()
        if not (title in _OPTIONAL and set(column) == {NOTHING})
        and not (title in _TELLING and len(set(column)) == 1)
    }


def chosen(rows: Sequence[Row], names: str) -> dict[str, list[str]]:
    """The same of columns named between commas: titles of the usual ones, or of the frame's.

    Raises:
        UsageError: there is no such column.
    """
    texts = {name: _figure(name) for name in rows[0].flat} | COST | ACCURACY
    return {name: [texts[name](row) for row in rows] for name in marked(names, rows, texts)}


def marked(names: str, rows: Sequence[Row], columns: Iterable[str]) -> list[str]:
    """The columns named between commas, and the marks: no row that has some is shown without.

    Raises:
        UsageError: there is no such column.
    """
    wanted = known(names, columns)
    silent = any(row.marks for row in rows) and not {"marks", "details"} & {*wanted}
    return [*wanted, "marks"] if silent else wanted
