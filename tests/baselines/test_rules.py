"""The baselines that only look at a clock or at prices."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from baselines import catalog
from baselines.default_schedule import DefaultSchedule
from baselines.greedy import PriceGreedy
from baselines.timer import Timer, budget_kwh, is_night
from totalflex_env import batch
from totalflex_env.engine.rollout import rollout
from totalflex_env.errors import ConfigError, MissingExtraError
from totalflex_env.types import Episode, Params


def test_default_vehicles_charge_at_once(params: Params, episode: Episode) -> None:
    energy = rollout(params, episode, DefaultSchedule()).outcomes.energy_kwh[0]
    assert energy[20:25, 0].tolist() == pytest.approx([2.75, 2.75, 2.75, 2.75, 1.0])
    assert float(energy[:20, :3].abs().sum() + energy[25:, :3].abs().sum()) == pytest.approx(0.0, abs=1e-9)


def test_greedy_vehicles_take_the_cheapest_slots_of_their_stay(params: Params, episode: Episode) -> None:
    energy = rollout(params, episode, PriceGreedy()).outcomes.energy_kwh[0]
    cheapest = episode.actual.spot[0, 20:74].argsort()[:5] + 20
    assert set(torch.nonzero(energy[:, 0] > 1e-6).flatten().tolist()) == set(cheapest.tolist())
    assert float(energy[:, 0].sum()) == pytest.approx(12.0)


def test_greedy_batteries_buy_low_and_sell_high(params: Params, episode: Episode) -> None:
    energy = rollout(params, episode, PriceGreedy()).outcomes.energy_kwh[0, :, 3]
    spot = episode.actual.spot[0]
    bought, sold = spot[energy > 1e-6], spot[energy < -1e-6]
    assert len(bought) and len(sold)
    assert float(bought.max()) < float(sold.min()) * 0.95**2


def test_greedy_batteries_rest_when_prices_are_flat(params: Params, episode: Episode) -> None:
    flat = torch.full_like(episode.actual.spot, 0.1)
    still = replace(
        episode,
        actual=replace(episode.actual, spot=flat),
        outlook=replace(episode.outlook, spot=flat),
    )
    assert float(rollout(params, still, PriceGreedy()).outcomes.energy_kwh[0, :, 3].abs().sum()) == 0.0


def test_greedy_appliances_start_where_their_programme_costs_least(params: Params, episode: Episode) -> None:
    start = torch.nonzero(rollout(params, episode, PriceGreedy()).outcomes.energy_kwh[0, :, -1] > 1e-6)[0]
    spot, profile = episode.actual.spot[0], params.families[2].profile_kwh[0, 0]
    cost = [float((spot[s : s + 5] * profile).sum()) + 0.002 * (s - 28) for s in range(28, 71)]
    assert int(start) == 28 + cost.index(min(cost))


def test_the_timer_shares_the_transformer_at_night(params: Params, episode: Episode) -> None:
    outcomes = rollout(params, episode, Timer()).outcomes
    vehicles = outcomes.energy_kwh[0, :, :3].sum(dim=1)
    night = torch.tensor([is_night(params, slot) for slot in range(96)])
    assert float(vehicles[~night].abs().sum()) == pytest.approx(0.0, abs=1e-9)
    assert float(vehicles.max()) <= float(budget_kwh(params)) + 1e-9
    assert float(outcomes.unmet_kwh.sum()) == pytest.approx(0.0, abs=1e-9)


def test_the_timer_is_ready_in_time_even_if_the_night_is_too_short(params: Params, episode: Episode) -> None:
    sessions, *others = episode.actual.habits
    early = replace(sessions, departure=torch.where(params.families[0].session, 30, 96)[None, None])
    soon = replace(episode.actual, habits=(early, *others))
    truth = replace(episode, actual=soon, expected=soon)
    assert float(rollout(params, truth, Timer()).outcomes.unmet_kwh.sum()) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", list(catalog.POLICIES))
def test_a_row_does_not_depend_on_the_others(params: Params, episode: Episode, name: str) -> None:
    sessions, *others = episode.actual.habits
    habits = (replace(sessions, need_kwh=0.5 * sessions.need_kwh), *others)
    other = replace(episode, actual=replace(episode.actual, habits=habits))
    both = batch.concatenate_rows([other, episode])
    together = rollout(params, both, catalog.make(name)).outcomes.energy_kwh[1]
    assert torch.allclose(together, rollout(params, episode, catalog.make(name)).outcomes.energy_kwh[0], atol=1e-9)


def test_an_unknown_name_is_one_line_that_names_the_known_ones() -> None:
    with pytest.raises(ConfigError) as error:
        catalog.make("price_greed", "evaluate.yaml")
    assert str(error.value).count("\n") == 0
    for name in ("evaluate.yaml", "price_greed", "default_schedule", "rolling_milp"):
        assert name in str(error.value)


def test_a_missing_solver_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_missing", "highspy")
    with pytest.raises(MissingExtraError, match=r"highspy.*milp"):
        catalog.make("rolling_milp")
    assert isinstance(catalog.make("timer"), Timer)
