"""stable-baselines3: many copies of a world stepped together, for one role whose agents share a policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from totalflex_env.engine.roles import Role, neutral
from totalflex_env.envs import infos, spaces
from totalflex_env.envs.batched import Batch, Setup, Slot
from totalflex_env.envs.rewards import Reward, usual
from totalflex_env.envs.worlds import Environment
from totalflex_env.errors import MissingExtraError
from totalflex_env.types import Policy

try:
    from stable_baselines3.common.vec_env import VecEnv
    from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices
except ModuleNotFoundError as error:
    raise MissingExtraError("stable_baselines3", "train") from error


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
    learns from the system cost, every other role from its own money. The other roles follow their script; for policies
    of theirs make a `TotalFlexVecEnv` with a `Setup` that holds them.
    """
    vec_env = TotalFlexVecEnv(env, num_envs, role, Setup(reward or usual(role), dtype=dtype))
    vec_env.seed(seed)
    return vec_env


class TotalFlexVecEnv(VecEnv):
    """Slot k is agent k % agents of row k // agents. All rows end together; the next episodes begin in the same step.

    Row i of episode e is the episode of seed `seed + e * rows + i`, counting from the last call of `seed`.
    """

    render_mode: str | None = None

    def __init__(self, env: Environment, rows: int, role: Role, setup: Setup) -> None:
        self.batch = Batch(env, (role,), setup)
        self._role, self.rows = role, rows
        self._slots_per_row = spaces.by_role(neutral(self.batch.params, rows))[role].shape[1]
        self._next_seed = 0
        super().__init__(rows * self._slots_per_row, spaces.observation_space(role), spaces.action_space(role))

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Set the first seed of the next episodes, at random for None; returns that of each slot's next episode."""
        self._next_seed = int(np.random.default_rng().integers(2**31)) if seed is None else seed
        return [self._next_seed + slot // self._slots_per_row for slot in range(self.num_envs)]

    def nominate_by(self, policy: Policy) -> None:
        """Let `policy` buy day-ahead from the next episode on: what is nominated should be what is then done."""
        self.batch.simulator.nominator = policy

    def reset(self) -> NDArray[np.float32]:
        """Begin the next episodes and return the first observations [slots, features]."""
        seeds = range(self._next_seed, self._next_seed + self.rows)
        self._next_seed += self.rows
        self.batch.reset(seeds)
        self.reset_infos = [{"episode_seed": seeds[slot // self._slots_per_row]} for slot in range(self.num_envs)]
        return self._look()

    def step_async(self, actions: NDArray[np.floating]) -> None:
        """Take the actions [slots, controls] for the step that `step_wait` makes."""
        self._actions = np.asarray(actions).reshape(self.rows, self._slots_per_row, -1)

    def step_wait(self) -> tuple[NDArray[np.float32], NDArray[np.floating], NDArray[np.bool_], list[dict[str, Any]]]:
        """Advance by one slot; returns observations [slots, features], rewards [slots] EUR, ends [slots] and infos."""
        slot = self.batch.step(spaces.tensors({self._role: self._actions}, self.batch.idle))
        observations, told = self._look(), self._slot_infos(slot)
        if slot.done:
            for info, end in zip(told, observations):
                info["terminal_observation"] = end
            observations = self.reset()
        rewards = slot.rewards[self._role].reshape(-1).cpu().numpy()
        return observations, rewards, np.full(self.num_envs, slot.done), told

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
        seen: NDArray[np.float32] = self.batch.observe()[self._role].flatten(0, 1).cpu().numpy()
        return seen

    def _slot_infos(self, slot: Slot) -> list[dict[str, Any]]:
        """The info of each row and each of its agents, slot by slot."""
        rows = infos.slot_infos(self.batch.params.grid, slot.decision, slot.outcome)
        agents = infos.agent_rows(self.batch.config, slot, self._role)
        told = [
            {**row, **agent, "TimeLimit.truncated": slot.done}
            for row, of_row in zip(rows, agents, strict=True)
            for agent in of_row
        ]
        if "mask" in self.batch.config.constraints:
            for info, mask in zip(told, self.control_masks()):
                info["action_mask"] = mask
        return told

    def control_masks(self) -> NDArray[np.int8]:
        """Return which numbers of the slots' actions can change anything now [slots, controls]."""
        masks: NDArray[np.int8] = self.batch.masks()[self._role].flatten(0, 1).cpu().numpy()
        return masks
