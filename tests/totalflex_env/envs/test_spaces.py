from __future__ import annotations

import numpy as np
import pytest
import torch

from totalflex_env.engine.roles import ROLES, Controls, Role
from totalflex_env.envs import spaces
from totalflex_env.errors import DataError
from totalflex_env.types import Observation

ROWS, HOUSES = 2, 3


@pytest.fixture
def idle() -> Controls:
    count = {role: len(spaces.CONTROLS[role]) for role in ROLES}
    zeros = torch.zeros
    return Controls(
        prosumer=zeros(ROWS, HOUSES, count["prosumer"]),
        aggregator=zeros(ROWS, 1, count["aggregator"]),
        brp=zeros(ROWS, count["brp"]),
        dso=zeros(ROWS, count["dso"]),
    )


def test_actions_are_cut_and_every_cut_is_counted(idle: Controls) -> None:
    actions = np.zeros((ROWS, HOUSES, 2), np.float32)
    actions[0, 1] = [1.5, -3.0]
    actions[1, 2] = [1.0, -1.0]
    given = actions.copy()
    controls, clipped = spaces.pack(spaces.tensors({"prosumer": actions}, idle), idle)
    assert clipped["prosumer"].tolist() == [[0, 2, 0], [0, 0, 0]]
    assert controls.prosumer[0].tolist() == [[0.0, 0.0], [1.0, -1.0], [0.0, 0.0]]
    assert controls.prosumer[1, 2].tolist() == [1.0, -1.0]
    np.testing.assert_array_equal(actions, given)


def test_roles_that_do_not_act_keep_their_rule(idle: Controls) -> None:
    controls, clipped = spaces.pack(spaces.tensors({"dso": np.full((ROWS, 1, 2), 0.5, np.float32)}, idle), idle)
    assert list(clipped) == ["dso"]
    assert controls.dso.tolist() == [[0.5, 0.5]] * ROWS
    assert not controls.aggregator.any() and not controls.brp.any() and not controls.prosumer.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_controls_take_the_precision_of_the_engine(dtype: torch.dtype) -> None:
    zeros = Controls(*(torch.zeros(1, *shape, dtype=dtype) for shape in ((1, 2), (1, 8), (2,), (2,))))
    controls, _ = spaces.pack(spaces.tensors({"brp": np.full((1, 1, 2), 0.1, np.float32)}, zeros), zeros)
    assert controls.brp.dtype == dtype


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_an_action_that_is_no_number_is_named(idle: Controls, wrong: float) -> None:
    actions = np.zeros((ROWS, HOUSES, 2))
    actions[1, 2, 0] = wrong
    with pytest.raises(DataError, match=r"prosumer_2\.withhold = .*(nan|inf).*finite"):
        spaces.tensors({"prosumer": actions}, idle)


def test_an_action_of_the_wrong_shape_is_named(idle: Controls) -> None:
    with pytest.raises(DataError, match=r"brp = .*\(2, 1, 3\).*\(2, 1, 2\)"):
        spaces.tensors({"brp": np.zeros((ROWS, 1, 3))}, idle)


def test_observations_are_single_precision_within_the_bounds() -> None:
    aggregator = torch.tensor([[[1.0 / 3.0, 1e6]], [[-1e6, 0.0]]], dtype=torch.float64)
    seen = spaces.unpack(Observation(torch.zeros(2, 3, 4), aggregator, torch.ones(2, 1), torch.zeros(2, 5)))
    assert {role: (values.shape, values.numpy().dtype.name) for role, values in seen.items()} == {
        "prosumer": ((2, 3, 4), "float32"),
        "aggregator": ((2, 1, 2), "float32"),
        "brp": ((2, 1, 1), "float32"),
        "dso": ((2, 1, 5), "float32"),
    }
    limit = spaces.OBSERVATION_LIMIT
    np.testing.assert_allclose(seen["aggregator"][:, 0], [[1.0 / 3.0, limit], [-limit, 0.0]], rtol=1e-6)
    everything = spaces.flatten(seen)
    assert everything.shape == (2, 3 * 4 + 2 + 1 + 5)
    assert everything[1, 12] == -limit


@pytest.mark.parametrize("role", ROLES)
def test_spaces_are_finite_and_as_wide_as_their_tables(role: Role) -> None:
    seen, done = spaces.observation_space(role), spaces.action_space(role)
    assert seen.is_bounded() and done.is_bounded()
    assert seen.shape == (len(spaces.FEATURES[role]),) and done.shape == (len(spaces.CONTROLS[role]),)
    assert len(set(spaces.FEATURES[role])) == seen.shape[0]
