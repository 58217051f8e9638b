"""What each role sees at the start of a slot, as features of order one.

Prices are in units of 0.1 EUR/kWh, energies relative to what the role could move, times as the hour angle of the day.
Nothing here knows the outcome of the slot or of later ones.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch
from torch import Tensor

from totalflex_env import fleet
from totalflex_env.devices.bidding import View
from totalflex_env.devices.family import Family
from totalflex_env.devices.storage import Sessions, Storage, Stored
from totalflex_env.devices.storage_bid import later_prices
from totalflex_env.devices.thermal import Thermal
from totalflex_env.engine import dispatch
from totalflex_env.types import Observation, Params, Situation

Kind = TypeVar("Kind", bound=Family[Any, Any, Any])

PRICE_UNIT = 0.1
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
_OF_STORES = (
    "vehicles_present", "vehicles_need", "vehicles_urgent_1h", "vehicles_urgent_3h", "vehicle_price", "fleet_price",
    "heat_level_mean", "heat_level_min", "battery_level",
)  # fmt: skip


def observe(situation: Situation) -> Observation:
    """Return the observation of every role."""
    common = _common(situation)
    fleet_view = _fleet(situation)
    aggregator = {**common, **fleet_view}
    dso = {**common, **_loading(situation)}
    prosumer = {**{name: value[:, None] for name, value in common.items()}, **_houses(situation)}
    houses = len(situation.params.node)
    return Observation(
        prosumer=torch.stack([prosumer[name].expand(-1, houses) for name in PROSUMER_FEATURES], dim=2),
        aggregator=torch.stack([aggregator[name] for name in AGGREGATOR_FEATURES], dim=1),
        brp=torch.stack([aggregator[name] for name in BRP_FEATURES], dim=1),
        dso=torch.stack([dso[name] for name in DSO_FEATURES], dim=1),
    )


def _common(situation: Situation) -> dict[str, Tensor]:
    """Features [B] of clock, prices, balance and grid headroom."""
    slot, spot, now = situation.state.slot, situation.outlook.spot, situation.expected
    angle = 2.0 * math.pi * (situation.params.config.scenario.start_hour + slot * situation.params.slot_hours) / 24.0
    scale = _energy_scale(situation.params)
    price = now.spot / PRICE_UNIT
    room = dispatch.headroom(situation)[:, slot:].clamp(-scale, scale) / scale
    position = (now.base_kwh - now.pv_kwh).sum(dim=1) - now.wind_kwh + situation.default.sum(dim=1)
    ahead = {
        f"spot_step_{hours}h": spot[:, min(slot + 4 * hours, spot.shape[1] - 1)] / PRICE_UNIT - price
        for hours in (1, 2, 4, 8)
    }
    return ahead | {
        "hour_sine": torch.full_like(price, math.sin(angle)),
        "hour_cosine": torch.full_like(price, math.cos(angle)),
        "progress": torch.full_like(price, slot / spot.shape[1]),
        "spot": price,
        "spot_mean_left": spot[:, slot:].mean(dim=1) / PRICE_UNIT - price,
        "cheapness_8h": dispatch.cheapness(situation, 32)[:, 0],
        "cheapness_2h": dispatch.cheapness(situation, 8)[:, 0],
        "up_spread": (now.up - now.spot) / PRICE_UNIT,
        "down_spread": (now.spot - now.down) / PRICE_UNIT,
        "expected_imbalance": (position - situation.nomination_kwh[:, slot]) / scale,
        "last_imbalance": situation.state.last_imbalance_kwh / scale,
        "last_price_difference": situation.state.last_price / PRICE_UNIT - price,
        "nomination": situation.nomination_kwh[:, slot] / scale,
        "headroom": room[:, 0],
        "headroom_min_2h": room[:, :8].amin(dim=1),
        "headroom_min_8h": room[:, :32].amin(dim=1),
        "base_load": now.base_kwh.sum(dim=1) / scale,
        "wind": now.wind_kwh / scale,
        "deviation": (now.base_kwh.sum(dim=1) - situation.outlook.load_kwh[:, slot]) / scale,
    }


def _fleet(situation: Situation) -> dict[str, Tensor]:
    """Features [B] of vehicles, heat stores and batteries together; zero where there are none."""
    holding = situation.outlook.holding_kwh[:, situation.state.slot] / _energy_scale(situation.params)
    features = {name: torch.zeros_like(holding) for name in _OF_STORES} | {"heat_holding": holding}
    if (stores := _family(situation, Storage)) is not None:
        features |= _vehicles(*stores) | {"battery_level": battery_level(*stores)}
    if (heat := _family(situation, Thermal)) is not None:
        level = heat[0].fill(heat[1].state)
        features |= {"heat_level_mean": level.mean(dim=1), "heat_level_min": level.amin(dim=1)}
    return features


def _vehicles(storage: Storage, view: View[Sessions, Stored]) -> dict[str, Tensor]:
    """Features [B] of all vehicles together."""
    needs = storage.needs(view)
    missing, begun = needs.missing_kwh, needs.connected(view.slot)
    slack = (needs.departure - view.slot) - missing / storage.charge_kwh
    urgent = begun & (missing > 0.0)
    own, together = later_prices(needs, view, torch.ones_like(missing[:, :1]))
    weight = missing / missing.sum(dim=1, keepdim=True).clamp(min=1e-9)
    vehicles = max(int(storage.session.sum()), 1)
    return {
        "vehicles_present": begun.sum(dim=1) / vehicles,
        "vehicles_need": missing.sum(dim=1) / (10.0 * vehicles),
        "vehicles_urgent_1h": (urgent & (slack < 4)).sum(dim=1) / vehicles,
        "vehicles_urgent_3h": (urgent & (slack < 12)).sum(dim=1) / vehicles,
        "vehicle_price": (own * weight).sum(dim=1) / PRICE_UNIT - view.now / PRICE_UNIT,
        "fleet_price": (together[:, 0] - view.now) / PRICE_UNIT,
    }


def battery_level(storage: Storage, view: View[Sessions, Stored]) -> Tensor:
    """Return the stored share of all batteries together [B]."""
    batteries = ~storage.session
    capacity = (storage.capacity_kwh * batteries).sum().clamp(min=1e-9)
    return (view.state.stored_kwh * batteries).sum(dim=1) / capacity


def _family(situation: Situation, kind: type[Kind]) -> tuple[Kind, View[Any, Any]] | None:
    """Return a family and what is known of it, None if there are no such devices."""
    place = fleet.find(situation.params, kind)
    if place is None:
        return None
    nothing = situation.lower.new_zeros(len(situation.lower), len(dispatch.AGGREGATOR_CONTROLS))
    return place.family, dispatch.views(situation, nothing)[place.index]


def _houses(situation: Situation) -> dict[str, Tensor]:
    """Features [B, P] of each house's own devices."""
    params, now = situation.params, situation.expected
    nothing = torch.zeros_like(now.base_kwh)
    features = {
        "base_load": now.base_kwh,
        "pv": now.pv_kwh,
        "range_lower": _per_house(params, situation.lower, params.house),
        "range_upper": _per_house(params, situation.upper, params.house),
        **dict.fromkeys(("vehicle_need", "vehicle_present", "heat_level", "battery_level"), nothing),
    }
    if (stores := _family(situation, Storage)) is not None:
        storage, view = stores
        level = view.state.stored_kwh / storage.capacity_kwh * ~storage.session
        needs = storage.needs(view)
        features["vehicle_need"] = _per_house(params, needs.missing_kwh, storage.house) / 10.0
        features["vehicle_present"] = _per_house(params, needs.connected(view.slot).to(level.dtype), storage.house)
        features["battery_level"] = _per_house(params, level, storage.house)
    if (heat := _family(situation, Thermal)) is not None:
        level = heat[0].fill(heat[1].state)
        count = _per_house(params, torch.ones_like(level), heat[0].house).clamp(min=1.0)
        features["heat_level"] = _per_house(params, level, heat[0].house) / count
    return features


def _loading(situation: Situation) -> dict[str, Tensor]:
    """Features [B]: share of the headroom's element that defaults, and that all flexibility at once, would use."""
    params, now = situation.params, situation.expected
    base = (now.base_kwh - now.pv_kwh).sum(dim=1)
    scale = _energy_scale(params)
    return {
        "default_loading": (base + situation.default.sum(dim=1)) / scale,
        "most_loading": (base + situation.upper.sum(dim=1)) / scale,
    }


def _per_house(params: Params, value: Tensor, house: Tensor) -> Tensor:
    """Return the sum over devices [B, n] by house [B, P]."""
    return value.new_zeros(len(value), len(params.node)).index_add(1, house, value)


def _energy_scale(params: Params) -> float:
    """Return the energy per slot [kWh] that the whole grid carries at its rating, the unit of fleet energies."""
    rating = params.grid.rating_kva[params.limited[-1]] if len(params.limited) else params.grid.rating_kva.amin()
    return float(rating) * params.slot_hours
