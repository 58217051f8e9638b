"""What stored energy is worth: marginal values of the level of a store, and the bids that follow from them.

For a store that is filled and emptied at prices known beforehand, the value of its level is concave, and its slope v
follows a closed form (Bellman's equation, derived). With y the level after an idle slot, `rise` and `fall` what full
power changes, and b and s the prices for one more unit of level bought or sold:

    v_t(x) = kept * ( clamp(b_t, v(y + rise), v(y))   where v(y) > b_t, v being v_{t+1}
                      clamp(s_t, v(y), v(y - fall))   where v(y) < s_t
                      v(y)                            between them )

so a store buys until the value of one more unit has fallen to the price. Slopes are kept on LEVELS equidistant levels
between empty, 0, and full, 1, and interpolated; beyond them they are very high or very low.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from totalflex_env.compiled import inlined
from totalflex_env.devices.bidding import Bid, View
from totalflex_env.kernels import kernel

LEVELS = 17
STEPS = 8
"""Parts of equal energy into which the range of a slot is cut, each worth the mean of the values at its ends."""
WALL = 10.0
"""EUR per unit beyond empty or full: comfort comes before any price."""
_SLACK = 1e-6  # of a level


@dataclass(frozen=True)
class Stores:
    """What slopes depend on, of n stores; R is the number of rows or 1, S the number of slots or 1."""

    active: Tensor  # [n] bool, others have no value
    kept: Tensor  # [n] share of a unit that is left after a slot
    stay: Tensor  # [R, S, n] share of a level that is left after a slot: `kept` unless full and empty move
    drift: Tensor  # [R, S, n] level that comes from outside in a slot
    rise: Tensor  # [R, S, n] level by full power in a slot
    fall: Tensor  # [R, S, n] level lost by giving full power back, 0 for what cannot
    bought: Tensor  # [R, S, n] units by a kWh drawn
    sold: Tensor  # [R, S, n] kWh given back by a unit; negative if taking a unit out takes energy, as cooling does
    began: Tensor  # [B, n] level at the start, by what is empty and full in the end
    refill: Tensor  # [B, n] EUR for a unit that is missing in the end, negative: minus EUR for one that is too many


@dataclass(frozen=True)
class Filling:
    """What energy in a slot does to the level of n stores; R is the number of rows or 1."""

    active: Tensor  # [n] bool, others are left out
    idle: Tensor  # [B, n] level without energy
    taking: Tensor  # [R, n] level per kWh drawn
    giving: Tensor  # [R, n] level per kWh given back
    units_taking: Tensor  # [R, n] units per kWh drawn
    units_giving: Tensor  # [R, n] units per kWh given back


def slopes(stores: Stores, spot: Tensor) -> Tensor:
    """Return the marginal values [B, T + 1, n, LEVELS] EUR per unit at the prices `spot` [B, T] EUR/kWh."""
    (rows, slots), count = spot.shape, len(stores.kept)
    table = spot.new_zeros(rows, slots + 1, count, LEVELS)
    _slopes([spot.contiguous(), *(part.contiguous() for part in vars(stores).values())], [table])
    return table


def write_bids(filling: Filling, view: View[Any, Any], factor: Tensor, bid: Bid) -> None:
    """Write the bids of active stores into `bid`, with a `factor` [B, 1] on all values.

    They take energy as long as its parts are worth more than the spot price. Worth is the mean worth of the parts that
    are taken, and of those that are not.
    """
    inputs = [view.value, view.now, factor, view.lower, view.upper, *vars(filling).values()]
    _bids([part.contiguous() for part in inputs], list(vars(bid).values()), 0, [view.slot])


@inlined
def _slope(values: Any, level: float, wall: float) -> float:
    """Interpolate the slopes [LEVELS] at a level, +-`wall` beyond the ends."""
    place = min(max(level, 0.0), 1.0) * (LEVELS - 1)
    below = min(int(place), LEVELS - 2)
    value = values[below] + (values[below + 1] - values[below]) * (place - below)
    if level < -_SLACK:
        return value + wall  # type: ignore[no-any-return]
    return value - wall if level > 1.0 + _SLACK else value  # type: ignore[no-any-return]


@inlined
def _of(part: Any, row: int, slot: int, n: int) -> float:
    """A number of an array [rows or 1, slots or 1, n]."""
    return part[row % part.shape[0], slot % part.shape[1], n]  # type: ignore[no-any-return]


@inlined
def _slopes_of_row(row: int, inputs: Any, table: Any) -> None:
    spot, active, kept, stay, drift, rise, fall, bought, sold, began, refill = inputs
    slots = spot.shape[1]
    for n in range(len(kept)):
        if not active[n]:
            continue
        for k in range(LEVELS):
            above = k / (LEVELS - 1) - began[row, n]
            table[row, slots, n, k] = refill[row, n] if above * refill[row, n] < -_SLACK * abs(refill[row, n]) else 0.0
        for slot in range(slots - 1, -1, -1):
            later, left, comes = table[row, slot + 1, n], _of(stay, row, slot, n), _of(drift, row, slot, n)
            buy, up = spot[row, slot] / _of(bought, row, slot, n), _of(rise, row, slot, n)
            sell, down = spot[row, slot] * _of(sold, row, slot, n), _of(fall, row, slot, n)
            for k in range(LEVELS):
                idle = left * (k / (LEVELS - 1)) + comes
                value = _slope(later, idle, WALL)
                if value > buy:
                    value = min(max(buy, _slope(later, idle + up, WALL)), value)
                elif down > 0.0 and value < sell:
                    value = max(min(sell, _slope(later, idle - down, WALL)), value)
                table[row, slot, n, k] = kept[n] * value


@inlined
def _bid_of_row(row: int, inputs: Any, outputs: Any, slot: int) -> None:
    table, now, factor, lower, upper, active, idle, taking, giving, units_taking, units_giving = inputs
    target, less, more = outputs
    at = row % len(taking)
    for n in range(len(active)):
        if not active[n]:
            continue
        values, low, part = table[row, slot + 1, n], lower[row, n], (upper[row, n] - lower[row, n]) / STEPS
        taken, worth_taken, worth_left = 0, 0.0, 0.0
        before = _slope(values, idle[row, n] + low * (taking[at, n] if low > 0.0 else giving[at, n]), 0.0)
        for k in range(1, STEPS + 1):
            energy = low + part * k
            after = _slope(values, idle[row, n] + energy * (taking[at, n] if energy > 0.0 else giving[at, n]), 0.0)
            units = units_taking[at, n] if energy - part / 2.0 > 0.0 else units_giving[at, n]
            worth = (before + after) / 2.0 * units * factor[row, 0]
            if worth > now[row]:
                taken, worth_taken = taken + 1, worth_taken + worth
            else:
                worth_left += worth
            before = after
        target[row, n] = upper[row, n] if taken == STEPS else low + part * taken
        less[row, n], more[row, n] = worth_taken / max(taken, 1), worth_left / max(STEPS - taken, 1)


@kernel
def _slopes(rows: Any, inputs: Any, outputs: Any, scratch: Any, numbers: Any) -> None:
    for row in range(rows[0], rows[1], rows[2]):
        _slopes_of_row(row, inputs, outputs[0])


@kernel
def _bids(rows: Any, inputs: Any, outputs: Any, scratch: Any, numbers: Any) -> None:
    for row in range(rows[0], rows[1], rows[2]):
        _bid_of_row(row, inputs, outputs, numbers[0])
