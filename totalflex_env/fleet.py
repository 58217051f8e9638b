"""All devices together, in one axis N: family after family, kind after kind, as the configuration lists them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from totalflex_env import batch
from totalflex_env.config import DevicesConfig
from totalflex_env.devices.family import Day, DeviceSettings, Discomfort, Family, Range, Rest, Weather
from totalflex_env.types import DeviceState, Episode, Params, Scenario

AnyFamily = Family[Any, Any, Any]
Kind = TypeVar("Kind", bound=AnyFamily)


@dataclass(frozen=True)
class Place(Generic[Kind]):
    """Where a family is found among the others."""

    family: Kind
    index: int  # in `Params.families` and everything that has one part for each
    at: slice  # of the axis N


@dataclass(frozen=True)
class Toll:
    """What a slot did to the people in the houses."""

    cost: Tensor  # [B, N] EUR
    degree_hours: Tensor  # [B]
    unmet_kwh: Tensor  # [B]


def kinds(devices: DevicesConfig) -> list[list[tuple[str, DeviceSettings]]]:
    """Return the kinds of devices that there are, by family: names and settings in the order of the configuration."""
    groups: dict[type[AnyFamily], list[tuple[str, DeviceSettings]]] = {}
    named = [(name, settings) for name, settings in devices if isinstance(settings, DeviceSettings)]
    names = {type(settings): name for name, settings in named}
    for name, settings in [*named, *((names[type(settings)], settings) for settings in devices.further)]:
        if settings.count:
            groups.setdefault(settings.family, []).append((name, settings))
    return list(groups.values())


def build(devices: DevicesConfig, houses: int, slot_hours: float) -> tuple[tuple[AnyFamily, ...], tuple[str, ...]]:
    """Return the families of a configuration and the name [N] of every device's kind."""
    groups = kinds(devices)
    families = [group[0][1].family.joined([each.build(houses, slot_hours) for _, each in group]) for group in groups]
    names = [name.replace("_", "-") for group in groups for name, each in group for _ in range(each.count)]
    return tuple(families), tuple(names)


def find(params: Params, kind: type[Kind]) -> Place[Kind] | None:
    """Return where a family is found, None if there are no such devices."""
    first = 0
    for index, family in enumerate(params.families):
        end = first + len(family.house)
        if isinstance(family, kind):
            return Place(family, index, slice(first, end))
        first = end
    return None


def split(params: Params, energy: Tensor) -> tuple[Tensor, ...]:
    """Cut [..., N] into the parts [..., n] of the families."""
    parts: tuple[Tensor, ...] = energy.split([len(family.house) for family in params.families], dim=-1)
    return parts


def range_kwh(params: Params) -> tuple[Tensor, Tensor]:
    """Return the least and the most energy [N] kWh that devices could ever take in a slot."""
    ranges = [family.range_kwh() for family in params.families]
    nothing = params.house.new_zeros(0, dtype=torch.float64)
    return torch.cat([nothing, *(low for low, _ in ranges)]), torch.cat([nothing, *(high for _, high in ranges)])


def side_by_side(devices: DevicesConfig, habits: Sequence[Any]) -> tuple[Any, ...]:
    """Return the habits of kinds, in the order of `kinds`, as one record for each family."""
    rest, joined = list(habits), []
    for group in kinds(devices):
        mine, rest = rest[: len(group)], rest[len(group) :]
        joined.append(group[0][1].family.side_by_side(mine) if len(mine) > 1 else mine[0])
    return tuple(joined)


def expected(devices: DevicesConfig, day: Day) -> tuple[Any, ...]:
    """Return the habits [B, ...] of every family that are expected the day before."""
    return side_by_side(devices, [each.expected(day) for group in kinds(devices) for _, each in group])


def present(params: Params, actual: Scenario, expectation: Scenario, slot: int) -> tuple[Any, ...]:
    """Return what is known of the habits of every family at the start of `slot` without forecasting."""
    parts, slots = zip(params.families, actual.habits, expectation.habits), actual.spot.shape[1]
    return tuple(family.present(true, guess, slot, slots) for family, true, guess in parts)


def known(params: Params, actual: Scenario, expectation: Scenario, weather: Weather, slot: int) -> tuple[Any, ...]:
    """Return the habits of every family as they can be known at the start of `slot` with this weather forecast."""
    parts = zip(params.families, actual.habits, expectation.habits)
    habits = tuple(family.known(true, guess, weather, slot) for family, true, guess in parts)
    return habits if actual.population is None else without(params.families, habits, actual.population.devices)


def without(families: tuple[AnyFamily, ...], habits: tuple[Any, ...], there: Tensor) -> tuple[Any, ...]:
    """Return habits [B, ...] in which the devices that are not `there` [B, N] bool have nothing to do."""
    parts = zip(families, habits, there.split([len(family.house) for family in families], dim=1), strict=True)
    return tuple(family.without(part, here) for family, part, here in parts)


def only(scenario: Scenario, value: Tensor) -> Tensor:
    """Return a value [..., B, N] of devices with zeros where there is none."""
    return value if scenario.population is None else torch.where(scenario.population.devices, value, 0.0)


def news(params: Params, present: tuple[Any, ...], slot: int, rows: int) -> Tensor:
    """Return in which rows [B] bool `slot` tells something that plans should take in."""
    found = [family.news(part, slot) for family, part in zip(params.families, present)]
    told = [each for each in found if each is not None]
    return torch.stack(told).any(dim=0) if told else params.house.new_zeros(rows, dtype=torch.bool)


def guards(params: Params, expectation: Scenario) -> tuple[Any, ...]:
    """Return what the expectation of an episode tells every family about limits."""
    return tuple(family.guard(habits) for family, habits in zip(params.families, expectation.habits))


def start(params: Params, scenario: Scenario) -> DeviceState:
    """Return the state [B, ...] at the beginning of an episode."""
    return DeviceState(tuple(family.start(habits) for family, habits in zip(params.families, scenario.habits)))


def limits(params: Params, state: DeviceState, episode: Episode, slot: int) -> Range:
    """Return the energy range [..., B, N] of a slot that keeps later slots feasible, and the default within it."""
    parts = zip(params.families, state.parts, episode.actual.habits, episode.guards, strict=True)
    ranges = [family.limits(part, habits, guard, slot) for family, part, habits, guard in parts]
    nothing = episode.actual.spot[:, :0]
    return Range(
        lower=only(episode.actual, _beside([each.lower for each in ranges], nothing)),
        upper=only(episode.actual, _beside([each.upper for each in ranges], nothing)),
        default=only(episode.actual, _beside([each.default for each in ranges], nothing)),
    )


def pair(devices: DeviceState, twin: DeviceState) -> DeviceState:
    """Return the states of devices and of their twins as one, every tensor [2, B, ...], to be stepped together."""
    return batch.combine([devices, twin], lambda tensors: torch.stack(list(tensors)))


def parted(both: DeviceState) -> tuple[DeviceState, DeviceState]:
    """Return the states of devices and of their twins out of one in which every tensor is [2, B, ...]."""
    devices, twin = (batch.map_tensors(both, operator.itemgetter(index)) for index in (0, 1))
    return devices, twin


def _beside(parts: list[Tensor], nothing: Tensor) -> Tensor:
    """The devices [..., n] of the families as [..., N]; what is the same for devices and twins is told for both."""
    leading = torch.broadcast_shapes(*(part.shape[:-1] for part in parts), nothing.shape[:-1])
    return torch.cat([nothing.expand(*leading, 0), *(part.expand(*leading, -1) for part in parts)], dim=-1)


def snap(params: Params, energy: Tensor, allowed: Range) -> Tensor:
    """Return the energy [B, N] nearest to the one asked for that the devices can take within their limits."""
    parts = zip(*(split(params, each) for each in (energy, allowed.lower, allowed.upper, allowed.default)))
    taken = [
        family.snap(wanted, Range(lower, upper, default))
        for family, (wanted, lower, upper, default) in zip(params.families, parts)
    ]
    return torch.cat([energy[..., :0], *taken], dim=-1)


def advance(params: Params, state: DeviceState, energy: Tensor, scenario: Scenario, slot: int) -> DeviceState:
    """Return the state after a slot in which the devices used `energy` [..., B, N] kWh."""
    parts = zip(params.families, state.parts, split(params, energy), scenario.habits, strict=True)
    return DeviceState(tuple(family.advance(part, taken, habits, slot) for family, part, taken, habits in parts))


def discomfort(params: Params, after: DeviceState, scenario: Scenario, slot: int) -> Toll:
    """Return missing charge, degree-hours and delays of a slot that ended in the state `after`."""
    parts = zip(params.families, after.parts, scenario.habits, strict=True)
    found = [family.discomfort(part, habits, slot, params.slot_hours) for family, part, habits in parts]
    if scenario.population is not None:
        there = split(params, scenario.population.devices)
        found = [_those(each, here) for each, here in zip(found, there)]
    nothing = scenario.spot[:, :0]
    degree_hours = [each.degree_hours for each in found if each.degree_hours is not None]
    unmet = [each.unmet_kwh for each in found if each.unmet_kwh is not None]
    return Toll(
        cost=torch.cat([nothing, *(each.cost for each in found)], dim=1),
        degree_hours=torch.cat([nothing, *degree_hours], dim=1).sum(dim=1),
        unmet_kwh=torch.cat([nothing, *unmet], dim=1).sum(dim=1),
    )


def _those(toll: Discomfort, there: Tensor) -> Discomfort:
    """What the devices that are there [B, n] did."""
    return batch.map_tensors(toll, lambda suffered: torch.where(there, suffered, 0.0))


def reactive(params: Params, energy: Tensor, scenario: Scenario, slot: int) -> Tensor:
    """Return the reactive energy [B, N] kvarh that devices draw which use `energy` [B, N] kWh."""
    parts = zip(params.families, split(params, energy), scenario.habits, strict=True)
    drawn = [(taken, family.reactive(taken, habits, slot)) for family, taken, habits in parts]
    columns = [torch.zeros_like(taken) if kvarh is None else kvarh for taken, kvarh in drawn]
    return torch.cat([energy[:, :0], *columns], dim=1)


def shortfall(params: Params, end: DeviceState, scenario: Scenario) -> Tensor:
    """Return the energy [B, N] kWh that refills all stores to where the episode started."""
    parts = zip(params.families, end.parts, scenario.habits, strict=True)
    missing = [(family, family.shortfall(part, habits)) for family, part, habits in parts]
    nothing, rows = scenario.spot[:, :0], len(scenario.spot)
    columns = [nothing.new_zeros(rows, len(each.house)) if kwh is None else kwh for each, kwh in missing]
    return only(scenario, torch.cat([nothing, *columns], dim=1))


def rests(
    params: Params, scenario: Scenario, state: DeviceState, guards: tuple[Any, ...], slot: int, wasteful: Tensor
) -> list[Rest[Any, Any, Any]]:
    """Return the rest of the episode, the one row of `scenario` and `state`, for every family."""
    parts, hours = zip(scenario.habits, state.parts, guards, strict=True), params.slot_hours
    return [Rest(slot, hours, scenario.spot[0], habits, part, guard, wasteful) for habits, part, guard in parts]


def holding(params: Params, expectation: Scenario) -> Tensor:
    """Return the energy [B, T] kWh that devices need which cannot choose when."""
    needs = [family.holding(habits) for family, habits in zip(params.families, expectation.habits)]
    return sum((need for need in needs if need is not None), torch.zeros_like(expectation.spot))


def values(params: Params, expectation: Scenario) -> tuple[Tensor | None, ...]:
    """Return what the states of every family will be worth at the expected prices."""
    return tuple(family.value(habits, expectation.spot) for family, habits in zip(params.families, expectation.habits))
