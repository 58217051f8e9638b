"""The order book of one slot: what every role does, as whole numbers that the clearing can compare exactly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.devices.family import Range
from totalflex_env.trade_types import Award, Orders
from totalflex_env.types import Action, Params
from totalflex_env.units import from_mwh_integer, to_micro_eur, to_mwh_integer

_PIECES = 3  # a range is cut in two places


@dataclass(frozen=True)
class Background:
    """What is expected to flow in the slot whatever the devices do."""

    house_kwh: Tensor  # [B, P] inflexible consumption less PV
    house_kvarh: Tensor  # [B, P] its reactive energy
    wind_kwh: Tensor  # [B] production of the wind park
    nomination_kwh: Tensor  # [B] net consumption bought day-ahead


def released(params: Params, action: Action, allowed: Range) -> Range:
    """Return the range [B, N] that prosumers release: a share of the way from the default to the limits."""
    share = action.release[:, params.house]
    lower, upper = (torch.lerp(allowed.default, limit, share) for limit in (allowed.lower, allowed.upper))
    return Range(lower, upper, allowed.default)


def segments(action: Action, markup: Tensor, offered: Range) -> tuple[Tensor, Tensor]:
    """Cut each range at the target and at the default: ends [B, 4, N] kWh of its pieces, their worth [B, 3, N] EUR/kWh.

    Energy is worth `worth_less` below the aggregator's target and `worth_more` above it. The prosumer's markup [B, N]
    comes on top below the default, where consuming spares discomfort, and comes off above it. The pieces of a device
    are served in the order of its range as long as worth_less >= worth_more and markup >= 0.
    """
    target = action.target_kwh.clamp(offered.lower, offered.upper)
    default = offered.default.clamp(offered.lower, offered.upper)
    ends = torch.stack([offered.lower, target.minimum(default), target.maximum(default), offered.upper], 1)
    between = torch.where(target > default, action.worth_less - markup, action.worth_more + markup)
    return ends, torch.stack([action.worth_less + markup, between, action.worth_more - markup], 1)


def book(params: Params, action: Action, offered: Range, background: Background) -> Orders:
    """Return the orders of a slot: Q = 3 N segments, first the lowest pieces of all devices, then the others.

    No price leaves +-price_cap, so a firm target is cut only where balance price, overload prices and markup add up to
    the cap.
    """
    cap = params.config.market.price_cap
    ends, worth = segments(action, action.markup[:, params.house], offered)
    ends_mwh = to_mwh_integer(ends)
    fixed = to_mwh_integer(background.house_kwh).index_add(1, params.house, ends_mwh[:, 0])
    bought = to_mwh_integer(background.wind_kwh) + to_mwh_integer(background.nomination_kwh)
    return Orders(
        quantity=ends_mwh.diff(dim=1).clamp(min=0).flatten(1),  # limits that meet may cross by a rounding error
        price=to_micro_eur(worth.clamp(-cap, cap)).flatten(1),
        house=params.house.repeat(_PIECES),
        fixed=fixed,
        position=fixed.sum(1) - bought,
        brp_price=to_micro_eur(action.brp_price.clamp(-cap, cap)),
        brp_quantity=to_mwh_integer(action.brp_kwh),
        brp_start=to_mwh_integer(action.brp_start_kwh),
        limit=to_mwh_integer(_limits(params, action, background)),
        members=params.members,
        cap=to_micro_eur(action.dso_price.clamp(0.0, cap)),
    )


def energy_kwh(award: Award, offered: Range) -> Tensor:
    """Return the energy [B, N] of each device in the award, within the range it offered to the mWh."""
    pieces = award.accepted.unflatten(1, [_PIECES, offered.lower.shape[1]])
    energy: Tensor = to_mwh_integer(offered.lower) + pieces.sum(1)
    return from_mwh_integer(energy).to(offered.lower.dtype)


def limit_kva(params: Params) -> Tensor:
    """Return the power [L] kVA behind each limited element that fills it; one of several in parallel carries a part."""
    return params.grid.rating_kva[params.limited] / params.grid.downstream[params.limited].amax(dim=1)


def _limits(params: Params, action: Action, background: Background) -> Tensor:
    """Active energy [B, L] kWh that the DSO lets through each element beside the expected reactive energy."""
    apparent = limit_kva(params) * params.slot_hours * action.dso_share[:, None]
    reactive = (background.house_kvarh[:, None] * params.members).sum(2)
    return (apparent.square() - reactive.square()).clamp(min=0.0).sqrt()
