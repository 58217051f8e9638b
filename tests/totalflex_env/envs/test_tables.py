from __future__ import annotations

from pathlib import Path

import pytest

from totalflex_env.engine.roles import ROLES
from totalflex_env.envs import rewards, tables
from totalflex_env.envs.spaces import CONTROLS, FEATURES
from totalflex_env.errors import DataError


def test_the_page_holds_the_tables_as_they_are_now(root: Path) -> None:
    """If this fails: python -m totalflex_env.envs.tables docs/environments.md."""
    page = (root / "docs" / "environments.md").read_text(encoding="utf-8")
    assert tables.written(page) == page


def test_every_number_and_every_term_is_explained_and_nothing_else() -> None:
    text = tables.table()
    seen = {name for role in ROLES for name in FEATURES[role]}
    assert set(tables.MEANINGS) == seen
    assert set(tables.TERMS) == {
        *rewards.SYSTEM_TERMS,
        *(name for terms in rewards.ROLE_TERMS.values() for name in terms),
    }
    for name in seen | {control.name for role in ROLES for control in CONTROLS[role]}:
        assert f"| `{name}` |" in text


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(DataError, match="marks"):
        tables.written("# Environments\n")
