"""The layering, shown to hold and shown to be checked: every kind of forbidden import is planted once."""

from __future__ import annotations

import graphlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

ROOTS = ["totalflex_env", "policies", "baselines", "hardware_bridge", "vpp"]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200", "PYTHONWARNINGS": "default"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_contracts_hold(root: Path) -> None:
    result = lint_imports(root)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("totalflex_env.devices", "totalflex_env.engine"),
        ("totalflex_env.units", "totalflex_env.devices"),
        ("totalflex_env.market", "totalflex_env.grid"),
        ("totalflex_env.grid", "totalflex_env.scenario"),
        ("totalflex_env.engine", "policies"),
        ("policies", "baselines"),
        ("hardware_bridge", "vpp"),
        ("totalflex_env.engine", "pandapower"),
        ("totalflex_env.engine", "simbench"),
        ("totalflex_env.flexoffer", "gymnasium"),
        ("totalflex_env.market", "highspy"),
    ],
)
def test_a_planted_import_breaks_a_contract(checkout_copy: Path, importer: str, imported: str) -> None:
    package = checkout_copy / importer.replace(".", "/")
    module = package / "__init__.py" if package.is_dir() else package.with_suffix(".py")
    module.write_text(f"{module.read_text()}\nimport {imported}\n")
    result = lint_imports(checkout_copy)
    assert result.returncode != 0
    assert "1 broken" in result.stdout, result.stdout + result.stderr
    assert f"{importer} -> {imported}" in result.stdout.replace("  ", " ")


def test_every_module_has_its_place_in_the_layers(root: Path) -> None:
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    placed = {name.strip() for layer in layers for name in layer.replace(":", "|").split("|")}
    inside = [
        path for path in (root / "totalflex_env").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    ]
    found = {f"totalflex_env.{path.stem}" for path in inside if path.stem != "__init__"}
    assert found | set(ROOTS[1:]) == placed


def test_there_is_no_circle_of_imports() -> None:
    graph = grimp.build_graph(ROOTS[0], *ROOTS[1:], exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert "totalflex_env.errors" in imports["totalflex_env.config_files"]
    graphlib.TopologicalSorter(imports).prepare()


def test_importing_the_package_is_light_and_quick() -> None:
    code = (
        "import sys, time; began = time.perf_counter(); import totalflex_env; took = time.perf_counter() - began; "
        "heavy = {'torch', 'numpy', 'pandapower', 'gymnasium', 'pettingzoo', 'ray', 'paho'} & set(sys.modules); "
        "assert not heavy, heavy; assert took < 1, took"
    )
    result = run_python(code)
    assert result.returncode == 0, result.stderr


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    assert (
        "has no attribute 'parallel_environment'"
        in run_python("import totalflex_env as t; t.parallel_environment").stderr
    )


def test_the_environment_needs_no_trainer_solver_broker_or_web_library() -> None:
    absent = ["stable_baselines3", "tensorboard", "ray", "linopy", "highspy", "paho", "amqtt", "msgspec", "nicegui"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({absent})); "
        "from totalflex_env import parallel_env; parallel_env('tiny').reset(seed=0)"
    )
    result = run_python(code)
    assert result.returncode == 0, result.stderr
