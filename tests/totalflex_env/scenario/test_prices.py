"""Prices have the statistics of DK1 (Energinet): spot in winter, imbalance while it was settled by the hour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from totalflex_env.config import PriceConfig
from totalflex_env.scenario import prices, weather

CONFIG = PriceConfig()
DAYS = 1500


@pytest.fixture(scope="module")
def spot() -> np.ndarray:
    """Hourly spot prices [days, 24] in EUR/MWh."""
    generators = [np.random.default_rng(seed) for seed in range(DAYS)]
    days = [prices.spot(rng, weather.standardised(weather.wind(rng, 96)), 12, CONFIG) for rng in generators]
    return 1e3 * np.array(days)[:, ::4]


@pytest.fixture(scope="module")
def spreads() -> tuple[np.ndarray, np.ndarray]:
    """Hourly spreads above and below the spot price [days, 96 hours] in EUR/MWh."""
    days = [prices.spreads(np.random.default_rng(seed), 384, CONFIG, memory_h=1.6) for seed in range(DAYS)]
    above, below = zip(*days)
    return 1e3 * np.array(above)[:, ::4], 1e3 * np.array(below)[:, ::4]


def test_spot_has_the_distribution_of_dk1(spot: np.ndarray) -> None:
    """Measured, winters: mean 86 (all years), p5 5, p95 158, 1 to 3 % negative, lowest -9, daily spread 84 EUR/MWh."""
    assert spot.mean() == pytest.approx(86.0, abs=4.0)
    assert np.quantile(spot, 0.05) == pytest.approx(5.0, abs=5.0)
    assert np.quantile(spot, 0.95) == pytest.approx(158.0, abs=12.0)
    assert 0.01 < (spot < 0.0).mean() < 0.06
    assert spot.min() > -30.0
    assert np.ptp(spot, axis=1).mean() == pytest.approx(84.0, abs=15.0)


def test_spot_remembers_as_dk1_does(spot: np.ndarray) -> None:
    """Measured autocorrelation of the residual: 0.96 after 1 h, 0.71 after 6 h, 0.56 after 12 h."""
    residual = spot - spot.mean(axis=0)
    for lag, measured in ((1, 0.96), (6, 0.71), (12, 0.56)):
        found = (residual[:, lag:] * residual[:, :-lag]).mean() / residual.var()
        assert found == pytest.approx(measured, abs=0.06)


def test_evenings_are_dear_nights_are_cheap_and_prices_hold_for_hours(spot: np.ndarray) -> None:
    by_hour = np.roll(spot.mean(axis=0), 12)  # from midnight
    assert by_hour.argmax() in (17, 18)
    assert by_hour.argmin() in (2, 3, 4)
    assert 50.0 < np.ptp(by_hour) < 65.0  # 56 measured
    day = prices.spot(np.random.default_rng(0), np.zeros(96), 12, CONFIG).reshape(24, 4)
    assert (day == day[:, :1]).all()


def test_wind_makes_cheap_hours() -> None:
    """Measured correlation of spot price and wind: -0.50."""
    pairs = []
    for seed in range(DAYS):
        rng = np.random.default_rng(seed)
        share = weather.wind(rng, 96)
        pairs.append((share, prices.spot(rng, weather.standardised(share), 12, CONFIG)))
    share, price = (np.concatenate(part) for part in zip(*pairs))
    assert np.corrcoef(share, price)[0, 1] == pytest.approx(-0.5, abs=0.07)


def test_regimes_have_their_shares_and_sizes(spreads: tuple[np.ndarray, np.ndarray]) -> None:
    """Measured: up 22 %, down 35 %, mean 44 where there is one, 59 up and 35 down, heavy tail (p99 of up 449)."""
    above, below = spreads
    assert (above > 0).mean() == pytest.approx(0.22, abs=0.015)
    assert (below > 0).mean() == pytest.approx(0.35, abs=0.015)
    assert not ((above > 0) & (below > 0)).any()
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


# A share is nothing or at least one hour in a century: far below, floating-point numbers themselves run out of digits.
SHARES = st.just(0.0) | st.floats(1e-6, 0.5)


@settings(deadline=None, max_examples=30)
@given(up=SHARES, down=SHARES, mean=st.floats(0, 200), slots=st.integers(1, 200))
def test_any_configuration_gives_finite_spreads(up: float, down: float, mean: float, slots: int) -> None:
    config = PriceConfig(up_share=up, down_share=down, spread_mean=mean)
    above, below = prices.spreads(np.random.default_rng(0), slots, config, memory_h=1.6)
    assert above.shape == below.shape == (slots,)
    assert np.isfinite([above, below]).all() and (above >= 0).all() and (below >= 0).all()
    if up + down > 0:
        expected = sum(prices.mean_spreads(config)) / (up + down)
        assert 1e3 * expected == pytest.approx(mean, abs=1e-9)
