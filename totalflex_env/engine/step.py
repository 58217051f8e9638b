"""One slot of the world: `step` is `realise(decide(...))`.

`decide` is what an aggregator and a market do before the outcome of the slot is known; `realise` is what devices, grid
and settlement make of it. A deployment keeps `decide` and hands the metered energy to `realise`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from totalflex_env import fleet
from totalflex_env.devices.family import Range
from totalflex_env.engine.curtail import curtail
from totalflex_env.grid import limits, solvers
from totalflex_env.grid_model import PowerFlow
from totalflex_env.market import clearing, orders, settlement
from totalflex_env.scenario.forecast import expect_slot, forecast
from totalflex_env.types import (
    Action,
    Costs,
    Decision,
    DeviceState,
    Episode,
    Outcome,
    Params,
    Situation,
    SlotForecast,
    State,
)
from totalflex_env.units import from_micro_eur, to_micro_eur, to_mwh_integer


@dataclass(frozen=True)
class Net:
    """Energy at the houses' connection points in a slot."""

    active_kwh: Tensor  # [B, P]
    reactive_kvarh: Tensor  # [B, P]
    wind_kwh: Tensor  # [B]

    def total(self) -> Tensor:
        """Return the net consumption [B] kWh: houses less wind."""
        return self.active_kwh.sum(dim=1) - self.wind_kwh


Told = tuple[Range, Tensor, tuple[Any, ...], SlotForecast]
"""The devices' limits and the position [B, N], what is known of habits, and what the slot is expected to bring."""


def start(params: Params, episode: Episode) -> State:
    """Return the state before the first slot."""
    devices = fleet.start(params, episode.actual)
    nothing = torch.zeros_like(episode.nomination_kwh[:, 0])
    return State(slot=0, devices=devices, twin=devices, last_imbalance_kwh=nothing, last_price=nothing)


def situation(params: Params, episode: Episode, state: State, told: Told | None = None) -> Situation:
    """Return what may be known at the start of the slot: all that policies and the market decide with.

    `told` is what `tell` returns, if it is there already.
    """
    allowed, position, present, expected = told or tell(params, episode, state)
    return Situation(
        params=params,
        state=state,
        lower=allowed.lower,
        upper=allowed.upper,
        default=allowed.default,
        position_kwh=position,
        nomination_kwh=episode.nomination_kwh,
        outlook=episode.outlook,
        present=present,
        expected=expected,
        forecast=lambda: forecast(params, episode.actual, episode.expected, state.slot),
        population=episode.actual.population,
    )


def tell(params: Params, episode: Episode, state: State) -> Told:
    """Return what has to be computed for a situation."""
    both = fleet.limits(params, fleet.pair(state.devices, state.twin), episode, state.slot)
    lower, upper, default = (each.expand(2, -1, -1) for each in (both.lower, both.upper, both.default))
    return (
        Range(lower[0], upper[0], default[0]),
        default[1],
        fleet.present(params, episode.actual, episode.expected, state.slot),
        expect_slot(episode.actual, episode.expected, state.slot, params.config),
    )


def decide(situation: Situation, action: Action) -> Decision:
    """Clear the market of this slot and hand every device its energy, all before the slot's outcome is known."""
    params, expected = situation.params, situation.expected
    allowed = Range(situation.lower, situation.upper, situation.default)
    if not action.traded:
        return _without_market(situation, fleet.snap(params, action.target_kwh, allowed))
    background = orders.Background(
        house_kwh=expected.base_kwh - expected.pv_kwh,
        house_kvarh=expected.base_kvarh,
        wind_kwh=expected.wind_kwh,
        nomination_kwh=situation.nomination_kwh[:, situation.state.slot],
    )
    offered = orders.released(params, action, allowed)
    award = clearing.clear(orders.book(params, action, offered, background))
    cleared = energy = fleet.snap(params, orders.energy_kwh(award, offered), allowed)
    if "curtail" in params.config.constraints:
        energy = fleet.snap(params, curtail(situation, cleared), allowed)
    return Decision(
        lower=situation.lower,
        upper=situation.upper,
        position_kwh=situation.position_kwh,
        energy_kwh=energy,
        award_mwh=to_mwh_integer(energy) - to_mwh_integer(situation.position_kwh),
        balance_price=award.balance_price,
        grid_price=award.grid_price,
        traded=True,
        curtailed_kwh=(energy - cleared).abs().sum(dim=1),
    )


def realise(
    params: Params, episode: Episode, state: State, decision: Decision, metered_kwh: Tensor | None = None
) -> tuple[State, Outcome]:
    """Let devices move, the grid respond and money settle; a deployment hands in `metered_kwh` [B, N]."""
    actual, slot = episode.actual, state.slot
    energy = decision.energy_kwh if metered_kwh is None else metered_kwh
    net = connection(params, episode, slot, energy)
    imbalance = net.total() - episode.nomination_kwh[:, slot]
    after = moved(params, episode, state, decision, (energy, imbalance))
    flow = solve_grid(params, net)
    strain = limits.violations(params.grid, flow)
    comfort = fleet.discomfort(params, after.devices, actual, slot)
    missing = end_shortfall(params, after.devices, episode, slot)
    costs = Costs(
        spot=actual.spot[:, slot] * episode.nomination_kwh[:, slot],
        imbalance=actual.up[:, slot] * imbalance.clamp(min=0.0) + actual.down[:, slot] * imbalance.clamp(max=0.0),
        overload=params.config.market.overload_price * strain.overload_kva * params.slot_hours,
        voltage=params.config.market.voltage_price * strain.voltage_pu * params.slot_hours,
        discomfort=comfort.cost.sum(dim=1),
        shortfall=missing.sum(dim=1),
    )
    delivery = settlement.Delivery(
        energy_kwh=energy,
        house_kwh=actual.base_kwh[:, slot] - actual.pv_kwh[:, slot],
        wind_kwh=actual.wind_kwh[:, slot],
        nomination_kwh=episode.nomination_kwh[:, slot],
        spot=actual.spot[:, slot],
        up=actual.up[:, slot],
        down=actual.down[:, slot],
    )
    ledger = settlement.settle(params, decision, delivery)
    suffered = torch.zeros_like(net.active_kwh).index_add(1, params.house, comfort.cost + missing)
    outcome = Outcome(
        energy_kwh=energy,
        net_kwh=net.total(),
        imbalance_kwh=imbalance,
        flow=flow,
        overload_kvah=strain.overload_kva * params.slot_hours,
        voltage_puh=strain.voltage_pu * params.slot_hours,
        degree_hours=comfort.degree_hours,
        unmet_kwh=comfort.unmet_kwh,
        costs=costs,
        ledger=ledger,
        rewards=settlement.rewards(ledger, costs, suffered),
    )
    return after, outcome


def moved(
    params: Params, episode: Episode, state: State, decision: Decision, delivered: tuple[Tensor, Tensor]
) -> State:
    """Return the state after a slot that `delivered` device energies [B, N] kWh and an imbalance [B] kWh."""
    energy, imbalance = delivered
    both, taken = fleet.pair(state.devices, state.twin), torch.stack([energy, decision.position_kwh])
    devices, twin = fleet.parted(fleet.advance(params, both, taken, episode.actual, state.slot))
    return State(
        slot=state.slot + 1,
        devices=devices,
        twin=twin,
        last_imbalance_kwh=imbalance,
        last_price=from_micro_eur(decision.balance_price).to(imbalance.dtype),
    )


def step(episode: Episode, situation: Situation, action: Action) -> tuple[State, Decision, Outcome]:
    """Advance the world by one slot."""
    decision = decide(situation, action)
    after, outcome = realise(situation.params, episode, situation.state, decision)
    return after, decision, outcome


def connection(params: Params, episode: Episode, slot: int, energy: Tensor) -> Net:
    """Return the energy at the connection points of a slot in which the devices used `energy` [B, N] kWh."""
    actual = episode.actual
    inflexible = actual.base_kwh[:, slot] - actual.pv_kwh[:, slot]
    reactive = fleet.reactive(params, energy, actual, slot)
    return Net(
        active_kwh=inflexible.index_add(1, params.house, energy),
        reactive_kvarh=actual.base_kvarh[:, slot].index_add(1, params.house, reactive),
        wind_kwh=actual.wind_kwh[:, slot],
    )


def solve_grid(params: Params, net: Net) -> PowerFlow:
    """Return the AC power flow [B, ...] of mean powers over a slot."""
    nodes = net.active_kwh.new_zeros(len(net.active_kwh), len(params.grid.node_names))
    active = nodes.index_add(1, params.node, net.active_kwh / params.slot_hours)
    reactive = nodes.index_add(1, params.node, net.reactive_kvarh / params.slot_hours)
    return solvers.solve(params.grid, active, reactive)


def end_shortfall(params: Params, devices: DeviceState, episode: Episode, slot: int) -> Tensor:
    """Return the cost [B, N] EUR of stored energy missing against the start; zero before the last slot."""
    if slot + 1 < episode.actual.spot.shape[1]:
        return episode.actual.spot.new_zeros(len(episode.actual.spot), len(params.house))
    return fleet.shortfall(params, devices, episode.actual) * episode.actual.spot.mean(dim=1, keepdim=True).clamp(
        min=0.0
    )


def _without_market(situation: Situation, energy: Tensor) -> Decision:
    """Return the decision of a slot in which no flexibility is traded: deviations are paid at the spot price."""
    return Decision(
        lower=situation.lower,
        upper=situation.upper,
        position_kwh=situation.position_kwh,
        energy_kwh=energy,
        award_mwh=torch.zeros_like(energy, dtype=torch.int64),
        balance_price=to_micro_eur(situation.expected.spot),
        grid_price=torch.zeros(len(energy), len(situation.params.node), dtype=torch.int64, device=energy.device),
        traded=False,
        curtailed_kwh=energy.new_zeros(len(energy)),
    )
