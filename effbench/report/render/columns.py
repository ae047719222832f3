"""What the columns of a table of rows say, and which are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from effbench.config.recipes import RECIPES
from effbench.report.rows import OVER_CLASSES, Accuracy, Row
from effbench.report.sections import labels
from effbench.report.select import TITLES, known
from effbench.tables import NARROWEST, Column, Table

Text = Callable[[Row], str]
NOTHING = "-"


def _accuracy(metric: str) -> Text:
    def text(row: Row) -> str:
        accuracy = row.accuracies.get(metric)
        if accuracy is None:
            return NOTHING
        spread = "" if accuracy.std is None else f" ± {accuracy.std:.2f}"
        interval = "" if accuracy.low is None else f" [{accuracy.low:.2f}, {accuracy.high:.2f}]"
        return f"{accuracy.mean:.2f}{spread}{interval}"

    return text


def _published(row: Row) -> str:
    accuracy: Accuracy = row.accuracy
    if accuracy.published is None:
        return NOTHING
    where = {True: ", within", False: ", outside", None: ""}[accuracy.within]
    return f"{accuracy.published:.2f} ({accuracy.difference:+.2f}{where})"


def _figure(name: str) -> Text:
    """The text of a column of the frame, as it is."""
    return lambda row: plain(row.flat[name])


def plain(value: object) -> str:
    """A figure in few digits; "-" for nothing."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) >= 10 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _seeds(row: Row) -> str:
    return plain(len(row.seeds) or None)


def _l2(row: Row) -> str:
    """The L2 that was chosen, told from the values beside it."""
    return f"{row.l2_search.chosen.l2:.3g}" if row.l2_search else NOTHING


def _balanced(row: Row) -> str:
    """The balanced accuracy, where classes have not equally many images; else it is the same."""
    known = row.per_class
    if known is None or len({figures.images for figures in known.classes}) == 1:
        return NOTHING
    return plain(known.balanced_accuracy)


def _over_classes(name: str) -> Text:
    return lambda row: plain(row.columns[name])


OVER: dict[str, Text] = {name: _over_classes(name) for name in OVER_CLASSES}
ACCURACY: dict[str, Text] = {
    "Model": _figure("variant"),
    "Size": _figure("image_size"),
    "acc-val": _accuracy("val_accuracy"),
    "top-5": _accuracy("val_top5_accuracy"),
    "acc-test": _accuracy("test_accuracy"),
    "balanced": _balanced,
    "weight": _figure("weights"),
    "recipe": _figure("recipe"),
    "published acc-test": _published,
    "same as": _figure("letters"),
    "seeds": _seeds,
    "epoch": _figure("reported_epochs"),
    "L2": _l2,
    "marks": _figure("details"),
}


def _judged(row: Row, metric: str) -> str:
    """The accuracy by which the row is told apart, if it is this one."""
    return f"{row.accuracy.mean:.2f}" if row.metric.name == metric else NOTHING


_TITLES = {name: title for title, name in TITLES.items()} | {"seconds_per_image": "images/s"}
COST: dict[str, Text] = {
    "Model": _figure("variant"),
    "Size": _figure("image_size"),
    "recipe": _figure("recipe"),
    "acc-val": lambda row: _judged(row, "val_accuracy"),
    "acc-test": lambda row: _judged(row, "test_accuracy"),
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
    "engine": _figure("engine"),
    "best for": lambda row: ", ".join(_TITLES.get(name, name) for name in row.pareto) or NOTHING,
}
# Columns that a table leaves out where no row has them.
_OPTIONAL = {
    *("published acc-test", "published", "same as", "marks", "dollars"),
    *("acc-val", "acc-test", "test", "test interval", "val interval"),
    *("top-5", "top-5 interval"),
    *("seeds", "epoch", "L2", "balanced"),
}
# Rows of a table whose predictions are read for it; of more it takes too long.
_FEW = 18
# Columns that a table leaves out where all rows have the same.
_TELLING = ("recipe", "device", "engine", "best for")
# Columns of words; all others hold figures.
_WORDS = {
    *("Model", "weight", "recipe", "marks", "device", "engine", "best for", "same as"),
    *("variant", "weights", "data", "data_sha256", "limited", "selection", "precision"),
    *("preprocessing", "weights_file", "weights_sha256", "details", "letters", "pareto", "group"),
    *(
        name
        for row in RECIPES.values()
        for name, number in row.numbers.items()
        if isinstance(number, str)
    ),
}
_MARKS = ("marks", "details")
# Characters that are enough for the name of a row on a terminal.
_LABEL = 16


def _interval(metric: str) -> Text:
    def text(row: Row) -> str:
        accuracy = row.accuracies.get(metric)
        if accuracy is None or accuracy.low is None:
            return NOTHING
        return f"{accuracy.low:.2f} to {accuracy.high:.2f}"

    return text


# The columns of a terminal. Where there is no room, those with the highest number are left out
# first. The model and the accuracies stand before these; their intervals have their own columns.
ON_TERMINAL: dict[str, tuple[int, Text]] = {
    "same as": (0, _figure("letters")),
    "balanced": (0, _balanced),
    "cost,\nGFLOPs": (0, _figure("gflops")),
    "test interval": (1, _interval("test_accuracy")),
    "seeds": (2, _seeds),
    "hours": (3, _figure("hours")),
    "dollars": (1, _figure("dollars")),
    "images/s": (4, _figure("images_per_second")),
    "published": (5, _published),
    "epoch": (6, _figure("reported_epochs")),
    "L2": (6, _l2),
    "weights": (7, _figure("weights")),
    "recipe": (8, _figure("recipe")),
    "peak GB": (9, _figure("peak_memory_gb")),
    "parameters": (10, _figure("parameters")),
    "val interval": (11, _interval("val_accuracy")),
    "top-5 interval": (12, _interval("val_top5_accuracy")),
    "device": (13, _figure("device")),
    "engine": (13, _figure("engine")),
    "best for": (14, COST["best for"]),
}
_MEANS = {"val": "val_accuracy", "top-5": "val_top5_accuracy", "test": "test_accuracy"}


def table(rows: Sequence[Row], texts: Mapping[str, Text], caption: str = "") -> Table:
    """The text of every cell, in the columns that say something."""
    return _table(caption, _cells(rows, texts))


def _cells(rows: Sequence[Row], texts: Mapping[str, Text]) -> dict[str, list[str]]:
    """The cells of each column, without those for which too many predictions would be read."""
    return {
        title: [text(row) for row in rows]
        for title, text in texts.items()
        if text is not _balanced or len(rows) <= _FEW
    }


def costs(rows: Sequence[Row], caption: str) -> Table:
    """The table of costs; beside the model stands what tells rows apart and has no column."""
    names = labels(rows, unsaid=("image_size", "recipe"))
    return _table(caption, _cells(rows, COST) | {"Model": list(names)})


def _table(caption: str, all_cells: Mapping[str, list[str]]) -> Table:
    cells = _telling(all_cells)
    columns = (Column(title, words=title in _WORDS) for title in cells)
    return Table(caption, tuple(columns), tuple(zip(*cells.values(), strict=True)))


def on_terminal(rows: Sequence[Row], names: Sequence[str]) -> Table:
    """The table of a terminal, accuracies and costs in one.

    Args:
        rows: the rows that it shows.
        names: what it calls each row.
    """
    ranks = {title: rank for title, (rank, _) in ON_TERMINAL.items()}
    cells: dict[str, list[str]] = {
        "Model": list(names),
        "Size": [plain(row.spec.image_size) for row in rows],
        **_telling({title: _means(rows, metric) for title, metric in _MEANS.items()}),
        **_telling(_cells(rows, {title: text for title, (_, text) in ON_TERMINAL.items()})),
    }
    columns = (Column(title, title in _WORDS, ranks.get(title, 0), _LABEL) for title in cells)
    return Table("", tuple(columns), tuple(zip(*cells.values(), strict=True)))


def chosen(rows: Sequence[Row], names: str, signs: Sequence[str] | None = None) -> Table:
    """The table of columns named between commas: titles of the usual ones, or of the frame's.

    On a terminal without room for all, words are broken, and the last figures are left out.

    Args:
        rows: the rows that it shows.
        names: the names of the columns.
        signs: the signs of each row's marks, which stand in the first column; without them, marks
            have a column of their own.

    Raises:
        UsageError: there is no such column.
    """
    texts = {name: _figure(name) for name in rows[0].flat} | OVER | COST | ACCURACY
    titles = dict.fromkeys(marked(names, rows, texts) if signs is None else known(names, texts))
    columns = (
        Column(title, title in _WORDS, 0 if title in _WORDS else rank, NARROWEST)
        for rank, title in enumerate(titles)
    )
    cells = [[texts[title](row) for title in titles] for row in rows]
    for line, sign in zip(cells, signs or (), strict=bool(signs)):
        line[0] = f"{line[0]} {sign}".rstrip()
    return Table("", tuple(columns), tuple(map(tuple, cells)))


def marked(names: str, rows: Sequence[Row], columns: Iterable[str]) -> list[str]:
    """The columns named between commas, and the marks: no row that has some is shown without.

    Raises:
        UsageError: there is no such column.
    """
    wanted = known(names, columns)
    silent = any(row.marks for row in rows) and not {*_MARKS} & {*wanted}
    return [*wanted, "marks"] if silent else wanted


def _means(rows: Sequence[Row], metric: str) -> list[str]:
    """Means, and their spread over seeds.

    Among rows of several, "?" stands for the spread of one, and "-" where nothing depends on seeds.
    """
    accuracies = [row.accuracies.get(metric) for row in rows]
    several = any(accuracy and accuracy.std is not None for accuracy in accuracies)

    def text(row: Row, accuracy: Accuracy | None) -> str:
        if accuracy is None:
            return NOTHING
        spread = "?" if row.seeded else NOTHING
        if accuracy.std is not None:
            spread = f"{accuracy.std:.2f}"
        return f"{accuracy.mean:.2f} ± {spread:>4}" if several else f"{accuracy.mean:.2f}"

    return [*map(text, rows, accuracies)]


def _telling(cells: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {
        title: column
        for title, column in cells.items()
        if not (title in _OPTIONAL and set(column) == {NOTHING})
        and not (title in _TELLING and len(set(column)) == 1)
    }
