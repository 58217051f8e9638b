"""The day-ahead gate: what a policy buys for tomorrow is its own net consumption on the day that is expected."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from totalflex_env.engine.scripted import Untraded
from totalflex_env.engine.step import connection, decide, moved, situation, start
from totalflex_env.types import Episode, Params, Policy, Situation


@runtime_checkable
class Nominator(Protocol):
    """A policy that knows its plan for the day without being rolled out."""

    def nominate(self, situation: Situation) -> Tensor:
        """Return the planned net consumption [B, T] kWh."""


def shares_nomination(params: Params) -> bool:
    """Return whether all policies have one nomination: under a single imbalance price their own could speculate."""
    return params.config.market.imbalance == "single_price"


def nominate(params: Params, episode: Episode, policy: Policy) -> Episode:
    """Return the episode with the nomination [B, T] of `policy`: its first plan, or its rollout on the expected day.

    On the expected day there is no imbalance to pay for, so its imbalance prices are the spot price. Where all policies
    share a nomination, it is that one.
    """
    return share(params, episode) if shares_nomination(params) else _nominated(params, episode, policy)


def share(params: Params, episode: Episode) -> Episode:
    """Return the episode with the nomination [B, T] that owes nothing to a policy: that of the default schedules."""
    return _nominated(params, episode, Untraded(lambda now: now.default))


def _nominated(params: Params, episode: Episode, policy: Policy) -> Episode:
    calm = replace(episode.expected, up=episode.expected.spot, down=episode.expected.spot)
    rehearsal = replace(episode, actual=calm, expected=calm)
    now = situation(params, rehearsal, start(params, rehearsal))
    planned = policy.nominate(now) if isinstance(policy, Nominator) else _rehearse(params, rehearsal, policy, now)
    return replace(episode, nomination_kwh=planned)


def _rehearse(params: Params, rehearsal: Episode, policy: Policy, now: Situation) -> Tensor:
    """Return the net consumption [B, T] of the policy on the expected day; nothing is settled and no grid is solved."""
    policy.reset(now)
    state, consumption = now.state, []
    for slot in range(rehearsal.actual.spot.shape[1]):
        now = situation(params, rehearsal, state)
        decision = decide(now, policy.act(now))
        net = connection(params, rehearsal, slot, decision.energy_kwh).total()
        state = moved(params, rehearsal, state, decision, (decision.energy_kwh, torch.zeros_like(net)))
        consumption.append(net)
    return torch.stack(consumption, dim=1)
