"""Tables: for people as wide as their terminal, for programs as JSON or as lines with tabs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from voicecli.cli.wrapping import wrapped

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["show_table", "size_text"]

# The first of them that a table has holds what other commands take.
_NAMES = ("id", "day", "name", "model", "voice", "provider")
_LEAST_TEXT = 24  # columns that running text needs to be read
_GAP = 2  # columns between two of a table, and at its edges together


def show_table(columns: tuple[str, ...], rows: list[dict[str, Any]], as_json: bool, *, noted: str = "") -> None:
    """Write rows as a table on a terminal, as JSON, or as lines with tabs.

    On a terminal what is a default is marked beside its name, and no word is broken: where there is no room for that,
    each row becomes a paragraph.

    Args:
        columns: those named "default ..." that hold booleans are such marks.
        rows: what is in each of the columns; JSON has what is there besides, too.
        noted: a column that on a terminal is part of the note, where it has more room.
    """
    if as_json:
        keyed = [{key.replace(" ", "_"): value for key, value in row.items()} for row in rows]
        typer.echo(json.dumps(keyed, indent=2))
    elif sys.stdout.isatty():
        if rows and noted:
            columns = tuple(column for column in columns if column != noted)
            rows = [row | {"note": "; ".join(filter(None, (row["note"], row[noted])))} for row in rows]
        if rows:
            _draw(columns, rows)
    else:
        # For grep and cut: the same columns, whatever they hold.
        for row in rows:
            typer.echo("\t".join(_cell(row[column], column, "-") for column in columns))


def size_text(count: int) -> str:
    """A number of bytes for people, such as "98 MB"."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    if 0 < count < 1e5:
        return f"{max(count / 1e3, 1):.0f} kB"
    return f"{count / 1e6:.{0 if count >= 1e7 else 1}f} MB"


def _draw(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    """Write rows for people, as wide as the terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    marks = tuple(column for column in columns if column.startswith("default") and isinstance(rows[0][column], bool))
    shown = tuple(column for column in columns if column not in marks)
    title = next(name for name in _NAMES if name in shown)
    styles = ["dim" if row.get("deprecated") else "bold" if row.get("default") else "" for row in rows]
    cells = [{column: _cell(row[column], "yes", "") for column in shown} for row in rows]
    marked = [_mark(mark for mark in marks if row[mark]) for row in rows]
    titled = [cell | {title: f"{cell[title]} {mark}".rstrip()} for cell, mark in zip(cells, marked, strict=True)]
    widths = _widths(shown, titled, console.width)
    if widths is not None:
        _draw_table(console, widths, titled, styles)
    else:
        for row, mark, style in zip(cells, marked, styles, strict=True):
            _draw_paragraph(console, row.pop(title), mark, row, style)


def _draw_table(
    console: "Console", widths: Mapping[str, int], rows: Sequence[Mapping[str, str]], styles: Sequence[str]
) -> None:
    from rich.box import SIMPLE
    from rich.table import Column, Table
    from rich.text import Text

    columns = (Column(column, width=width, overflow="fold") for column, width in widths.items())
    table = Table(*columns, box=SIMPLE, pad_edge=False, collapse_padding=True)
    for row, style in zip(rows, styles, strict=True):
        table.add_row(*(Text(row[column]) for column in widths), style=style)
    console.print(table)


def _draw_paragraph(console: "Console", name: str, mark: str, row: Mapping[str, str], style: str) -> None:
    from rich.text import Text

    details = [cell if column == "note" else f"{column}: {cell}" for column, cell in row.items() if cell]
    line = f"{name} {mark}".rstrip()
    if _cells(line) > console.width:
        line, details = name, [mark, *details]
    # Where a name is wider than all of the terminal, that wraps it, and it is still copied as one.
    console.print(Text(line, style), soft_wrap=True)
    for line in wrapped(", ".join(filter(None, details)), console.width, "  "):
        console.print(Text(line, "dim" if style == "dim" else ""), soft_wrap=True)


def _widths(columns: Sequence[str], rows: Sequence[Mapping[str, str]], width: int) -> dict[str, int] | None:
    """The width of each column, so that no word is broken; None when that is wider than the terminal."""
    widths, whole = {}, {}
    for column in columns:
        texts = [column, *(row[column] for row in rows)]
        words = (word for text in texts for word in text.split())
        whole[column] = max(map(_cells, texts))
        widths[column] = max(*map(_cells, words), min(whole[column], _LEAST_TEXT))
    left = width - sum(widths.values()) - _GAP * len(columns)
    if left < 0:
        return None
    for column in sorted(columns, key=whole.__getitem__):  # the narrow ones are soon whole; the widest gets the rest
        more = min(whole[column] - widths[column], left)
        widths[column] += more
        left -= more
    return widths


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _mark(marks: Iterable[str]) -> str:
    words = ", ".join(marks)
    return f"({words})" if words else ""


def _cell(value: Any, yes: str, no: str) -> str:
    if isinstance(value, bool):
        return yes if value else no
    return no if value is None else str(value) or no
