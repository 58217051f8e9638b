"""The front door: one call for both methods, and what each keeps of the same offers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from totalflex_env.flexoffer.aggregate import aggregate
from totalflex_env.flexoffer.exact import ExactAggregate
from totalflex_env.flexoffer.grouping import Grouping
from totalflex_env.flexoffer.measures import support_range
from totalflex_env.flexoffer.offers import tighten
from totalflex_env.flexoffer.start_alignment import StartAligned
from totalflex_env.flexoffer.support import support_width
from totalflex_env.trade_types import FlexOfferBatch

RandomOffers = Callable[[int, int, bool], FlexOfferBatch]


@pytest.mark.parametrize("seed", range(5))
def test_exact_keeps_what_start_alignment_loses(seed: int, random_offers: RandomOffers) -> None:
    offers = tighten(random_offers(seed, 30, True))
    aligned = aggregate(offers, Grouping(earliest_tolerance=9, flexibility_tolerance=9))
    exact = aggregate(offers, method="exact")
    assert isinstance(aligned, StartAligned) and isinstance(exact, ExactAggregate)
    slots = int((offers.latest + offers.slices).max())
    price = torch.randn(slots, generator=torch.Generator().manual_seed(seed)).double()
    apart = float(support_range(offers, price).sum())
    assert float(support_width(exact, price.unsqueeze(0))) == pytest.approx(apart, abs=1e-6)
    assert float(support_range(aligned.offers, price).sum()) < 0.9 * apart
