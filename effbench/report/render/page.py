"""The report as one HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import effbench
from effbench.report import summary, transfer
from effbench.report.build import Report
from effbench.report.charts.drawing import Drawing
from effbench.report.charts.figure import Figure
from effbench.report.charts.theme import THEMES
from effbench.report.render import document, run_details
from effbench.report.render.document import USUAL, Wanted
from effbench.report.render.view import view

# What page.js uses from the libraries.
_GLOBALS = "window.vegaEmbed = vegaEmbed;"
# How many plots of one kind are shown without being asked for.
OPEN = 9


def render(
    report: Report,
    drawings: Iterable[Drawing],
    directory: Path | None = None,
    wanted: Wanted = USUAL,
) -> str:
    """The page.

    Args:
        report: what to show.
        drawings: the plots of its sections.
        directory: where the dataset is, for thumbnails; by default where it was, and the caches.
        wanted: which columns and pairs it shows.

    Raises:
        DataError: the dataset is not in `directory`.
        UsageError: there is no such column.
    """
    views = [view(drawing, directory, wanted) for drawing in drawings]
    content = {
        "themes": {name: theme.config for name, theme in THEMES.items()},
        **_compact([figure for section_view in views for figure in section_view.drawing.figures]),
        "provenance": run_details.of(report),
    }
    scripts = (_libraries(), _asset("page.js"))
    environment = Environment(
        loader=PackageLoader("effbench", "report/render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment.get_template("page.html.j2").render(
        version=effbench.__version__,
        made=datetime.now(UTC),
        report=report,
        question=transfer.QUESTION,
        opening=summary.opening(report),
        lists=list(document.runs_in_no_table(report)),
        results=[
            result
            for section_view in views
            for row in section_view.drawing.section.rows
            for result in row.results
        ],
        views=views,
        content=content,
        style=Markup(_asset("page.css")),
        scripts=[(Markup(script), _digest(script)) for script in scripts],
        open=OPEN,
    )


@cache
def _libraries() -> str:
    """The JavaScript that draws the plots; to bundle it takes more than a second of CPU."""
    # What would end a script inside it; in a string of JavaScript, this is the same.
    return vl_convert.javascript_bundle(_GLOBALS).replace("</script", r"<\/script")


def _compact(figures: Sequence[Figure]) -> dict[str, object]:
    """Plots with what they share written once, and their data by column: a fifth of the size."""
    specs = {json.dumps(figure.spec): figure.spec for figure in figures}
    indices = {text: index for index, text in enumerate(specs)}
    return {
        "specs": list(specs.values()),
        "figures": {
            figure.name: {
                "spec": indices[json.dumps(figure.spec)],
                "description": figure.description,
                "titles": figure.columns,
                "data": {
                    name: [record[name] for record in figure.records] for name in figure.records[0]
                },
            }
            for figure in figures
        },
    }


def _asset(name: str) -> str:
    return files("effbench").joinpath("report", "render", name).read_text("utf-8")


def _digest(script: str) -> str:
    """How a content security policy names a script that may run, so that no other does."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
