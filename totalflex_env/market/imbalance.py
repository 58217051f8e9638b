"""Imbalance: what energy beside the nomination costs, and whose imbalance an activation is.

Two prices, the default: consumption beyond the nomination costs the `up` price, below it earns the `down` price, and
spot lies between them. No nomination beats the truth, so every policy buys for itself.

A single price, as the Nordic countries settle since November 2021: both directions at the one of the two that differs
from spot. Whoever guesses the sign of (price - spot) could then earn without end by a nomination far from the truth, so
own nominations are disabled: all policies get the same, that of the default schedules. The cost of a day is
    sum(spot * n + price * (L - n)) + rest  =  sum(price * L) + rest  +  sum((spot - price) * n),
so for the shared nomination n no policy costs less than the least of sum(price * L) + rest, which is the program with
the imbalance price in place of spot, plus the constant sum((spot - price) * n).
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from totalflex_env.types import Scenario


def priced(rule: str, scenario: Scenario) -> Scenario:
    """Return the scenario with the imbalance prices of a rule, "two_price" or "single_price"."""
    if rule == "two_price":
        return scenario
    price = scenario.up + scenario.down - scenario.spot
    return replace(scenario, up=price, down=price)


def adjustments(activated: Tensor, supplier: Tensor, buyer: Tensor, parties: int) -> Tensor:
    """Return the corrections [B, R] of the positions of R balance responsible parties (BRPs) for activated flexibility.

    `activated` [B, P] is the change of consumption at every house that the market bought and got; `supplier` [P] is the
    BRP that supplies the house, `buyer` [P] the one that bought the change. What the house takes more, the supplier is
    credited as bought and the buyer as sold: the supplier's imbalance (metered less position) is what it was without
    the activation. The corrections of a row sum to zero, and with a single party there are none. Any dtype and unit.
    """
    nothing = activated.new_zeros(len(activated), parties)
    return nothing.index_add(1, supplier, activated) - nothing.index_add(1, buyer, activated)


def imbalances(metered: Tensor, bought: Tensor, corrections: Tensor) -> Tensor:
    """Return metered consumption less corrected position [B, R]; over all parties the corrections cancel."""
    return metered - (bought + corrections)
