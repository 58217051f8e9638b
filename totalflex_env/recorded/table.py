"""Tables of text and numbers from files, every cell with its place, so that an error can name file, row and column."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from totalflex_env.errors import DataError

Array = NDArray[np.float64]

MISSING = frozenset({"", "-", "na", "n/a", "nan", "n/e", "null", "none"})
"""Texts, in lower case, that stand for a value that is not there."""

_NUMBER = {
    ",": (re.compile(r"[-+]?(\d+(,\d*)?|,\d+)([eE][-+]?\d+)?"), "a number with a decimal comma"),
    ".": (re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?"), "a number with a decimal point"),
}


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equally many cells; a cell is text as it stands in the file, a number (JSON, frames), or None."""

    file: str
    columns: dict[str, list[Any]]  # name -> n cells
    rows: list[int]  # n, number of each row as an editor shows it
    decimal: str = "."  # decimal sign of numbers in text
    kind: str = "row"  # what a row is called

    def place(self, row: int, column: str) -> str:
        """Name the cell of the row with index `row`, such as "row 7, SpotPriceEUR"."""
        return f"{self.kind} {self.rows[row]}, {column}"

    def error(self, row: int, column: str, expected: str) -> DataError:
        """Return the error that blames one cell."""
        return DataError(self.file, self.place(row, column), _shown(self.columns[column][row]), expected)

    def cells(self, column: str) -> list[Any]:
        """Return the cells of a column; a column that is not there is a DataError."""
        if column not in self.columns:
            raise DataError(self.file, "columns", ", ".join(self.columns), f"a column {column!r} among them")
        return self.columns[column]

    def texts(self, column: str) -> list[str]:
        """Return the cells of a column as text without blanks at the ends, "" where there is nothing."""
        return ["" if cell is None else str(cell).strip() for cell in self.cells(column)]

    def numbers(self, column: str) -> Array:
        """Return the cells of a column as numbers [n], NaN where a cell is empty; anything else is a DataError."""
        pattern, expected = _NUMBER[self.decimal]
        values = np.full(len(self.rows), math.nan)
        for row, cell in enumerate(self.cells(column)):
            if isinstance(cell, int | float) and not isinstance(cell, bool):
                values[row] = cell
            elif cell is not None and (text := str(cell).strip()).lower() not in MISSING:
                if pattern.fullmatch(text) is None:
                    raise self.error(row, column, expected)
                values[row] = float(text.replace(",", "."))
        if len(infinite := np.flatnonzero(np.isinf(values))):
            raise self.error(int(infinite[0]), column, "a finite number")
        return values

    def where(self, column: str, allowed: Callable[[str], bool]) -> Table:
        """Return the rows whose text in a column is allowed."""
        kept = [row for row, text in enumerate(self.texts(column)) if allowed(text)]
        return self.take(kept)

    def take(self, kept: Sequence[int]) -> Table:
        """Return the rows with the given indices, which keep their numbers."""
        columns = {name: [cells[row] for row in kept] for name, cells in self.columns.items()}
        return Table(self.file, columns, [self.rows[row] for row in kept], self.decimal, self.kind)


def read_text(path: str | Path) -> str:
    """Return the text of a UTF-8 file, without its byte order mark; an unreadable file is a DataError."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(str(path), "file", error.__class__.__name__, "a readable UTF-8 text file") from error


def read_csv(path: str | Path, header: Sequence[str] = (), decimal: str = "", header_rows: int = 1) -> Table:
    """Read a delimited text file; the delimiter is found in its first line, `header` names columns of a file without.

    Where `decimal` does not say otherwise, numbers have a decimal point between commas, a decimal comma between
    semicolons or tabs. Of several header rows, the names that stand above each other are joined by blanks.
    """
    file, text = str(path), read_text(path)
    first = text.partition("\n")[0]
    delimiter = max(";\t,", key=first.count)
    lines = [line for line in _numbered(text, delimiter) if line[1]]
    heads = [] if header else [cells for _, cells in lines[:header_rows]]
    names = list(header) or [" ".join(name.strip() for name in above) for above in zip(*heads)]
    lines = lines[len(heads) :]
    if not lines:
        raise DataError(file, "rows", 0, "at least one row of values")
    if len(set(names)) < len(names):
        raise DataError(file, "columns", ", ".join(names), "every name once")
    for number, cells in lines:
        if len(cells) != len(names):
            raise DataError(file, f"row {number}", f"{len(cells)} cells", f"{len(names)} cells, as the header has")
    columns: dict[str, list[Any]] = {name: [cells[i] for _, cells in lines] for i, name in enumerate(names)}
    return Table(file, columns, [number for number, _ in lines], decimal or ("." if delimiter == "," else ","))


def read_json(path: str | Path, key: str) -> Table:
    """Read the list of records that a JSON object holds under `key`; a field that a record lacks is None."""
    file = str(path)
    try:
        data = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(file, f"line {error.lineno}", error.msg, "valid JSON") from error
    records = data.get(key) if isinstance(data, dict) else None
    if not isinstance(records, list) or not records or not all(isinstance(each, dict) for each in records):
        raise DataError(file, key, type(records).__name__, f"an object with a list of records under {key!r}")
    names = dict.fromkeys(name for record in records for name in record)
    columns = {name: [record.get(name) for record in records] for name in names}
    return Table(file, columns, list(range(1, len(records) + 1)), kind="record")


def _numbered(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Cells of every line with its number in the file."""
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    return [(reader.line_num, cells) for cells in reader]


def _shown(cell: Any) -> str:
    return "(empty)" if cell is None or str(cell).strip() == "" else str(cell)
