"""Many flex-offers as few: the front door to both methods of aggregation."""

from __future__ import annotations

from typing import Literal, overload

from totalflex_env.flexoffer.classify import classify
from totalflex_env.flexoffer.exact import ExactAggregate, aggregate_exact
from totalflex_env.flexoffer.grouping import ALIKE, Grouping
from totalflex_env.flexoffer.start_alignment import StartAligned, align
from totalflex_env.trade_types import FlexOfferBatch


@overload
def aggregate(
    offers: FlexOfferBatch, grouping: Grouping = ..., method: Literal["start_alignment"] = ...
) -> StartAligned:
    """Return flex-offers in groups."""


@overload
def aggregate(offers: FlexOfferBatch, grouping: Grouping = ..., *, method: Literal["exact"]) -> ExactAggregate:
    """Return one aggregate of everything."""


def aggregate(
    offers: FlexOfferBatch,
    grouping: Grouping = ALIKE,
    method: Literal["start_alignment", "exact"] = "start_alignment",
) -> StartAligned | ExactAggregate:
    """Return tightened flex-offers as aggregates.

    "start_alignment" makes groups as `grouping` says, each a flex-offer again: sound, what everybody understands, and
    it loses most of the time flexibility. "exact" makes one aggregate of all offers, whatever their times, which loses
    nothing where it says EXACT; it is no flex-offer but answers the same questions. It needs no grouping.
    """
    return align(offers, grouping) if method == "start_alignment" else aggregate_exact(classify(offers))
