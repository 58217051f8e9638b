"""stable-baselines3: many copies of a world stepped together, for one role whose agents share a policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from totalflex_env.engine.roles import Role
from totalflex_env.envs import infos, spaces
from totalflex_env.envs.batched import Setup
from totalflex_env.envs.mixture import Mixture, Slots, Told
from totalflex_env.envs.rewards import Reward, usual
from totalflex_env.envs.worlds import Mix
from totalflex_env.errors import MissingExtraError
from totalflex_env.types import Policy

try:
    from stable_baselines3.common.vec_env import VecEnv
    from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices
except ModuleNotFoundError as error:
    raise MissingExtraError("stable_baselines3", "train") from error


def make_vec_env(
    env: Mix,
    num_envs: int,
    role: Role = "aggregator",
    reward: Reward | None = None,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> TotalFlexVecEnv:
    """Return `num_envs` copies of the environment or of several, seeded, in which the agents of `role` learn.

    Houses share one policy, so role 'prosumer' gives num_envs x houses slots. Unless told otherwise the aggregator
    learns from the system cost, every other role from its own money. The other roles follow their script; for policies
    of theirs make a `TotalFlexVecEnv` with a `Setup` that holds them.
    """
    vec_env = TotalFlexVecEnv(env, num_envs, role, Setup(reward or usual(role), dtype=dtype))
    vec_env.seed(seed)
    return vec_env


class TotalFlexVecEnv(VecEnv):
    """Slot k is agent k % agents of row k // agents; rows of another world have as many slots as that has agents.

    All rows end together; the next episodes begin in the same step. Row i of episode e is the episode of seed
    `seed + e * rows + i`, counting from the last call of `seed`.
    """

    render_mode: str | None = None

    def __init__(self, env: Mix, rows: int, role: Role, setup: Setup) -> None:
        self.worlds = Mixture(env, rows, (role,), setup)
        self._role, self.rows = role, rows
        self._places = self.worlds.room(role).nonzero(as_tuple=True)  # row and agent of every slot
        self._next_seed = 0
        super().__init__(len(self._places[0]), spaces.observation_space(role), spaces.action_space(role))

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Set the first seed of the next episodes, at random for None; returns that of each slot's next episode."""
        self._next_seed = int(np.random.default_rng().integers(2**31)) if seed is None else seed
        return [self._next_seed + row for row in self._places[0].tolist()]

    def nominate_by(self, policy: Policy) -> None:
        """Let `policy` buy day-ahead from the next episode on: what is nominated should be what is then done."""
        for part in self.worlds.parts:
            part.simulator.nominator = policy

    def reset(self) -> NDArray[np.float32]:
        """Begin the next episodes and return the first observations [slots, features]."""
        seeds = range(self._next_seed, self._next_seed + self.rows)
        self._next_seed += self.rows
        self.worlds.reset(seeds)
        there = self._there()
        self.reset_infos = [{"episode_seed": seeds[row], **here} for row, here in zip(self._places[0].tolist(), there)]
        return self._look()

    def step_async(self, actions: NDArray[np.floating]) -> None:
        """Take the actions [slots, controls] for the step that `step_wait` makes."""
        flat = np.asarray(actions).reshape(self.num_envs, -1)
        self._actions = np.zeros((self.rows, self.worlds.agents[self._role], flat.shape[1]), flat.dtype)
        self._actions[self._places] = flat

    def step_wait(self) -> tuple[NDArray[np.float32], NDArray[np.floating], NDArray[np.bool_], list[dict[str, Any]]]:
        """Advance by one slot; returns observations [slots, features], rewards [slots] EUR, ends [slots] and infos."""
        slot = self.worlds.step(spaces.tensors({self._role: self._actions}, self.worlds.idle))
        observations, told = self._look(), self._slot_infos(slot)
        if slot.done:
            for info, end in zip(told, observations):
                info["terminal_observation"] = end
            observations = self.reset()
        return observations, self._of_slots(slot.rewards[self._role]), np.full(self.num_envs, slot.done), told

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

    def _of_slots(self, values: Tensor) -> NDArray[Any]:
        """What the agents of slots have [slots, ...] of values [rows, agents, ...]."""
        found: NDArray[Any] = self._flat(values).numpy()
        return found

    def _flat(self, values: Tensor) -> Tensor:
        """The same, on the CPU."""
        return values.cpu()[self._places]

    def _look(self) -> NDArray[np.float32]:
        """What the slots see now [slots, features]."""
        return self._of_slots(self.worlds.observe()[self._role])

    def _slot_infos(self, slot: Slots) -> list[dict[str, Any]]:
        """The info of each row and each of its agents, slot by slot."""
        system, own = self.worlds.system_told(slot), self.worlds.agents_told(slot, self._role)
        rows, agents = _known(system), infos.rows({name: self._flat(c) for name, c in own.columns.items()})
        told = [
            {**rows[row], **agent, **here, "TimeLimit.truncated": slot.done}
            for row, agent, here in zip(self._places[0].tolist(), agents, self._there(), strict=True)
        ]
        if self.worlds.masked:
            for info, mask in zip(told, self.control_masks()):
                info["action_mask"] = mask
        return told

    def _there(self) -> list[dict[str, bool]]:
        """The `agent_mask` of every slot, whether its agent is there in the present episode, where that may change."""
        if not self.worlds.partial(self._role):
            return [{}] * self.num_envs
        return [{"agent_mask": here} for here in self._of_slots(self.worlds.there()[self._role]).tolist()]

    def control_masks(self) -> NDArray[np.int8]:
        """Return which numbers of the slots' actions can change anything now [slots, controls]."""
        return self._of_slots(self.worlds.masks()[self._role])


def _known(told: Told) -> list[infos.Info]:
    """One dictionary per row, with the numbers that the row has."""
    rows = infos.rows(told.columns)
    if all(bool(has.all()) for has in told.known.values()):
        return rows
    return [{name: row[name] for name in row if has[name]} for row, has in zip(rows, infos.rows(told.known))]
