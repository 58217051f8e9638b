"""The day-ahead auction under each price rule, on identical books: welfare, payments, and what misreports earn.

A book holds the flex-offers that all devices of a world issue for a day, the limits of its grid, and one balance
responsible party that buys and sells at the day-ahead price. The welfare of a clearing is what it costs less than
everybody keeping to the default schedules. Exploitability is the most that an owner gains by one misreport of a stated
set, all others telling the truth, over the owners that were tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.engine.build import World, draw
from totalflex_env.engine.step import start
from totalflex_env.flexoffer.generate import generate
from totalflex_env.flexoffer.offers import concatenate
from totalflex_env.market.auction import Clearing, clear
from totalflex_env.market.book import AuctionBook, FlexOrders, StepCurves, element_limits, midnight, must_run
from totalflex_env.market.dual import overload_cost
from totalflex_env.market.ledger import balanced
from totalflex_env.market.patterns import discomfort
from totalflex_env.market.price_rules import PriceRule
from totalflex_env.trade_types import FlexOfferBatch
from totalflex_env.types import Episode, Forecast, Params
from totalflex_env.units import SLOTS_PER_HOUR, from_micro_eur

DISCOMFORT = 0.01
"""EUR/kWh that every owner truly suffers for a deviation either way, beside what its flex-offer states."""

SPREAD = 0.002
"""EUR/kWh by which the balance responsible party buys dearer than it sells."""

DEEP_KWH = 10_000.0
"""Energy per slot that it would trade: without end for a village."""

MARKUPS = (0.02, 0.05, 0.1)
"""EUR/kWh that an owner asks beyond its true discomfort."""

TOLERANCE = 1e-3


@dataclass(frozen=True)
class RuleFigures:
    """One price rule on D books; means per book, EUR."""

    welfare_eur: float  # cost of the default schedules less that of the clearing
    gap: float  # proved: relative distance of the cost from the least possible
    owners_eur: float  # received by the owners of the flex-offers, uplifts included
    balance_eur: float  # received by the balance responsible party
    grid_eur: float  # received by the grid operator
    uplift_eur: float
    residual_micro_eur: int  # of the ledgers of all books
    losers: int  # orders of all books that would rather not have been in it
    exploitability_eur: float  # of the misreport that earns most
    mean_gain_eur: float  # of the best misreport, over the owners tried


def compare(world: World, seeds: Sequence[int], tried: int) -> dict[str, RuleFigures]:
    """Return the figures of every rule on the books of `seeds`; `tried` owners of the first one misreport."""
    books = [book(world, seed) for seed in seeds]
    return {rule.value: _figures(rule, books, tried) for rule in PriceRule}


def book(world: World, seed: int) -> AuctionBook:
    """Return the book of the day that `seed` draws, load and sessions known; positions are the default schedules."""
    params, config = world.params, world.params.config
    episode = draw(world, [seed])
    actual, spot = episode.actual, episode.actual.spot.double()
    offers = offered(params, episode)
    ask = torch.full((len(offers.device),), DISCOMFORT, dtype=torch.float64)
    orders = must_run(offers, params.house[offers.device], spot.shape[1], ask, ask)
    houses = (actual.base_kwh - actual.pv_kwh)[0].double().T.index_add(0, orders.node, orders.position)
    behind = params.members.double()
    base = behind @ houses
    rating = params.grid.rating_kva[params.limited].double() * params.slot_hours * config.market.dso_share
    names = tuple(params.grid.element_names[int(element)] for element in params.limited)
    steps = torch.tensor([-SPREAD, SPREAD], dtype=torch.float64)
    return AuctionBook(
        begin=midnight(2025, 1, 1),
        slot_hours=params.slot_hours,
        gate=0.0,
        price_cap=config.market.price_cap,
        orders=orders,
        curves=StepCurves(
            id=torch.zeros(1, dtype=torch.int64),
            start=torch.full_like(spot, -DEEP_KWH),
            quantity=torch.full((*spot.shape, 2), DEEP_KWH, dtype=torch.float64),
            price=spot[..., None] + steps,
        ),
        limits=element_limits(names, behind, base, rating[:, None].expand_as(base), config.market.overload_price),
    )


def offered(params: Params, episode: Episode) -> FlexOfferBatch:
    """Return the flex-offers [N] of all devices of an episode of one row; vehicles join at the hour after arriving."""
    state, seen, found = start(params, episode), torch.zeros(len(params.house), dtype=torch.bool), []
    for slot in range(0, episode.actual.spot.shape[1], SLOTS_PER_HOUR):
        offers = generate(params, Forecast(slot, episode.actual), state)
        first = ~seen[offers.device] & (
            torch.tensor([slot == 0 or params.kinds[int(n)] == "ev" for n in offers.device])
        )
        found.append(take_rows(offers, first))
        seen[offers.device[first]] = True
    return concatenate(found)


def _figures(rule: PriceRule, books: Sequence[AuctionBook], tried: int) -> RuleFigures:
    cleared = [clear(each, rule, TOLERANCE) for each in books]
    untouched = [_default_cost(each) for each in books]
    owners = torch.linspace(0, len(cleared[0].book.orders.id) - 1, tried).long().unique().tolist()
    gains = torch.tensor([_best_lie(rule, cleared[0], owner) for owner in owners])
    books_of = [_accounts(each) for each in cleared]

    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    return RuleFigures(
        welfare_eur=mean([default - each.allocation.cost for default, each in zip(untouched, cleared)]),
        gap=max(each.gap for each in cleared),
        owners_eur=mean([float(from_micro_eur(owners).sum()) for owners, _, _ in books_of]),
        balance_eur=mean([float(from_micro_eur(balance).sum()) for _, balance, _ in books_of]),
        grid_eur=mean([float(from_micro_eur(grid).sum()) for _, _, grid in books_of]),
        uplift_eur=mean([float(each.payments.uplift.sum()) for each in cleared]),
        residual_micro_eur=sum(int(torch.cat(accounts).sum()) for accounts in books_of),
        losers=sum(int((_utilities(each, each.book.orders) < -1e-6).sum()) for each in cleared),
        exploitability_eur=float(gains.max()),
        mean_gain_eur=float(gains.mean()),
    )


def _accounts(cleared: Clearing) -> tuple[Tensor, Tensor, Tensor]:
    """What owners [N], balance responsible parties [P] and the grid operator [1] receive, int64 micro-EUR."""
    paid = cleared.payments
    operator = (paid.grid.sum() - paid.charge[-1]).reshape(1)
    owners, balance, grid = balanced(torch.cat([paid.order, paid.curve, operator])).split(
        [len(paid.order), len(paid.curve), 1]
    )
    return owners, balance, grid


def _default_cost(here: AuctionBook) -> float:
    """The cost of nobody deviating: overload of the base alone."""
    return float(overload_cost(here.limits, here.limits.base).sum())


def _utilities(cleared: Clearing, truth: FlexOrders) -> Tensor:
    """What each order leaves its owner [N] EUR: its payment less what its award truly costs it."""
    done = cleared.allocation
    suffered = discomfort(truth, done.start, done.deviation)
    return cleared.payments.order - torch.where(done.accepted, suffered, 0.0)


def _best_lie(rule: PriceRule, honest: Clearing, owner: int) -> float:
    """The most that the owner of an order gains by a misreport, EUR."""
    truth = honest.book.orders
    before = float(_utilities(honest, truth)[owner])
    lies = _misreports(truth, owner)
    after = [float(_utilities(clear(replace(honest.book, orders=lie), rule, TOLERANCE), truth)[owner]) for lie in lies]
    return max(0.0, *(value - before for value in after))


def _misreports(truth: FlexOrders, owner: int) -> Iterator[FlexOrders]:
    """The lies of an owner: discomfort that it does not suffer, and a schedule that it says it cannot change."""
    mine = torch.arange(len(truth.id)) == owner
    for markup in MARKUPS:
        yield replace(
            truth,
            price_more=truth.price_more + markup * mine,
            price_less=truth.price_less + markup * mine,
        )
    offers, row = truth.offers, mine[:, None]
    rigid = replace(
        offers,
        latest=torch.where(mine, (offers.default_start + offers.latest) // 2, offers.latest),
        earliest=torch.where(mine, (offers.default_start + offers.earliest + 1) // 2, offers.earliest),
        lower=torch.where(row, (offers.lower + offers.default) / 2.0, offers.lower),
        upper=torch.where(row, (offers.upper + offers.default) / 2.0, offers.upper),
    )
    yield replace(truth, offers=rigid)
