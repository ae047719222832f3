"""The command that shows published numbers."""

from __future__ import annotations

import json
import sys
from csv import DictWriter
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table as Grid

from effbench.cli.console import notes, out
from effbench.cli.options import only
from effbench.errors import UsageError
from effbench.report.published import TABLES, Row, Table


def reference(
    table: Annotated[
        str | None, typer.Argument(help=f"One of {', '.join(TABLES)}. Default: list them.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, with units and flaws.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
) -> None:
    """Show published numbers, where they come from, and what is known to be wrong with them."""
    only("formats", {"json": as_json, "csv": csv})
    if table is None:
        _list(as_json=as_json, csv=csv)
    elif table in TABLES:
        _show(TABLES[table], as_json=as_json, csv=csv)
    else:
        raise UsageError("unknown table", table, f"choose from {', '.join(TABLES)}")


def _list(*, as_json: bool, csv: bool) -> None:
    rows = [
        {
            "table": table.name,
            "rows": len(table.cells),
            "figures": table.title,
            "source": "; ".join(table.sources),
        }
        for table in TABLES.values()
    ]
    if as_json:
        print(json.dumps(rows, indent=1))
    elif csv:
        writer = DictWriter(sys.stdout, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        grid = _grid("table", "figures, and their source")
        for row in rows:
            grid.add_row(str(row["table"]), f"{row['figures']}, {row['rows']} rows")
            grid.add_row("", str(row["source"]), style="dim")
        out.print(grid)


def _show(table: Table[Row], *, as_json: bool, csv: bool) -> None:
    flaws = table.find_flaws()
    if as_json:
        document = {
            "table": table.name,
            "figures": table.title,
            "units": {column.name: column.unit for column in table.columns if column.unit},
            "recipes": table.recipes,
            "notes": table.notes,
            "flaws": {name: [asdict(flaw) for flaw in found] for name, found in flaws.items()},
            "rows": [asdict(row) for row in table.rows],
        }
        print(json.dumps(document, indent=1))
    elif csv:
        print(table.text, end="")
    else:
        out.print(_figures(table))
        lines = [f"source: {source}" for source in table.sources]
        lines += table.notes
        lines += [f"{name}: {flaw.text}" for name, found in flaws.items() for flaw in found]
        notes(lines)


def _figures(table: Table[Row]) -> Grid:
    """All columns but the last, the source, which stands below."""
    grid = _grid()
    for column in table.columns[:-1]:
        grid.add_column(
            "\n".join([*column.name.split("_"), column.unit]),
            justify="left" if column.parse is str else "right",
            vertical="bottom",
        )
    for cells in table.cells:
        grid.add_row(*cells[:-1])
    return grid


def _grid(*headers: str) -> Grid:
    return Grid(*headers, box=None, padding=(0, 2, 0, 0), pad_edge=False)
