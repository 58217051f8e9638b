"""Whole episodes: a policy against the days it is given."""

from __future__ import annotations

import time
from dataclasses import dataclass

from torch import Tensor

from totalflex_env import batch
from totalflex_env.engine.step import situation, start, step
from totalflex_env.types import Decision, Episode, Outcome, Params, Policy


@dataclass(frozen=True)
class Trace:
    """What happened in an episode, slot by slot."""

    outcomes: Outcome  # every tensor [B, T, ...]
    decisions: Decision  # every tensor [B, T, ...]
    decision_seconds: float  # mean wall time per slot that the policy took, for all rows together

    @property
    def net_kwh(self) -> Tensor:
        """Net consumption [B, T]."""
        return self.outcomes.net_kwh

    def cost(self) -> Tensor:
        """Return the system cost of the episode [B] in EUR."""
        return self.outcomes.costs.total().sum(dim=1)


def rollout(params: Params, episode: Episode, policy: Policy) -> Trace:
    """Run `policy` through every slot of the episode and return what happened."""
    state = start(params, episode)
    seconds, outcomes, decisions = 0.0, [], []
    slots = episode.actual.spot.shape[1]
    for slot in range(slots):
        now = situation(params, episode, state)
        begun = time.perf_counter()
        if slot == 0:
            policy.reset(now)
        action = policy.act(now)
        seconds += time.perf_counter() - begun
        state, decision, outcome = step(episode, now, action)
        outcomes.append(outcome)
        decisions.append(decision)
    return Trace(batch.stack_slots(outcomes), batch.stack_slots(decisions), seconds / slots)
