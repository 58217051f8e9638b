"""What all views share: rows of a world stepped together, tensors in and out.

Tensors have the shape [B, agents of the role, numbers]. The frameworks' views only give them the form that their
framework wants, decide when episodes begin again, and choose which agents they show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from totalflex_env import batch
from totalflex_env.engine.roles import Controls, Ensemble, Role, neutral
from totalflex_env.envs import masks, rewards, spaces, worlds
from totalflex_env.envs.rewards import Reward, Terms
from totalflex_env.envs.worlds import Environment
from totalflex_env.errors import ConfigError
from totalflex_env.types import Action, Decision, Outcome, Params, Policy


@dataclass(frozen=True)
class Setup:
    """What a view may choose beside the environment itself."""

    reward: Reward = "role"
    policies: Mapping[Role, Policy] = field(default_factory=dict)  # of roles that do not learn
    dtype: torch.dtype = torch.float32
    device: str = "cpu"


@dataclass(frozen=True)
class Slot:
    """What a slot brought, for the agents of the roles that learn."""

    decision: Decision
    outcome: Outcome
    terms: dict[Role, Terms]  # each [B, agents] EUR, before weights
    rewards: dict[Role, Tensor]  # [B, agents] EUR
    clipped: dict[Role, Tensor]  # [B, agents] int64, how many numbers of an action were cut to -1..1
    done: bool  # the horizon is reached, in all rows


class Watcher(Protocol):
    """Anything that remembers episodes, such as `replay.Recorder`."""

    def begin(self, seeds: tuple[int, ...]) -> None:
        """Episodes of these seeds begin."""

    def take(self, action: Action, outcome: Outcome) -> None:
        """A slot has ended."""


class Batch:
    """B rows of one world and its agents; row i is the episode of the i-th seed, whatever the other rows are."""

    def __init__(self, env: Environment, learners: Sequence[Role], setup: Setup) -> None:
        self.simulator = worlds.make_simulator(env, setup.dtype, setup.device)
        self.config = config = self.params.config
        self.learners, self.setup = tuple(learners), setup
        if not learners:
            raise ConfigError(config.name, "learners", config.learners, "at least one role, for agents to act for")
        if both := sorted(set(learners) & set(setup.policies)):
            raise ConfigError(config.name, "policies", ", ".join(both), "roles that do not learn")
        self.ensemble = Ensemble(setup.policies)
        self.simulator.nominator = setup.policies.get("aggregator", self.simulator.nominator)
        self.recorder: Watcher | None = None
        self._weights = rewards.weights(config)
        self._groups = masks.groups(self.params)
        idle = spaces.by_role(neutral(self.params, 0))
        self.agents = {role: zeros.shape[1] for role, zeros in idle.items()}  # how many of each role the world has
        self.idle: Controls  # of all roles, for the rows of the present episode

    @property
    def params(self) -> Params:
        """The fixed part of the world."""
        return self.simulator.world.params

    def reset(self, seeds: Sequence[int]) -> None:
        """Begin one episode per seed."""
        now = self.simulator.reset(seeds)
        if self.recorder is not None:
            self.recorder.begin(tuple(seeds))
        self.idle = neutral(self.params, len(seeds))
        self.ensemble.reset(now)

    def observe(self) -> dict[Role, Tensor]:
        """Return what every role sees now [B, agents, features] float32, scripted ones included; zeros for nobody."""
        now = worlds.situation(self.simulator)
        seen = spaces.unpack(self.simulator.observe(now))
        if now.population is None:
            return seen
        there = self.there()
        return {role: values * there[role][..., None] for role, values in seen.items()}

    def there(self) -> dict[Role, Tensor]:
        """Return which agents of every role there are in the present episodes: [B, agents] bool."""
        return masks.there(self.params, self.simulator.episode)

    def masks(self) -> dict[Role, Tensor]:
        """Return which numbers of the agents' actions can change anything now: [B, agents, controls] int8."""
        found = spaces.by_role(masks.masks(worlds.situation(self.simulator), self._groups))
        return {role: found[role] for role in self.learners}

    def step(self, actions: Mapping[Role, Tensor]) -> Slot:
        """Advance by one slot; `actions` [B, agents, controls] of the roles that learn, each number cut to -1..1."""
        controls, clipped = spaces.pack(actions, self.idle)
        now, slot = self.simulator.situation(), self.simulator.state.slot
        if "mask" in self.config.constraints:
            free = masks.masks(now, self._groups)
            parts = [controls, free, self.idle]
            controls = batch.combine(parts, lambda each: torch.where(each[1] > 0, each[0], each[2]))
        action = self.ensemble.complete(now, self.simulator.action(now, controls))
        decision, outcome = self.simulator.step(action)
        if self.recorder is not None:
            self.recorder.take(action, outcome)
        terms = self._terms(outcome, self.simulator.episode.actual.spot[:, slot])
        return Slot(decision, outcome, terms, self._rewards(terms), clipped, self.simulator.done)

    def _terms(self, outcome: Outcome, spot: Tensor) -> dict[Role, Terms]:
        """The terms that the agents' rewards are made of."""
        if self.setup.reward == "system":
            shared = rewards.system_terms(outcome, spot)
            return {role: shared for role in self.learners}
        return rewards.role_terms(outcome)

    def _rewards(self, terms: dict[Role, Terms]) -> dict[Role, Tensor]:
        """The rewards [B, agents] EUR of the roles that learn."""
        earned = {role: rewards.total(each, self._weights) for role, each in terms.items()}
        if self.setup.reward == "household":
            earned = dict.fromkeys(
                self.learners, rewards.household(self.params, earned, self.simulator.episode.actual.population)
            )
        idle = spaces.by_role(self.idle)
        return {role: earned[role].expand(-1, idle[role].shape[1]) for role in self.learners}
