"""Prices have the statistics of DK1 (Energinet): day-ahead 2022-10 to 2025-09, imbalance in both of its eras.

Tolerances are stated beside every number; docs/data.md shows both columns.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from totalflex_env.config import PriceConfig
from totalflex_env.dice import Dice
from totalflex_env.scenario import prices, weather
from totalflex_env.scenario.calendar import calendar

CONFIG = PriceConfig()
SINCE_2025 = PriceConfig(era="15min")
FIRST = datetime(2023, 1, 1)
YEARS = 10
TIME = calendar([FIRST] * YEARS, 35_040)
DAY = TIME.day[0]
WINTER = np.repeat(weather.summer(DAY[::96]) < 0.0, 24)
MARCH_TO_JULY = (DAY[::4] >= 62.0) & (DAY[::4] < 210.0)  # 4 March to 29 July


@pytest.fixture(scope="module")
def years() -> tuple[np.ndarray, np.ndarray]:
    """Hourly spot prices in EUR/MWh and wind as a share of its rating, [years, 8760] each."""
    dice = Dice.of(range(YEARS))
    share = weather.draw(dice, TIME).wind
    return 1e3 * prices.spot(dice, share, TIME, CONFIG)[:, ::4], share.reshape(YEARS, -1, 4).mean(axis=2)


def test_spot_has_the_distribution_of_dk1(years: tuple[np.ndarray, np.ndarray]) -> None:
    """Measured: mean 85.9, p5 0.0, median 84.6, p95 177.6, 4.2 % below zero, lowest -440, highest 936 EUR/MWh.

    The highest twentieth of those three years is the crisis of autumn 2022; without it, p95 is 149.
    """
    spot, _ = years
    assert spot.mean() == pytest.approx(85.9, abs=5.0)
    assert np.quantile(spot, 0.05) == pytest.approx(0.0, abs=5.0)
    assert np.median(spot) == pytest.approx(84.6, abs=5.0)
    assert np.quantile(spot, 0.95) == pytest.approx(177.6, rel=0.12)
    assert (spot < 0.0).mean() == pytest.approx(0.042, abs=0.015)
    assert -500.0 <= spot.min() < -30.0 and 350.0 < spot.max() < 4000.0


def test_spot_remembers_as_dk1_does(years: tuple[np.ndarray, np.ndarray]) -> None:
    """Measured after 1, 24, 168 hours: 0.935, 0.599, 0.340 (2023-03 to 2025-02), with 2022: 0.965, 0.762, 0.553."""
    spot, _ = years
    for hours, without, with_2022 in ((1, 0.935, 0.965), (24, 0.599, 0.762), (168, 0.340, 0.553)):
        found = np.mean([np.corrcoef(year[:-hours], year[hours:])[0, 1] for year in spot])
        assert without - 0.06 < found < with_2022


def test_prices_swing_as_much_within_a_day(years: tuple[np.ndarray, np.ndarray]) -> None:
    """Measured mean of highest less lowest: 97 to 101, winter 84, summer 111; quartiles 61, 87, 123 EUR/MWh."""
    swing = np.ptp(years[0].reshape(YEARS, 365, 24), axis=2)
    assert swing.mean() == pytest.approx(98.0, rel=0.1)
    assert swing[:, WINTER[::24]].mean() == pytest.approx(84.0, rel=0.1)
    assert swing[:, ~WINTER[::24]].mean() == pytest.approx(111.0, rel=0.12)
    np.testing.assert_allclose(np.quantile(swing, [0.25, 0.5, 0.75]), [61.0, 87.0, 123.0], rtol=0.25)


@pytest.mark.parametrize(
    ("season", "cheapest", "dearest"), [(WINTER, (2, 3, 4), (17, 18)), (~WINTER, (13, 14), (19, 20))]
)
def test_each_season_has_its_hours(
    season: np.ndarray, cheapest: tuple[int, ...], dearest: tuple[int, ...], years: tuple[np.ndarray, np.ndarray]
) -> None:
    """Measured: 56 EUR/MWh between night and evening in winter, 95 between noon and evening in summer."""
    by_hour = years[0][:, season].mean(axis=0).reshape(-1, 24).mean(axis=0)
    assert by_hour.argmin() in cheapest and by_hour.argmax() in dearest
    assert np.ptp(by_hour) == pytest.approx(56.0 if season[0] else 95.0, rel=0.15)


def test_weekends_are_cheap(years: tuple[np.ndarray, np.ndarray]) -> None:
    """Measured: Sundays 18 to 26 EUR/MWh below the mean of the month, Wednesdays 6 to 11 above."""
    shift = years[0].reshape(YEARS, 365, 24).mean(axis=(0, 2))
    weekday = (FIRST.weekday() + np.arange(365)) % 7
    assert shift[weekday == 6].mean() - shift.mean() == pytest.approx(-22.0, abs=6.0)
    assert shift[weekday == 2].mean() - shift.mean() == pytest.approx(8.0, abs=5.0)


@pytest.mark.parametrize("season", [WINTER, ~WINTER])
def test_a_windy_hour_is_a_cheap_hour(season: np.ndarray, years: tuple[np.ndarray, np.ndarray]) -> None:
    """Measured correlation -0.51 in winter and -0.45 in summer; from calm to full wind 65 to 75 EUR/MWh."""
    spot, wind = (part[:, season].ravel() for part in years)
    assert np.corrcoef(spot, wind)[0, 1] == pytest.approx(-0.48, abs=0.07)
    assert spot[wind < 0.05].mean() - spot[wind > 0.7].mean() == pytest.approx(70.0, rel=0.25)


def test_a_day_in_winter_is_like_a_day_of_a_winter(years: tuple[np.ndarray, np.ndarray]) -> None:
    """An episode alone, from noon to noon, has the distribution of its season: there is no start-up."""
    dice, time = Dice.of(range(600)), calendar([datetime(2023, 1, 1 + seed % 28, 12) for seed in range(600)], 96)
    found = 1e3 * prices.spot(dice, weather.draw(dice, time).wind, time, CONFIG)[:, ::4]
    january = years[0][:, : 28 * 24]
    assert np.mean(found) == pytest.approx(january.mean(), abs=9.0)
    assert np.std(found) == pytest.approx(january.std(), rel=0.12)


def test_prices_hold_for_hours() -> None:
    dice, time = Dice.of([0]), calendar([FIRST], 96)
    day = prices.spot(dice, weather.draw(dice, time).wind, time, CONFIG).reshape(24, 4)
    assert (day == day[:, :1]).all()


def drawn(config: PriceConfig) -> tuple[np.ndarray, np.ndarray]:
    """Spreads above and below the spot price [days, periods] in EUR/MWh."""
    above, below = prices.spreads(Dice.of(range(1500)), 384, config, memory_h=1.6)
    step = config.period_slots
    return 1e3 * above[:, ::step], 1e3 * below[:, ::step]


@pytest.fixture(scope="module")
def spreads() -> tuple[np.ndarray, np.ndarray]:
    return drawn(CONFIG)


def test_regimes_have_their_shares_and_sizes(spreads: tuple[np.ndarray, np.ndarray]) -> None:
    """By the hour: up 22 %, down 35 %; mean 25, p99 288; where there is one 44, up 59, down 35, p99 of up 449."""
    above, below = spreads
    assert (above > 0).mean() == pytest.approx(0.22, abs=0.015)
    assert (below > 0).mean() == pytest.approx(0.35, abs=0.015)
    assert not ((above > 0) & (below > 0)).any()
    assert (above + below).mean() == pytest.approx(25.4, rel=0.06)
    assert np.quantile(above + below, 0.99) == pytest.approx(288.0, rel=0.1)
    assert (above + below)[above + below > 0].mean() == pytest.approx(44.0, rel=0.05)
    assert above[above > 0].mean() == pytest.approx(59.0, rel=0.08)
    assert below[below > 0].mean() == pytest.approx(35.0, rel=0.08)
    assert np.quantile(above[above > 0], 0.99) == pytest.approx(449.0, rel=0.25)


def test_regimes_persist_as_in_dk1(spreads: tuple[np.ndarray, np.ndarray]) -> None:
    """Measured probability that the next hour has the same regime: none 0.72, up 0.62, down 0.73."""
    regime = np.sign(spreads[0]) - np.sign(spreads[1])
    for value, measured in ((0, 0.72), (1, 0.62), (-1, 0.73)):
        assert (regime[:, 1:] == value)[regime[:, :-1] == value].mean() == pytest.approx(measured, abs=0.04)


def test_a_known_spread_fades_to_the_mean(spreads: tuple[np.ndarray, np.ndarray]) -> None:
    above, _ = spreads
    mean = 1e3 * prices.mean_spreads(CONFIG)[0]
    high = above[:, 0] > 60.0
    for hours in (1, 2, 4):
        share = (above[high, hours].mean() - mean) / (above[high, 0].mean() - mean)
        assert share == pytest.approx(np.exp(-hours / 1.6), abs=0.12)


def test_since_2025_spreads_are_wider_and_change_every_quarter_hour() -> None:
    """Measured by the quarter-hour: mean |spread| 92, p99 785, highest price 9385, lowest -2287 EUR/MWh."""
    above, below = drawn(SINCE_2025)
    size = above + below
    assert above.shape[1] == 384
    assert size.mean() == pytest.approx(92.0, rel=0.06)
    assert np.quantile(size, 0.99) == pytest.approx(785.0, rel=0.12)
    assert 2000.0 < above.max() <= prices.BALANCING_LIMIT and 1000.0 < below.max() < 8000.0
    assert np.quantile(above[above > 0], 0.999) > 2.0 * np.quantile(below[below > 0], 0.999)  # further up than down
    kept = (size[:, 1:] == size[:, :-1]).mean()
    assert kept == pytest.approx(np.exp(-0.25 / 1.6), abs=0.02)


@pytest.mark.parametrize(
    ("config", "season", "measured", "tolerance"),
    [(CONFIG, np.ones(8760, dtype=bool), 0.058, 0.03), (SINCE_2025, MARCH_TO_JULY, 0.25, 0.02)],
)
def test_imbalance_prices_are_often_negative(
    config: PriceConfig, season: np.ndarray, measured: float, tolerance: float, years: tuple[np.ndarray, np.ndarray]
) -> None:
    """Measured: 5.8 % by the hour, 2023-02 to 2025-02; 25 % by the quarter-hour, 4 March to 29 July 2025."""
    spot = np.repeat(years[0], 4, axis=1)
    up, down = prices.spreads(Dice.of([3]), spot.size, config, memory_h=1.6)
    paid = spot + 1e3 * (up - down).reshape(spot.shape)
    assert (paid[:, np.repeat(season, 4)] < 0.0).mean() == pytest.approx(measured, abs=tolerance)


def test_an_era_fills_in_what_is_not_said() -> None:
    assert (SINCE_2025.up_share, SINCE_2025.down_share, SINCE_2025.spread_mean) == (0.35, 0.55, 102.0)
    assert PriceConfig(era="15min", spread_mean=10.0).spread_mean == 10.0
    assert PriceConfig.model_validate(SINCE_2025.model_dump()) == SINCE_2025


# A share is nothing or at least one hour in a century: far below, floating-point numbers themselves run out of digits.
SHARES = st.just(0.0) | st.floats(1e-6, 0.5)


@settings(deadline=None, max_examples=30)
@given(
    up=SHARES, down=SHARES, mean=st.floats(0, 200), slots=st.integers(1, 200), era=st.sampled_from(["hourly", "15min"])
)
def test_any_configuration_gives_finite_spreads(up: float, down: float, mean: float, slots: int, era: str) -> None:
    config = PriceConfig.model_validate({"era": era, "up_share": up, "down_share": down, "spread_mean": mean})
    above, below = prices.spreads(Dice.of([0]), slots, config, memory_h=1.6)
    assert above.shape == below.shape == (1, slots)
    assert np.isfinite([above, below]).all() and (above >= 0).all() and (below >= 0).all()
    if up + down > 0:
        expected = sum(prices.mean_spreads(config)) / (up + down)
        assert 1e3 * expected == pytest.approx(mean, abs=1e-9)
