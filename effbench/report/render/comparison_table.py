"""A comparison: the verdict in a sentence, and a table as Markdown, for a terminal, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from rich.console import RenderableType

from effbench.records.describe import no_test
from effbench.report.comparison import Change, Comparison
from effbench.report.epoch_rules import lead
from effbench.report.render import wrapped
from effbench.report.summary import listed
from effbench.tables import Column, Table, fitted, grid, in_markdown, markdown

# Even 80 columns show both accuracies and their difference: names and verdicts are broken for them.
_COLUMNS = (
    Column("Run", words=True, enough=20),
    Column("base"),
    Column("new"),
    Column("change"),
    Column("p (Holm)", rank=1),
    Column("seeds", rank=2),
    Column("test", words=True, rank=3),
    Column("verdict", words=True, enough=12),
)


def as_text(comparison: Comparison, max_drop: float, alpha: float) -> str:
    """The verdict, a Markdown table, what else differs, and how many rows fell too far."""
    return "\n".join(
        [
            in_markdown(verdict(comparison, max_drop, alpha)),
            "",
            markdown(_table(comparison, max_drop, alpha)),
            "",
            _units(comparison),
            "",
            *(f"- {in_markdown(line)}" for line in _remarks(comparison)),
            f"- {_fallen(comparison, max_drop, alpha)}",
            "",
        ]
    )


def on_terminal(
    comparison: Comparison, max_drop: float, alpha: float, width: int
) -> Iterator[RenderableType]:
    """The same for a terminal of `width` characters."""
    yield from wrapped.paragraph(verdict(comparison, max_drop, alpha), width)
    table = _table(comparison, max_drop, alpha)
    yield grid(table, width)
    yield ""
    kept = fitted(table, width).columns
    hidden = [column.title for column in table.columns if column not in kept]
    remarks = [
        *_remarks(comparison),
        _fallen(comparison, max_drop, alpha),
        *wrapped.left_out(hidden, "--json has all"),
    ]
    yield from wrapped.paragraph(_units(comparison), width)
    yield from wrapped.points("", remarks, width)


def _units(comparison: Comparison) -> str:
    """What the figures are."""
    splits = {change.split for change in comparison.changes}
    accuracy = " or ".join(sorted(splits)).capitalize()
    return f"{accuracy} accuracy, percent; change in percentage points, with its 95 % interval."


def _no_test(comparison: Comparison) -> str:
    untested = [change for change in comparison.changes if change.split != "test"]
    names = listed([change.name for change in untested])
    of = "" if len(untested) == len(comparison.changes) else f" of {names}"
    rules = (change.rule for change in untested)
    chosen = (change.chooses for change in untested)
    return f"There is no test split{of}: {no_test(rules, chosen)}."


def verdict(comparison: Comparison, max_drop: float, alpha: float) -> str:
    """Says in a sentence or two whether accuracy fell, and of how many rows it is not known."""
    said = [lead(comparison.rule)] if comparison.rule else []
    if any(change.split != "test" for change in comparison.changes):
        said.append(_no_test(comparison))
    return " ".join([*said, _verdict_of_all(comparison, max_drop, alpha)])


def _verdict_of_all(comparison: Comparison, max_drop: float, alpha: float) -> str:
    tested = sum(change.p is not None for change in comparison.changes)
    fallen = [change for change in comparison.changes if change.fails(max_drop, alpha)]
    by = f"by more than {max_drop:g} points and more than chance"
    if not tested:
        said = "Nothing is known of a change: no row could be tested."
    elif fallen:
        drops = [f"{change.name} ({change.new - change.base:+.2f})" for change in fallen]
        rows = f"{len(fallen)} of the {tested} rows that were tested"
        if tested == 1:
            rows = "The one row that was tested"
        said = f"{rows} fell {by}: {listed(drops)}."
    elif tested == 1:
        said = f"The one row that was tested did not fall {by}."
    else:
        said = f"None of the {tested} rows that were tested fell {by}."
    unchecked = len(comparison.unchecked)
    if unchecked:
        rows = "1 row" if unchecked == 1 else f"{unchecked} rows"
        said += f" {rows} of BASE could not be checked."
    left_out = len(comparison.left_out)
    if left_out:
        runs = "1 run was" if left_out == 1 else f"{left_out} runs were"
        said += f" {runs} left out, because the files are not to be trusted."
    return said


def _table(comparison: Comparison, max_drop: float, alpha: float) -> Table:
    rows = (
        (
            change.name,
            f"{change.base:.2f}",
            f"{change.new:.2f}",
            _change(change),
            "-" if change.p is None else f"{change.p:.2g}",
            " -> ".join(_seeds(change)),
            change.difference.test if change.difference else "-",
            _verdict(change, max_drop, alpha),
        )
        for change in comparison.changes
    )
    return Table("", _COLUMNS, tuple(rows))


def _fallen(comparison: Comparison, max_drop: float, alpha: float) -> str:
    fallen = sum(change.fails(max_drop, alpha) for change in comparison.changes)
    return (
        f"{fallen} of {len(comparison.changes)} fell by more than {max_drop:g} points and "
        f"significantly (p < {alpha:g} after Holm's correction)"
    )


def _remarks(comparison: Comparison) -> Iterator[str]:
    for change in comparison.changes:
        if change.remark:
            yield f"{change.name}: {change.remark}"
        if "1" in _seeds(change):
            yield f"{change.name}: one seed on a side, so the test is of these runs, not of others"
    yield from (f"only in NEW: {name}" for name in comparison.only_new)
    yield from (f"NOT CHECKED: {name}" for name in comparison.unchecked)
    yield from (f"left out: {line}" for line in comparison.left_out)


def as_json(comparison: Comparison, max_drop: float, alpha: float) -> str:
    """The comparison with all its digits; differences are rates, accuracies percent."""
    plain = asdict(comparison)
    for change, row in zip(plain["changes"], comparison.changes, strict=True):
        change["verdict"] = _verdict(row, max_drop, alpha)
    return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"


def _seeds(change: Change) -> tuple[str, ...]:
    """How many seeds each side has; "-" where nothing depends on one."""
    sides = zip(change.seeds, change.seeded, strict=True)
    return tuple(f"{count}" if seeded else "-" for count, seeded in sides)


def _change(change: Change) -> str:
    points = f"{change.new - change.base:+.2f}"
    difference = change.difference
    if difference is None:
        return points
    return f"{points} [{100 * difference.low:+.2f}, {100 * difference.high:+.2f}]"


def _verdict(change: Change, max_drop: float, alpha: float) -> str:
    if change.p is None:
        return "not tested"
    if change.fails(max_drop, alpha):
        return "FELL"
    if change.p >= alpha:
        return "no difference shown"
    return "better" if change.new > change.base else "worse, as much as is allowed"
