"""Delivery: how much of an ordered change counts as delivered, and how much of it is missing.

Measured against a base, what would have been consumed without the order. A positive order is a reduction below it, a
negative one an increase above it, treated as the mirror image. Over-delivery is neither paid nor punished.

* `usef`, the default, is the settlement of the Universal Smart Energy Framework (Shapeshifter, settle phase): energy is
  paid up to the order, and all that the meter lies above base less order is punished. Nothing jumps.
* `sliding` pays nothing up to half of the order and all of it at the whole, in a straight line between, after the
  sliding scale from 50 to 100 % of the TRANSITION trials (SSEN).
* `cliff_75` and `cliff_80` pay what was delivered, but nothing below 75 % (SWITCH) or 80 % (sthlmflex) of the order.

The last three know no penalty: the lost payment is one. Whoever is paid by a cliff aims just above it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Delivered:
    """What came of orders; both of one shape and >= 0, in the unit of the orders."""

    paid: Tensor  # energy that is paid for, at most the order
    missing: Tensor  # energy that is punished


def delivered(rule: str, base: Tensor, ordered: Tensor, metered: Tensor) -> Delivered:
    """Return what counts as delivered of orders [...] by one of RULES, in whole numbers if all energies are whole."""
    size = ordered.abs()
    change = (base - metered) * ordered.sign()
    missing = (size - change).clamp(min=0) if rule == "usef" else torch.zeros_like(size)
    return Delivered(RULES[rule](change.clamp(min=0).minimum(size), size), missing)


def _linear(reached: Tensor, size: Tensor) -> Tensor:
    return reached


def _sliding(reached: Tensor, size: Tensor) -> Tensor:
    return (2 * reached - size).clamp(min=0)


def _cliff(percent: int) -> Callable[[Tensor, Tensor], Tensor]:
    def pay(reached: Tensor, size: Tensor) -> Tensor:
        return reached * (100 * reached >= percent * size)

    return pay


RULES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "usef": _linear,
    "sliding": _sliding,
    "cliff_75": _cliff(75),
    "cliff_80": _cliff(80),
}
"""How much is paid of an order when this much of it was reached; any shape, 0 <= reached <= size."""
