"""The whole world as one mixed-integer linear program: what the devices export, and what ties them together.

The objective is the system cost of the day from a slot on. Devices bring their own variables, rows and costs; here
they meet in the houses, whose energy makes the net consumption, its imbalance and the load of the grid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from baselines.tangents import Tangents, inflexible_kw
from totalflex_env import fleet
from totalflex_env.linear_types import EnergyMap, LinearBlock, SparseMatrix, flat, join, matrix, named, places
from totalflex_env.types import DeviceState, Params, Scenario

EDGES = (-1.5, -0.75, 0.0, 0.75, 1.5)
"""Where the price of an expected imbalance changes, in standard deviations of what cannot be planned."""

CROWDED = 0.9
"""Loading by solar power alone from which burning energy could pay."""


@dataclass(frozen=True)
class Task:
    """What is to be planned: the rest of one episode, a batch of one row."""

    params: Params
    scenario: Scenario  # as far as it is known
    state: DeviceState  # at the start of `slot`
    slot: int
    guards: tuple[Any, ...]  # of each family: what keeps its limits in the engine
    tangents: Tangents
    limit: Tensor  # [T, L] loading up to which nothing is paid
    nomination_kwh: Tensor | None  # [T], None: the plan is its own nomination
    deviation_kwh: Tensor  # [T] standard deviation of the net consumption that cannot be planned


@dataclass(frozen=True)
class Program:
    """A task in numbers, and where the energies of the devices are found in a solution."""

    block: LinearBlock  # its device indices are those of the fleet
    fixed_kwh: Tensor  # [T] net consumption without devices
    device_rows: int  # rows of the devices alone, which come first


@dataclass(frozen=True)
class _System:
    """Where the variables that tie devices together lie: T slots, H houses with devices, L elements, U nodes."""

    nomination: Tensor  # [T]
    step: Tensor  # [T, J] kWh of imbalance: first what is short of the lowest edge, then upwards from there
    house: Tensor  # [T, H] kWh of the devices of a house
    overload: Tensor  # [T, L] loading above the limit
    above: Tensor  # [T, U] p.u. above the voltage band
    below: Tensor  # [T, U] p.u. below it


@dataclass(frozen=True)
class _Rows:
    """A family of constraints: lower <= matrix @ x <= upper over all variables x."""

    name: str
    matrix: SparseMatrix
    lower: Tensor
    upper: Tensor


def assemble(task: Task) -> Program:
    """Return the program of a task; its shape depends on the parameters, T and the nodes of the tangents alone."""
    devices = _devices(task)
    slots, houses = task.scenario.base_kwh.shape[1], len(_inhabited(task))
    grid = (slots, task.limit.shape[1]), (slots, len(task.tangents.node)), (slots, len(task.tangents.node))
    local = places((slots,), (slots, len(EDGES) + 1), (slots, houses), *grid)
    system = _System(*[place + len(devices.cost) for place in local])
    cost, lower, upper = _variables(task)
    families = [
        _Rows("", devices.rows, devices.row_lower, devices.row_upper),
        _connection(task, system, devices.energy),
        _balance(task, system),
        _loading(task, system),
        _above_band(task, system),
        _below_band(task, system),
    ]
    first = [sum(family.lower.numel() for family in families[:i]) for i in range(len(families))]
    block = LinearBlock(
        cost=flat(devices.cost, cost),
        lower=flat(devices.lower, lower),
        upper=flat(devices.upper, upper),
        integer=torch.cat([devices.integer, torch.zeros(len(cost), dtype=torch.bool)]),
        rows=matrix(*[(f.matrix.row + at, f.matrix.column, f.matrix.value) for f, at in zip(families, first)]),
        row_lower=flat(*[family.lower for family in families]),
        row_upper=flat(*[family.upper for family in families]),
        energy=devices.energy,
        row_names=(*named(devices), *((family.name, family.lower.numel()) for family in families[1:])),
    )
    return Program(block, _fixed_kwh(task), len(devices.row_lower))


def fixed_at(program: Program, energy: Tensor) -> Program:
    """Return the program with one more row per slot and device that fixes its energy [T, N] kWh."""
    block, devices = program.block, energy.shape[1]
    row = len(block.row_lower) + block.energy.slot * devices + block.energy.device
    rows = replace(
        block.rows,
        row=torch.cat([block.rows.row, row]),
        column=torch.cat([block.rows.column, block.energy.column]),
        value=torch.cat([block.rows.value, block.energy.value]),
    )
    lower, upper = (torch.cat([bound, energy.flatten()]) for bound in (block.row_lower, block.row_upper))
    return replace(program, block=replace(block, rows=rows, row_lower=lower, row_upper=upper))


def _devices(task: Task) -> LinearBlock:
    """The devices of all families side by side, their indices those of the fleet."""
    params, blocks, first = task.params, [], 0
    rests = fleet.rests(params, task.scenario, task.state, task.guards, task.slot, _wasteful(task))
    for family, rest in zip(params.families, rests):
        block = family.linear(rest)
        blocks.append(replace(block, energy=replace(block.energy, device=block.energy.device + first)))
        first += len(family.house)
    return join(blocks)


def _inhabited(task: Task) -> Tensor:
    """Return the houses [H] that have devices, in order."""
    inhabited: Tensor = torch.unique(task.params.house)
    return inhabited


def _wasteful(task: Task) -> Tensor:
    """Return the slots [T] bool in which burning energy could pay: a price below zero, or too much solar power."""
    tangents, scenario = task.tangents, task.scenario
    slope = tangents.loading_slope[:, :, 0]
    near = _at_inflexible(task, tangents.loading[..., 0], slope) > CROWDED
    exporting = slope.sum(dim=-1) < 0.0
    return (scenario.down[0] < 0.0) | (near & exporting).any(dim=1)


def _fixed_kwh(task: Task) -> Tensor:
    """Return the net consumption [T] kWh without devices: houses less wind."""
    return inflexible_kw(task.params, task.scenario)[0].sum(dim=1) * task.params.slot_hours - task.scenario.wind_kwh[0]


def _variables(task: Task) -> tuple[Tensor, Tensor, Tensor]:
    """Return costs and bounds of the system's variables; those of slots that have passed are zero."""
    params, scenario, market = task.params, task.scenario, task.params.config.market
    slots, houses = scenario.base_kwh.shape[1], len(_inhabited(task))
    ahead = torch.arange(slots) >= task.slot
    free = torch.where(ahead, torch.inf, 0.0)[:, None]
    own = task.nomination_kwh is None
    fixed = free[:, 0] if task.nomination_kwh is None else task.nomination_kwh * ahead
    price, width = _imbalance(task)
    hours = params.slot_hours
    overload = (market.overload_price * hours * params.grid.rating_kva[params.limited]).expand(slots, -1)
    voltage = torch.full((slots, len(task.tangents.node)), market.voltage_price * hours)
    house, strain = free.expand(slots, houses), [overload, voltage, voltage]
    cost = flat(scenario.spot[0], price, torch.zeros(slots, houses), *strain)
    lower = flat(-free if own else fixed, torch.zeros_like(width), -house, *[torch.zeros_like(part) for part in strain])
    return cost, lower, flat(fixed, width, house, *[free.expand(part.shape) for part in strain])


def _imbalance(task: Task) -> tuple[Tensor, Tensor]:
    """Return marginal costs [T, J] EUR/kWh and widths [T, J] kWh of the steps of an imbalance.

    One kWh more costs the up price if the slot turns out short and the down price if it turns out long; close to zero
    it is therefore expected to cost a mean of both by the probability of being short.
    """
    scenario, edges = task.scenario, torch.tensor(EDGES, dtype=torch.float64)
    short = torch.special.ndtr((edges[1:] + edges[:-1]) / 2.0)
    up, down = scenario.up[0, :, None], scenario.down[0, :, None]
    price = torch.cat([-down, down + (up - down) * short, up], dim=1)
    width = task.deviation_kwh[:, None] * (edges[1:] - edges[:-1])
    beyond = torch.full_like(up, torch.inf)
    allowed = (torch.arange(len(width)) >= task.slot)[:, None] & (task.nomination_kwh is not None)
    return price, torch.where(allowed, torch.cat([beyond, width, beyond], dim=1), 0.0)


def _open(task: Task, bound: Tensor, sign: float) -> Tensor:
    """Return a row bound [T, ...] with infinity of the given sign in slots that have passed."""
    passed = (torch.arange(len(bound)) < task.slot).reshape(-1, *[1] * (bound.dim() - 1))
    return torch.where(passed, sign * torch.inf, bound.double())


def _connection(task: Task, system: _System, energy: EnergyMap) -> _Rows:
    """The energy of a house is that of its devices."""
    (row,) = places(tuple(system.house.shape))
    place = torch.searchsorted(_inhabited(task), task.params.house)
    device_row = row[energy.slot, place[energy.device]]
    nothing = torch.zeros(row.shape)
    entries = matrix((row, system.house, 1.0), (device_row, energy.column, -energy.value))
    return _Rows("energy of the houses", entries, _open(task, nothing, -1.0), _open(task, nothing, 1.0))


def _balance(task: Task, system: _System) -> _Rows:
    """Net consumption is the nomination plus the imbalance."""
    (row,) = places((len(system.nomination),))
    entries = matrix(
        (row[:, None], system.house, 1.0),
        (row, system.nomination, -1.0),
        (row, system.step[:, 0], 1.0),
        (row[:, None], system.step[:, 1:], -1.0),
    )
    begin = EDGES[0] * task.deviation_kwh - _fixed_kwh(task)
    return _Rows("net consumption", entries, _open(task, begin, -1.0), _open(task, begin, 1.0))


def _loading(task: Task, system: _System) -> _Rows:
    """A loading above its limit is an overload, on either side."""
    tangents = task.tangents
    (row,) = places(tuple(tangents.loading.shape))
    fixed = _at_inflexible(task, tangents.loading, tangents.loading_slope)
    entries = matrix(
        (row[..., None], system.house[:, None, None], _per_kwh(task, tangents.loading_slope)),
        (row, system.overload[..., None], -1.0),
    )
    upper = _open(task, task.limit[..., None] - fixed, 1.0)
    return _Rows("loading of the grid", entries, torch.full_like(upper, -torch.inf), upper)


def _above_band(task: Task, system: _System) -> _Rows:
    """A voltage above the band, which export brings about."""
    tangents, (row,) = task.tangents, places(tuple(system.above.shape))
    slope = tangents.voltage_slope[:, :, 0]
    room = task.params.grid.voltage_upper[tangents.node] - _at_inflexible(task, tangents.voltage[..., 0], slope)
    entries = matrix((row[..., None], system.house[:, None], _per_kwh(task, slope)), (row, system.above, -1.0))
    upper = _open(task, room, 1.0)
    return _Rows("voltage above its band", entries, torch.full_like(upper, -torch.inf), upper)


def _below_band(task: Task, system: _System) -> _Rows:
    """A voltage below the band, which import brings about."""
    tangents, (row,) = task.tangents, places(tuple(system.below.shape))
    slope = tangents.voltage_slope[:, :, 1]
    room = task.params.grid.voltage_lower[tangents.node] - _at_inflexible(task, tangents.voltage[..., 1], slope)
    entries = matrix((row[..., None], system.house[:, None], _per_kwh(task, slope)), (row, system.below, 1.0))
    lower = _open(task, room, -1.0)
    return _Rows("voltage below its band", entries, lower, torch.full_like(lower, torch.inf))


def _per_kwh(task: Task, slope: Tensor) -> Tensor:
    """Return slopes [..., P] per kW as slopes [..., H] per kWh of the houses with devices."""
    return slope[..., _inhabited(task)] / task.params.slot_hours


def _at_inflexible(task: Task, value: Tensor, slope: Tensor) -> Tensor:
    """Return tangents [T, ...] with slopes [T, ..., P] at the power of the houses without their devices."""
    power = inflexible_kw(task.params, task.scenario)[0]
    power = power.reshape(len(power), *[1] * (slope.dim() - 2), -1)
    return value + (slope * power).sum(dim=-1)
