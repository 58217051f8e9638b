"""The book of a day-ahead auction: whole flex-offers, curves of the balance responsible parties, limits of the grid.

Letters in the shapes: N orders, T slots of the day (92, 96 or 100), W slices of a profile, M grid nodes, P balance
responsible parties (BRPs), K steps of a curve, L limits. Energies are kWh per slot and consumption is positive.

What is traded is a deviation: energy less position. The position of an order is what it takes when it is not accepted,
and what `GridLimits.base` already counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import torch
from torch import Tensor

from totalflex_env.flexoffer.offers import load
from totalflex_env.trade_types import FlexOfferBatch


@dataclass(frozen=True)
class FlexOrders:
    """N whole flex-offers with prices. Taking energy e on a position p costs the owner, in EUR,

    price_shift * |start - default start| + sum(price_more * max(e - p, 0) + price_less * max(p - e, 0)) - worth.
    """

    id: Tensor  # [N] int64, unique
    offers: FlexOfferBatch  # [N], slots counted from the begin of the day
    node: Tensor  # [N] int64, column of `GridLimits.sensitivity`
    position: Tensor  # [N, T] kWh per slot, taken unless the order is accepted
    price_more: Tensor  # [N] EUR/kWh above the position; negative where the owner would pay for energy
    price_less: Tensor  # [N] EUR/kWh below the position
    worth: Tensor  # [N] EUR that being accepted is worth to the owner
    must_run: Tensor  # [N] bool, accepted whatever the price; the others are optional
    group: Tensor  # [N] int64, of one group at most one order is accepted (exactly one if they must run); -1: none
    parent: Tensor  # [N] int64, id of the order without which this one cannot be accepted; -1: none
    submitted: Tensor  # [N] float64, seconds since 1970 (UTC) at which the order was received


@dataclass(frozen=True)
class StepCurves:
    """What P BRPs supply: deviation energy q in [start, start + sum(quantity)], at prices that rise from step to step.

    q > 0 is energy that the BRP delivers for more consumption, q < 0 energy of which it is relieved. Supplying q costs
    the integral of the price from 0 to q. A step that ends at 0 and one that begins there are what it bids around its
    expected imbalance.
    """

    id: Tensor  # [P] int64
    start: Tensor  # [P, T] kWh, at most 0
    quantity: Tensor  # [P, T, K] kWh, at least 0
    price: Tensor  # [P, T, K] EUR/kWh, rising with K


@dataclass(frozen=True)
class GridLimits:
    """L limits in every slot on what is linear in the consumption of the nodes: energy of an element or a voltage.

    value = base + sensitivity @ deviations by node. Beyond [lower, upper], and beyond base - fall and base + rise (the
    rebound that the grid operator can bear), each unit is charged at `cap`: an overload is possible but dear.
    """

    name: tuple[str, ...]  # L
    voltage: Tensor  # [L] bool: the value is p.u.; otherwise kWh per slot
    sensitivity: Tensor  # [L, M] unit per kWh consumed at the node
    base: Tensor  # [L, T] value at the positions
    lower: Tensor  # [L, T]
    upper: Tensor  # [L, T]
    fall: Tensor  # [L, T] greatest decrease below the base, inf where any is fine
    rise: Tensor  # [L, T] greatest increase above the base, inf where any is fine
    cap: Tensor  # [L, T] EUR per unit and slot beyond the limit; inf: must not be exceeded


@dataclass(frozen=True)
class AuctionBook:
    """Everything that is known at the gate."""

    begin: datetime  # of slot 0, with a time zone; labels are given in it
    slot_hours: float
    gate: float  # seconds since 1970 (UTC); what is received later is rejected
    price_cap: float  # EUR/kWh, the largest price of a bid
    orders: FlexOrders
    curves: StepCurves
    limits: GridLimits

    @property
    def slots(self) -> int:
        """Length of the day in slots, T."""
        return self.orders.position.shape[1]


def must_run(offers: FlexOfferBatch, node: Tensor, slots: int, more: Tensor, less: Tensor) -> FlexOrders:
    """Return orders numbered 0, 1, ... of offers that run anyway, by default as scheduled; prices [N] EUR/kWh."""
    position = load(offers, offers.default_start, offers.default.double(), slots)
    return _numbered(offers, node, position, (more, less), torch.zeros_like(more), True)


def optional(offers: FlexOfferBatch, node: Tensor, slots: int, more: Tensor, worth: Tensor) -> FlexOrders:
    """Return orders numbered 0, 1, ... of offers that take nothing unless accepted.

    Being accepted is worth `worth` [N] EUR to the owner, and energy costs him `more` [N] EUR/kWh, whatever its sign.
    """
    nothing = torch.zeros(len(node), slots, dtype=torch.float64)
    return _numbered(offers, node, nothing, (more, -more), worth, False)


def no_limits(nodes: int, slots: int) -> GridLimits:
    """Return the limits of a grid without any."""
    none = torch.zeros(0, slots, dtype=torch.float64)
    sensitivity = torch.zeros(0, nodes, dtype=torch.float64)
    return GridLimits((), none[:, 0] > 0.0, sensitivity, none, none, none, none, none, none)


def element_limits(name: tuple[str, ...], behind: Tensor, base: Tensor, limit: Tensor, cap: float) -> GridLimits:
    """Return limits of `limit` [L, T] kWh, both ways, on elements that feed the nodes `behind` [L, M] (share of each).

    `base` [L, T] kWh is what the elements carry at the positions, `cap` EUR/kWh the price of exceeding a limit.
    """
    endless = torch.full_like(base, torch.inf)
    energy = torch.zeros(len(name), dtype=torch.bool)
    priced = torch.full_like(base, cap)
    return GridLimits(name, energy, behind.double(), base, -limit, limit, endless, endless, priced)


def join_limits(first: GridLimits, second: GridLimits) -> GridLimits:
    """Return the limits of both."""
    pairs = zip(list(vars(first).values())[1:], list(vars(second).values())[1:])
    return GridLimits(first.name + second.name, *[torch.cat(pair) for pair in pairs])


def default_is_position(orders: FlexOrders) -> Tensor:
    """Return which orders [N] bool take their position when they follow their default schedule, within 1e-9 kWh."""
    default = load(orders.offers, orders.offers.default_start, orders.offers.default.double(), orders.position.shape[1])
    return ((default - orders.position).abs() <= 1e-9).all(1)


def midnight(year: int, month: int, day: int) -> datetime:
    """Return the begin of a day in UTC."""
    return datetime(year, month, day, tzinfo=UTC)


def effective_bounds(limits: GridLimits) -> tuple[Tensor, Tensor]:
    """Return the least and the greatest value [L, T] that costs nothing, rebound bounds among them.

    A base outside its own limit keeps the limit: the rebound bounds only narrow what is left.
    """
    lower = torch.maximum(limits.lower, torch.minimum(limits.base - limits.fall, limits.upper))
    upper = torch.minimum(limits.upper, torch.maximum(limits.base + limits.rise, limits.lower))
    return lower, upper


def _numbered(
    offers: FlexOfferBatch, node: Tensor, position: Tensor, prices: tuple[Tensor, Tensor], worth: Tensor, runs: bool
) -> FlexOrders:
    none = torch.full_like(node, -1)
    return FlexOrders(
        id=torch.arange(len(node)),
        offers=offers,
        node=node,
        position=position,
        price_more=prices[0].double(),
        price_less=prices[1].double(),
        worth=worth.double(),
        must_run=torch.full_like(node, runs, dtype=torch.bool),
        group=none,
        parent=none,
        submitted=torch.zeros(len(node), dtype=torch.float64),
    )
