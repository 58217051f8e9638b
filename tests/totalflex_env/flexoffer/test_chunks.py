"""Chunks: what is worked out in parts is what is worked out at once, and one bad offer in a million is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.errors import OfferError
from totalflex_env.flexoffer import chunks
from totalflex_env.flexoffer.grouping import ALIKE
from totalflex_env.flexoffer.offers import contains, tighten, validate
from totalflex_env.flexoffer.respond import respond
from totalflex_env.flexoffer.start_alignment import align
from totalflex_env.trade_types import FlexOfferBatch

Box = Callable[[list[list[float]], list[list[float]]], FlexOfferBatch]
RandomOffers = Callable[[int, int, bool], FlexOfferBatch]
RandomAssignment = Callable[[FlexOfferBatch, int], tuple[Tensor, Tensor]]


def test_chunks_are_all_rows_in_their_order(random_offers: RandomOffers, monkeypatch: pytest.MonkeyPatch) -> None:
    offers = random_offers(0, 23, True)
    assert [first for first, _ in chunks.chunks(offers, 23, 5)] == [0]
    monkeypatch.setattr(chunks, "NUMBERS", 20)
    parts = list(chunks.chunks(offers, 23, 5))
    assert [first for first, _ in parts] == [0, 4, 8, 12, 16, 20]
    assert torch.equal(torch.cat([part.lower for _, part in parts]), offers.lower)


def test_answers_do_not_depend_on_chunks(
    random_offers: RandomOffers, random_assignment: RandomAssignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers = random_offers(3, 200, True)
    price = torch.randn(30, generator=torch.Generator().manual_seed(3)).double()

    def answers() -> list[Tensor]:
        tight = tighten(offers)
        start, energy = random_assignment(tight, 3)
        energy = torch.where((torch.arange(200) % 7 == 0)[:, None], energy + 1.0, energy)
        validate(tight)
        aligned = align(tight, ALIKE)
        return [tight.lower, tight.level_upper, contains(tight, start, energy), *respond(tight, price), aligned.group]

    at_once = answers()
    monkeypatch.setattr(chunks, "NUMBERS", 64)
    for once, part in zip(at_once, answers(), strict=True):
        assert torch.equal(once, part)


def test_one_bad_offer_in_a_million_is_named_and_nothing_is_lost(box: Box) -> None:
    offers = take_rows(box([[0.0]], [[1.0]]), torch.zeros(1_000_000, dtype=torch.int64))
    validate(offers)
    upper = offers.upper.clone()
    upper[765_432] = -1.0
    bad = replace(offers, upper=upper)
    with pytest.raises(OfferError, match=r"flex-offer 765432: \[-1.0\] breaks the rule: lower <= upper in every slice"):
        validate(bad)
    rest = take_rows(bad, torch.arange(1_000_000) != 765_432)
    validate(rest)
    assert align(rest, ALIKE).offers.upper.tolist() == [[999_999.0]]
