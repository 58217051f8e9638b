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

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.trade_types import Award, Orders

_FAR = 2**61  # stands for infinity among mWh and micro-EUR; two of them still fit into an int64


@dataclass(frozen=True)
class _Pieces:
    """Segments in falling order of price; one that a limit cuts is present more than once."""

    quantity: Tensor  # [B, R] int64, mWh
    price: Tensor  # [B, R] int64, micro-EUR/kWh, as seen from outside the elements passed so far
    owner: Tensor  # [B, R] int64, index of the segment


@dataclass(frozen=True)
class _Edge:
    """Where pieces laid end to end, the dearest first, pass each of E given flows."""

    index: Tensor  # [B, E] int64, the piece that lies across the flow
    before: Tensor  # [B, E] int64, mWh of it on this side of the flow, 0 if the flow cuts no piece
    beyond: Tensor  # [B, E] int64, mWh of it on the other side
    low: Tensor  # [B, E] int64, price of the first piece left out at this flow, minus _FAR if there is none
    high: Tensor  # [B, E] int64, price of the last piece served at this flow, plus _FAR if there is none


def clear(orders: Orders) -> Award:
    """Clear B books of Q segments: accepted energies [B, Q], balance price [B] and grid prices [B, P].

    Where several prices support the allocation, the balance price is their middle, rounded down, and the price of an
    element is the smallest one: an element which is just full without turning anybody away is free.
    """
    rows, segments = orders.quantity.shape
    if segments == 0:  # nobody offers anything: the prices are those of a book with one empty segment
        nothing = torch.zeros_like(orders.position[:, None])
        award = clear(replace(orders, quantity=nothing, price=nothing, house=orders.house.new_zeros(1)))
        return replace(award, accepted=orders.quantity)
    owner = torch.arange(segments, device=orders.quantity.device).expand(rows, segments)
    pieces = _by_price(_Pieces(orders.quantity, orders.price, owner))
    edges: list[_Edge] = []
    for element in range(orders.limit.shape[1]):
        pieces, edge = _pass_element(pieces, orders, element)
        edges.append(edge)
    end = orders.position[:, None] + pieces.quantity.cumsum(1)
    taken = (_supply(orders, pieces.price) - end + pieces.quantity).clamp(min=0).minimum(pieces.quantity)
    accepted = torch.zeros_like(orders.quantity).scatter_add(1, pieces.owner, taken)
    energy = orders.position[:, None] + taken.sum(1, keepdim=True)
    balance_price = _balance_price(orders, energy, _edge(pieces.price, pieces.quantity, end, energy))
    flow = orders.fixed.index_add(1, orders.house, accepted)
    grid_price = _nodal_price(orders, flow, balance_price, edges) - balance_price
    return Award(accepted, balance_price.squeeze(1), grid_price)


def _by_price(pieces: _Pieces) -> _Pieces:
    """The pieces in falling order of price, equal ones by their segment."""
    rank = pieces.price * pieces.price.shape[1] - pieces.owner
    order = rank.argsort(dim=1, descending=True)
    return _Pieces(pieces.quantity.gather(1, order), pieces.price.gather(1, order), pieces.owner.gather(1, order))


def _pass_element(pieces: _Pieces, orders: Orders, element: int) -> tuple[_Pieces, _Edge]:
    """Shift the prices behind an element as its limit demands; also return where +limit and -limit cut, E = 2."""
    members, limit, cap = orders.members[element], orders.limit[:, element, None], orders.cap[:, None]
    behind = members[orders.house][pieces.owner]
    quantity = pieces.quantity * behind
    end = (orders.fixed * members).sum(1, keepdim=True) + quantity.cumsum(1)
    edge = _edge(pieces.price, quantity, end, torch.cat([limit, -limit], 1))
    outer = torch.stack([edge.beyond[:, 0], edge.before[:, 1]], 1)  # what the limits cut off, at prices of its own
    rest = pieces.quantity.scatter_add(1, edge.index, -outer)
    caps = (end <= -limit).to(torch.int8) - (end - quantity >= limit).to(torch.int8)
    shifted = pieces.price + cap * (caps * behind)
    outer_price = pieces.price.gather(1, edge.index) + torch.cat([-cap, cap], 1)
    together = _Pieces(
        torch.cat([rest, outer], 1),
        torch.cat([shifted, outer_price], 1),
        torch.cat([pieces.owner, pieces.owner.gather(1, edge.index)], 1),
    )
    return _by_price(together), edge


def _edge(price: Tensor, quantity: Tensor, end: Tensor, at: Tensor) -> _Edge:
    """Find the flows `at` [B, E] among pieces [B, R], each of which raises the flow to its `end`."""
    last = price.shape[1] - 1
    index = torch.searchsorted(end, at, right=True).clamp(max=last)  # first piece to end beyond the flow
    served = torch.searchsorted(end, at).clamp(max=last)  # last piece to begin before it
    stop = end.gather(1, index)
    start = stop - quantity.gather(1, index)
    cut = (start < at) & (at < stop)
    return _Edge(
        index=index,
        before=(at - start) * cut,
        beyond=(stop - at) * cut,
        low=torch.where(stop > at, price.gather(1, index), -_FAR),
        high=torch.where(end[:, :1] - quantity[:, :1] < at, price.gather(1, served), _FAR),
    )


def _steps(orders: Orders) -> Tensor:
    """Energy beyond the nomination at which the BRP's price rises to its next step, [B, K - 1] mWh."""
    return orders.brp_start[:, None] + orders.brp_quantity[:, :-1].cumsum(1)


def _supply(orders: Orders, price: Tensor) -> Tensor:
    """Energy beyond the nomination that the BRP supplies for less than each price [B, R]."""
    far = torch.full_like(orders.brp_start[:, None], _FAR)
    reach = torch.cat([-far, _steps(orders), far], 1)
    return reach.gather(1, torch.searchsorted(orders.brp_price.contiguous(), price))


def _balance_price(orders: Orders, energy: Tensor, demand: _Edge) -> Tensor:
    """Middle [B, 1] of the prices at which BRP and segments alike want this energy [B, 1] beyond the nomination."""
    steps = _steps(orders)
    low = orders.brp_price.gather(1, (steps < energy).sum(1, keepdim=True)).maximum(demand.low)
    high = orders.brp_price.gather(1, (steps <= energy).sum(1, keepdim=True)).minimum(demand.high)
    return (low + high) >> 1


def _nodal_price(orders: Orders, flow: Tensor, balance_price: Tensor, edges: list[_Edge]) -> Tensor:
    """Price at every house [B, P], read back from the root to the leaves; flow [B, P] is net consumption."""
    price = balance_price.expand_as(flow)
    for element in reversed(range(len(edges))):
        members, limit, cap = orders.members[element], orders.limit[:, element, None], orders.cap[:, None]
        through = (flow * members).sum(1, keepdim=True)
        outside = price.index_select(1, members.byte().argmax(0, keepdim=True))  # any house behind: they still agree
        least = cap * ((through > limit).long() - (through <= -limit).long())
        most = cap * ((through >= limit).long() - (through < -limit).long())
        side = (through < limit).long()
        low, high = edges[element].low.gather(1, side), edges[element].high.gather(1, side)
        inside = outside.clamp(low, high).clamp(outside + least, outside + most)
        price = torch.where(members, inside, price)
    return price
