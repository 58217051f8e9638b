"""PettingZoo: a batch of one world, in which every role that learns is an agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Space
from gymnasium.utils import seeding
from numpy.typing import NDArray
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import parallel_to_aec

from totalflex_env.engine.roles import ROLES, Role
from totalflex_env.envs import infos, spaces, worlds
from totalflex_env.envs.batched import Batch, Setup, Slot
from totalflex_env.envs.infos import Info
from totalflex_env.envs.names import Agent, agents
from totalflex_env.envs.screen import FRAMES_PER_SECOND, MODES, Screen
from totalflex_env.envs.worlds import Environment
from totalflex_env.types import Policy

Vector = NDArray[np.float32]


def parallel_env(
    env: Environment = "street",
    render_mode: str | None = None,
    dtype: torch.dtype = torch.float64,
    policies: Mapping[Role, Policy] | None = None,
) -> TotalFlexParallelEnv:
    """Return the environment as a PettingZoo ParallelEnv; `env` is a registered name, a YAML file or a config.

    Roles that do not learn follow their script, or the policy that `policies` holds for them.
    """
    return TotalFlexParallelEnv(env, render_mode, Setup(policies=policies or {}, dtype=dtype))


def env(
    env: Environment = "street",
    render_mode: str | None = None,
    dtype: torch.dtype = torch.float64,
    policies: Mapping[Role, Policy] | None = None,
) -> AECEnv:
    """Return the environment as a PettingZoo AECEnv, in which agents act one after the other within a slot."""
    return parallel_to_aec(parallel_env(env, render_mode, dtype, policies))


class TotalFlexParallelEnv(ParallelEnv):
    """Agents `prosumer_0`, ..., `aggregator_0`, ..., `brp_0`, `dso_0`, as far as the configuration lets them learn."""

    def __init__(self, env: Environment, render_mode: str | None, setup: Setup) -> None:
        config = worlds.configuration(env)
        self.batch = Batch(config, config.learners, setup)
        self.config = config = self.batch.config
        self._screen = Screen(config.name, self.batch.params, render_mode)
        self.metadata = {"name": f"totalflex_{config.name}_v0", "render_modes": list(MODES), "is_parallelizable": True}
        self.metadata["render_fps"] = FRAMES_PER_SECOND
        self.render_mode = render_mode
        houses = len(self.batch.params.node)
        self._agents = {agent.name: agent for agent in agents(config.learners, houses, config.aggregators)}
        self.possible_agents = list(self._agents)
        self.agents: list[str] = []
        self._there: dict[str, Agent] = {}  # on the present day
        self._observation_spaces = {name: spaces.observation_space(agent.role) for name, agent in self._agents.items()}
        self._action_spaces = {name: spaces.action_space(agent.role) for name, agent in self._agents.items()}
        self._seen: dict[Role, torch.Tensor] = {}
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
        """Start the episode of `seed`, or of one that the environment's generator draws; no option has a meaning.

        Agents are those who are there on that day; on one without any, there is nothing to step.
        """
        if seed is not None:
            self.np_random, _ = seeding.np_random(seed)
        episode_seed = int(self.np_random.integers(2**31)) if seed is None else seed
        self.batch.reset([episode_seed])
        there = {role: here[0].tolist() for role, here in self.batch.there().items()}
        self._there = {name: agent for name, agent in self._agents.items() if there[agent.role][agent.index]}
        self.agents = list(self._there)
        self._screen.begin(episode_seed)
        return self._look(), self._masked({name: {"episode_seed": episode_seed} for name in self.agents})

    def step(
        self, actions: dict[str, Vector]
    ) -> tuple[dict[str, Vector], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Info]]:
        """Advance by one slot. After the last slot of the day all agents are truncated; none ever terminates."""
        if not self.agents:
            raise ResetNeeded("the episode is over or has not begun: call reset() first")
        slot = self.batch.step(spaces.tensors(self._stack(actions), self.batch.idle))
        observations, earned = self._look(), {role: values[0].tolist() for role, values in slot.rewards.items()}
        acting, self.agents = self.agents, [] if slot.done else self.agents
        told = self._infos(slot)
        self._screen.show(self.batch.simulator, slot)
        return (
            observations,
            {name: earned[agent.role][agent.index] for name, agent in self._there.items()},
            dict.fromkeys(acting, False),
            dict.fromkeys(acting, slot.done),
            self._masked(told),
        )

    @property
    def state_space(self) -> Box:
        """The space of `state()`."""
        everybody = agents(ROLES, len(self.batch.params.node), self.config.aggregators)
        numbers = sum(len(spaces.FEATURES[agent.role]) for agent in everybody)
        return Box(-spaces.OBSERVATION_LIMIT, spaces.OBSERVATION_LIMIT, (numbers,), np.float32)

    def state(self) -> Vector:
        """Return what all roles see together [numbers], scripted ones included, for central critics."""
        everything: Vector = spaces.flatten(self._seen)[0].cpu().numpy()
        return everything

    def render(self) -> str | NDArray[np.uint8] | None:
        """Return the last slot as text or as a picture [height, width, 3]; None without a mode or in a window."""
        return self._screen.render()

    def close(self) -> None:
        """Close the window, if one was opened."""
        self._screen.close()

    def _look(self) -> dict[str, Vector]:
        """Remember what all roles see now and return what each agent sees."""
        self._seen = self.batch.observe()
        arrays = {role: self._seen[role][0].cpu().numpy() for role in self.batch.learners}
        return {name: arrays[agent.role][agent.index].copy() for name, agent in self._there.items()}

    def _stack(self, actions: dict[str, Vector]) -> spaces.Actions:
        """The actions of all agents as one array [1, agents, controls] per role, zeros for those who are not there."""
        by_role: dict[Role, list[Vector]] = {}
        for name, agent in self._agents.items():
            acts = actions[name] if name in self._there else np.zeros(self._action_spaces[name].shape or (), np.float32)
            by_role.setdefault(agent.role, []).append(acts)
        return {role: np.stack(parts)[None] for role, parts in by_role.items()}

    def _infos(self, slot: Slot) -> dict[str, Info]:
        """What each agent is told of a slot: the numbers of the system and its own."""
        [system] = infos.slot_infos(self.batch.params.grid, slot.decision, slot.outcome)
        of_agents = {role: infos.agent_rows(self.config, slot, role)[0] for role in self.batch.learners}
        return {name: system | of_agents[agent.role][agent.index] for name, agent in self._there.items()}

    def _masked(self, told: dict[str, Info]) -> dict[str, Info]:
        """The infos with `action_mask` [controls] int8 where `constraints` names 'mask'."""
        if "mask" not in self.config.constraints:
            return told
        masks = {role: mask[0].cpu().numpy() for role, mask in self.batch.masks().items()}
        return {
            name: told[name] | {"action_mask": masks[agent.role][agent.index]} for name, agent in self._there.items()
        }
