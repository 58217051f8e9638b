"""Habits lie on the slots of the episode, as configured, and needs fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.scenario import sessions


@pytest.fixture(scope="module")
def street() -> EnvConfig:
    return config_files.load(EnvConfig, "street", "env")


def test_draws_have_the_configured_means(street: EnvConfig) -> None:
    """Arrival 17:00 is slot 20, departure 06:30 to 08:30 slots 74 to 82, mean need 10 exp(0.18) = 12 kWh."""
    drawn = [sessions.draw(np.random.default_rng(seed), street) for seed in range(800)]
    arrival = np.array([each.arrival[:13] for each in drawn])
    departure = np.array([each.departure[:13] for each in drawn])
    need = np.array([each.need_kwh[:13] for each in drawn])
    assert arrival.mean() == pytest.approx(20.0, abs=0.1)
    assert arrival.std() == pytest.approx(3.2, abs=0.1)
    assert departure.min() == 74 and departure.max() == 82
    assert departure.mean() == pytest.approx(78.0, abs=0.1)
    assert np.median(need) == pytest.approx(10.0, abs=0.3)
    assert need.mean() == pytest.approx(11.97, abs=0.25)
    ready = np.array([each.ready for each in drawn])
    assert ready.min() == 24 and ready.max() == 36
    assert ready.mean() == pytest.approx(30.0, abs=0.2)
    assert {tuple(each.latest) for each in drawn} == {(71,) * 5}


def test_the_expected_session_is_the_mean_one(street: EnvConfig) -> None:
    expected = sessions.expected(street)
    assert expected.arrival.tolist() == [20] * 13 + [0] * 3
    assert expected.departure.tolist() == [78] * 13 + [96] * 3
    assert expected.need_kwh == pytest.approx([11.972] * 13 + [0.0] * 3, abs=1e-3)
    assert expected.stored_kwh.tolist() == [0.0] * 13 + [4.0] * 3
    assert expected.ready.tolist() == [30] * 5


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6), spread=st.floats(0, 6), slots=st.integers(60, 200), power=st.floats(1.5, 22),
    start=st.integers(0, 12),
)  # fmt: skip
def test_every_session_lies_in_the_episode_and_its_need_fits(
    street: EnvConfig, seed: int, spread: float, slots: int, power: float, start: int
) -> None:
    ev = street.devices.ev.model_copy(update={"arrival_spread_h": spread, "power_kw": power})
    config = street.model_copy(
        update={
            "slots": slots,
            "devices": street.devices.model_copy(update={"ev": ev}),
            "scenario": street.scenario.model_copy(update={"start_hour": start}),
        }
    )
    drawn = sessions.draw(np.random.default_rng(seed), config)
    present = drawn.departure - drawn.arrival
    assert (drawn.arrival >= 0).all() and (present >= 1).all() and (drawn.departure <= slots).all()
    assert (drawn.need_kwh[:13] <= present[:13] * power * 0.25 + 1e-9).all()
    assert (drawn.need_kwh <= ev.need_max_kwh).all()
    assert (drawn.ready >= 0).all() and (drawn.ready <= drawn.latest).all() and (drawn.latest + 5 <= slots).all()
