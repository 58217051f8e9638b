"""Clearing of one slot: who takes how much energy, and what energy is worth at every house.

Maximise over the accepted energies 0 <= a <= quantity
    sum(price * a) - cost of the BRP's energy x - cap * sum over elements of max(|flow| - limit, 0)
with x = position + sum(a), supplied at the rising step curve of the BRP, and flow = net consumption behind the element.
The first price of the curve holds down to minus infinity, the last one up to plus infinity: there is always a solution.

On a radial grid the elements are nested, and then a priced limit is a shift of prices. Lay what an element feeds end
to end, the dearest first: energy above +limit is worth `cap` less to everybody outside, energy below -limit `cap` more.
So the elements are passed from the leaves to the root, and there the merit order meets the curve of the BRP. The result
is the optimum and its prices support it: segments above the price at their house are served in full, those below not.

At equal prices the segment with the lower index is served first, and the BRP supplies only above its own price: ties
change who is served, never welfare or prices. Everything is a sum or comparison of int64 (no product of price and
energy), so it is exact, and free of overflow below 1e12 kWh and 1e6 EUR/kWh.
"""

from __future__ import annotations

import torch

from totalflex_env.market import merit_order
from totalflex_env.trade_types import Award, Orders


def clear(orders: Orders) -> Award:
    """Clear B books of Q segments: accepted energies [B, Q], balance price [B] and grid prices [B, P].

    Where several prices support the allocation, the balance price is their middle, rounded down, and the price of an
    element is the smallest one: an element which is just full without turning anybody away is free.
    """
    award = Award(
        accepted=torch.empty_like(orders.quantity),
        balance_price=torch.empty_like(orders.position),
        grid_price=torch.empty_like(orders.fixed),
    )
    (elements, houses), segments = orders.members.shape, len(orders.house)
    scratch = merit_order.scratch_numbers(segments, elements, houses)
    book = [field.contiguous() for field in vars(orders).values()]
    merit_order.clear(book, list(vars(award).values()), scratch)
    return award
