"""The tests that the documentation names as evidence are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMED = re.compile(r"`(?:([\w/]*test_\w+\.py)(?:::(test_\w+))?|(test_\w+))`")


def functions() -> dict[str, set[str]]:
    """The names of the test functions of every test file, by its path."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        names = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        found[path.relative_to(ROOT).as_posix()] = names
    return found


def lost(text: str, known: dict[str, set[str]]) -> list[str]:
    """What a page names as a file of tests, a test of a file or a test alone, and nobody has."""
    missing = []
    for file, of_file, alone in NAMED.findall(text):
        some = [names for path, names in known.items() if f"/{path}".endswith(f"/{file}")] if file else known.values()
        name = of_file or alone
        if not (any(name in names for names in some) if name else list(some)):
            missing.append(f"{file}::{name}" if file and name else file or name)
    return missing


def test_a_test_that_is_nowhere_is_found() -> None:
    known = {"tests/a/test_b.py": {"test_c"}}
    there = "`test_c` `test_b.py` `a/test_b.py` `a/test_b.py::test_c` `tests/a/test_b.py::test_c`"
    gone = "`test_d` `test_e.py` `b/test_b.py` `a/test_b.py::test_d`"
    assert lost(f"{there} {gone}", known) == ["test_d", "test_e.py", "b/test_b.py", "a/test_b.py::test_d"]


def test_every_test_that_a_page_names_is_there() -> None:
    known = functions()
    missing = {page.name: lost(page.read_text(encoding="utf-8"), known) for page in PAGES}
    assert {page: names for page, names in missing.items() if names} == {}
