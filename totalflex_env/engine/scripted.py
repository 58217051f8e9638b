"""Scripted roles: what prosumers, balance responsible party (BRP) and grid operator (DSO) do unless they learn.

Prosumers release all their flexibility and ask no more than their true discomfort. The BRP offers what a kilowatt-hour
is expected to cost it: the down price while it will surely be long, the up price when it will surely be short, and in
between the mean of both by the probability of being short (the newsvendor rule). The DSO leaves a share of every rating
to the market.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from totalflex_env.scenario.uncertainty import SHARED_LOAD_ERROR
from totalflex_env.types import Action, Situation

CURVE_WIDTH = 2.0
"""Standard deviations of the expected imbalance on either side that the BRP's curve spans."""


def follow(situation: Situation, target_kwh: Tensor) -> Action:
    """Return the action that asks for `target_kwh` [B, N] firmly, whatever the price."""
    cap = torch.full_like(target_kwh, situation.params.config.market.price_cap)
    return offer(situation, target_kwh, cap, -cap)


def untraded(situation: Situation, target_kwh: Tensor) -> Action:
    """Return the action of a world without a flexibility market: the devices follow `target_kwh` [B, N]."""
    action = follow(situation, target_kwh)
    return replace(action, traded=False)


class Untraded:
    """A policy without a market: every device takes the energy [B, N] kWh that `choice` reads off the situation."""

    def __init__(self, choice: Callable[[Situation], Tensor]) -> None:
        self._choice = choice

    def reset(self, situation: Situation) -> None:
        """Nothing is remembered."""

    def act(self, situation: Situation) -> Action:
        """Return the action that asks for that energy."""
        return untraded(situation, self._choice(situation))


def offer(situation: Situation, target_kwh: Tensor, worth_less: Tensor, worth_more: Tensor) -> Action:
    """Return the aggregator's bids [B, N] together with what the scripted roles do."""
    params, rows = situation.params, len(target_kwh)
    market = params.config.market
    houses = target_kwh.new_zeros(rows, len(params.node))
    price, energy, begin = brp_curve(situation)
    return Action(
        target_kwh=target_kwh,
        worth_less=worth_less,
        worth_more=worth_more,
        release=torch.ones_like(houses),
        markup=houses,
        brp_price=price,
        brp_kwh=energy,
        brp_start_kwh=begin,
        dso_share=houses.new_full((rows,), market.dso_share),
        dso_price=houses.new_full((rows,), market.overload_price),
        traded=True,
    )


def brp_curve(situation: Situation) -> tuple[Tensor, Tensor, Tensor]:
    """Return rising prices [B, K] EUR/kWh, the energy [B, K] kWh of each step, and where the first begins [B] kWh."""
    steps = situation.params.config.market.brp_steps
    expected = situation.expected
    edges = torch.linspace(-CURVE_WIDTH, CURVE_WIDTH, steps + 1, dtype=expected.up.dtype, device=expected.up.device)
    short = torch.special.ndtr((edges[1:] + edges[:-1]) / 2.0)
    price = expected.down[:, None] + (expected.up - expected.down)[:, None] * short
    deviation = slot_deviation(situation)
    energy = (deviation * (2.0 * CURVE_WIDTH / steps))[:, None].expand(-1, steps)
    return price, energy, -CURVE_WIDTH * deviation


def slot_deviation(situation: Situation) -> Tensor:
    """Return the standard deviation [B] kWh of this slot's net consumption as far as load and wind are unknown."""
    errors, expected = situation.params.config.forecast, situation.expected
    hours = situation.params.slot_hours
    unknown = [1.0 - math.exp(-2.0 * hours / e.memory_h) for e in (errors.load, errors.wind)]
    alone, together = expected.base_kwh.square().sum(dim=1), expected.base_kwh.sum(dim=1).square()
    houses = torch.lerp(alone, together, SHARED_LOAD_ERROR).sqrt()
    load = errors.load.deviation * unknown[0] ** 0.5 * houses
    wind = errors.wind.deviation * unknown[1] ** 0.5 * 3.0 * expected.wind_kwh
    return torch.hypot(load, wind).clamp(min=1e-3)
