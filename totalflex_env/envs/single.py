"""Gymnasium: one agent acts, all others follow their script or a policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from totalflex_env.engine.roles import Role
from totalflex_env.envs import infos, names, spaces, worlds
from totalflex_env.envs.batched import Batch, Setup, Slot
from totalflex_env.envs.rewards import Reward, usual
from totalflex_env.envs.screen import FRAMES_PER_SECOND, MODES, Screen
from totalflex_env.envs.worlds import Environment
from totalflex_env.types import Policy

Vector = NDArray[np.float32]


def single_env(
    env: Environment = "street",
    agent: str = "aggregator_0",
    reward: Reward | None = None,
    render_mode: str | None = None,
    policies: Mapping[Role, Policy] | None = None,
) -> TotalFlexEnv:
    """Return the environment as Gymnasium's Env for one agent, in float64; this is what the registered ids make.

    `reward` is the agent's own money, minus the system cost, or the money of the houses that have devices; unless told
    otherwise an aggregator learns from the system cost, every other role from its own money. Other roles follow their
    script, or the policy that `policies` holds for them.
    """
    setup = Setup(reward or usual(names.agent(agent).role), policies or {}, torch.float64)
    return TotalFlexEnv(env, agent, render_mode, setup)


class TotalFlexEnv(gymnasium.Env[Vector, Vector]):
    """One agent's view; the end of the horizon is a truncation of its own, so no time limit is put around it."""

    metadata = {"render_modes": list(MODES), "render_fps": FRAMES_PER_SECOND}  # noqa: RUF012 – Gymnasium's own form

    def __init__(self, env: Environment, agent: str, render_mode: str | None, setup: Setup) -> None:
        config = worlds.configuration(env)
        learner = names.agent(agent).role
        self.batch = Batch(config, (learner,), setup)
        self._agent = names.find(agent, len(self.batch.params.node), config.aggregators)
        self._screen = Screen(config.name, self.batch.params, render_mode)
        self.render_mode = render_mode
        self.config = self.batch.config
        self.observation_space = spaces.observation_space(learner)
        self.action_space = spaces.action_space(learner)
        self._over = True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Vector, dict[str, Any]]:
        """Start the episode of `seed`, or of one that the environment's generator draws; no option has a meaning."""
        super().reset(seed=seed)
        episode_seed = int(self.np_random.integers(2**31)) if seed is None else seed
        self.batch.reset([episode_seed])
        self._over = False
        self._screen.begin(episode_seed)
        return self._look(), {"episode_seed": episode_seed} | self._there() | self._mask()

    def step(self, action: Vector) -> tuple[Vector, float, bool, bool, dict[str, Any]]:
        """Advance by one slot; the agent never terminates, and is truncated after the last slot."""
        if self._over:
            raise ResetNeeded("the episode is over or has not begun: call reset() first")
        role, index = self._agent.role, self._agent.index
        actions = spaces.by_role(self.batch.idle)[role].float().cpu().numpy().copy()  # of its role, the others idle
        actions[0, index] = action
        slot = self.batch.step(spaces.tensors({role: actions}, self.batch.idle))
        self._over = slot.done
        told = self._info(slot)
        self._screen.show(self.batch.simulator, slot)
        return self._look(), float(slot.rewards[role][0, index]), False, slot.done, told | self._there() | self._mask()

    def render(self) -> Any:
        """Return the last slot as the render mode says, None without one."""
        return self._screen.render()

    def close(self) -> None:
        """Close what rendering opened."""
        self._screen.close()

    def _look(self) -> Vector:
        """What the agent sees now."""
        seen: Vector = self.batch.observe()[self._agent.role][0, self._agent.index].cpu().numpy()
        return seen.copy()

    def _info(self, slot: Slot) -> dict[str, Any]:
        """What the agent is told of a slot."""
        [system] = infos.slot_infos(self.batch.params.grid, slot.decision, slot.outcome)
        return system | infos.agent_rows(self.config, slot, self._agent.role)[0][self._agent.index]

    def _there(self) -> dict[str, bool]:
        """The `agent_mask`, whether the agent is there on this day, where that may change."""
        if self.config.population.everybody:
            return {}
        return {"agent_mask": bool(self.batch.there()[self._agent.role][0, self._agent.index])}

    def _mask(self) -> dict[str, NDArray[np.int8]]:
        """The `action_mask` [controls] int8 where `constraints` names 'mask'."""
        if "mask" not in self.config.constraints:
            return {}
        return {"action_mask": self.batch.masks()[self._agent.role][0, self._agent.index].cpu().numpy()}
