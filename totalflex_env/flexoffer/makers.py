"""Members of one kind from physical numbers in kWh per slot; bad ones are refused with offer and rule.

Every function takes the identities and nodes (`Who`), the length of the grid and the numbers of n offers. Windows are
pairs of the first slot and the first slot after the last, [n] int64 each; other pairs are lower and upper bounds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.devices.losses import cycling
from totalflex_env.errors import OfferError
from totalflex_env.flexoffer.kinds import Boxes, Chains, Members, Programmes, Storages, Vehicles, to_kwh, to_uwh
from totalflex_env.flexoffer.members import distinct, empty, expand, join, lossless
from totalflex_env.flexoffer.scans import possible

Pair = tuple[Tensor, Tensor]
Rule = tuple[str, Tensor, Tensor]  # what must hold, for which offers it does [n] bool, the numbers it is about [n, ...]
FORGOTTEN = 1e-9  # share of a level left after the grid; with less, scaled coordinates lose the early slots to rounding


@dataclass(frozen=True)
class Who:
    """Whose offers they are."""

    offer: Tensor  # [n] int64, unique
    node: Tensor  # [n] int64, -1 where unknown


@dataclass(frozen=True)
class LossyBattery:
    """Batteries that store charge_efficiency of what they take and give discharge_efficiency of what they lose."""

    charge: Tensor  # [n] kWh per slot
    discharge: Tensor  # [n] kWh per slot
    charge_efficiency: Tensor  # [n] in (0, 1]
    discharge_efficiency: Tensor  # [n] in (0, 1]
    stored: Tensor  # [n] kWh at the begin of the window
    least: Tensor  # [n] kWh, the least that may be stored
    most: Tensor  # [n] kWh
    need: Tensor  # [n] kWh at the end of the window


def numbered(count: int, first: int = 0, node: int = -1) -> Who:
    """Return the identities first, first + 1, ... of `count` offers at one node."""
    return Who(torch.arange(first, first + count), torch.full((count,), node))


def boxes(who: Who, slots: int, energy: Pair) -> Members:
    """Return offers of any energy [n, T] kWh between two bounds in every slot."""
    _require(who, [("bounds are finite numbers", _finite(*energy).all(1), energy[0]), *_ordered("energy", energy)])
    made = Boxes(who.offer, who.node, _exact(who), to_uwh(energy[0]), to_uwh(energy[1]))
    return join([replace(empty(slots), boxes=made)])


def vehicles(who: Who, slots: int, window: Pair, power: Tensor, total: Pair) -> Members:
    """Return offers of 0 to `power` [n] kWh in every slot of a window, between two totals [n] kWh over it."""
    _require(who, _vehicle_rules(slots, window, power, total))
    capacity = to_uwh(power) * (window[1] - window[0])
    most = torch.minimum(to_uwh(total[1]), capacity)
    least = torch.minimum(to_uwh(total[0]).clamp(min=0), most)
    made = Vehicles(who.offer, who.node, _exact(who), *window, to_uwh(power), least, most, torch.zeros_like(most))
    return join([replace(empty(slots), vehicles=made)])


def chargers(who: Who, slots: int, window: Pair, power: tuple[Tensor, Tensor], total: Pair) -> Members:
    """Return vehicles whose chargers are off or take between the pair `power` [n] kWh per slot (6 A at the least).

    They are offered the multiples of the smallest share of full power, power / j, that is not below the least: INNER.
    A charger with equal steps is one whose least power is its step. Totals are rounded inward to multiples.
    """
    least, full = power
    _require(who, _vehicle_rules(slots, window, full, total))
    _require(who, [("0 < least power <= power", (least > 0.0) & (least <= full), torch.stack(power, 1))])
    quantum = to_uwh(full) // (full / least + 1e-9).long()
    steps = to_uwh(full) // quantum.clamp(min=1)
    low, high = -(-to_uwh(total[0]).clamp(min=0) // quantum), to_uwh(total[1]) // quantum
    high = torch.minimum(high, steps * (window[1] - window[0]))
    numbers = torch.stack([*total, to_kwh(quantum)], 1)
    _require(who, [("the totals hold a multiple of the step, the last number", low <= high, numbers)])
    energies = quantum * steps, quantum * low, quantum * high
    made = Vehicles(who.offer, who.node, ~_exact(who), *window, *energies, quantum)
    return join([replace(empty(slots), vehicles=made)])


def storages(who: Who, slots: int, window: Pair, power: Pair, level: tuple[Pair, Pair]) -> Members:
    """Return lossless storages: discharge and charge `power` [n] kWh per slot >= 0, and their levels [n] kWh.

    Of the pair `level` the first are bounds in the window and the second bounds at its end, counted from arrival.
    """
    numbers = torch.stack([*power, *level[0], *level[1]], 1)
    _require(
        who, [("powers and levels are finite numbers", numbers.isfinite().all(1), numbers), *_inside(slots, window)]
    )
    _require(who, [("powers are not negative", (numbers[:, :2] >= 0.0).all(1), numbers[:, :2])])
    made = Storages(who.offer, who.node, _exact(who), *window, *power, *level[0], *level[1])
    _require_possible(who, expand(made, slots))
    return join([replace(empty(slots), storages=made)])


def lossy_batteries(who: Who, slots: int, window: Pair, battery: LossyBattery) -> Members:
    """Return batteries as the lossless storages that they can stand for: INNER if they lose energy and discharge.

    With gain * e - loss as the least that a slot stores (`losses`) and charge_efficiency * e as the most, cumulative
    energy is kept where the stored energy stays within its bounds. A battery can stay at rest as far as its need lets
    it. EXACT without losses, and without discharge power.
    """
    numbers = torch.stack(list(vars(battery).values()), 1)
    _require(who, [("numbers of a battery are finite", numbers.isfinite().all(1), numbers), *_inside(slots, window)])
    _require(who, _battery_rules(battery))
    step = (torch.arange(slots) - window[0][:, None] + 1).clamp(min=1)
    slot = torch.arange(slots)
    inside, last = (slot >= window[0][:, None]) & (slot < window[1][:, None]), slot == window[1][:, None] - 1
    duration = window[1] - window[0]
    reached = torch.minimum(battery.most, battery.stored + battery.charge_efficiency * battery.charge * duration)
    at_end = torch.where(battery.stored >= battery.need, battery.stored, reached) - battery.need
    bearable = torch.minimum((battery.stored - battery.least) / duration, at_end / duration).clamp(min=0.0)
    efficiency = battery.charge_efficiency, battery.discharge_efficiency
    cycle = cycling(battery.charge, battery.discharge, efficiency, bearable)
    bound = torch.where(last, torch.maximum(battery.need, battery.least)[:, None], battery.least[:, None])
    lowest = (bound - battery.stored[:, None] + step * cycle.loss[:, None]) / cycle.gain[:, None]
    highest = ((battery.most - battery.stored) / battery.charge_efficiency)[:, None].expand_as(lowest)
    energy = torch.where(inside, -cycle.discharge[:, None], 0.0), torch.where(inside, battery.charge[:, None], 0.0)
    level = torch.where(inside, lowest, -torch.inf), torch.where(inside, highest, torch.inf)
    loses = (battery.charge_efficiency * battery.discharge_efficiency < 1.0) & (battery.discharge > 0.0)
    made = lossless(Boxes(who.offer, who.node, loses, *energy), energy, level)
    _require_possible(who, made)
    return join([replace(empty(slots), chains=made)])


def heat(who: Who, energy: Pair, level: Pair, retention: Tensor, gains: Tensor) -> Members:
    """Return leaky storages: level[t] = retention * level[t-1] + gains[t] * energy[t], 0 before slot 0.

    Bounds [n, T] kWh on energy and on level, the latter infinite where there is none; `retention` [n] per slot and
    `gains` [n, T] > 0, the coefficient of performance. What a forecast adds to the level belongs into its bounds.
    """
    slots = energy[0].shape[1]
    _require(who, [("bounds are finite numbers", _finite(*energy).all(1), energy[0]), *_ordered("energy", energy)])
    levels = torch.stack(level, 2)
    _require(who, [("level bounds are numbers", ~levels.isnan().flatten(1).any(1), levels), *_ordered("level", level)])
    remaining = retention**slots
    rule = f"retention is at most 1, and more than {FORGOTTEN:.0e} of a level is left after {slots} slots"
    _require(who, [(rule, (retention <= 1.0) & (remaining > FORGOTTEN), retention)])
    _require(who, [("gains are positive numbers", (gains.isfinite() & (gains > 0.0)).all(1), gains)])
    library, profile = distinct(gains.double())
    made = Chains(who.offer, who.node, _exact(who), *energy, *level, retention.double(), profile, library)
    _require_possible(who, made)
    return join([replace(empty(slots), chains=made)])


def programmes(who: Who, slots: int, start: Pair, profile: Tensor) -> Members:
    """Return shiftable offers: a fixed profile [n, S] kWh per slice, started from the first to the last of `start`."""
    used = (profile != 0.0) * torch.arange(1, profile.shape[1] + 1)
    ends = start[1] + used.amax(1)
    window = torch.stack(start, 1)
    rules = [("profiles are finite numbers", _finite(profile).all(1), profile)]
    rules += [("0 <= earliest start <= latest start", (start[0] >= 0) & (start[0] <= start[1]), window)]
    _require(who, [*rules, (f"the profile ends by slot {slots}, the end of the grid", ends <= slots, ends)])
    shapes, shape = distinct(to_uwh(profile))
    made = Programmes(who.offer, who.node, _exact(who), *start, shape, shapes)
    return join([replace(empty(slots), programmes=made)])


def _require(who: Who, rules: list[Rule]) -> None:
    """Raise an OfferError with the identity of the first offer that breaks one of the rules."""
    for rule, holds, value in rules:
        if not bool(holds.all()):
            first = int((~holds).nonzero()[0])
            raise OfferError(str(int(who.offer[first])), rule, value[first].tolist())


def _require_possible(who: Who, chains: Chains) -> None:
    value = torch.stack([chains.level_lower, chains.level_upper], 2)
    _require(who, [("the slices can meet the levels", possible(chains), value)])


def _vehicle_rules(slots: int, window: Pair, power: Tensor, total: Pair) -> list[Rule]:
    numbers = torch.stack([power, *total], 1)
    capacity = power * (window[1] - window[0])
    return [
        ("power and totals are finite numbers", numbers.isfinite().all(1), numbers),
        *_inside(slots, window),
        ("power is not negative", power >= 0.0, power),
        ("total_lower <= total_upper", total[0] <= total[1], numbers[:, 1:]),
        ("the slices can meet the totals", (total[0] <= capacity + 1e-9) & (total[1] >= 0.0), numbers[:, 1:]),
    ]


def _battery_rules(battery: LossyBattery) -> list[Rule]:
    efficiency = torch.stack([battery.charge_efficiency, battery.discharge_efficiency], 1)
    power = torch.stack([battery.charge, battery.discharge], 1)
    stored = torch.stack([battery.least, battery.stored, battery.most], 1)
    return [
        ("efficiencies lie in (0, 1]", ((efficiency > 0.0) & (efficiency <= 1.0)).all(1), efficiency),
        ("powers are not negative", (power >= 0.0).all(1), power),
        ("least <= stored <= most", (stored.diff(dim=1) >= 0.0).all(1), stored),
        ("the need is at most what fits", battery.need <= battery.most, battery.need),
    ]


def _inside(slots: int, window: Pair) -> list[Rule]:
    rule = f"0 <= arrival < departure <= {slots}: the window holds at least one slot and lies on the grid"
    return [(rule, (window[0] >= 0) & (window[0] < window[1]) & (window[1] <= slots), torch.stack(window, 1))]


def _ordered(name: str, bounds: Pair) -> list[Rule]:
    return [(f"{name}_lower <= {name}_upper in every slot", (bounds[0] <= bounds[1]).all(1), torch.stack(bounds, 2))]


def _finite(*numbers: Tensor) -> Tensor:
    return torch.cat(numbers, 1).isfinite()


def _exact(who: Who) -> Tensor:
    return torch.zeros(len(who.offer), dtype=torch.bool)
