"""The command that shows published numbers."""

from __future__ import annotations

import json
import sys
from csv import DictWriter
from dataclasses import asdict
from typing import Annotated

import typer

from effbench.cli.console import notes, show
from effbench.cli.options import only
from effbench.errors import UsageError
from effbench.report.published import TABLES, Published, PublishedRow
from effbench.tables import Column, Table


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
        lines: list[tuple[str, str]] = []
        for row in rows:
            lines.append(
                (
                    str(row["table"]),
                    f"{row['figures']}, {row['rows']} row{'s' * (row['rows'] != 1)}",
                )
            )
            lines.append(("", str(row["source"])))
        columns = (Column("table", words=True), Column("figures, and their source", words=True))
        show(Table("", columns, tuple(lines)))


def _show(table: Published[PublishedRow], *, as_json: bool, csv: bool) -> None:
    flaws = table.find_flaws()
    if as_json:
        document = {
            "table": table.name,
            "figures": table.title,
            "units": {column.name: column.unit for column in table.columns if column.unit},
            "recipes": table.recipes,
            "notes": table.notes,
            "flaws": {name: [asdict(flaw) for flaw in known] for name, known in flaws.items()},
            "rows": [asdict(row) for row in table.rows],
        }
        print(json.dumps(document, indent=1))
    elif csv:
        print(table.text, end="")
    else:
        show(_figures(table))
        lines = [f"source: {source}" for source in table.sources]
        lines += table.notes
        lines += [f"{name}: {flaw.text}" for name, known in flaws.items() for flaw in known]
        notes(lines)


def _figures(table: Published[PublishedRow]) -> Table:
    """The table without its last column, the source, which stands below it."""
    columns = tuple(
        Column("\n".join([*column.name.split("_"), column.unit]), words=column.parse is str)
        for column in table.columns[:-1]
    )
    return Table("", columns, tuple(tuple(cells[:-1]) for cells in table.cells))
