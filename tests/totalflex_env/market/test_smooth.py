"""Smooth answers against hard ones and finite differences, and what beginning with them leaves unchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from totalflex_env.flexoffer.newton import balance
from totalflex_env.market import relaxation
from totalflex_env.market.admission import admit
from totalflex_env.market.book import AuctionBook
from totalflex_env.market.dual import bound
from totalflex_env.market.families import families
from totalflex_env.market.patterns import answers, expand
from totalflex_env.market.relaxation import opening, relax
from totalflex_env.market.smooth import smooth_start
from totalflex_env.market.smooth_answers import smooth_answer

MakeBook = Callable[..., AuctionBook]


@pytest.fixture
def book(random_book: MakeBook) -> AuctionBook:
    """Sixty orders, each on its own."""
    admitted, _ = admit(random_book(11, 60))
    alone = torch.full_like(admitted.orders.group, -1)
    return replace(admitted, orders=replace(admitted.orders, group=alone, parent=alone))


def prices(book: AuctionBook) -> Tensor:
    draw = torch.Generator().manual_seed(3)
    return torch.rand(book.limits.sensitivity.shape[1], book.slots, dtype=torch.float64, generator=draw)


def test_the_derivative_is_that_of_the_answer(book: AuctionBook) -> None:
    patterns, nodal, step = expand(book.orders), prices(book), 1e-6
    here = smooth_answer(patterns, nodal, 0.2)
    for node, slot in ((0, 0), (1, 2), (2, 4)):
        moved = nodal.clone()
        moved[node, slot] += step
        rise = (smooth_answer(patterns, moved, 0.2).change - here.change) / step
        assert torch.allclose(rise[node], here.slope[node, slot], atol=2e-3)
        assert float(rise.abs().sum() - rise[node].abs().sum()) == 0.0
    assert torch.allclose(here.slope, here.slope.mT, atol=1e-9)
    assert float(torch.linalg.eigvalsh(here.slope).max()) <= 1e-4  # rare patterns are left out


def test_shares_are_those_of_schedules_within_their_bounds(book: AuctionBook) -> None:
    patterns = expand(book.orders)
    found = smooth_answer(patterns, prices(book), 0.2)
    total = torch.zeros(len(book.orders.id), dtype=torch.float64).index_add(0, patterns.order, found.share)
    assert torch.allclose(total[book.orders.must_run], torch.ones(1, dtype=torch.float64))
    assert bool((total <= 1.0 + 1e-12).all()) and bool((found.share >= 0.0).all())
    for bucket, energy in zip(patterns.buckets, found.energy):
        assert bool((energy >= bucket.lower - 1e-9).all())


def test_without_width_answers_are_the_cheapest(book: AuctionBook) -> None:
    patterns, nodal = expand(book.orders), prices(book)
    hard, cost = answers(patterns, nodal)
    accepted = book.orders.must_run | (cost < 0.0)
    wanted = torch.zeros_like(nodal).index_add(0, book.orders.node[accepted], hard.deviation[accepted])
    assert torch.allclose(smooth_answer(patterns, nodal, 1e-7).change, wanted, atol=1e-4)


def test_smooth_prices_prove_nearly_the_optimum(random_book: MakeBook) -> None:
    book, _ = admit(random_book(3, 160))
    patterns, family = expand(book.orders), families(book.orders)
    begun, some = smooth_start(book, patterns, lambda at: bound(book, patterns, family, at), opening(book), 1e-3)
    optimum = relax(book, 1e-9).cost
    before = bound(book, patterns, family, opening(book)).total
    assert begun.total <= optimum + 1e-6
    assert optimum - begun.total < 0.1 * (optimum - before)
    assert set(some.order.tolist()) >= set(book.orders.id.argsort()[book.orders.must_run].tolist())


def test_the_search_ends_where_it_asked_last() -> None:
    """`smooth_start` takes the answers that belong to the prices from there."""
    asked = []

    def excess(price: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(price)
        return torch.tensor([1.0, -4.0]) - price.atan() * 3.0, torch.diag(-3.0 / (1.0 + price.square()))

    for bounds in (None, (torch.tensor([-0.1, -0.5]), torch.tensor([0.1, 9.0]))):
        found = balance(excess, torch.zeros(2), 1e-9, bounds)
        assert found.steps > 0 and torch.equal(asked[-1], found.price)
        asked.clear()
        assert balance(excess, found.price, 1e-3, bounds).steps == 0 and torch.equal(asked[-1], found.price)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_optimum_does_not_depend_on_where_the_search_begins(
    random_book: MakeBook, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    book, _ = admit(random_book(seed, 40))
    plain = relax(book, 1e-9)
    monkeypatch.setattr(relaxation, "FEW", 0)
    smooth = relax(book, 1e-9)
    assert smooth.cost == pytest.approx(plain.cost, abs=1e-6)
    assert smooth.bound.total == pytest.approx(plain.cost, abs=1e-6)
