"""Cells keep their places, numbers keep to their decimal sign, and every fault names file, row, column and value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from totalflex_env.errors import DataError
from totalflex_env.recorded import table

Write = Callable[[str, str], Path]


def test_semicolons_go_with_a_decimal_comma_and_commas_with_a_point(write: Write) -> None:
    danish = table.read_csv(write("a.csv", "\ufeffname;value\nx;-1,5\ny;\n\nz;2\n"))
    np.testing.assert_array_equal(danish.numbers("value"), [-1.5, np.nan, 2.0])
    assert danish.rows == [2, 3, 5]  # as an editor numbers them
    english = table.read_csv(write("b.csv", 'name,value\n"x, y",1.5e3\n'))
    assert english.texts("name") == ["x, y"] and english.numbers("value") == [1500.0]
    assert table.read_csv(write("c.csv", "1,2\n3,4\n"), header=("a", "b")).numbers("b").tolist() == [2.0, 4.0]
    assert table.read_csv(write("d.csv", "a;b\n1.5;2\n"), decimal=".").numbers("a") == [1.5]
    two = table.read_csv(write("e.csv", "kind;a;a\nwind;calm;windy\nx;1;2\n"), header_rows=2)
    assert (
        list(two.columns) == ["kind wind", "a calm", "a windy"] and two.numbers("a windy") == [2.0] and two.rows == [3]
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a;b\n1;2,5\n3;4.5\n", "row 3, b = 4.5: expected a number with a decimal comma"),
        ('a,b\n1,"2,5"\n', "row 2, b = 2,5: expected a number with a decimal point"),
        ("a;b\n1;1.234,5\n", "row 2, b = 1.234,5: expected a number with a decimal comma"),
        ("a;b\n1;inf\n", "row 2, b = inf: expected a number with a decimal comma"),
        ("a;c\n1;2\n", "columns = a, c: expected a column 'b' among them"),
        ("a;b\n1\n", "row 2 = 1 cells: expected 2 cells, as the header has"),
        ("b;b\n1;2\n", "columns = b, b: expected every name once"),
        ("a;b\n", "rows = 0: expected at least one row of values"),
        ("", "rows = 0: expected at least one row of values"),
    ],
)
def test_bad_text_is_one_line(text: str, line: str, write: Write) -> None:
    path = write("bad.csv", text)
    with pytest.raises(DataError) as caught:
        table.read_csv(path).numbers("b")
    assert str(caught.value) == f"{path}: {line}"


def test_records_of_json_are_rows(write: Write) -> None:
    rows = table.read_json(write("a.json", '{"records": [{"a": 1.5}, {"a": null, "b": "x"}, {"a": "2.5"}]}'), "records")
    np.testing.assert_array_equal(rows.numbers("a"), [1.5, np.nan, 2.5])
    assert rows.texts("b") == ["", "x", ""]
    assert str(rows.error(2, "a", "more")).endswith("record 3, a = 2.5: expected more")


@pytest.mark.parametrize(
    "text", ['{"records": 3}', "[1]", '{"records": []}', '{"records": [1]}', '{"records": [', "NaN"]
)
def test_other_json_is_refused(text: str, write: Write) -> None:
    with pytest.raises(DataError, match=r"bad\.json"):
        table.read_json(write("bad.json", text), "records")


def test_json_knows_infinity_and_we_do_not(write: Write) -> None:
    rows = table.read_json(write("a.json", '{"records": [{"a": Infinity}]}'), "records")
    with pytest.raises(DataError, match="record 1, a = inf: expected a finite number"):
        rows.numbers("a")


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="FileNotFoundError: expected a readable UTF-8 text file"):
        table.read_csv(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError, match="UnicodeDecodeError"):
        table.read_csv(tmp_path / "binary.csv")
