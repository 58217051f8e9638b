"""Episodes of the street: a row is its seed's own, profiles are the grid's, expectations are no better than real."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from totalflex_env import batch, config_files, fleet
from totalflex_env.config import EnvConfig
from totalflex_env.scenario import habits, simbench, street, uncertainty
from totalflex_env.types import Scenario

DAYS = 1200


@pytest.fixture(scope="module")
def source() -> street.StreetDays:
    return street.make(config_files.load(EnvConfig, "street", "env"))


@pytest.fixture(scope="module")
def drawn(source: street.StreetDays) -> tuple[Scenario, Scenario]:
    return source.draw(list(range(DAYS)))


def test_a_row_is_its_seed_alone(source: street.StreetDays) -> None:
    together = source.draw([7, 123456789, 0])
    for row, seed in enumerate([7, 123456789, 0]):
        alone = source.draw([seed])
        for ours, batched in zip(alone, together):
            assert batch.equal(ours, batch.take_rows(batched, torch.tensor([row])))
    assert not batch.equal(source.draw([1])[0], source.draw([2])[0])


def test_shapes_and_signs(source: street.StreetDays, drawn: tuple[Scenario, Scenario]) -> None:
    config = source.config
    for scenario in drawn:
        assert scenario.base_kwh.shape == (DAYS, 96, 13) and scenario.base_kwh.dtype == torch.float64
        sessions, climate, windows = scenario.habits
        assert sessions.arrival.shape == (DAYS, 1, 16) and sessions.arrival.dtype == torch.int64
        assert climate.cop.shape == climate.ambient.shape == (DAYS, 96, 17)
        assert climate.start.shape == (DAYS, 17)
        assert windows.ready.shape == (DAYS, 1, config.devices.dishwasher.count)
        assert all(torch.isfinite(tensor).all() for tensor in vars(scenario).values() if isinstance(tensor, Tensor))
        assert (scenario.up >= scenario.spot).all() and (scenario.spot >= scenario.down).all()
        for energy in (scenario.base_kwh, scenario.pv_kwh, scenario.wind_kwh):
            assert (energy >= 0.0).all()


def test_the_profiles_are_those_of_the_grid(source: street.StreetDays, drawn: tuple[Scenario, Scenario]) -> None:
    """The whole year is compared once, then a drawn day is found in it."""
    loaded = simbench.load("1-LV-rural1--0-sw")
    assert source.house_bus == tuple(loaded.load_bus)
    np.testing.assert_allclose(source.year.base_kwh, loaded.load_kw / 4.0, rtol=1e-6)
    assert source.year.pv_kwh.sum() == pytest.approx(loaded.sgen_kw.sum(dtype=np.float64) / 4.0)
    for generator, bus in enumerate(loaded.sgen_bus):
        house = source.house_bus.index(bus)
        np.testing.assert_allclose(source.year.pv_kwh[:, house], loaded.sgen_kw[:, generator] / 4.0, rtol=1e-6)
    day = drawn[0].base_kwh[5].numpy()
    assert any((source.year.base_kwh[first : first + 96] == day).all() for first in source.year.first_slots)


def test_the_wind_park_yields_its_share_of_the_consumption(
    source: street.StreetDays, drawn: tuple[Scenario, Scenario]
) -> None:
    config = source.config
    outdoors = float(drawn[0].temperature.mean())
    devices_kw = habits.mean_kw(config, outdoors)
    consumption = float(drawn[0].base_kwh.sum(dim=2).mean()) + devices_kw / 4.0
    assert float(drawn[0].wind_kwh.mean()) == pytest.approx(config.wind.share * consumption, rel=0.06)
    assert devices_kw == pytest.approx(23.0, abs=2.0)  # 12 heat pumps 15.9, 13 vehicles 6.5, the small ones 0.6


def spread(error: Tensor) -> float:
    return float(error.std())


def test_the_expectation_is_unbiased(source: street.StreetDays, drawn: tuple[Scenario, Scenario]) -> None:
    actual, expected = drawn
    year = source.year
    assert float((actual.base_kwh - expected.base_kwh).mean() / actual.base_kwh.mean()) == pytest.approx(0, abs=0.01)
    assert float((actual.pv_kwh - expected.pv_kwh).mean()) / year.pv_rating_kwh.mean() == pytest.approx(0, abs=0.004)
    assert float((actual.wind_kwh - expected.wind_kwh).mean()) / year.wind_rating_kwh == pytest.approx(0, abs=0.006)
    assert float((actual.temperature - expected.temperature).mean()) == pytest.approx(0, abs=0.1)
    assert 1e3 * float((actual.up - expected.up).mean()) == pytest.approx(0, abs=1.5)
    assert 1e3 * float((actual.down - expected.down).mean()) == pytest.approx(0, abs=1.5)
    (came, _, loaded), (awaited, _, due) = actual.habits, expected.habits
    assert float((came.arrival - awaited.arrival).double().mean()) == pytest.approx(0, abs=0.15)
    assert float((came.departure - awaited.departure).double().mean()) == pytest.approx(0, abs=0.15)
    assert float((came.need_kwh - awaited.need_kwh).mean()) == pytest.approx(0, abs=0.25)
    assert float((loaded.ready - due.ready).double().mean()) == pytest.approx(0, abs=0.3)
    assert torch.equal(actual.spot, expected.spot) and torch.equal(loaded.latest, due.latest)


def test_day_ahead_errors_are_not_below_real_ones(source: street.StreetDays, drawn: tuple[Scenario, Scenario]) -> None:
    actual, expected = drawn
    sun = (actual.pv_kwh - expected.pv_kwh).sum(2) / source.year.pv_rating_kwh.sum()
    by_day = actual.pv_kwh.sum(2) > 0.01 * source.year.pv_rating_kwh.sum()
    assert spread(sun[by_day]) >= 0.98 * uncertainty.SOLAR_DAY_AHEAD
    load = (actual.base_kwh - expected.base_kwh).sum(2) / actual.base_kwh.sum(2).mean()
    assert spread(load) >= uncertainty.LOAD_DAY_AHEAD
    wind = (actual.wind_kwh - expected.wind_kwh) / source.year.wind_rating_kwh
    assert spread(wind) >= uncertainty.WIND_DAY_AHEAD  # output that is cut at its ends errs less than is configured
    assert spread(actual.temperature - expected.temperature) >= 0.97 * uncertainty.TEMPERATURE_DAY_AHEAD


@pytest.mark.parametrize("name", ["street", "house"])
def test_configured_solar_errors_are_not_below_real_ones_at_any_lead_time(name: str) -> None:
    error = config_files.load(EnvConfig, name, "env").forecast.pv
    for hours, real in ((1.0, uncertainty.SOLAR_ONE_HOUR), (5.0, uncertainty.SOLAR_FIVE_HOURS)):
        assert error.deviation * (1.0 - np.exp(-2.0 * hours / error.memory_h)) ** 0.5 >= real
    assert error.deviation >= uncertainty.SOLAR_DAY_AHEAD


def test_solar_expectations_are_dark_at_night(drawn: tuple[Scenario, Scenario]) -> None:
    actual, expected = drawn
    night = actual.pv_kwh == 0.0
    assert night.double().mean() > 0.5
    assert (expected.pv_kwh[night] == 0.0).all()


def test_solar_errors_are_common_and_load_errors_partly(drawn: tuple[Scenario, Scenario]) -> None:
    actual, expected = drawn
    load = (actual.base_kwh - expected.base_kwh).flatten(0, 1).T
    between = torch.corrcoef(load)[~torch.eye(13, dtype=torch.bool)].mean()
    assert float(between) == pytest.approx(uncertainty.SHARED_LOAD_ERROR, abs=0.06)


def test_efficiency_follows_the_temperature_of_its_own_scenario(
    source: street.StreetDays, drawn: tuple[Scenario, Scenario]
) -> None:
    for scenario in drawn:
        climate = scenario.habits[1]
        families, _ = fleet.build(source.config.devices, 13, 0.25)
        surroundings = families[1].climate(scenario.temperature)
        assert torch.equal(climate.ambient, surroundings.ambient) and torch.equal(climate.cop, surroundings.cop)


@pytest.mark.parametrize("slots", [50, 96, 672])
def test_episodes_of_other_lengths(slots: int) -> None:
    overrides = [f"--slots={slots}", *(f"--devices.{kind}.count=0" for kind in ("ev", "dishwasher", "heat_pump"))]
    actual, expected = street.make(config_files.load(EnvConfig, "street", "env", overrides)).draw([1, 2])
    assert actual.spot.shape == expected.up.shape == (2, slots)
    sessions, climate = actual.habits
    assert climate.cop.shape == (2, slots, 5) and sessions.arrival.shape == (2, 1, 3)
