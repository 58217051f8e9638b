"""Figures of the markets: the day-ahead auction of whole flex-offers, and the intraday clearing of a feeder.

`auction_cpu_s` is processor time from the book as handed in to awards, prices and payments; `auction_gap` is the proved
distance of these awards from the best possible. `auction_s` is elapsed time. `growth` is the processor time for a book
of twice the offers on the same grid over that for one, the median of pairs measured in turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from benchmarks.auction_books import BRANCHES, NODES, book
from benchmarks.figures import Figure, cpu_seconds, wall_seconds
from totalflex_env.market.auction import Clearing, clear
from totalflex_env.market.clearing import clear as clear_slot
from totalflex_env.trade_types import Orders

OFFERS = 1_000
MANY = 10_000
TOLERANCE = 1e-3
PAIRS = 5
MARKETS = 8_192  # cleared at once, half of them by each core
STEPS = 8  # of the BRP's curve of a slot


def figures(full: bool) -> Iterator[Figure]:
    """Yield the figures; those of 10,000 offers only in the full form."""
    case = f"{OFFERS}x96x{NODES}"
    day, found = book(OFFERS, 0), list[Clearing]()
    clear(book(OFFERS // 10, 1))  # to warm up
    seconds = cpu_seconds(lambda: found.append(clear(day, tolerance=TOLERANCE)), 3)
    yield Figure(f"auction_cpu_s:{case}", seconds, "s", "lower", 1.0)
    yield Figure(f"auction_gap:{case}", found[-1].gap, "", "lower", 1e-3)
    yield Figure("growth:2n_over_n", growth(), "", "lower", 2.5)
    yield Figure("intraday_per_s:40_nodes", intraday_rate(), "1/s", "higher", 50_000.0)
    if full:
        large = book(MANY, 0)
        began = time.perf_counter()
        clear(large, tolerance=TOLERANCE)
        yield Figure(f"auction_s:{MANY}", time.perf_counter() - began, "s", "lower", 30.0)


def growth() -> float:
    """Return the processor time of an auction of 2n offers over that of n: the median of PAIRS books of each size."""

    def seconds(count: int, seed: int) -> float:
        day = book(count, seed)
        began = time.process_time()
        clear(day, tolerance=TOLERANCE)
        return time.process_time() - began

    return statistics.median(seconds(2 * OFFERS, seed) / seconds(OFFERS, seed) for seed in range(PAIRS))


def intraday_rate() -> float:
    """Return the markets of one slot on a feeder of 40 nodes that two cores clear in a second."""
    halves = [take_orders(slot_books(MARKETS, 0), rows) for rows in torch.arange(MARKETS).chunk(2)]
    with ThreadPoolExecutor(2) as cores:
        return MARKETS / wall_seconds(lambda: list(cores.map(clear_slot, halves)))


def slot_books(rows: int, seed: int) -> Orders:
    """Return `rows` books: per node a step for less and one for more energy; limits bind in about half of them.

    Limited are the transformer, the first line of each of its four branches and the one in the middle.
    """
    draw = torch.Generator().manual_seed(seed)
    branch, place = torch.arange(NODES) % BRANCHES, torch.arange(NODES) // BRANCHES
    middle = [(branch == one) & (place >= NODES // BRANCHES // 2) for one in range(BRANCHES)]
    members = torch.stack([*middle, *(branch == one for one in range(BRANCHES)), torch.ones(NODES, dtype=torch.bool)])

    def whole(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, shape, generator=draw)

    usual = (members * 700_000).sum(1)
    share = torch.empty(rows, len(members)).uniform_(0.8, 1.4, generator=draw)
    return Orders(
        quantity=whole(0, 500_000, rows, 2 * NODES),
        price=whole(-200_000, 600_000, rows, 2 * NODES),
        house=torch.arange(NODES).repeat(2),
        fixed=whole(200_000, 800_000, rows, NODES),
        position=whole(-3_000_000, 3_000_000, rows),
        brp_price=whole(0, 500_000, rows, STEPS).sort(dim=1).values,
        brp_quantity=whole(200_000, 2_000_000, rows, STEPS),
        brp_start=whole(-6_000_000, 0, rows),
        limit=(usual * share).long(),
        members=members,
        cap=torch.full((rows,), 3_000_000),
    )


def take_orders(orders: Orders, rows: Tensor) -> Orders:
    """Return some of the books."""
    shared = ("house", "members")
    own = {name: value[rows] for name, value in vars(orders).items() if name not in shared}
    return Orders(**own, house=orders.house, members=orders.members)
