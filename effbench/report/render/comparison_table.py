"""A comparison as text: Markdown, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from tabulate import tabulate

from effbench.report.comparison import Change, Comparison
from effbench.report.render.table import in_markdown


def as_text(found: Comparison, max_drop: float, alpha: float) -> str:
    """A Markdown table, what else differs, and how many rows fell too far."""
    rows = found.changes
    cells = {
        "Run": [in_markdown(each.name) for each in rows],
        "base": [f"{each.base:.2f}" for each in rows],
        "new": [f"{each.new:.2f}" for each in rows],
        "change": [_change(each) for each in rows],
        "p (Holm)": ["-" if each.p is None else f"{each.p:.2g}" for each in rows],
        "seeds": [f"{before} -> {after}" for before, after in (each.seeds for each in rows)],
        "test": [each.difference.test if each.difference else "-" for each in rows],
        "verdict": [_verdict(each, max_drop, alpha) for each in rows],
    }
    fallen = sum(each.fails(max_drop, alpha) for each in rows)
    return "\n".join(
        [
            tabulate(cells, "keys", "github", disable_numparse=True),
            "",
            "Test accuracy, percent; change in percentage points, with its 95 % interval.",
            "",
            *(f"- {in_markdown(line)}" for line in _remarks(found)),
            f"- {fallen} of {len(rows)} fell by more than {max_drop:g} points and significantly "
            f"(p < {alpha:g} after Holm's correction)",
            "",
        ]
    )


def _remarks(found: Comparison) -> Iterator[str]:
    for each in found.changes:
        if each.remark:
            yield f"{each.name}: {each.remark}"
        if 1 in each.seeds:
            yield f"{each.name}: one seed on a side, so the test is of these runs, not of others"
    yield from (f"only in NEW: {name}" for name in found.only_new)
    yield from (f"NOT CHECKED: {name}" for name in found.unchecked)
    yield from (f"left out: {line}" for line in found.left_out)


def as_json(found: Comparison, max_drop: float, alpha: float) -> str:
    """The comparison with all its digits; differences are rates, accuracies percent."""
    plain = asdict(found)
    for change, row in zip(plain["changes"], found.changes, strict=True):
        change["verdict"] = _verdict(row, max_drop, alpha)
    return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"


def _change(change: Change) -> str:
    points = f"{change.new - change.base:+.2f}"
    found = change.difference
    return f"{points} [{100 * found.low:+.2f}, {100 * found.high:+.2f}]" if found else points


def _verdict(change: Change, max_drop: float, alpha: float) -> str:
    if change.p is None:
        return "not tested"
    if change.fails(max_drop, alpha):
        return "FELL"
    if change.p >= alpha:
        return "no difference shown"
    return "better" if change.new > change.base else "worse, as much as is allowed"
