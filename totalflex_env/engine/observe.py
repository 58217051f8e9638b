"""What each role sees at the start of a slot, as features of order one.

Prices are in units of 0.1 EUR/kWh, energies relative to what the role could move, times as the hour angle of the day.
Nothing here knows the outcome of the slot or of later ones.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from totalflex_env import fleet
from totalflex_env.devices.bidding import View
from totalflex_env.devices.family import Family
from totalflex_env.devices.storage import Storage
from totalflex_env.devices.storage_bid import later_prices
from totalflex_env.devices.thermal import Thermal
from totalflex_env.devices.zone import Zone
from totalflex_env.engine import dispatch
from totalflex_env.engine.almanac import ALMANAC_FEATURES, PRICE_UNIT, energy_scale
from totalflex_env.types import Observation, Params, Situation

Kind = TypeVar("Kind", bound=Family[Any, Any, Any])
Views = tuple[View[Any, Any], ...]  # of each family

AGGREGATOR_FEATURES = (
    "hour_sine", "hour_cosine", "progress",
    "spot", "spot_step_1h", "spot_step_2h", "spot_step_4h", "spot_step_8h", "spot_mean_left",
    "cheapness_8h", "cheapness_2h",
    "up_spread", "down_spread", "expected_imbalance", "last_imbalance", "last_price_difference", "nomination",
    "vehicles_present", "vehicles_need", "vehicles_urgent_1h", "vehicles_urgent_3h", "vehicle_price", "fleet_price",
    "heat_level_mean", "heat_level_min", "heat_holding", "battery_level",
    "headroom", "headroom_min_2h", "headroom_min_8h", "base_load", "wind",
)  # fmt: skip
PROSUMER_FEATURES = (
    "hour_sine", "hour_cosine", "spot", "cheapness_8h", "last_price_difference",
    "base_load", "pv", "vehicle_need", "vehicle_present", "heat_level", "battery_level", "range_lower", "range_upper",
)  # fmt: skip
BRP_FEATURES = (
    "hour_sine", "hour_cosine", "spot", "up_spread", "down_spread",
    "expected_imbalance", "last_imbalance", "deviation", "nomination", "wind",
)  # fmt: skip
DSO_FEATURES = (
    "hour_sine", "hour_cosine", "spot", "headroom", "headroom_min_2h", "headroom_min_8h",
    "default_loading", "most_loading",
)  # fmt: skip
_COMMON = (
    *ALMANAC_FEATURES,
    "up_spread", "down_spread", "last_price_difference",
    "expected_imbalance", "last_imbalance", "nomination", "base_load", "wind", "deviation",
    "default_loading", "most_loading",
)  # fmt: skip
_OF_FLEETS = (
    "vehicles_present", "vehicles_need", "vehicles_urgent_1h", "vehicles_urgent_3h", "vehicle_price", "fleet_price",
    "battery_level", "heat_level_mean", "heat_level_min",
)  # fmt: skip
_OF_HOUSES = PROSUMER_FEATURES[5:]


@dataclass(frozen=True)
class _Seen(Generic[Kind]):
    """A family as agents see it."""

    family: Kind
    view: View[Any, Any]
    there: Tensor | None  # [B, n] bool, None: all are

    def only(self, value: Tensor) -> Tensor:
        """What is told of devices [..., n], with zeros where there is none; as [B, k, n] where it was [1, k, n]."""
        if self.there is None:
            return value
        return torch.where(self.there if value.dim() == 2 else self.there[:, None], value, 0.0)


def observe(situation: Situation) -> Observation:
    """Return the observation of every role."""
    nothing = situation.lower.new_zeros(len(situation.lower), len(dispatch.AGGREGATOR_CONTROLS))
    views = tuple(dispatch.views(situation, nothing))
    common = torch.cat([situation.outlook.features[:, situation.state.slot], _present(situation)], dim=1)
    return Observation(
        prosumer=_seen(PROSUMER_FEATURES, common, _OF_HOUSES, _houses(situation, views)),
        aggregator=_seen(AGGREGATOR_FEATURES, common, _OF_FLEETS, _fleets(situation, views)),
        brp=common.index_select(1, _places(BRP_FEATURES, _COMMON, common.device)),
        dso=common.index_select(1, _places(DSO_FEATURES, _COMMON, common.device)),
    )


def _seen(names: tuple[str, ...], common: Tensor, own_names: tuple[str, ...], own: Tensor) -> Tensor:
    """The named features [B, k, F] of k agents: their own [B, k, f] where they have them, else the common ones."""
    shared = tuple(name for name in names if name not in own_names)
    chosen = common.index_select(1, _places(shared, _COMMON, common.device))
    together = torch.cat([chosen[:, None].expand(-1, own.shape[1], -1), own], dim=2)
    order = shared + own_names
    return together if order == names else together.index_select(2, _places(names, order, common.device))


@functools.cache
def _places(names: tuple[str, ...], among: tuple[str, ...], device: torch.device) -> Tensor:
    return torch.tensor([among.index(name) for name in names], device=device)


def _present(situation: Situation) -> Tensor:
    """Features [B, f] of prices, balance and loading as they are now."""
    slot, now, state = situation.state.slot, situation.expected, situation.state
    base, nomination = now.base_kwh.sum(dim=1), situation.nomination_kwh[:, slot]
    fixed = base - now.pv_kwh.sum(dim=1)
    alone = fixed + situation.default.sum(dim=1)
    prices = (now.up - now.spot, now.spot - now.down, state.last_price - now.spot)
    energies = (
        alone - now.wind_kwh - nomination,
        state.last_imbalance_kwh,
        nomination,
        base,
        now.wind_kwh,
        base - situation.outlook.load_kwh[:, slot],
        alone,
        fixed + situation.upper.sum(dim=1),
    )
    scale = energy_scale(situation.params)
    return torch.cat([torch.stack(prices, dim=1) / PRICE_UNIT, torch.stack(energies, dim=1) / scale], dim=1)


def _fleets(situation: Situation, views: Views) -> Tensor:
    """Features [B, A, f] of each aggregator's vehicles, batteries and heat stores together; zero without any."""
    params = situation.params
    nothing = situation.lower.new_zeros(len(situation.lower), params.aggregators)
    of_stores, of_heat = [nothing] * 7, [nothing] * 2
    if (stores := _family(situation, Storage, views)) is not None:
        of_stores = _storages(params, stores)
    if (heat := _heat(situation, views)) is not None:
        level, count, house = heat
        owner = params.aggregator[house]
        total, number = _sums(torch.stack([level * count, count], dim=1), owner, params.aggregators).unbind(1)
        of_those = torch.where(count > 0.0, level, torch.inf)
        lowest = nothing.scatter_reduce(1, owner.expand_as(level), of_those, "amin", include_self=False)
        of_heat = [total / number.clamp(min=1.0), torch.where(number > 0.0, lowest, 0.0)]
    return torch.stack([*of_stores, *of_heat], dim=2)


def _heat(situation: Situation, views: Views) -> tuple[Tensor, Tensor, Tensor] | None:
    """How full stores of heat and cold are [B, n], 1 where one is there [B, n], and their houses [n]; None without."""
    families = _family(situation, Thermal, views), _family(situation, Zone, views)
    found = [heat for heat in families if heat is not None]
    if not found:
        return None
    levels = [heat.family.fill(heat.view) for heat in found]
    there = [heat.only(torch.ones_like(heat.view.lower)) for heat in found]
    return torch.cat(levels, dim=1), torch.cat(there, dim=1), torch.cat([heat.family.house for heat in found])


def _storages(params: Params, stores: _Seen[Storage]) -> list[Tensor]:
    """Features [B, A] of an aggregator's vehicles and batteries; the price for the fleet is that of all vehicles."""
    storage, view = stores.family, stores.view
    needs, now = storage.needs(view), view.now[:, None]
    missing, begun = needs.missing_kwh, needs.connected(view.slot)
    slack = (needs.departure - view.slot) - missing / storage.charge_kwh
    hours = torch.where(begun & (missing > 0.0), slack, torch.inf)
    own, together = later_prices(needs, view, torch.ones_like(now))
    level = view.state.stored_kwh * ~storage.session
    parts = [part.to(missing) for part in (begun, missing, hours < 4, hours < 12, own * missing, level)]
    owner = params.aggregator[storage.house]
    present, needed, urgent, soon, paid, stored = _sums(torch.stack(parts, dim=1), owner, params.aggregators).unbind(1)
    sizes = stores.only(torch.stack([storage.session.to(missing), storage.capacity_kwh * ~storage.session])[None])
    vehicles, capacity = _sums(sizes, owner, params.aggregators).unbind(1)
    vehicles = vehicles.clamp(min=1.0)
    return [
        present / vehicles,
        needed / (10.0 * vehicles),
        urgent / vehicles,
        soon / vehicles,
        (paid / needed.clamp(min=1e-9) - now) / PRICE_UNIT,
        ((together - now) / PRICE_UNIT).expand_as(needed),
        stored / capacity.clamp(min=1e-9),
    ]


def _houses(situation: Situation, views: Views) -> Tensor:
    """Features [B, P, f] of each house's own load and devices."""
    params, now = situation.params, situation.expected
    houses = len(params.node)
    limits = _sums(torch.stack([situation.lower, situation.upper], dim=1), params.house, houses).unbind(1)
    need = there = heat_level = battery_level = torch.zeros_like(now.base_kwh)
    if (stores := _family(situation, Storage, views)) is not None:
        storage, view = stores.family, stores.view
        needs = storage.needs(view)
        level = view.state.stored_kwh / storage.capacity_kwh * ~storage.session
        parts = [needs.missing_kwh / 10.0, needs.connected(view.slot).to(level), level]
        need, there, battery_level = _sums(torch.stack(parts, dim=1), storage.house, houses).unbind(1)
    if (heat := _heat(situation, views)) is not None:
        warm, count, house = heat
        total, number = _sums(torch.stack([warm * count, count], dim=1), house, houses).unbind(1)
        heat_level = total / number.clamp(min=1.0)
    return torch.stack([now.base_kwh, now.pv_kwh, need, there, heat_level, battery_level, *limits], dim=2)


def _family(situation: Situation, kind: type[Kind], views: Views) -> _Seen[Kind] | None:
    """A family and what is known of it, None if there are no such devices."""
    place = fleet.find(situation.params, kind)
    if place is None:
        return None
    who = situation.population
    return _Seen(place.family, views[place.index], None if who is None else who.devices[:, place.at])


def _sums(value: Tensor, owner: Tensor, owners: int) -> Tensor:
    """The sums [B, k, owners] over the devices [B, k, n] that each owner has."""
    return value.new_zeros(*value.shape[:2], owners).index_add(2, owner, value)
