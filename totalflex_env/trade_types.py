"""What is traded: flex-offers, the order book of one slot, its result and the bookings that follow.

Letters in the shapes: B rows, N flex-offers, W slices of a profile, P houses, A aggregators, Q bid segments,
K steps of a curve, L limited elements. Consumption is positive. Order books are integers (mWh, micro-EUR per kWh) to be
compared exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from torch import Tensor


class OfferState(IntEnum):
    """Life of a flex-offer."""

    INITIAL = 0
    OFFERED = 1
    ACCEPTED = 2
    ASSIGNED = 3
    EXECUTED = 4
    REJECTED = 5
    INVALID = 6
    CANCELED = 7


@dataclass(frozen=True)
class FlexOfferBatch:
    """N flex-offers on one slot grid: 'start between earliest and latest, then these slices'."""

    device: Tensor  # [N] int64
    house: Tensor  # [N] int64
    earliest: Tensor  # [N] int64, first slot in which the profile may start
    latest: Tensor  # [N] int64, last slot in which it may start
    slices: Tensor  # [N] int64, length of the profile
    lower: Tensor  # [N, W] kWh per slice, zero behind `slices`
    upper: Tensor  # [N, W]
    total_lower: Tensor  # [N] kWh over the profile
    total_upper: Tensor  # [N]
    level_lower: Tensor  # [N, W] bounds of the cumulative energy after each slice, -inf where there is none
    level_upper: Tensor  # [N, W]
    default_start: Tensor  # [N] int64
    default: Tensor  # [N, W] kWh per slice left alone
    price_shift: Tensor  # [N] EUR per slot of start shift
    acceptance: Tensor  # [N] int64, last slot for an answer
    assignment: Tensor  # [N] int64, last slot for an assignment
    state: Tensor  # [N] int64, OfferState


@dataclass(frozen=True)
class Orders:
    """The book of one slot in integers, so that comparisons are exact: mWh and micro-EUR per kWh."""

    quantity: Tensor  # [B, Q] int64, >= 0, energy that is taken while its price is above the nodal price
    price: Tensor  # [B, Q] int64
    house: Tensor  # [Q] int64
    fixed: Tensor  # [B, P] int64, net consumption of each house without any segment
    position: Tensor  # [B] int64, energy beyond the nomination without any segment (houses less wind less nomination)
    brp_price: Tensor  # [B, K] int64, rising
    brp_quantity: Tensor  # [B, K] int64
    brp_start: Tensor  # [B] int64
    limit: Tensor  # [B, L] int64, energy per slot allowed through each element, in both directions
    members: Tensor  # [L, P] bool, leaf before root
    cap: Tensor  # [B] int64, price of exceeding a limit


@dataclass(frozen=True)
class Award:
    """The result of a clearing."""

    accepted: Tensor  # [B, Q] int64
    balance_price: Tensor  # [B] int64, lambda
    grid_price: Tensor  # [B, P] int64, sum of mu over the elements between the house and the root


@dataclass(frozen=True)
class Ledger:
    """Double-entry bookings of a slot in micro-EUR: every booking moves an amount between two accounts."""

    balance: Tensor  # [B, P + A + 3] int64, change of: houses, aggregators, BRP, DSO, world outside
    turnover: Tensor  # [B] int64, sum of the booked amounts
