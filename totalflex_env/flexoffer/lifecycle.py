"""The life of a flex-offer: which states may follow each other, and when."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.flexoffer.offers import contains, require
from totalflex_env.trade_types import FlexOfferBatch, OfferState

NEXT = MappingProxyType(
    {
        OfferState.INITIAL: frozenset({OfferState.OFFERED}),
        OfferState.OFFERED: frozenset(
            {OfferState.ACCEPTED, OfferState.REJECTED, OfferState.INVALID, OfferState.CANCELED}
        ),
        OfferState.ACCEPTED: frozenset({OfferState.ASSIGNED, OfferState.REJECTED, OfferState.CANCELED}),
        OfferState.ASSIGNED: frozenset(
            {OfferState.ASSIGNED, OfferState.EXECUTED, OfferState.INVALID, OfferState.CANCELED}
        ),
        OfferState.EXECUTED: frozenset(),
        OfferState.REJECTED: frozenset(),
        OfferState.INVALID: frozenset(),
        OfferState.CANCELED: frozenset(),
    }
)
"""The states that may follow each state; a later assignment may replace an earlier one."""


def move(offers: FlexOfferBatch, index: Tensor, to: OfferState, slot: int) -> FlexOfferBatch:
    """Return the offers, those at `index` (int64 [n] or bool [N]) in the state `to`; OfferError for an illegal move.

    `slot` is the slot in which it happens: answers and assignments have a last slot, and nothing is executed before the
    earliest slot in which it can have ended.
    """
    chosen = torch.arange(len(offers.state), device=offers.state.device)[index]
    some = take_rows(offers, chosen)
    origins = [state for state in OfferState if to in NEXT[state]]
    names = " or ".join(state.name for state in origins) or "nothing"
    legal = torch.isin(some.state, some.state.new_tensor(origins))
    require(f"only {names} becomes {to.name}", legal, some.state, chosen)
    if to is OfferState.ACCEPTED:
        require(f"the last slot for an answer is not before {slot}", some.acceptance >= slot, some.acceptance, chosen)
    if to is OfferState.ASSIGNED:
        require(f"the last slot to assign is not before {slot}", some.assignment >= slot, some.assignment, chosen)
    if to is OfferState.EXECUTED:
        end = some.earliest + some.slices
        require(f"the earliest end is not after {slot}", end <= slot, end, chosen)
    return replace(offers, state=offers.state.index_fill(0, chosen, int(to)))


def assign(offers: FlexOfferBatch, index: Tensor, start: Tensor, energy: Tensor, slot: int) -> FlexOfferBatch:
    """Return the offers, those at `index` [n] int64 ASSIGNED to start [n] int64 and energy [n, W] kWh."""
    require("an assignment lies inside its offer", contains(take_rows(offers, index), start, energy), energy, index)
    require(f"an assignment starts in slot {slot} or later", start >= slot, start, index)
    return move(offers, index, OfferState.ASSIGNED, slot)


def expire(offers: FlexOfferBatch, slot: int) -> FlexOfferBatch:
    """Return the offers with those REJECTED whose last slot for an answer or an assignment has passed without one."""
    unanswered = (offers.state == OfferState.OFFERED) & (offers.acceptance < slot)
    unassigned = (offers.state == OfferState.ACCEPTED) & (offers.assignment < slot)
    return move(offers, unanswered | unassigned, OfferState.REJECTED, slot)
