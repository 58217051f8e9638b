"""What the scripted aggregator pays for heat in zones: the marginal value of their slow mode, in EUR/K.

The air follows heat within the hour, the mass within days. Of the two modes of `kept` only the slow one stores heat
from hour to hour, and it moves by itself:

    z = slow . (air, mass)        z' = kept_slow z + slow . what comes in a slot

The fast one is taken to be in balance with what comes, so that the air is near of_slow z + of_coming . what comes. With
the heat that holds the set-point this turns the comfort band of the air into a band of z, which may change every slot.
Cooling takes out of the store what heating puts in. What is firm is in the limits, which know air and mass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from totalflex_env.devices import marginal_values
from totalflex_env.devices.bidding import FACTOR, Bid, View, plan


@dataclass(frozen=True)
class Modes:
    """Zones with one slow and one fast mode; a zone whose air does not feel its mass has the air alone."""

    kept: Tensor  # [n] share of the slow mode that is left after a slot
    slow: Tensor  # [2, n] slow mode by air and mass, sums to 1
    of_slow: Tensor  # [n] kelvin of air per kelvin of the slow mode
    of_coming: Tensor  # [2, n] kelvin of air per kelvin that comes to air and mass in a slot


@dataclass(frozen=True)
class Course:
    """What happens to zones without energy, and what energy does, slot by slot; R is the number of rows or 1."""

    lower: Tensor  # [R, T, n] degrees of the air at the end of each slot, lower end of the comfort band
    width: Tensor  # [R, T, n] kelvin to its upper end
    coming: Tensor  # [2, R, T, n] kelvin that a slot brings to air and mass
    holding: Tensor  # [2, R, T, n] kelvin by the heat that holds the set-point
    lift: Tensor  # [2, R, T, n] kelvin per kWh of electric energy, negative while cooling


def modes(kept: Tensor) -> Modes:
    """Return the modes of zones that keep `kept` [2, 2, n], to and from air and mass, after a slot."""
    (own, from_mass), (from_air, mass) = kept
    coupled = from_mass > 0.0
    middle, apart = (own + mass) / 2.0, (((own - mass) / 2.0).square() + from_mass * from_air).sqrt()
    slow, fast = torch.where(coupled, middle + apart, own), torch.where(coupled, middle - apart, 0.0)
    # A mode of which m is left weighs air and mass like `from_air` to m - `own`; the air follows from both modes.
    air, mass_slow = torch.where(coupled, from_air, 1.0), torch.where(coupled, slow - own, 0.0)
    weights = torch.stack([air, mass_slow]) / (air + mass_slow)
    air_fast, mass_fast = torch.where(coupled, from_air, 0.0), torch.where(coupled, fast - own, 1.0)
    whole = weights[0] * mass_fast - weights[1] * air_fast
    return Modes(
        kept=slow,
        slow=weights,
        of_slow=mass_fast / whole,
        of_coming=-weights[1] / whole * torch.stack([air_fast, mass_fast]) / (1.0 - fast),
    )


def values(modes: Modes, course: Course, power_kwh: Tensor, ends: tuple[Tensor, Tensor], spot: Tensor) -> Tensor:
    """Return the marginal value [B, T + 1, n, LEVELS] EUR/K of levels in the band at the prices `spot` [B, T].

    `ends` are air and mass at the start [2, B, n] and the energy [B, n] kWh that a kelvin missing in the end costs,
    negative if a kelvin too much does. Levels before a slot refer to the band of the slot before.
    """
    empty, span = _band(modes, course)
    before, was = (torch.cat([part[:, :1], part[:, :-1]], dim=1) for part in (empty, span))
    lift, coming = _slow(modes, course.lift), _slow(modes, course.coming)
    start, refill_kwh_per_k = ends
    stores = marginal_values.Stores(
        active=torch.ones_like(modes.kept, dtype=torch.bool),
        kept=modes.kept,
        stay=modes.kept * was / span,
        drift=(modes.kept * before + coming - empty) / span,
        rise=lift.clamp(min=0.0) * power_kwh / span,
        fall=(-lift).clamp(min=0.0) * power_kwh / span,
        bought=torch.where(lift > 0.0, lift, 1.0),
        sold=torch.where(lift < 0.0, 1.0 / lift, 0.0),
        began=(_slow(modes, start) - empty[:, -1]) / span[:, -1],
        refill=spot.mean(dim=1).clamp(min=0.0)[:, None] * refill_kwh_per_k,
    )
    return marginal_values.slopes(stores, spot)


def bid(modes: Modes, course: Course, idle: Tensor, view: View[Any, Any]) -> Bid:
    """Return bids at the value of heat; a slot without energy ends at air and mass `idle` [2, B, n].

    `course` is that of this slot alone.
    """
    empty, span = _band(modes, course)
    lift = _slow(modes, course.lift)[:, 0]
    bid = Bid(*(torch.empty_like(view.lower) for _ in range(3)))
    filling = marginal_values.Filling(
        active=torch.ones_like(modes.kept, dtype=torch.bool),
        idle=(_slow(modes, idle) - empty[:, 0]) / span[:, 0],
        taking=lift / span[:, 0],
        giving=lift / span[:, 0],
        units_taking=lift,
        units_giving=lift,
    )
    marginal_values.write_bids(filling, view, torch.exp(FACTOR * view.knobs.heat_worth), bid)
    return plan(bid, view.knobs.heat_hold)


def _slow(modes: Modes, both: Tensor) -> Tensor:
    """The slow mode [..., n] of air and mass [2, ..., n]."""
    return modes.slow[0] * both[0] + modes.slow[1] * both[1]


def _band(modes: Modes, course: Course) -> tuple[Tensor, Tensor]:
    """The slow mode at which the air is at the lower end of its band, and how much the upper end is above it."""
    air, mass = course.coming + course.holding
    by_fast = modes.of_coming[0] * air + modes.of_coming[1] * mass
    return (course.lower - by_fast) / modes.of_slow, course.width / modes.of_slow


def width(lower: Tensor, upper: Tensor) -> Tensor:
    """Return the width of comfort bands of any shape, K; 1 for zones that are not there and have none."""
    return torch.where(upper > lower, upper - lower, 1.0)
