"""What the scripted rule's days look like to a learner: the measure of its features, and where its days come from."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from totalflex_env.engine.build import World, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.observe import observe
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.engine.rollout import rollout
from totalflex_env.types import Action, Situation

DAYS = 64
LEAST_DEVIATION = 0.05
"""Features that hardly change under the rule are not blown up beyond this."""
SEEDS_PER_RUN = 1_000_000
"""Training days of run seed s begin at (s + 1) times this: far from the seeds of validation and evaluation."""


@dataclass(frozen=True)
class Measured:
    """Statistics of the scripted rule."""

    mean: Tensor  # [F] of the features
    deviation: Tensor  # [F]
    cost_deviation_eur: float  # of a slot


@dataclass
class _Watched(ScriptedPolicy):
    """The rule, remembering what it saw."""

    seen: list[Tensor] = field(default_factory=list)

    def act(self, situation: Situation) -> Action:
        """Return the scripted action."""
        self.seen.append(observe(situation).aggregator.flatten(0, 1))
        return super().act(situation)


def first_seed(run_seed: int) -> int:
    """Return the seed of the first training day of a run."""
    return (run_seed + 1) * SEEDS_PER_RUN


def measure(world: World, run_seed: int) -> Measured:
    """Return the statistics of the rule on the first training days."""
    watched = _Watched()
    days = range(first_seed(run_seed), first_seed(run_seed) + DAYS)
    episode = nominate(world.params, draw(world, days), ScriptedPolicy())
    costs = rollout(world.params, episode, watched).outcomes.costs.total()
    seen = torch.cat(watched.seen)
    return Measured(seen.mean(dim=0), seen.std(dim=0).clamp(min=LEAST_DEVIATION), float(costs.std()))
