"""The ledger of an auction: whole micro-EUR that sum to exactly 0, however floats were rounded."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from totalflex_env.errors import SettlementError
from totalflex_env.market.ledger import balanced


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=200))
def test_it_sums_to_zero_and_no_account_moves_by_a_micro_euro(amounts: list[float]) -> None:
    received = torch.tensor([*amounts, -sum(amounts)], dtype=torch.float64)
    whole = balanced(received)
    assert whole.dtype == torch.int64 and int(whole.sum()) == 0
    assert float((whole.double() / 1e6 - received).abs().max()) < 1.01e-6


def test_thirds() -> None:
    assert balanced(torch.tensor([1.0, 1.0, 1.0, -3.0]).double() / 3.0).tolist() == [333334, 333333, 333333, -1000000]


def test_nobody() -> None:
    assert balanced(torch.zeros(0, dtype=torch.float64)).tolist() == []


@pytest.mark.parametrize("left", [1e-3, float("nan")])
def test_payments_that_do_not_balance_are_refused(left: float) -> None:
    with pytest.raises(SettlementError, match="expected payments that sum to 0 EUR"):
        balanced(torch.tensor([1.0, -1.0, left], dtype=torch.float64))
