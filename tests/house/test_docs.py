"""What the documentation shows, runs; where it points, something is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str, language: str) -> list[str]:
    """The fenced code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def links(text: str) -> list[str]:
    """Targets of links and pictures that are files, without their anchors; code blocks hold no links."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [target for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose) if "://" not in target]


def test_blocks_and_links_are_found() -> None:
    page = "a [b](c.md#d) [e](https://f)\n```python\nx = 1\n```\n```yaml\ny: 2\n```\n"
    assert (blocks(page, "python"), blocks(page, "yaml"), links(page)) == (["x = 1\n"], ["y: 2\n"], ["c.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page run one after the other, as a reader types them, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    typed: dict[str, object] = {"__name__": "__main__"}
    for number, block in enumerate(blocks(page.read_text(encoding="utf-8"), "python"), start=1):
        exec(compile(block, f"{page.name}, block {number}", "exec", dont_inherit=True), typed)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_yaml_of_a_page_reads_and_its_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in blocks(text, "yaml"):
        yaml.safe_load(block)
    assert [target for target in links(text) if not (page.parent / target).exists()] == []


def test_the_readme_is_short_and_shows_code() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 140
    assert blocks(text, "python")
