"""What a policy costs on validation days: the same days each time, each nominated by the policy itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import rollout
from totalflex_env.types import Policy


class Validator:
    """Holds the validation days."""

    def __init__(self, env: EnvConfig, seeds: Sequence[int]) -> None:
        self.world = build(env, torch.float32)
        self.episode = draw(self.world, seeds)

    def cost(self, policy: Policy) -> float:
        """Return the mean system cost of a day in EUR."""
        params = self.world.params
        return float(rollout(params, nominate(params, self.episode, policy), policy).cost().mean())
