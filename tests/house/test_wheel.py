"""The wheel, installed in a folder of its own, is the whole program: no file of the checkout is needed beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

CODE = """
import sys
from pathlib import Path
import totalflex_env
from totalflex_env import parallel_env
env = parallel_env('street')
observations, _ = env.reset(seed=0)
assert observations
ours = [m for m in sys.modules.values() if m.__name__.split('.')[0] in ('totalflex_env', 'policies', 'baselines')]
print(*sorted({str(Path(m.__file__).parent) for m in ours}), sep='\\n')
"""


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.fixture
def wheel(checkout_copy: Path, tmp_path: Path) -> Path:
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", tmp_path / "wheels", checkout_copy)
    [built] = (tmp_path / "wheels").glob("totalflex-*.whl")
    return built


def test_the_wheel_holds_the_packages_and_the_configurations_alone(root: Path, wheel: Path) -> None:
    names = [Path(name) for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert {name.parts[0] for name in names} == {"totalflex_env", "policies", "baselines", "hardware_bridge", "vpp"}
    configs = {str(path.relative_to(root)) for path in (root / "configs").rglob("*.yaml")}
    assert {str(name.relative_to("totalflex_env")) for name in names if name.suffix == ".yaml"} == configs
    assert "configs/env/street.yaml" in configs


def test_every_package_is_listed(root: Path) -> None:
    listed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    tops = ["totalflex_env", "policies", "baselines", "hardware_bridge", "vpp"]
    folders = {path.parent.relative_to(root) for top in tops for path in (root / top).rglob("__init__.py")}
    assert {folder.as_posix().replace("/", ".") for folder in folders} | {"totalflex_env.configs"} == set(listed)


def test_the_installed_wheel_runs_a_street_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "target", tmp_path / "elsewhere"
    elsewhere.mkdir()
    pip("install", "--no-deps", "--no-index", "--target", target, wheel)
    environment = os.environ | {"PYTHONPATH": str(target)}
    result = subprocess.run(
        [sys.executable, "-c", CODE], cwd=elsewhere, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    folders = result.stdout.splitlines()
    assert folders
    assert all(Path(folder).is_relative_to(target) for folder in folders), folders
