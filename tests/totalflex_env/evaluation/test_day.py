"""A day to be shown: what it says is what the engine did, and where devices had a choice."""

from __future__ import annotations

import numpy as np
import pytest

from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine.build import build
from totalflex_env.evaluation.day import ShownDay, by_kind, live


@pytest.fixture(scope="module")
def tiny() -> ShownDay:
    """Two houses, noon to one: a vehicle that needs 2 kWh by the end at 4 kW, a dishwasher of 2 kW, then 1 kW."""
    return live(build(load(EnvConfig, "tiny", "env")), seed=0)


def test_devices_left_alone_begin_at_once(tiny: ShownDay) -> None:
    assert tiny.kinds == ("ev", "dishwasher") and tiny.slots == 4
    np.testing.assert_allclose(tiny.device_kw.T, [[4.0, 4.0, 0.0, 0.0], [2.0, 1.0, 0.0, 0.0]])


def test_what_the_grid_brings_is_the_sum_of_the_houses(tiny: ShownDay) -> None:
    np.testing.assert_allclose(tiny.base_kw, 3.0)
    np.testing.assert_allclose(tiny.pv_kw, [0.0, 1.0, 1.0, 0.0])
    np.testing.assert_allclose(tiny.houses, tiny.base_kw - tiny.pv_kw + tiny.device_kw.sum(axis=1))


def test_a_device_is_free_while_it_could_run_or_wait(tiny: ShownDay) -> None:
    """The vehicle may wait for two slots, then it must charge; the dishwasher may start in any of three."""
    assert tiny.free.T.tolist() == [[True, True, False, False], [True, True, False, False]]


def test_no_overload_in_a_calm_hour_and_the_transformer_is_loaded_most(tiny: ShownDay) -> None:
    assert tiny.overload_minutes() == 0.0
    assert tiny.elements[tiny.worst_element()].startswith("trafo")
    assert tiny.of_kind("ev").tolist() == [0]
    assert sum(tiny.costs_eur.values()) > 0.0


def test_devices_of_a_kind_stand_side_by_side() -> None:
    assert by_kind(("ev", "battery", "ev", "heat-pump", "battery")) == [0, 2, 1, 4, 3]
