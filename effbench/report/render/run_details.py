"""How every run of a report came about, short enough for a page about a thousand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from effbench.records import describe
from effbench.records.record import RunFailure, RunResult
from effbench.records.scores import Scores
from effbench.report.build import Report
from effbench.report.render import chosen_tables

Cells = Sequence[str]
Facts = dict[str, str]

SCORES = ("selected by", "epoch", "split", "images", "top-1, %", "top-5, %", "loss")
HISTORY = ("epoch", "learning rate", "loss", "top-1, %", "val loss", "val top-1, %", "val top-5, %")


def of(report: Report) -> Mapping[str, object]:
    """What the page's script reads: `runs` by key, and in `shared` what a row's seeds share."""
    shared: list[Facts] = []
    runs: dict[str, object] = {}
    for section in report.sections:
        for row in section.rows:
            facts = [_facts(result) for result in row.results]
            common = {
                name: text
                for name, text in facts[0].items()
                if len(facts) > 1 and all(others[name] == text for others in facts)
            }
            for result, all_facts in zip(row.results, facts, strict=True):
                runs[result.spec.key] = {
                    "shared": len(shared),
                    "facts": {name: text for name, text in all_facts.items() if name not in common},
                    "scores": list(_scores(result)),
                    "history": list(_history(result)),
                    "more": [
                        (table.caption, [column.title for column in table.columns], table.rows)
                        for table in chosen_tables.tables(result)
                    ],
                }
            shared.append(common)
    failed = {failure.spec.key: {"facts": _failed(failure)} for failure in report.failures}
    return {"shared": shared, "runs": runs | failed, "scores": SCORES, "history": HISTORY}


def _facts(result: RunResult) -> Facts:
    return dict([*describe.of_spec(result.spec), *describe.of_result(result)])


def _failed(failure: RunFailure) -> Facts:
    return dict([*describe.of_spec(failure.spec), *describe.of_failure(failure)])


def _scores(result: RunResult) -> Iterator[Cells]:
    for row in result.selected:
        for split, scores in row.splits.items():
            rates = _rates(scores, result.spec.classes)
            yield (row.rule, f"{row.epoch or '-'}", split, f"{scores.total:,}", *rates)


def _rates(scores: Scores, classes: int) -> Cells:
    return (
        f"{100 * scores.accuracy:.2f}",
        f"{100 * scores.top5_accuracy:.2f}" if classes > 5 else "-",
        f"{scores.loss:.4f}",
    )


def _history(result: RunResult) -> Iterator[Cells]:
    classes = result.spec.classes
    for row in result.history:
        accuracy, _, loss = _rates(row.train, classes)
        val_accuracy, val_top5, val_loss = _rates(row.validation, classes)
        rate = f"{row.learning_rate:.3g}"
        yield (f"{row.epoch}", rate, loss, accuracy, val_loss, val_accuracy, val_top5)
