from __future__ import annotations

import shutil
from pathlib import Path

import pytest

PACKAGES = ["totalflex_env", "policies", "baselines", "hardware_bridge", "vpp"]


@pytest.fixture
def checkout_copy(root: Path, tmp_path: Path) -> Path:
    """What goes into the wheel, in a folder of its own that a test may change and build in."""
    copy = tmp_path / "checkout"
    for folder in [*PACKAGES, "configs"]:
        shutil.copytree(root / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ["pyproject.toml", "README.md", "LICENSE"]:
        shutil.copy(root / file, copy / file)
    return copy
