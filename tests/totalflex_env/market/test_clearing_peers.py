"""Errors seen in the clearing of other open market simulators, each as a case that this one gets right."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from totalflex_env.market.clearing import clear
from totalflex_env.trade_types import Award, Orders

# Houses A, behind a line that passes 2 more units, and B; both bid for 4 units and the BRP supplies 4 at 3, then at 50.
LINE = Orders(
    quantity=torch.tensor([[4, 4]]),
    price=torch.tensor([[9, 8]]),
    house=torch.tensor([0, 1]),
    fixed=torch.tensor([[0, 0]]),
    position=torch.tensor([0]),
    brp_price=torch.tensor([[3, 50]]),
    brp_quantity=torch.tensor([[4, 0]]),
    brp_start=torch.tensor([0]),
    limit=torch.tensor([[2]]),
    members=torch.tensor([[True, False]]),
    cap=torch.tensor([4]),
)


def nodal(award: Award) -> list[int]:
    return (award.balance_price[:, None] + award.grid_price)[0].tolist()


def test_simply_the_price_of_the_grid_counts_in_the_merit_order() -> None:
    """simply adds the grid fee after matching, so a bid can be served that does not pay for its way.

    A bids 9 against B's 8, but A's third unit overloads the line at 4: outside it is worth 5, and B comes first.
    """
    assert clear(LINE).accepted.tolist() == [[2, 2]]
    assert clear(replace(LINE, cap=torch.tensor([0]))).accepted.tolist() == [[4, 0]]


@pytest.mark.parametrize(("flow", "sign"), [(20, 1), (-20, -1)])
def test_gsy_e_the_sign_of_the_grid_price_follows_the_flow(flow: int, sign: int) -> None:
    """gsy-e disputes which side a fee belongs to; here whoever adds to the flow pays it, and who relieves is paid."""
    award = clear(replace(LINE, fixed=torch.tensor([[flow, 0]])))
    assert award.grid_price.tolist() == [[4 * sign, 0]]
    assert nodal(award)[0] - nodal(award)[1] == 4 * sign


def test_assume_nothing_is_left_to_redispatch() -> None:
    """ASSUME clears zones by transfer capacities and then needs a redispatch; here limits are part of the clearing."""
    firm = clear(replace(LINE, price=torch.tensor([[40, 40]]), cap=torch.tensor([1000])))
    assert int(firm.accepted[0, 0]) == 2
    assert nodal(firm)[0] == 40


def test_assume_equal_bids_are_served_without_chance() -> None:
    """ASSUME draws lots among equal bids from a global random state."""
    equal = replace(LINE, price=torch.tensor([[8, 8]]), limit=torch.tensor([[9]]))
    draws = {tuple(clear(equal).accepted[0].tolist()) for _ in range(5)}
    torch.manual_seed(1)
    assert draws == {tuple(clear(equal).accepted[0].tolist())} == {(4, 0)}


def test_lemlab_and_assume_scarcity_is_paid_to_the_seller_in_full() -> None:
    """What buyers pay beyond the seller's bid in scarcity is the seller's: 6 wanted at 9, 4 to be had at 3."""
    scarce = clear(replace(LINE, quantity=torch.tensor([[6, 0]]), limit=torch.tensor([[9]])))
    assert scarce.accepted.tolist() == [[4, 0]] and nodal(scarce) == [9, 9]
