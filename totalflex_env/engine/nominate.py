"""The day-ahead gate: what a policy buys for tomorrow is its own net consumption on the day that is expected."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, runtime_checkable

from torch import Tensor

from totalflex_env.engine.rollout import rollout
from totalflex_env.engine.step import situation, start
from totalflex_env.types import Episode, Params, Policy, Situation


@runtime_checkable
class Nominator(Protocol):
    """A policy that knows its plan for the day without being rolled out."""

    def nominate(self, situation: Situation) -> Tensor:
        """Return the planned net consumption [B, T] kWh."""


def nominate(params: Params, episode: Episode, policy: Policy) -> Episode:
    """Return the episode with the nomination [B, T] of `policy`: its first plan, or its rollout on the expected day.

    On the expected day there is no imbalance to pay for, so its imbalance prices are the spot price.
    """
    calm = replace(episode.expected, up=episode.expected.spot, down=episode.expected.spot)
    rehearsal = replace(episode, actual=calm, expected=calm)
    if isinstance(policy, Nominator):
        planned = policy.nominate(situation(params, rehearsal, start(params, rehearsal)))
    else:
        planned = rollout(params, rehearsal, policy).net_kwh
    return replace(episode, nomination_kwh=planned)
