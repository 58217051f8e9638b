"""Payments of an auction in whole micro-EUR, so that they sum to exactly 0 as those of a slot do."""

from __future__ import annotations

import torch
from torch import Tensor

from totalflex_env.errors import SettlementError
from totalflex_env.units import to_micro_eur

MOST_LEFT_EUR = 1e-6
"""Rounding errors that float payments may leave, as a share of the largest payment or in EUR where that is more."""


def balanced(received: Tensor) -> Tensor:
    """Return what each account receives [n] EUR as int64 micro-EUR that sum to exactly 0.

    All amounts are rounded down and the accounts with the largest remainders get one more, the first of equal ones
    (Hamilton's method), so no account moves by a whole micro-EUR. Payments that do not balance are a SettlementError.
    """
    left = float(received.double().sum())
    if not abs(left) <= MOST_LEFT_EUR * max(1.0, float(received.abs().max()) if len(received) else 0.0):
        raise SettlementError("payments of an auction", left, "payments that sum to 0 EUR")
    exact = received.double() * float(to_micro_eur(torch.ones(())))
    whole = exact.floor().long()
    order = (exact - whole).argsort(descending=True, stable=True)
    missing = -int(whole.sum())
    rounds, rest = divmod(missing, max(1, len(whole)))  # `rounds` is 0 but for errors of the floats
    return (whole + rounds).index_add(0, order[:rest], torch.ones_like(whole[:rest]))
