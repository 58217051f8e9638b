from __future__ import annotations

from pathlib import Path

import pytest

from totalflex_env.config import EnvConfig
from totalflex_env.config_files import dump, load
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.types import Episode

ALL_KINDS = ["--devices.battery.count=1", "--devices.heat_pump.count=1", "--devices.freezer.count=1"]
"""One device of each kind in the world `tiny`: ev-0, battery-1, heat-pump-2, freezer-3, dishwasher-4."""


@pytest.fixture(scope="session")
def world() -> World:
    return build(load(EnvConfig, "tiny", "env", ALL_KINDS))


@pytest.fixture(scope="session")
def episode(world: World) -> Episode:
    return nominate(world.params, draw(world, [1]), ScriptedPolicy())


@pytest.fixture
def env_file(world: World, tmp_path: Path) -> Path:
    """The world as a file, for programs that read one."""
    path = tmp_path / "tiny.yaml"
    path.write_text(dump(world.params.config), encoding="utf-8")
    return path
