"""Made-up days need no file and no SimBench: on two houses, and on any grid from a JSON file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandapower as pp
import pytest
import torch

from totalflex_env import batch
from totalflex_env.config import DevicesConfig, EnvConfig
from totalflex_env.engine.build import build, draw
from totalflex_env.errors import ConfigError, DataError
from totalflex_env.grid.network import two_house_feeder
from totalflex_env.scenario import synthetic
from totalflex_env.scenario.sources import make_source


def made(**fields: object) -> EnvConfig:
    base = {"name": "made", "grid": {"source": "two_house"}, "scenario": {"source": "synthetic"}}
    return EnvConfig.model_validate({**base, **fields})


YEAR_ROUND = {"source": "synthetic", "months": list(range(1, 13))}
DEVICES = {kind: {"count": 2} for kind in ("ev", "battery", "heat_pump", "freezer", "dishwasher")}


EVERY_KIND = {kind: {"count": 2} for kind in DevicesConfig.model_fields if kind != "further"}


@pytest.mark.parametrize("slots", [96, 672])
def test_a_row_is_its_seed_alone(slots: int) -> None:
    source = make_source(made(devices=EVERY_KIND, slots=slots))
    seeds = [7, 123456789, 0]
    together = source.draw(seeds)
    for row, seed in enumerate(seeds):
        for ours, batched in zip(source.draw([seed]), together):
            assert batch.equal(ours, batch.take_rows(batched, torch.tensor([row])))
    assert not batch.equal(source.draw([1])[0], source.draw([2])[0])


def test_shapes_and_signs() -> None:
    actual, expected = make_source(made(synthetic={"pv_share": 1.0})).draw(list(range(50)))
    for day in (actual, expected):
        assert day.base_kwh.shape == (50, 96, 2) and day.base_kwh.dtype == torch.float64
        for energy in (day.base_kwh, day.pv_kwh, day.wind_kwh, day.irradiance):
            assert (energy >= 0.0).all() and torch.isfinite(energy).all()
        assert (day.up >= day.spot).all() and (day.spot >= day.down).all()
    assert torch.equal(actual.spot, expected.spot)
    assert (expected.pv_kwh[actual.pv_kwh == 0.0] == 0.0).all()


def test_the_expectation_is_unbiased_and_the_wind_yields_its_share() -> None:
    source = make_source(made(scenario=YEAR_ROUND, synthetic={"pv_share": 1.0}, wind={"share": 0.6}))
    assert isinstance(source, synthetic.SyntheticDays)
    actual, expected = source.draw(list(range(900)))
    homes = source.homes
    for name, scale in (
        ("base_kwh", homes.mean_kwh.mean()),
        ("pv_kwh", homes.pv_rating_kwh.mean()),
        ("wind_kwh", homes.wind_rating_kwh),
        ("irradiance", 1.0),
        ("temperature", 10.0),
    ):
        off = float((vars(actual)[name] - vars(expected)[name]).mean()) / scale
        assert off == pytest.approx(0.0, abs=0.015), name
    assert float(actual.wind_kwh.mean() / actual.base_kwh.sum(2).mean()) == pytest.approx(0.6, rel=0.08)


def test_a_windy_day_is_a_cheap_day_and_a_sunny_one_yields() -> None:
    actual, _ = make_source(made(scenario=YEAR_ROUND, synthetic={"pv_share": 1.0})).draw(list(range(500)))
    wind, spot = actual.wind_kwh.mean(1), actual.spot.mean(1)
    assert float(torch.corrcoef(torch.stack([wind, spot]))[0, 1]) < -0.3
    sun, pv = actual.irradiance.mean(1), actual.pv_kwh.sum(2).mean(1)
    assert float(torch.corrcoef(torch.stack([sun, pv]))[0, 1]) > 0.95


def test_months_and_splits_are_kept() -> None:
    source = make_source(made(scenario={"source": "synthetic", "months": [7], "split": "test"}))
    assert isinstance(source, synthetic.SyntheticDays)
    assert {day.month for day in source.beginnings} == {7}
    others = make_source(made(scenario={"source": "synthetic", "months": [7], "split": "train"}))
    assert isinstance(others, synthetic.SyntheticDays)
    assert not {day.isocalendar()[:2] for day in source.beginnings} & {d.isocalendar()[:2] for d in others.beginnings}


@pytest.fixture
def feeder(tmp_path: Path) -> Path:
    path = tmp_path / "feeder.json"
    pp.to_json(two_house_feeder(), str(path))
    return path


def test_any_radial_grid_from_a_file(feeder: Path) -> None:
    world = build(made(grid={"source": "json", "path": str(feeder)}, devices=DEVICES))
    assert len(world.params.node) == 2
    episode = draw(world, [3, 4])
    assert episode.actual.base_kwh.shape == (2, 96, 2)
    same = build(made(devices=DEVICES))
    np.testing.assert_allclose(draw(same, [3, 4]).actual.base_kwh, episode.actual.base_kwh)


def test_homes_on_a_simbench_grid() -> None:
    source = make_source(made(grid={"source": "simbench"}))
    assert len(source.house_bus) == 13 and len(source.peak_kw) == 13
    assert source.draw([1])[0].base_kwh.shape == (1, 96, 13)


def test_grids_that_are_none_are_named(feeder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"made: grid\.path = : expected a pandapower JSON file"):
        make_source(made(grid={"source": "json"}))
    with pytest.raises(DataError, match=r"missing\.json"):
        make_source(made(grid={"source": "json", "path": str(tmp_path / "missing.json")}))
    empty = two_house_feeder()
    empty.load.drop(empty.load.index, inplace=True)
    pp.to_json(empty, str(feeder))
    with pytest.raises(DataError, match="load = no rows: expected at least one load"):
        make_source(made(grid={"source": "json", "path": str(feeder)}))


@pytest.mark.parametrize("slots", [4, 50, 96, 672])
def test_episodes_of_other_lengths(slots: int) -> None:
    actual, expected = make_source(made(slots=slots)).draw([1, 2])
    assert actual.spot.shape == expected.up.shape == (2, slots)
