"""Gymnasium's VectorEnv: many rows of a world stepped together, for one agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from totalflex_env.engine.roles import Role
from totalflex_env.envs import names, spaces
from totalflex_env.envs.batched import Setup
from totalflex_env.envs.mixture import Mixture, Slots
from totalflex_env.envs.rewards import Reward, usual
from totalflex_env.envs.worlds import Mix
from totalflex_env.types import Policy

Array = NDArray[Any]


def make_vec(
    env: Mix = "street",
    num_envs: int = 1,
    device: str = "cpu",
    agent: str = "aggregator_0",
    reward: Reward | None = None,
    policies: Mapping[Role, Policy] | None = None,
) -> TotalFlexVectorEnv:
    """Return `num_envs` rows of the environment, stepped in float32 on `device`, as Gymnasium's VectorEnv.

    Several environments share the rows, as evenly as possible, one after the other. All rows show the same agent; where
    there is none of that name, it sees zeros and `agent_mask` in the infos is False. `reward` and `policies` are those
    of `single_env`.
    """
    setup = Setup(reward or usual(names.agent(agent).role), policies or {}, torch.float32, device)
    return TotalFlexVectorEnv(env, num_envs, agent, setup)


class TotalFlexVectorEnv(VectorEnv[Array, Array, Array]):
    """All rows end together; the step after the last slot begins the next episodes, whatever its actions are.

    Row i of episode e is the episode of seed `seed + e * num_envs + i`, counting from the last reset with a seed.
    """

    def __init__(self, env: Mix, num_envs: int, agent: str, setup: Setup) -> None:
        learner = names.agent(agent).role
        self.worlds = Mixture(env, num_envs, (learner,), setup)
        self._agent = names.find(agent, self.worlds.agents["prosumer"], self.worlds.agents["aggregator"])
        self.num_envs = num_envs
        self.metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}
        self.single_observation_space = spaces.observation_space(learner)
        self.single_action_space = spaces.action_space(learner)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._next_seed: int | None = None
        self._running, self._ended = False, False

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Start the episodes of `seed`, `seed` + 1, ..., or of the seeds given one by one; no option has a meaning."""
        if isinstance(seed, int):
            super().reset(seed=seed)
            self._next_seed = seed
        seeds = self._seeds() if seed is None or isinstance(seed, int) else self._given(seed)
        self.worlds.reset(seeds)
        self._running, self._ended = True, False
        return self._look(), self._told({"episode_seed": np.array(seeds)} | self._masks())

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Advance all rows by one slot: observations, rewards EUR, terminations, truncations [num_envs] and infos."""
        if not self._running:
            raise ResetNeeded("call reset() before the first step")
        nothing = np.zeros(self.num_envs, np.bool_)
        if self._ended:
            seen, told = self.reset()
            return seen, np.zeros(self.num_envs), nothing, nothing.copy(), told
        role, index = self._agent.role, self._agent.index
        taken = spaces.by_role(self.worlds.idle)[role].float().cpu().numpy().copy()  # of its role, the others idle
        taken[:, index] = np.asarray(actions).reshape(self.num_envs, -1)
        slot = self.worlds.step(spaces.tensors({role: taken}, self.worlds.idle))
        self._ended = slot.done
        earned = slot.rewards[role][:, index].double().cpu().numpy()
        return self._look(), earned, nothing, np.full(self.num_envs, slot.done), self._infos(slot)

    def _seeds(self) -> Sequence[int]:
        """The seeds of the next episodes."""
        first = int(self.np_random.integers(2**31)) if self._next_seed is None else self._next_seed
        self._next_seed = first + self.num_envs
        return range(first, first + self.num_envs)

    def _given(self, seeds: Sequence[int | None]) -> list[int]:
        """The seeds that were given, drawn where one is None."""
        return [int(self.np_random.integers(2**31)) if seed is None else seed for seed in seeds]

    def _look(self) -> Array:
        """What the rows see now [num_envs, features]."""
        seen: Array = self.worlds.observe()[self._agent.role][:, self._agent.index].cpu().numpy()
        return seen.copy()

    def _infos(self, slot: Slots) -> dict[str, Any]:
        """What the rows are told of a slot: the numbers of their systems and those of their agents."""
        system, own = self.worlds.system_told(slot), self.worlds.agents_told(slot, self._agent.role)
        mine = {name: column[:, self._agent.index] for name, column in own.columns.items()}
        numbers = {name: column.cpu().numpy() for name, column in (system.columns | mine).items()}
        return self._told(numbers | self._masks()) | {f"_{name}": has.numpy() for name, has in system.known.items()}

    def _masks(self) -> dict[str, Array]:
        """The `action_mask` [num_envs, controls] int8 and the `agent_mask` [num_envs], as far as they are told.

        They are where `constraints` names 'mask', and where the agent may be missing in some rows.
        """
        role, index, found = self._agent.role, self._agent.index, {}
        if self.worlds.masked:
            found["action_mask"] = self.worlds.masks()[role][:, index].cpu().numpy()
        if self.worlds.partial(role):
            found["agent_mask"] = self.worlds.there()[role][:, index].cpu().numpy()
        return found

    def _told(self, columns: dict[str, Array]) -> dict[str, Any]:
        """Columns with the masks that Gymnasium puts beside them: every row has these numbers."""
        everywhere = np.ones(self.num_envs, np.bool_)
        return {**columns, **{f"_{name}": everywhere for name in columns}}
