"""Every number that an agent outputs stands for one setting, and every setting for one number."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from totalflex_env.devices.bidding import HOLD
from totalflex_env.engine.roles import CONTROLS, ROLES, RULE, Role, numbers, values

NUMBER = st.floats(-1.0, 1.0, allow_subnormal=False)


@pytest.mark.parametrize("role", ROLES)
@given(st.data())
def test_there_and_back_is_where_one_was(role: Role, data: st.DataObject) -> None:
    size = len(CONTROLS[role])
    drawn = torch.tensor(data.draw(st.lists(st.lists(NUMBER, min_size=size, max_size=size), min_size=1, max_size=3)))
    torch.testing.assert_close(numbers(role, values(role, drawn.double())), drawn.double(), rtol=0.0, atol=1e-12)
    meant = values(role, drawn.double())
    torch.testing.assert_close(values(role, numbers(role, meant)), meant, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("role", ROLES)
def test_more_is_more_between_the_two_ends(role: Role) -> None:
    line = torch.linspace(-1.0, 1.0, 401, dtype=torch.float64)[:, None].expand(-1, len(CONTROLS[role]))
    meant = values(role, line)
    assert (meant.diff(dim=0) > 0.0).all()
    ends = torch.tensor([[each.least, each.most] for each in CONTROLS[role]], dtype=torch.float64).T
    torch.testing.assert_close(meant[[0, -1]], ends, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("role", "meant"),
    [("prosumer", [0.0, 0.0]), ("brp", [0.0, 1.0]), ("dso", [1.0, 1.0])],
)
def test_the_rule_is_exact(role: Role, meant: list[float], dtype: torch.dtype) -> None:
    """So that a role that does what its script does is the script to the last bit."""
    assert values(role, torch.full((2,), RULE[role], dtype=dtype)).tolist() == meant


def test_the_knobs_of_the_rule_are_its_own_numbers() -> None:
    meant = values("aggregator", torch.zeros(8, dtype=torch.float64))
    torch.testing.assert_close(meant, torch.tensor([0.0, 1.0, 0.0, HOLD, 1.0, HOLD, 1.0, HOLD], dtype=torch.float64))
