"""stable-baselines3: many copies of a world stepped together, for one role whose agents share a policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from totalflex_env.engine.observe import observe
from totalflex_env.engine.roles import action, neutral
from totalflex_env.envs import spaces, worlds
from totalflex_env.envs.infos import Info, slot_infos
from totalflex_env.envs.names import Role
from totalflex_env.envs.worlds import Environment
from totalflex_env.errors import MissingExtraError
from totalflex_env.types import Outcome, Policy

try:
    from stable_baselines3.common.vec_env import VecEnv
    from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices
except ModuleNotFoundError as error:
    raise MissingExtraError("stable_baselines3", "train") from error

Reward = Literal["system", "role"]
"""What is learned: minus the system cost of the slot, or the role's own money. Both in EUR."""


def make_vec_env(
    env: Environment,
    num_envs: int,
    role: Role = "aggregator",
    reward: Reward | None = None,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> TotalFlexVecEnv:
    """Return `num_envs` copies of the environment, seeded, in which the agents of `role` learn.

    Houses share one policy, so role 'prosumer' gives num_envs x houses slots. Unless told otherwise the aggregator
    learns from the system cost, every other role from its own money.
    """
    if reward is None:
        reward = "system" if role == "aggregator" else "role"
    vec_env = TotalFlexVecEnv(env, num_envs, role, reward, dtype)
    vec_env.seed(seed)
    return vec_env


class TotalFlexVecEnv(VecEnv):
    """Slot k is agent k % agents of row k // agents. All rows end together; the next episodes begin in the same step.

    Row i of episode e is the episode of seed `seed + e * rows + i`, counting from the last call of `seed`.
    """

    render_mode: str | None = None

    def __init__(self, env: Environment, rows: int, role: Role, reward: Reward, dtype: torch.dtype) -> None:
        self._simulator = worlds.make_simulator(env, dtype)
        self._idle = neutral(self._simulator.world.params, rows)
        self._role, self._reward, self.rows = role, reward, rows
        self._slots_per_row = spaces.by_role(self._idle)[role].shape[1]
        self._next_seed = 0
        super().__init__(rows * self._slots_per_row, spaces.observation_space(role), spaces.action_space(role))

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Set the first seed of the next episodes, at random for None; returns that of each slot's next episode."""
        self._next_seed = int(np.random.default_rng().integers(2**31)) if seed is None else seed
        return [self._next_seed + slot // self._slots_per_row for slot in range(self.num_envs)]

    def nominate_by(self, policy: Policy) -> None:
        """Let `policy` buy day-ahead from the next episode on: what is nominated should be what is then done."""
        self._simulator.nominator = policy

    def reset(self) -> NDArray[np.float32]:
        """Begin the next episodes and return the first observations [slots, features]."""
        seeds = range(self._next_seed, self._next_seed + self.rows)
        self._next_seed += self.rows
        self._simulator.reset(seeds)
        self.reset_infos = [{"episode_seed": seeds[slot // self._slots_per_row]} for slot in range(self.num_envs)]
        return self._look()

    def step_async(self, actions: NDArray[np.floating]) -> None:
        """Take the actions [slots, controls] for the step that `step_wait` makes."""
        self._actions = np.asarray(actions).reshape(self.rows, self._slots_per_row, -1)

    def step_wait(self) -> tuple[NDArray[np.float32], NDArray[np.floating], NDArray[np.bool_], list[dict[str, Any]]]:
        """Advance by one slot; returns observations [slots, features], rewards [slots] EUR, ends [slots] and infos."""
        controls, clipped = spaces.pack({self._role: self._actions}, self._idle)
        decision, outcome = self._simulator.step(action(self._simulator.situation(), controls))
        infos = slot_infos(self._simulator.world.params.grid, decision, outcome)
        observations, done = self._look(), self._simulator.done
        slot_info = self._slot_infos(infos, clipped[self._role], observations if done else None)
        if done:
            observations = self.reset()
        return observations, self._rewards(outcome), np.full(self.num_envs, done), slot_info

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute, once per slot: all slots live in this one object."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute for all slots."""
        setattr(self, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method once and return its result for every slot asked for."""
        result = getattr(self, method_name)(*method_args, **method_kwargs)
        return [result for _ in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """No slot is wrapped by anything."""
        return [False for _ in self._get_indices(indices)]

    def _look(self) -> NDArray[np.float32]:
        """What the slots see now [slots, features]."""
        seen = spaces.unpack(observe(worlds.situation(self._simulator)))[self._role]
        return seen.reshape(self.num_envs, -1)

    def _rewards(self, outcome: Outcome) -> NDArray[np.floating]:
        """Rewards [slots]."""
        if self._reward == "system":
            reward: Tensor = (-outcome.costs.total())[:, None].expand(-1, self._slots_per_row)
        else:
            reward = spaces.by_role(outcome.rewards)[self._role]
        return reward.reshape(-1).cpu().numpy()

    def _slot_infos(
        self, rows: list[Info], clipped: NDArray[np.int64], end: NDArray[np.float32] | None
    ) -> list[dict[str, Any]]:
        """The info of each row for each of its slots; `end` is the last observation [slots, features] of an episode."""
        infos: list[dict[str, Any]] = []
        for slot, cut in enumerate(clipped.reshape(-1).tolist()):
            info = rows[slot // self._slots_per_row] | {"action_clipped": cut, "TimeLimit.truncated": end is not None}
            infos.append(info if end is None else info | {"terminal_observation": end[slot]})
        return infos
