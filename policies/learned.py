"""A learned aggregator as a policy of the engine: every other role follows its script."""

from __future__ import annotations

from dataclasses import replace

import torch

from policies.network import Actor
from totalflex_env.engine.observe import observe
from totalflex_env.engine.roles import action, neutral
from totalflex_env.types import Action, Situation


class LearnedPolicy:
    """Acts with the mean of what was learned; the same situation always gives the same action."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor

    def reset(self, situation: Situation) -> None:
        """Nothing to forget: the present situation is all that the actor sees."""

    @torch.no_grad()
    def act(self, situation: Situation) -> Action:
        """Return the action of this slot."""
        features = observe(situation).aggregator
        idle = neutral(situation.params, len(features))
        controls = self.actor(features.float()).to(features.dtype)
        return action(situation, replace(idle, aggregator=controls))
