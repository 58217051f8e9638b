"""TorchRL: many rows of a world stepped together, tensors that stay on their device, a group of agents per role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from totalflex_env.engine.roles import Role
from totalflex_env.envs import spaces
from totalflex_env.envs.batched import Setup
from totalflex_env.envs.mixture import Mixture
from totalflex_env.envs.worlds import Mix
from totalflex_env.errors import ConfigError, MissingExtraError

try:
    from tensordict import TensorDict, TensorDictBase
    from torchrl.data import Bounded, Categorical, Composite, Unbounded
    from torchrl.envs import EnvBase
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "torchrl") from error


def torchrl_env(env: Mix = "street", num_envs: int = 1, setup: Setup | None = None) -> TotalFlexTorchEnv:
    """Return `num_envs` rows of the environment or of several as TorchRL's EnvBase; the roles in `learners:` act.

    Unless `setup` says otherwise, rewards are the roles' own money, in float32 on the CPU.
    """
    return TotalFlexTorchEnv(env, num_envs, setup or Setup())


class TotalFlexTorchEnv(EnvBase):
    """Tensordicts [num_envs] with `observation`, `action` and `reward` [num_envs, agents, numbers] under each role.

    Where agents may be missing in some rows, `mask` [num_envs, agents] beside the observation says who is there.

    All rows end together, by truncation. Row i of episode e has seed `seed + e * num_envs + i`.
    """

    def __init__(self, env: Mix, num_envs: int, setup: Setup) -> None:
        super().__init__(device=setup.device, batch_size=[num_envs])
        self.worlds = Mixture(env, num_envs, None, setup)
        self._next_seed = 0
        count = {role: self.worlds.agents[role] for role in self.worlds.learners}
        seen = {role: self._bounded(n, spaces.observation_space(role).high) for role, n in count.items()}
        done = {role: self._bounded(n, spaces.action_space(role).high) for role, n in count.items()}
        self.observation_spec = self._of_roles("observation", seen)
        for role, n in count.items():
            if self.worlds.partial(role):
                here = Categorical(2, (num_envs, n), dtype=torch.bool, device=self.device)
                self.observation_spec[role]["mask"] = here
        self.action_spec = self._of_roles("action", done)
        self.reward_spec = self._of_roles(
            "reward",
            {role: Unbounded((num_envs, n, 1), dtype=torch.float32, device=self.device) for role, n in count.items()},
        )
        ends = {
            name: Categorical(2, (num_envs, 1), dtype=torch.bool, device=self.device)
            for name in ("done", "terminated", "truncated")
        }
        self.done_spec = Composite(ends, shape=self.batch_size, device=self.device)

    def _bounded(self, agents: int, high: Any) -> Bounded:
        """The box of all agents of a role, symmetric around zero."""
        limit = torch.as_tensor(high, device=self.device).expand(*self.batch_size, agents, -1).clone()
        return Bounded(-limit, limit, device=self.device)

    def _of_roles(self, name: str, specs: Mapping[Role, Any]) -> Composite:
        """A spec under the same name for every role."""
        groups = {
            role: Composite({name: spec}, shape=spec.shape[:2], device=self.device) for role, spec in specs.items()
        }
        return Composite(groups, shape=self.batch_size, device=self.device)

    def _reset(self, tensordict: TensorDictBase | None = None, **options: Any) -> TensorDictBase:
        """Begin the next episodes, in all rows: they end together."""
        mask = None if tensordict is None else tensordict.get("_reset", None)
        if mask is not None and not bool(mask.all()):
            raise ConfigError(self.worlds.name, "_reset", "some rows", "all rows: they begin and end together")
        rows = self.batch_size[0]
        self.worlds.reset(range(self._next_seed, self._next_seed + rows))
        self._next_seed += rows
        return self._tensordict(self._look(), done=False)

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Advance all rows by one slot."""
        like = spaces.by_role(self.worlds.idle)
        actions = {role: tensordict[role, "action"].to(like[role]) for role in self.worlds.learners}
        for values in actions.values():
            torch._assert_async(values.isfinite().all())  # the device need not wait for the answer
        slot = self.worlds.step(actions)
        rewards = {role: earned.float()[..., None] for role, earned in slot.rewards.items()}
        return self._tensordict(self._look() | {"reward": rewards}, slot.done)

    def _set_seed(self, seed: int | None) -> None:
        """Set the first seed of the next episodes; None keeps counting."""
        if seed is not None:
            self._next_seed = seed

    def _look(self) -> dict[str, dict[Role, Tensor]]:
        """What the agents see now, and where some may be missing, who is there."""
        seen, learners = self.worlds.observe(), self.worlds.learners
        found = {"observation": {role: seen[role] for role in learners}}
        if partial := [role for role in learners if self.worlds.partial(role)]:
            there = self.worlds.there()
            found["mask"] = {role: there[role] for role in partial}
        return found

    def _tensordict(self, parts: Mapping[str, Mapping[Role, Tensor]], done: bool) -> TensorDict:
        """The record of a reset or a step."""
        groups = {
            role: TensorDict({name: of[role] for name, of in parts.items() if role in of}, batch_size=seen.shape[:2])
            for role, seen in parts["observation"].items()
        }
        found = TensorDict(groups, batch_size=self.batch_size, device=self.device)
        ended = torch.full((*self.batch_size, 1), done, dtype=torch.bool, device=self.device)
        found["done"], found["truncated"], found["terminated"] = ended, ended.clone(), torch.zeros_like(ended)
        return found
