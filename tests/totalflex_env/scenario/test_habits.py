"""Habits lie on the slots of the episode, as configured, and needs fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.devices.appliance import Windows
from totalflex_env.devices.sessions import Sessions
from totalflex_env.dice import Dice
from totalflex_env.scenario import habits
from totalflex_env.scenario.assemble import Outside


@pytest.fixture(scope="module")
def street() -> EnvConfig:
    return config_files.load(EnvConfig, "street", "env")


def outside(slots: int) -> Outside:
    """A mild and windless time."""
    nothing, nobody, monday = np.zeros((1, slots)), np.zeros((1, slots, 0)), np.zeros(1, dtype=np.int64)
    return Outside(nothing, nothing, nothing, nothing, nothing + 8.0, nobody, nobody, nobody, nothing, monday)


def lived(config: EnvConfig, seed: int) -> tuple[Sessions, Windows]:
    """Sessions and windows of one drawn episode, of one row."""
    sessions, _, windows = habits.draw(Dice.of([seed]), config, outside(config.slots))
    return sessions, windows


def test_draws_have_the_configured_means(street: EnvConfig) -> None:
    """Arrival 17:00 is slot 20, departure 06:30 to 08:30 slots 74 to 82, mean need 10 exp(0.18) = 12 kWh."""
    drawn = [lived(street, seed) for seed in range(800)]
    arrival = np.array([sessions.arrival[0, 0, :13].numpy() for sessions, _ in drawn])
    departure = np.array([sessions.departure[0, 0, :13].numpy() for sessions, _ in drawn])
    need = np.array([sessions.need_kwh[0, 0, :13].numpy() for sessions, _ in drawn])
    assert arrival.mean() == pytest.approx(20.0, abs=0.1)
    assert arrival.std() == pytest.approx(3.2, abs=0.1)
    assert departure.min() == 74 and departure.max() == 82
    assert departure.mean() == pytest.approx(78.0, abs=0.1)
    assert np.median(need) == pytest.approx(10.0, abs=0.3)
    assert need.mean() == pytest.approx(11.97, abs=0.25)
    ready = np.array([windows.ready[0, 0].numpy() for _, windows in drawn])
    assert ready.min() == 24 and ready.max() == 36
    assert ready.mean() == pytest.approx(30.0, abs=0.2)
    assert {tuple(windows.latest[0, 0].tolist()) for _, windows in drawn} == {(71,) * 5}


def test_the_expected_session_is_the_mean_one(street: EnvConfig) -> None:
    sessions, _, windows = habits.expected(street, outside(96))
    assert sessions.arrival[0, 0].tolist() == [20] * 13 + [0] * 3
    assert sessions.departure[0, 0].tolist() == [78] * 13 + [96] * 3
    assert sessions.need_kwh[0, 0].tolist() == pytest.approx([11.972] * 13 + [0.0] * 3, abs=1e-3)
    assert sessions.stored_kwh[0, 0].tolist() == [0.0] * 13 + [4.0] * 3
    assert windows.ready[0, 0].tolist() == [30] * 5


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
    sessions, windows = lived(config, seed)
    arrival, departure, need = (part[..., :13] for part in (sessions.arrival, sessions.departure, sessions.need_kwh))
    assert (arrival >= 0).all() and (departure > arrival).all() and (departure <= slots).all()
    assert (arrival[:, 1:] >= departure[:, :-1]).all()
    assert (need <= (departure - arrival) * power * 0.25 + 1e-9).all()
    assert (need <= ev.need_max_kwh).all()
    assert (windows.ready >= 0).all() and (windows.ready <= windows.latest).all()
    assert (windows.latest + 5 <= slots).all()
