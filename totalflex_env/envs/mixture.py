"""Rows of several worlds side by side, so that one policy learns on many grids and fleets in one batch.

What an agent of a role sees and does has the same form in every world. Rows stand world after world; where a world has
fewer agents of a role than another, its rows end with agents that are never there, see nothing and earn nothing. A
batch of one world is the usual case, and costs nothing more than the world itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from totalflex_env.config import EnvConfig
from totalflex_env.engine.roles import Controls, Role
from totalflex_env.envs import infos, worlds
from totalflex_env.envs.batched import Batch, Setup, Slot
from totalflex_env.envs.infos import Columns
from totalflex_env.envs.worlds import Mix
from totalflex_env.errors import ConfigError

Key = TypeVar("Key", bound=str)


@dataclass(frozen=True)
class Slots:
    """What a slot brought in every world."""

    parts: tuple[Slot, ...]
    rewards: dict[Role, Tensor]  # [B, agents] EUR
    done: bool  # the horizon is reached, in all rows


@dataclass(frozen=True)
class Told:
    """Numbers for infos, and which rows have them: only some grids have transformers."""

    columns: Columns  # [B, ...]
    known: Columns  # [B] bool


class Mixture:
    """B rows of one world or several, and their agents; tensors are [B, agents of the role, numbers]."""

    def __init__(self, env: Mix, num_envs: int, learners: Sequence[Role] | None, setup: Setup) -> None:
        configs = worlds.configurations(env)
        _alike(configs, num_envs)
        self.rows = [num_envs // len(configs) + (place < num_envs % len(configs)) for place in range(len(configs))]
        self.parts = tuple(Batch(config, learners or config.learners, _own(setup, configs)) for config in configs)
        self.configs = tuple(part.config for part in self.parts)
        self.learners, self.setup = self.parts[0].learners, setup
        self.agents = {role: max(part.agents[role] for part in self.parts) for role in self.parts[0].agents}
        self.masked = any("mask" in config.constraints for config in self.configs)
        self.idle: Controls  # of all roles, for the rows of the present episodes

    @property
    def name(self) -> str:
        """The names of all worlds."""
        return "+".join(config.name for config in self.configs)

    def partial(self, role: Role) -> bool:
        """Whether there may be fewer agents of a role in some rows than there is room for."""
        varied = any(not config.population.everybody for config in self.configs)
        return varied or len({part.agents[role] for part in self.parts}) > 1

    def reset(self, seeds: Sequence[int]) -> None:
        """Begin one episode per seed, in the order of the rows."""
        for part, rows in self._split(torch.arange(len(seeds))):
            part.reset([seeds[row] for row in rows.tolist()])
        idle = [part.idle for part in self.parts]
        self.idle = Controls(
            prosumer=beside([each.prosumer for each in idle]),
            aggregator=beside([each.aggregator for each in idle]),
            brp=beside([each.brp for each in idle]),
            dso=beside([each.dso for each in idle]),
        )

    def observe(self) -> dict[Role, Tensor]:
        """Return what every role sees now [B, agents, features] float32, scripted ones included."""
        return self._of_all(lambda part: part.observe())

    def masks(self) -> dict[Role, Tensor]:
        """Return which numbers of the agents' actions can change anything now: [B, agents, controls] int8."""
        return self._of_all(lambda part: part.masks())

    def there(self) -> dict[Role, Tensor]:
        """Return which agents there are in the present episodes: [B, agents] bool."""
        return self._of_all(lambda part: part.there())

    def room(self, role: Role) -> Tensor:
        """Return which agents of a role there could ever be: [B, agents] bool."""
        return beside([torch.ones(rows, part.agents[role]).bool() for part, rows in zip(self.parts, self.rows)])

    def step(self, actions: Mapping[Role, Tensor]) -> Slots:
        """Advance by one slot; `actions` [B, agents, controls] of the roles that learn, each number cut to -1..1."""
        cut = {role: [values for _, values in self._split(values)] for role, values in actions.items()}
        parts = tuple(
            part.step({role: cut[role][place][:, : part.agents[role]] for role in cut})
            for place, part in enumerate(self.parts)
        )
        return Slots(parts, _joined([slot.rewards for slot in parts]), parts[0].done)

    def system_told(self, slots: Slots) -> Told:
        """Return the numbers [B] of every row's whole system in a slot."""
        grids = [part.params.grid for part in self.parts]
        found = [infos.columns(grid, slot.decision, slot.outcome) for grid, slot in zip(grids, slots.parts)]
        return self._told(found)

    def agents_told(self, slots: Slots, role: Role) -> Told:
        """Return what concerns each agent of a role that learns, every column [B, agents]."""
        return self._told([infos.agent_columns(config, slot, role) for config, slot in zip(self.configs, slots.parts)])

    def _told(self, found: Sequence[Columns]) -> Told:
        """The numbers of all worlds under all names, zero where a world does not have one."""
        names = list(dict.fromkeys(name for columns in found for name in columns))
        filled = [
            {name: columns.get(name, torch.zeros_like(next(iter(columns.values())))) for name in names}
            for columns in found
        ]
        known = {
            name: torch.cat([torch.full((n,), name in columns) for n, columns in zip(self.rows, found)])
            for name in names
        }
        return Told(_joined(filled), known)

    def _split(self, rows: Tensor) -> list[tuple[Batch, Tensor]]:
        """Every world with its rows of a tensor [B, ...]."""
        return list(zip(self.parts, rows.split(self.rows), strict=True))

    def _of_all(self, look: Callable[[Batch], dict[Role, Tensor]]) -> dict[Role, Tensor]:
        """What all worlds answer, side by side."""
        return _joined([look(part) for part in self.parts])


def beside(parts: Sequence[Tensor]) -> Tensor:
    """Return tensors [b, ...] of several worlds as one [B, ...], with zeros up to the largest second axis."""
    if len(parts) == 1:
        return parts[0]
    if parts[0].dim() == 1:
        return torch.cat(list(parts))
    most = max(part.shape[1] for part in parts)
    rest = [part.new_zeros(len(part), most - part.shape[1], *part.shape[2:]) for part in parts]
    return torch.cat([torch.cat([part, more], dim=1) for part, more in zip(parts, rest)])


def _joined(parts: Sequence[Mapping[Key, Tensor]]) -> dict[Key, Tensor]:
    """Tensors of the same names, side by side."""
    return {name: beside([part[name] for part in parts]) for name in parts[0]}


def _own(setup: Setup, configs: Sequence[EnvConfig]) -> Setup:
    """Policies remember the plans of their rows, so several worlds need one each."""
    return setup if len(configs) == 1 else replace(setup, policies=copy.deepcopy(dict(setup.policies)))


def _alike(configs: Sequence[EnvConfig], num_envs: int) -> None:
    """Refuse worlds that cannot share a batch: rows end together, and the same roles learn."""
    first = configs[0]
    for config in configs[1:]:
        for field in ("slots", "learners"):
            if getattr(config, field) != getattr(first, field):
                expected = f"{getattr(first, field)} as in '{first.name}', for both to share a batch"
                raise ConfigError(config.name, field, getattr(config, field), expected)
    if num_envs < len(configs):
        raise ConfigError(first.name, "num_envs", num_envs, f"at least one row for each of {len(configs)} worlds")
