"""What every view starts from: a simulator, and the situation it shows to agents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from pydantic import Field

from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.engine import step
from totalflex_env.engine.build import build
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.engine.simulator import Simulator
from totalflex_env.settings import Settings
from totalflex_env.types import Situation

Environment = str | Path | EnvConfig
"""A registered name such as 'street', the path of a YAML file, or a configuration."""


Mix = Environment | Sequence[Environment]
"""One environment or several, or the path of a YAML file with a list of them under `envs:`."""


class MixtureConfig(Settings):
    """Several environments whose rows share a batch."""

    envs: tuple[str, ...] = Field(min_length=1, description="registered names or paths of YAML files")


def configurations(env: Mix) -> tuple[EnvConfig, ...]:
    """Return the configurations of one environment or of several."""
    if isinstance(env, (str, Path)) and config_files.value(str(env), "env", "envs") is not None:
        env = config_files.load(MixtureConfig, str(env), "env").envs
    return (configuration(env),) if isinstance(env, Environment) else tuple(configuration(each) for each in env)


def configuration(env: Environment) -> EnvConfig:
    """Return the configuration that a name, a path or a configuration stands for."""
    return env if isinstance(env, EnvConfig) else config_files.load(EnvConfig, str(env), "env")


def make_simulator(env: Environment, dtype: torch.dtype, device: str = "cpu") -> Simulator:
    """Return a simulator of the environment; day-ahead it nominates what the scripted roles are expected to consume."""
    return Simulator(build(configuration(env), dtype, device), ScriptedPolicy())


def situation(simulator: Simulator) -> Situation:
    """Return what agents may use now.

    An episode that is truncated still shows its end, from which learners bootstrap: the state after the last slot, with
    the clock, weather and prices of that slot, since nothing is drawn beyond it.
    """
    if not simulator.done:
        return simulator.situation()
    last = replace(simulator.state, slot=simulator.state.slot - 1)
    return step.situation(simulator.world.params, simulator.episode, last)
