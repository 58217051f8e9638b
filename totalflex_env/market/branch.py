"""Branch and bound over whole awards: small books to the optimum, where the columns found so far do not hold it.

A part of the search decides some orders and narrows the starts of others. Its relaxation bounds what it can hold; where
that is a mixture, the order that is mixed most is decided, or its starts are halved. The part with the lowest bound is
looked at first, so the search ends as soon as that is no better than what is known. Larger books, whose relaxations
are nearly whole and take long, are looked at in few parts or none: the answer does not depend on a clock.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.market.book import AuctionBook
from totalflex_env.market.choices import SHARE, Choice, divisible, largest, shares
from totalflex_env.market.families import Families
from totalflex_env.market.relaxation import Relaxation, relax

LOOKED_AT = 6_000  # patterns of all parts together
OUT, OPEN, IN = -1, 0, 1


@dataclass(frozen=True)
class _Part:
    """Some of the allocations of a book."""

    decided: Tensor  # [N] int64: turned down, open or accepted
    earliest: Tensor  # [N] int64
    latest: Tensor  # [N] int64


def search(relaxation: Relaxation, known: float, tolerance: float) -> Choice | None:
    """Return the choice that costs least, or None if none is found that costs less than `known` EUR.

    The search ends where no other can cost less by more than the relative `tolerance`.
    """
    book, offers = relaxation.book, relaxation.book.orders.offers
    least, best = known, None
    every = _Part(torch.full_like(offers.earliest, OPEN), offers.earliest, offers.latest)
    heap = [(relaxation.bound.total, 0, every, relaxation)]
    left, number = LOOKED_AT // max(1, len(relaxation.patterns.order)), 0
    while heap and left > 0:
        bound, _, part, relaxed = heapq.heappop(heap)
        if bound >= least - tolerance * max(abs(least), 1e-6):
            break
        row = _mixed_most(relaxed)
        if row is None:
            least, best = relaxed.cost, _widened(book, part, largest(relaxed))
            continue
        for half in _halves(relaxation.family, part, relaxed, row):
            left, number = left - 1, number + 1
            found = relax(_book(book, half), tolerance / 4.0, relaxation.prices)
            if found.bound.total < least:
                heapq.heappush(heap, (found.bound.total, number, half, found))
    return best


def _rows(part: _Part) -> Tensor:
    """The orders of a part that are not turned down, int64."""
    return (part.decided != OUT).nonzero()[:, 0]


def _book(book: AuctionBook, part: _Part) -> AuctionBook:
    """The book whose allocations are those of a part, without what is turned down."""
    orders, accepted = book.orders, part.decided == IN
    narrowed = replace(
        orders,
        offers=replace(orders.offers, earliest=part.earliest, latest=part.latest),
        must_run=orders.must_run | accepted,
        group=torch.where(accepted, -1, orders.group),  # the others of the group are turned down
    )
    return replace(book, orders=take_rows(narrowed, _rows(part)))


def _widened(book: AuctionBook, part: _Part, choice: Choice) -> Choice:
    """A choice of a part as one of the whole book."""
    orders, rows = book.orders, _rows(part)
    accepted = torch.zeros_like(orders.must_run).index_put((rows,), choice.accepted)
    return Choice(accepted, orders.offers.default_start.index_put((rows,), choice.start))


def _mixed_most(relaxed: Relaxation) -> int | None:
    """The row in a relaxation of the order that is furthest from being whole; None if all are."""
    share, patterns = shares(relaxed), relaxed.patterns
    total = torch.zeros(len(relaxed.book.orders.id), dtype=torch.float64).index_add(0, patterns.order, share)
    surest = (1.0 - total).scatter_reduce(0, patterns.order, share, "amax")
    surest = torch.where(divisible(relaxed.book.orders), 1.0, surest)
    if not len(surest) or float(surest.min()) >= 1.0 - SHARE:
        return None
    return int(surest.argmin())


def _halves(family: Families, part: _Part, relaxed: Relaxation, row: int) -> tuple[_Part, _Part]:
    """A part with an order turned down and accepted, or, if it is accepted anyway, with its starts halved."""
    own = relaxed.patterns.order == row
    share, start = shares(relaxed)[own], relaxed.patterns.start[own]
    order = int(_rows(part)[row])
    if float(share.sum()) < 1.0 - SHARE:
        return _decided(family, part, order, OUT), _decided(family, part, order, IN)
    used = start[share > SHARE]
    middle = int((share * start).sum() / share.sum())
    middle = min(max(middle, int(used.min())), int(used.max()) - 1)
    return (
        replace(part, latest=part.latest.index_fill(0, torch.tensor([order]), middle)),
        replace(part, earliest=part.earliest.index_fill(0, torch.tensor([order]), middle + 1)),
    )


def _decided(family: Families, part: _Part, order: int, how: int) -> _Part:
    """A part with an order decided, and what follows of it for its family."""
    decided = part.decided.index_fill(0, torch.tensor([order]), how)
    if how == IN and int(family.group[order]) >= 0:
        others = (family.group == family.group[order]) & (decided == OPEN)
        decided = torch.where(others, OUT, decided)
    parent = int(family.parent[order])
    while how == IN and parent >= 0:
        decided[parent] = IN
        parent = int(family.parent[parent])
    for level in reversed(family.levels):
        above = family.parent[level]
        lost = (above >= 0) & (decided[above.clamp(min=0)] == OUT)
        decided = decided.index_put((level,), torch.where(lost, OUT, decided[level]))
    return replace(part, decided=decided)
