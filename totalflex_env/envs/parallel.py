"""PettingZoo: a batch of one world, in which every role that learns is an agent."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Space
from gymnasium.utils import seeding
from numpy.typing import NDArray
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import parallel_to_aec

from totalflex_env.engine.observe import observe
from totalflex_env.engine.roles import action, neutral
from totalflex_env.envs import spaces, worlds
from totalflex_env.envs.infos import Info, slot_infos
from totalflex_env.envs.names import Role, agents
from totalflex_env.envs.worlds import Environment
from totalflex_env.errors import ConfigError

Vector = NDArray[np.float32]


def parallel_env(
    env: Environment = "street", render_mode: str | None = None, dtype: torch.dtype = torch.float64
) -> TotalFlexParallelEnv:
    """Return the environment as a PettingZoo ParallelEnv; `env` is a registered name, a YAML file or a config."""
    return TotalFlexParallelEnv(env, render_mode, dtype)


def env(env: Environment = "street", render_mode: str | None = None, dtype: torch.dtype = torch.float64) -> AECEnv:
    """Return the environment as a PettingZoo AECEnv, in which agents act one after the other within a slot."""
    return parallel_to_aec(parallel_env(env, render_mode, dtype))


class TotalFlexParallelEnv(ParallelEnv):
    """Agents `prosumer_0`, ..., `aggregator_0`, `brp_0`, `dso_0`, as far as the configuration lets them learn."""

    def __init__(self, env: Environment, render_mode: str | None, dtype: torch.dtype) -> None:
        self._simulator = worlds.make_simulator(env, dtype)
        params = self._simulator.world.params
        self.config = config = params.config
        if not config.learners:
            raise ConfigError(config.name, "learners", config.learners, "at least one role, for agents to act for")
        if render_mode not in (None, "ansi"):
            raise ConfigError(config.name, "render_mode", render_mode, "None or 'ansi'")
        self.metadata = {"name": f"totalflex_{config.name}_v0", "render_modes": ["ansi"], "is_parallelizable": True}
        self.render_mode = render_mode
        self._agents = {agent.name: agent for agent in agents(config.learners, len(params.node))}
        self.possible_agents = list(self._agents)
        self.agents: list[str] = []
        self._observation_spaces = {name: spaces.observation_space(agent.role) for name, agent in self._agents.items()}
        self._action_spaces = {name: spaces.action_space(agent.role) for name, agent in self._agents.items()}
        self._idle = neutral(params, rows=1)
        self._report = ""
        self.np_random, _ = seeding.np_random()

    def observation_space(self, agent: str) -> Space[Vector]:
        """Return what the agent sees, always the same object."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Vector]:
        """Return what the agent may do, always the same object."""
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Vector], dict[str, Info]]:
        """Start the episode of `seed`, or of one that the environment's generator draws; no option has a meaning."""
        if seed is not None:
            self.np_random, _ = seeding.np_random(seed)
        episode_seed = int(self.np_random.integers(2**31)) if seed is None else seed
        self._simulator.reset([episode_seed])
        self.agents = list(self.possible_agents)
        self._report = f"episode {episode_seed} begins"
        return self._look(), {name: {"episode_seed": episode_seed} for name in self.agents}

    def step(
        self, actions: dict[str, Vector]
    ) -> tuple[dict[str, Vector], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Info]]:
        """Advance by one slot. After the last slot of the day all agents are truncated; none ever terminates."""
        if not self.agents:
            raise ResetNeeded("the episode is over or has not begun: call reset() first")
        controls, clipped = spaces.pack(self._stack(actions), self._idle)
        decision, outcome = self._simulator.step(action(self._simulator.situation(), controls))
        [info] = slot_infos(self._simulator.world.params.grid, decision, outcome)
        rewards = spaces.by_role(outcome.rewards)
        observations, truncated = self._look(), self._simulator.done
        acting, self.agents = self.agents, [] if truncated else self.agents
        self._report = f"slot {self._simulator.state.slot - 1}: " + ", ".join(f"{k} {v:.6g}" for k, v in info.items())
        return (
            observations,
            {name: rewards[a.role][0, a.index].item() for name, a in self._agents.items()},
            dict.fromkeys(acting, False),
            dict.fromkeys(acting, truncated),
            {name: info | {"action_clipped": int(clipped[a.role][0, a.index])} for name, a in self._agents.items()},
        )

    @property
    def state_space(self) -> Box:
        """The space of `state()`."""
        limit = spaces.OBSERVATION_LIMIT
        return Box(-limit, limit, self.state().shape, np.float32)

    def state(self) -> Vector:
        """Return what all roles see together [numbers], scripted ones included, for central critics."""
        everything: Vector = spaces.flatten(self._seen)[0]
        return everything

    def render(self) -> str | None:
        """Return the last slot as a line of text when the render mode is 'ansi'."""
        return self._report if self.render_mode == "ansi" else None

    def close(self) -> None:
        """Nothing is held open."""

    def _look(self) -> dict[str, Vector]:
        """Remember what all roles see now and return what each agent sees."""
        self._seen = spaces.unpack(observe(worlds.situation(self._simulator)))
        return {name: self._seen[agent.role][0, agent.index].copy() for name, agent in self._agents.items()}

    def _stack(self, actions: dict[str, Vector]) -> spaces.Actions:
        """The actions of all agents, in the order of their index, as one array [1, agents, controls] per role."""
        by_role: dict[Role, list[Vector]] = {}
        for name, agent in self._agents.items():
            by_role.setdefault(agent.role, []).append(actions[name])
        return {role: np.stack(parts)[None] for role, parts in by_role.items()}
