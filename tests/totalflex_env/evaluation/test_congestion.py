from __future__ import annotations

import copy
from dataclasses import replace

import pandapower as pp
import pytest
import torch
from torch import Tensor

from totalflex_env import batch
from totalflex_env.config import DevicesConfig, EnvConfig, EvConfig, GridConfig, HeatPumpConfig, ScenarioConfig
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import rollout
from totalflex_env.engine.scripted import untraded
from totalflex_env.evaluation import congestion, ensemble, figures, scorecard
from totalflex_env.evaluation.backtest import Setting, backtest, consecutive
from totalflex_env.evaluation.congestion import Forecaster, Injections
from totalflex_env.evaluation.ensemble import Archive, EnsembleError
from totalflex_env.grid import network
from totalflex_env.types import Action, Scenario, Situation


class Idle:
    """Every device follows its own controller."""

    def reset(self, situation: Situation) -> None:
        """Nothing is remembered."""

    def act(self, situation: Situation) -> Action:
        """Return the action in which nothing is traded."""
        return untraded(situation, situation.default)


def config(vehicles: int = 3) -> EnvConfig:
    devices = DevicesConfig(ev=EvConfig(count=vehicles), heat_pump=HeatPumpConfig(count=2))
    return EnvConfig(name="test", slots=96, devices=devices, scenario=ScenarioConfig(split="train"))


@pytest.fixture(scope="module")
def world() -> World:
    return build(config())


@pytest.fixture(scope="module")
def past(world: World) -> Archive:
    return ensemble.archive(world.source, range(60))


def by_day(expected: Scenario) -> Tensor:
    """Slots [T] from the first to the last that expects sun."""
    lit = torch.nonzero(expected.pv_kwh[0].sum(1))
    slot = torch.arange(expected.pv_kwh.shape[1])
    return (slot >= lit.min()) & (slot <= lit.max())


def test_a_day_of_the_archive_that_was_expected_alike_comes_back_as_it_was(world: World, past: Archive) -> None:
    """Nothing is shifted where the expectations agree, so that the nearest day to a day of the archive is that day."""
    day = torch.tensor([7])
    expected, truth = (batch.take_rows(part, day) for part in (past.expected, past.actual))
    found = ensemble.joint_scenarios(past, expected, 1)
    truth = replace(truth, pv_kwh=truth.pv_kwh * by_day(expected)[None, :, None])
    assert batch.equal(found, truth, tolerance=1e-9)


def test_scenarios_follow_the_expectation_and_stay_possible(world: World, past: Archive) -> None:
    expected = world.source.draw([1000])[1]
    found = ensemble.joint_scenarios(past, expected, 40)
    torch.testing.assert_close(found.spot, expected.spot.expand(40, -1), atol=1e-12, rtol=0.0)
    for name in ("base_kwh", "pv_kwh"):
        series, mean = vars(found)[name], vars(expected)[name].mean()
        assert (series >= 0.0).all()
        assert float(series.mean()) == pytest.approx(float(mean), rel=0.25)
    assert (found.pv_kwh[:, ~by_day(expected)] == 0.0).all()
    error = found.temperature - expected.temperature
    assert abs(float(error.mean())) < 0.6 and 0.5 < float(error.std()) < 2.0
    assert (found.up >= found.spot - 1e-12).all() and (found.down <= found.spot + 1e-12).all()
    assert torch.equal(ensemble.joint_scenarios(past, expected, 40).base_kwh, found.base_kwh)


class Profiles:
    """Days of few profiles, as of a year that is drawn from again and again, each time with other expectations."""

    def __init__(self, like: Scenario, profiles: Tensor) -> None:
        self.like, self.profiles = like, profiles

    def draw(self, seeds: list[int]) -> tuple[Scenario, Scenario]:
        """Return one of the profiles [n, 96] as the load of a single house, and that load with an error."""
        errors = [torch.randn(96, generator=torch.Generator().manual_seed(seed)).double() for seed in seeds]
        load = self.profiles[torch.tensor(seeds) % len(self.profiles)]
        nothing = torch.zeros(len(seeds), 96, 1, dtype=torch.float64)
        days = batch.take_rows(self.like, torch.zeros(len(seeds), dtype=torch.int64))
        actual = replace(days, base_kwh=load[..., None], base_kvarh=nothing, pv_kwh=nothing)
        return actual, replace(actual, base_kwh=(load + torch.stack(errors))[..., None])


def test_a_band_is_as_wide_as_for_days_that_the_regression_has_not_seen(past: Archive) -> None:
    """Sixty profiles in an archive of 480 days, tried on others: nine of ten loads lie in the band of nine tenths.

    A regression of 96 slots on 96 knows its own sixty profiles by heart, and its own residuals cover two of three.
    """
    profiles = 3.0 * torch.randn(90, 96, generator=torch.Generator().manual_seed(5)).double()
    archive = ensemble.archive(Profiles(past.actual, profiles[:60]), range(480))
    truth, expected = Profiles(past.actual, profiles[60:]).draw(list(range(1000, 1030)))
    for name in ("least", "most"):  # no house is held within what it did so far
        vars(archive.regressed["base_kwh"])[name].fill_(-torch.inf if name == "least" else torch.inf)
    drawn = [
        ensemble.joint_scenarios(archive, batch.take_rows(expected, torch.tensor([day])), 199).base_kwh[..., 0]
        for day in range(30)
    ]
    lower, upper = torch.stack(drawn).quantile(torch.tensor([0.05, 0.95]).double(), dim=1)
    assert scorecard.coverage(lower, upper, truth.base_kwh[..., 0]) == pytest.approx(0.9, abs=0.03)


def test_an_archive_of_a_single_profile_is_refused(past: Archive) -> None:
    """Drawn seventy times it is still one day, and no error can be learned from it."""
    profile = torch.ones(1, 96, dtype=torch.float64)
    with pytest.raises(EnsembleError, match="70 days on which the same happened"):
        ensemble.archive(Profiles(past.actual, profile), range(70))


def test_a_slot_by_day_that_expects_no_sun_is_no_night(world: World) -> None:
    """An error may take all that is expected of a dull hour; night is only before the first sun and after the last."""
    expected = world.source.draw([1000])[1]
    sun = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0, 2.0, 0.0])
    dark = ensemble._dark(replace(expected, pv_kwh=sun[None, :, None]))
    assert dark[0].tolist() == [True, True, False, False, False, False, True]


def test_more_scenarios_than_days_are_refused(world: World, past: Archive) -> None:
    expected = world.source.draw([1000])[1]
    for count in (0, 61):
        with pytest.raises(EnsembleError, match="60 days"):
            ensemble.joint_scenarios(past, expected, count)


def test_the_answer_of_the_market_is_the_engine_s_own(world: World) -> None:
    """Played here and by a rollout, the same day puts the same power on the grid."""
    episode = nominate(world.params, draw(world, [1, 2]), Idle())
    trace = rollout(world.params, episode, Idle())
    plan = congestion.planned(world.params, episode.expected, Idle())
    power = congestion.respond(world.params, episode.actual, plan, Idle())
    wind = episode.actual.wind_kwh
    torch.testing.assert_close(power.active_kw.sum(2) * world.params.slot_hours - wind, trace.net_kwh)
    params = world.params
    samples = congestion.samples_on(params.grid, params.node, batch.take_rows(power, torch.tensor([0])))
    torch.testing.assert_close(samples.loading[..., 0], trace.outcomes.flow.loading[0], atol=1e-6, rtol=0.0)


def test_no_outcome_of_the_coming_day_is_looked_at(world: World, past: Archive) -> None:
    """The forecast takes an expectation and nothing else; days of the archive come from their own split alone."""
    forecaster = Forecaster(world, past, Idle(), scenarios=20)
    truth, expected = world.source.draw([1000])
    one = congestion.foresee(forecaster, expected)
    other = congestion.foresee(forecaster, batch.map_tensors(expected, torch.clone))
    assert batch.equal(one, other)
    assert one.loading.shape == (5, 96, len(world.params.grid.elements))
    assert (one.loading.diff(dim=0) >= 0.0).all()
    assert not torch.equal(truth.base_kwh, expected.base_kwh)


def test_an_outage_is_the_same_call_on_another_grid(world: World, past: Archive) -> None:
    """One of two parallel transformers out of service: the other carries nearly twice its loading before."""
    net = world.source.net  # type: ignore[attr-defined]
    double = copy.deepcopy(net)
    double.trafo["parallel"] = 2
    power = congestion.injections(Forecaster(world, past, Idle(), scenarios=20), world.source.draw([1000])[1])
    both, one = (network.from_pandapower(each) for each in (double, net))
    found = [congestion.forecast_on(grid, congestion.houses_on(world, grid), power) for grid in (both, one)]
    loadings = [each.loading[2, :, grid.elements.index(("trafo", 0))] for each, grid in zip(found, (both, one))]
    assert torch.allclose(loadings[1], 2.0 * loadings[0], rtol=0.05, atol=0.01)
    tripped = copy.deepcopy(net)
    tripped.line.loc[tripped.line.index[0], "in_service"] = False
    with pytest.raises(network.GridError, match="unsupplied"):
        network.from_pandapower(tripped)


def test_an_outage_with_a_tie_switch_is_supplied_from_the_other_side() -> None:
    """Two cables to a house each, an open tie between the houses: without the second cable the first carries both."""
    net = network.two_house_feeder()
    near, far = net.bus.index[2:]
    tie = pp.create_line(net, near, far, 0.05, "NAYY 4x50 SE", name="tie")
    switch = pp.create_switch(net, near, tie, et="l", closed=False)
    tripped = copy.deepcopy(net)
    tripped.line.loc[1, "in_service"] = False
    with pytest.raises(network.GridError, match="house 1"):
        network.from_pandapower(tripped)
    tripped.switch.loc[switch, "closed"] = True

    before, after = network.from_pandapower(net), network.from_pandapower(tripped)
    generator = torch.Generator().manual_seed(1)
    power = Injections(*(scale * torch.rand(30, 4, 2, generator=generator).double() for scale in (10.0, 2.0)))
    found = []
    for grid in (before, after):
        node = torch.tensor([grid.node_of_bus[bus] for bus in (near, far)])
        found.append(congestion.forecast_on(grid, node, power).loading[2])
    assert (found[0][:, before.elements.index(("line", tie))] < 1e-3).all()  # open at one end: charged, no more
    first = [loading[:, grid.elements.index(("line", 0))] for loading, grid in zip(found, (before, after))]
    both = sum(found[0][:, before.elements.index(("line", cable))] for cable in (0, 1))
    assert (first[1] > first[0]).all()
    torch.testing.assert_close(first[1], both, rtol=0.15, atol=0.01)


def test_hosting_capacity_is_found_by_bisection() -> None:
    asked = []

    def risk(count: int) -> float:
        asked.append(count)
        return 0.01 * count

    assert congestion.hosting_capacity(risk, 100, accepted=0.37) == 37
    assert len(asked) <= 7
    assert congestion.hosting_capacity(risk, 20, accepted=0.37) == 20
    assert congestion.hosting_capacity(lambda count: 1.0, 20, accepted=0.5) == -1


def test_consecutive_days_follow_each_other() -> None:
    """The two halves of one long episode: the hour before a day is the last hour of the day before."""
    days = consecutive(config(), 3)
    long = build(config().model_copy(update={"slots": 192})).source.draw([0, 1, 2])[0]
    assert torch.equal(torch.cat([days.before.base_kwh, days.actual.base_kwh], dim=1), long.base_kwh)
    assert not torch.equal(days.before.habits[0].need_kwh, days.actual.habits[0].need_kwh)
    shapes = [
        [tuple(value.shape) for part in day.habits for value in vars(part).values()]
        for day in (days.actual, days.expected)
    ]
    assert shapes[0] == shapes[1]


def test_a_small_backtest_knows_more_than_its_rivals() -> None:
    """Where photovoltaics overload a transformer: the forecast beats persistence, and its figures are consistent."""
    months = ScenarioConfig(months=(5, 6, 7, 8), start_hour=0)
    summer = EnvConfig(name="sun", grid=GridConfig(code="1-LV-rural1--2-sw"), scenario=months)
    setting = Setting(summer, Idle(), archive_days=300, validation_days=12, test_days=16, scenarios=60)
    card = backtest(setting, ("trafo", 0))
    assert card.outcome.shape == card.forecast.alarm.score.shape == (16, 96)
    assert 0.75 < card.coverage < 0.99
    assert (card.reliability.diff() > 0.0).all()
    losses = [
        torch.nn.functional.l1_loss(each.quantiles[2], card.outcome)
        for each in (card.forecast, card.deterministic, card.persistence)
    ]
    assert losses[0] < losses[1] < losses[2]
    assert card.forecast.at_precision.precision >= 0.8
    for rival in (card.deterministic, card.persistence):
        assert card.forecast.at_precision.effective_recall > rival.at_precision.effective_recall


def test_the_fan_is_drawn(world: World, past: Archive) -> None:
    found = congestion.foresee(Forecaster(world, past, Idle(), scenarios=20), world.source.draw([1000])[1])
    with figures.style():
        drawn = figures.fan(found, 0, figures.Clock(12, 0.25), outcome=found.loading[2, :, 0].numpy())
        assert drawn.startswith("<svg") and drawn == figures.fan(
            replace(found), 0, figures.Clock(12, 0.25), outcome=found.loading[2, :, 0].numpy()
        )
