"""A row in which houses and devices are missing is a world that was built with only those that are there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from totalflex_env import batch
from totalflex_env.config import DevicesConfig, EnvConfig
from totalflex_env.config_files import load
from totalflex_env.devices.family import Family
from totalflex_env.devices.storage import Storage
from totalflex_env.devices.zone import Zone
from totalflex_env.engine.build import World, build, draw, episode_of
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.observe import observe
from totalflex_env.engine.roles import Controls, ScriptedPolicy, action, neutral
from totalflex_env.engine.step import situation, start, step
from totalflex_env.market.settlement import residual
from totalflex_env.types import Episode, Outcome, Params, Population, Scenario

EVERY_KIND = [f"--devices.{name}.count=3" for name, settings in DevicesConfig() if hasattr(settings, "family")]
SOME = ["--population.houses=[0.3, 0.9]", "--population.devices=[0.3, 0.9]"]
SEEDS = [3, 4]


def street(*overrides: str) -> World:
    return build(load(EnvConfig, "street", "env", [*EVERY_KIND, "--aggregators=2", *overrides]))


@pytest.fixture(scope="module")
def whole() -> World:
    return street()


@pytest.fixture(scope="module")
def some() -> World:
    return street(*SOME)


def of_devices(family: Family[Any, Any, Any], which: Tensor, house: Tensor) -> Family[Any, Any, Any]:
    """The family with the devices `which`, whose houses have new numbers."""

    def cut(name: str, values: Tensor) -> Tensor:
        if isinstance(family, Storage) and name == "connection_kwh":
            return values
        return values[..., which] if isinstance(family, Zone) else values[which]

    parts = {name: cut(name, values) for name, values in vars(family).items()}
    return replace(family, **(parts | {"house": house[parts["house"]]}))


def only_those(params: Params, day: Scenario, who: Population) -> tuple[Params, Scenario]:
    """The world and the day (one row) of the houses and devices that are there, as if there were no others."""
    houses, devices = who.houses[0].nonzero()[:, 0], who.devices[0].split([len(f.house) for f in params.families])
    number = who.houses[0].long().cumsum(0) - 1
    kept = [
        (family, habits, there.nonzero()[:, 0]) for family, habits, there in zip(params.families, day.habits, devices)
    ]
    kept = [each for each in kept if len(each[2])]
    families = tuple(of_devices(family, which, number) for family, _, which in kept)
    habits = tuple(batch.map_tensors(part, lambda t, which=which: t[..., which]) for _, part, which in kept)
    built = replace(
        params,
        families=families,
        kinds=tuple(name for name, there in zip(params.kinds, who.devices[0]) if there),
        house=torch.cat([family.house for family in families]),
        node=params.node[houses],
        members=params.members[:, houses],
        aggregator=params.aggregator[houses],
    )
    of_houses = {name: vars(day)[name][..., houses] for name in ("base_kwh", "base_kvarh", "pv_kwh")}
    return built, replace(day, **of_houses, habits=habits, population=None)


def controls_for(params: Params, slots: int) -> list[Controls]:
    """What all agents of one row do, slot by slot."""
    generator = torch.Generator().manual_seed(1)
    idle = neutral(params, 1)
    return [
        batch.map_tensors(idle, lambda zeros: 2.0 * torch.rand(zeros.shape, generator=generator).to(zeros) - 1.0)
        for _ in range(slots)
    ]


def played(params: Params, episode: Episode, controls: list[Controls]) -> tuple[list[Outcome], list[Any]]:
    """The outcomes of an episode, and what the agents saw before each slot."""
    episode = nominate(params, episode, ScriptedPolicy())
    state, outcomes, seen = start(params, episode), [], []
    for each in controls:
        now = situation(params, episode, state)
        seen.append(observe(now))
        state, _, outcome = step(episode, now, action(now, each))
        outcomes.append(outcome)
    return outcomes, seen


@pytest.mark.parametrize("row", range(len(SEEDS)))
def test_a_row_equals_a_world_of_only_its_houses_and_devices(whole: World, some: World, row: int) -> None:
    """Bids, market, grid, money and observations, with all roles acting at random, within 1e-9."""
    masked, seed = batch.take_rows(draw(some, SEEDS), torch.tensor([row])), [SEEDS[row]]
    who = masked.actual.population
    assert who is not None and not who.devices.all() and not who.houses.all() and who.devices.any()
    full = draw(whole, seed)
    params, actual = only_those(whole.params, full.actual, who)
    _, expected = only_those(whole.params, full.expected, who)
    controls = controls_for(some.params, 96)
    outcomes, seen = played(some.params, masked, controls)
    houses, devices = who.houses[0], who.devices[0]
    of_those = [replace(each, prosumer=each.prosumer[:, houses]) for each in controls]
    others, seen_there = played(params, episode_of(params, actual, expected), of_those)
    for one, other, view, view_there in zip(outcomes, others, seen, seen_there):
        assert batch.equal(one.costs, other.costs, 1e-9)
        assert batch.equal(one.flow, other.flow, 1e-9)
        torch.testing.assert_close(one.energy_kwh[:, devices], other.energy_kwh, rtol=0.0, atol=1e-9)
        torch.testing.assert_close(one.rewards.prosumer[:, houses], other.rewards.prosumer, rtol=0.0, atol=1e-9)
        for role in ("aggregator", "brp", "dso"):
            torch.testing.assert_close(vars(one.rewards)[role], vars(other.rewards)[role], rtol=0.0, atol=1e-9)
            torch.testing.assert_close(vars(view)[role], vars(view_there)[role], rtol=0.0, atol=1e-9)
        torch.testing.assert_close(view.prosumer[:, houses], view_there.prosumer, rtol=0.0, atol=1e-9)
        assert not one.energy_kwh[:, ~devices].any() and not one.rewards.prosumer[:, ~houses].any()
        assert not residual(one.ledger).any()


def test_the_days_stay_what_they_are_whoever_is_there(whole: World, some: World) -> None:
    """Prices, weather and wind, and the load of the houses that are there."""
    one, other = draw(whole, SEEDS).actual, draw(some, SEEDS).actual
    assert torch.equal(one.spot, other.spot) and torch.equal(one.wind_kwh, other.wind_kwh)
    assert one.population is None and other.population is not None
    here = other.population.houses[:, None].expand_as(one.base_kwh)
    assert torch.equal(one.base_kwh[here], other.base_kwh[here])
    assert not other.base_kwh[~here].any() and not other.pv_kwh[~here].any()


def test_who_is_there_follows_from_the_seed_and_the_shares(some: World) -> None:
    drawn = draw(some, [4, 3]).actual.population
    again = draw(some, SEEDS).actual.population
    assert drawn is not None and again is not None
    assert torch.equal(drawn.devices, again.devices[[1, 0]]) and torch.equal(drawn.houses, again.houses[[1, 0]])
    assert not (again.devices & ~again.houses[:, some.params.house]).any()
    many = draw(some, range(40)).actual.population
    assert many is not None
    count = many.houses.sum(dim=1)
    assert int(count.min()) >= round(0.3 * 13) and int(count.max()) <= round(0.9 * 13) and len(count.unique()) > 4


@pytest.mark.parametrize("missing", ["houses", "devices"])
def test_nobody_home_and_no_devices_are_days_like_any_other(missing: str) -> None:
    """Only the wind park trades, or only loads that cannot move; money still sums to minus the system cost."""
    world = street(f"--population.{missing}=[0, 0]")
    episode = nominate(world.params, draw(world, SEEDS), ScriptedPolicy())
    state, day = start(world.params, episode), episode.actual
    for slot in range(12):
        now = situation(world.params, episode, state)
        assert all(bool(part.isfinite().all()) for part in vars(observe(now)).values())
        state, _, outcome = step(episode, now, action(now, neutral(world.params, len(SEEDS))))
        loads = (day.base_kwh - day.pv_kwh)[:, slot].sum(dim=1)
        assert torch.equal(outcome.net_kwh, loads - day.wind_kwh[:, slot])
        assert bool(loads.any()) == (missing == "devices")
        assert not outcome.energy_kwh.any() and not residual(outcome.ledger).any()
        money = torch.cat([earned.reshape(len(SEEDS), -1) for earned in vars(outcome.rewards).values()], dim=1)
        torch.testing.assert_close(money.sum(dim=1), -outcome.costs.total(), rtol=0.0, atol=1e-4)
