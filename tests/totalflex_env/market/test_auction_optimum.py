"""The auction against one monolithic program and against trying everything, on random small books."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.market.admission import admit
from totalflex_env.market.auction import clear
from totalflex_env.market.book import AuctionBook, StepCurves, effective_bounds
from totalflex_env.market.rejections import Reason
from totalflex_env.market.relaxation import relax

MakeBook = Callable[..., AuctionBook]
SLOTS, NODES, WIDTH = 5, 3, 3  # of the random books
INF = np.inf


def monolithic(book: AuctionBook, whole: bool) -> float:
    """The optimum of the same auction as one program: shares of starts, energies scaled by them (Balas 1979)."""
    orders, offers, curves, limits = book.orders, book.orders.offers, book.curves, book.limits
    cost: list[float] = []
    upper: list[float] = []
    integer: list[int] = []
    rows: list[tuple[dict[int, float], float, float]] = []

    def column(price: float, most: float, is_whole: bool = False) -> int:
        cost.append(price)
        upper.append(most)
        integer.append(int(is_whole))
        return len(cost) - 1

    change: list[list[dict[int, float]]] = [[{} for _ in range(SLOTS)] for _ in range(NODES)]
    shares: list[dict[int, float]] = []
    for i in range(len(orders.id)):
        mine: dict[int, float] = {}
        node, position = int(orders.node[i]), orders.position[i].tolist()
        more, less = float(orders.price_more[i]), float(orders.price_less[i])
        for start in range(int(offers.earliest[i]), int(offers.latest[i]) + 1):
            count = int(offers.slices[i])
            shift = float(offers.price_shift[i]) * abs(start - int(offers.default_start[i]))
            idle = sum(less * p for t, p in enumerate(position) if not start <= t < start + count)
            y = column(shift - float(orders.worth[i]) + idle, 1.0, whole)
            mine[y] = 1.0
            total = {}
            for k in range(count):
                x, over, under = column(0.0, INF), column(more, INF), column(less, INF)
                rows.append(({x: 1.0, y: -float(offers.lower[i, k])}, 0.0, INF))
                rows.append(({x: 1.0, y: -float(offers.upper[i, k])}, -INF, 0.0))
                rows.append(({x: 1.0, y: -position[start + k], over: -1.0, under: 1.0}, 0.0, 0.0))
                total[x] = 1.0
                change[node][start + k][x] = 1.0
            rows.append(({**total, y: -float(offers.total_lower[i])}, 0.0, INF))
            rows.append(({**total, y: -float(offers.total_upper[i])}, -INF, 0.0))
            for t, p in enumerate(position):
                change[node][t][y] = change[node][t].get(y, 0.0) - p
        shares.append(mine)
    for i, mine in enumerate(shares):
        rows.append((mine, float(orders.must_run[i]), 1.0))
        if orders.parent[i] >= 0:
            above = shares[orders.id.tolist().index(int(orders.parent[i]))]
            rows.append(({**mine, **{y: -1.0 for y in above}}, -INF, 0.0))
    for group in set(orders.group.tolist()) - {-1}:
        together: dict[int, float] = {}
        for i, mine in enumerate(shares):
            together.update(mine if int(orders.group[i]) == group else {})
        rows.append((together, -INF, 1.0))
    below, above_ = effective_bounds(limits)
    for t in range(SLOTS):
        balance: dict[int, float] = {}
        for node in range(NODES):
            balance.update(change[node][t])
        constant = 0.0
        for p in range(len(curves.id)):
            constant += float(curves.start[p, t])
            for k in range(curves.quantity.shape[2]):
                z = column(float(curves.price[p, t, k]), float(curves.quantity[p, t, k]))
                balance[z] = -1.0
        rows.append((balance, constant, constant))
        for row in range(len(limits.name)):
            slack = column(float(limits.cap[row, t]), INF), column(float(limits.cap[row, t]), INF)
            flow = {slack[0]: -1.0, slack[1]: 1.0}
            for node in range(NODES):
                for variable, share in change[node][t].items():
                    flow[variable] = flow.get(variable, 0.0) + share * float(limits.sensitivity[row, node])
            base = float(limits.base[row, t])
            rows.append((flow, float(below[row, t]) - base, float(above_[row, t]) - base))
    matrix = np.zeros((len(rows), len(cost)))
    for number, (entries, _, _) in enumerate(rows):
        matrix[number, list(entries)] = list(entries.values())
    least, most = (np.array([row[side] for row in rows]) for side in (1, 2))
    found = milp(
        np.array(cost),
        constraints=LinearConstraint(matrix, least, most),
        bounds=Bounds(0.0, np.array(upper)),
        integrality=np.array(integer),
    )
    assert found.success, found.message
    return float(found.fun) - float(_at_zero(curves))


def _at_zero(curves: StepCurves) -> Tensor:
    """What the program pays BRPs for a supply of 0, counted from their least supply."""
    end = curves.start[..., None] + curves.quantity.cumsum(2)
    begin = end - curves.quantity
    return (curves.price * (end.clamp(max=0.0) - begin.clamp(max=0.0))).sum()


@settings(max_examples=12)
@given(seed=st.integers(0, 2**31), count=st.integers(0, 7))
def test_the_relaxation_is_the_monolithic_program(random_book: MakeBook, seed: int, count: int) -> None:
    book, rejections = admit(random_book(seed, count))
    assert {rejection.reason for rejection in rejections} <= {Reason.EMPTY, Reason.PARENT_REJECTED}
    found = relax(book, 1e-10)
    optimum = monolithic(book, False)
    assert found.cost == pytest.approx(optimum, abs=1e-6)
    assert found.bound.total == pytest.approx(optimum, abs=1e-6)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 6))
def test_fixed_profiles_are_cleared_to_the_optimum_in_whole_numbers(
    random_book: MakeBook, seed: int, count: int
) -> None:
    book, _ = admit(random_book(seed, count, rigid=True))
    cleared = clear(book, tolerance=1e-9)
    assert cleared.allocation.cost == pytest.approx(monolithic(book, True), abs=1e-6)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 6))
def test_whole_awards_are_the_monolithic_program_in_whole_numbers(random_book: MakeBook, seed: int, count: int) -> None:
    book, _ = admit(random_book(seed, count))
    cleared = clear(book, tolerance=1e-9)
    optimum = monolithic(book, True)
    assert cleared.allocation.cost == pytest.approx(optimum, abs=1e-6)
    assert cleared.bound <= optimum + 1e-6


@pytest.mark.parametrize(("seed", "count"), [(148, 4), (281, 4), (281, 7), (365, 7)])
def test_what_no_column_holds_is_found_by_branching(random_book: MakeBook, seed: int, count: int) -> None:
    """Books whose best awards are in no schedule that the relaxation has made: up to 2.40 EUR were left before."""
    book, _ = admit(random_book(seed, count))
    assert clear(book, tolerance=1e-9).allocation.cost == pytest.approx(monolithic(book, True), abs=1e-6)


def test_small_books_are_cleared_as_by_trying_everything(random_book: MakeBook) -> None:
    """One slot, fixed energies, one BRP: try every set of orders."""
    draw = Random(5)
    for _ in range(10):
        worth = [draw.randint(0, 30) / 10.0 for _ in range(6)]
        energy = [float(draw.randint(1, 4)) for _ in range(6)]
        best = min(
            _cost_of([worth[i] for i in chosen], [energy[i] for i in chosen])
            for size in range(7)
            for chosen in itertools.combinations(range(6), size)
        )
        assert clear(_one_slot(random_book, worth, energy), tolerance=1e-9).allocation.cost == pytest.approx(
            best, abs=1e-7
        )


def _cost_of(worth: list[float], energy: list[float]) -> float:
    need = sum(energy)
    return INF if need > 12.0 else 0.3 * min(need, 6.0) + 0.9 * max(need - 6.0, 0.0) - sum(worth)


def _one_slot(random_book: MakeBook, worth: list[float], energy: list[float]) -> AuctionBook:
    book = take_orders(random_book(1, len(worth), rigid=True), torch.arange(len(worth)))
    one = torch.ones(len(worth), dtype=torch.int64)
    taken = torch.zeros(len(worth), WIDTH, dtype=torch.float64)
    taken[:, 0] = torch.tensor(energy)
    offers = replace(
        book.orders.offers,
        earliest=0 * one,
        latest=0 * one,
        default_start=0 * one,
        slices=one,
        lower=taken,
        upper=taken,
        default=taken,
        total_lower=taken.sum(1),
        total_upper=taken.sum(1),
    )
    orders = replace(
        book.orders,
        offers=offers,
        worth=torch.tensor(worth, dtype=torch.float64),
        must_run=one < 0,
        group=-one,
        parent=-one,
        position=torch.zeros(len(worth), SLOTS, dtype=torch.float64),
        price_more=torch.zeros(len(worth), dtype=torch.float64),
    )
    quantity = torch.tensor([6.0, 6.0], dtype=torch.float64).expand(1, SLOTS, 2)
    price = torch.tensor([0.3, 0.9], dtype=torch.float64).expand(1, SLOTS, 2)
    curves = StepCurves(torch.tensor([0]), torch.zeros(1, SLOTS, dtype=torch.float64), quantity, price)
    limits = take_rows(replace(book.limits, name=()), torch.zeros(0, dtype=torch.int64))
    return replace(book, orders=orders, curves=curves, limits=limits)


def take_orders(book: AuctionBook, rows: Tensor) -> AuctionBook:
    return replace(book, orders=take_rows(book.orders, rows))


@settings(max_examples=6)
@given(seed=st.integers(0, 2**31))
def test_a_cheaper_bid_is_never_accepted_less(random_book: MakeBook, seed: int) -> None:
    """The relaxation buys no less from an optional order whose worth rises (monotone, so bids can be learnt)."""
    book = _one_slot(random_book, [0.5, 1.0, 1.5, 2.0], [1.0, 2.0, 3.0, 4.0])
    row = seed % 4
    shares = []
    for more in (0.0, 0.7, 1.4):
        worth = book.orders.worth.clone()
        worth[row] += more
        cleared = clear(replace(book, orders=replace(book.orders, worth=worth)), tolerance=1e-9)
        shares.append(float(cleared.allocation.accepted[row]))
    assert shares == sorted(shares)
