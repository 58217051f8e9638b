"""Flex-offers for the tests of this folder: by hand, at random, and random assignments of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from totalflex_env.flexoffer import makers
from totalflex_env.flexoffer.classify import classify
from totalflex_env.flexoffer.kinds import Members
from totalflex_env.flexoffer.members import join
from totalflex_env.flexoffer.offers import levels
from totalflex_env.trade_types import FlexOfferBatch, OfferState


@pytest.fixture(scope="session")
def box() -> Callable[[list[list[float]], list[list[float]]], FlexOfferBatch]:
    return make_box


@pytest.fixture(scope="session")
def random_offers() -> Callable[[int, int, bool], FlexOfferBatch]:
    return make_random


@pytest.fixture(scope="session")
def random_assignment() -> Callable[[FlexOfferBatch, int], tuple[Tensor, Tensor]]:
    return draw_assignment


@pytest.fixture(scope="session")
def random_members() -> Callable[..., Members]:
    return make_members


def make_box(lower: list[list[float]], upper: list[list[float]]) -> FlexOfferBatch:
    """Offers that start in slot 0, bounded slice by slice, whose default is the lower bound."""
    low, high = torch.tensor(lower, dtype=torch.float64), torch.tensor(upper, dtype=torch.float64)
    now = torch.zeros(len(low), dtype=torch.int64)
    unbounded = torch.full_like(low, torch.inf)
    return FlexOfferBatch(
        device=torch.arange(len(low)),
        house=now,
        earliest=now,
        latest=now,
        slices=now + low.shape[1],
        lower=low,
        upper=high,
        total_lower=low.sum(1),
        total_upper=high.sum(1),
        level_lower=-unbounded,
        level_upper=unbounded,
        default_start=now,
        default=low,
        price_shift=torch.zeros_like(low[:, 0]),
        acceptance=now,
        assignment=now,
        state=now + OfferState.INITIAL,
    )


def make_random(seed: int, count: int, coupled: bool) -> FlexOfferBatch:
    """Valid offers in quarters of a kWh (exact in floating point): 1 to 5 slices, windows of 0 to 4 slots.

    With `coupled`, some have totals and levels that cut into the box. They are not tightened.
    """
    draw = torch.Generator().manual_seed(seed)

    def number(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high + 1, shape, generator=draw)

    def quarters(high: int) -> Tensor:
        return number(0, 4 * high, count, 5) * 0.25 * number(0, 1, count, 5)

    slices = number(1, 5, count)
    inside = torch.arange(5) < slices[:, None]
    default = torch.where(inside, number(-8, 8, count, 5) * 0.25, 0.0).double()
    lower = torch.where(inside, default - quarters(2), 0.0)
    upper = torch.where(inside, default + quarters(2), 0.0)
    earliest, flexibility = number(0, 3, count), number(0, 4, count)
    offers = replace(
        make_box(lower.tolist(), upper.tolist()),
        earliest=earliest,
        latest=earliest + flexibility,
        slices=slices,
        default=default,
        default_start=earliest,
        price_shift=0.25 * number(0, 4, count).double(),
        acceptance=earliest,
        assignment=earliest + flexibility,
    )
    if not coupled:
        return offers
    level, chance = default.cumsum(1), number(0, 3, 4, count, 5) == 0
    return replace(
        offers,
        total_lower=torch.maximum(lower.sum(1), default.sum(1) - quarters(3)[:, 0]),
        total_upper=torch.minimum(upper.sum(1), default.sum(1) + quarters(3)[:, 0]),
        level_lower=torch.where(chance[0] & inside, level - quarters(1), -torch.inf),
        level_upper=torch.where(chance[1] & inside, level + quarters(1), torch.inf),
    )


def draw_assignment(offers: FlexOfferBatch, seed: int) -> tuple[Tensor, Tensor]:
    """A random assignment of every offer: slice by slice anywhere, or at an end, in what keeps the rest possible."""
    draw = torch.Generator().manual_seed(seed)
    span = offers.latest - offers.earliest + 1
    start = offers.earliest + (torch.rand(len(span), generator=draw) * span).long()
    energy, (floor, ceiling) = torch.zeros_like(offers.lower), (bound.clone() for bound in levels(offers))
    for k in reversed(range(energy.shape[1] - 1)):  # levels from which the later ones can be reached
        floor[:, k] = torch.maximum(floor[:, k], floor[:, k + 1] - offers.upper[:, k + 1])
        ceiling[:, k] = torch.minimum(ceiling[:, k], ceiling[:, k + 1] - offers.lower[:, k + 1])
    level = torch.zeros_like(energy[:, 0])
    for k in range(energy.shape[1]):
        least = torch.maximum(offers.lower[:, k], floor[:, k] - level)
        most = torch.minimum(offers.upper[:, k], ceiling[:, k] - level)
        where = (3.0 * torch.rand(len(span), generator=draw) - 1.0).clamp(0.0, 1.0)
        energy[:, k] = least + where * (most - least)
        level = level + energy[:, k]
    return start, energy


KINDS = ("boxes", "vehicles", "storages", "heat", "programmes", "movables")


def make_members(seed: int, each: int, slots: int, kinds: tuple[str, ...] = KINDS, first: int = 0) -> Members:
    """`each` members of every kind in eighths of a kWh, with identities from `first` on."""
    draw = torch.Generator().manual_seed(seed)

    def number(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high + 1, shape, generator=draw)

    def eighths(low: int, high: int, *shape: int) -> Tensor:
        return number(8 * low, 8 * high, *shape).double() / 8.0

    def share(*shape: int) -> Tensor:
        return number(0, 8, *shape).double() / 8.0

    def window() -> tuple[Tensor, Tensor]:
        arrival = number(0, slots - 1, each)
        return arrival, arrival + 1 + (share(each) * (slots - 1 - arrival)).long()

    def who(kind: str) -> makers.Who:
        return makers.numbered(each, first + KINDS.index(kind) * each, KINDS.index(kind) % 3)

    def boxes() -> Members:
        middle = eighths(-2, 2, each, slots)
        return makers.boxes(who("boxes"), slots, (middle - share(each, slots), middle + share(each, slots)))

    def vehicles() -> Members:
        (arrival, departure), power = window(), eighths(0, 2, each)
        least = share(each) * power * (departure - arrival)
        total = least, least + share(each) * (power * (departure - arrival) - least)
        return makers.vehicles(who("vehicles"), slots, (arrival, departure), power, total)

    def storages() -> Members:
        level = -eighths(0, 2, each), eighths(0, 2, each)
        final = level[0] * share(each), level[1] * share(each)
        power = eighths(0, 2, each), eighths(0, 2, each)
        return makers.storages(who("storages"), slots, window(), power, (level, final))

    def heat() -> Members:
        lower, upper = -eighths(0, 1, each, slots), eighths(0, 2, each, slots)
        level = -eighths(0, 2, each, slots), eighths(0, 2, each, slots)
        retention, gains = 1.0 - min(0.25, 2.0 / slots) * share(each), 1.0 + 2.0 * share(each, slots)
        return makers.heat(who("heat"), (lower, upper), level, retention, gains)

    def programmes() -> Members:
        library, earliest = eighths(-1, 2, 2, 3), number(0, slots - 3, each)
        latest = earliest + (share(each) * (slots - 3 - earliest)).long()
        profile = library[number(0, 1, each)]
        return makers.programmes(who("programmes"), slots, (earliest, latest), profile)

    def movables() -> Members:
        offers = make_random(seed, 4 * each, True)
        some = ((offers.latest > offers.earliest) & (offers.latest + offers.slices <= slots)).nonzero()[:each, 0]
        index = some if len(some) else torch.zeros(0, dtype=torch.int64)
        rows = replace(offers, **{name: value[index] for name, value in vars(offers).items()})
        return classify(rows, slots, who("movables").offer[: len(index)], who("movables").node[: len(index)])

    make = {f.__name__: f for f in (boxes, vehicles, storages, heat, programmes, movables)}
    return join([make[kind]() for kind in kinds])
