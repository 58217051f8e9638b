"""One slot of the world: `step` is `realise(decide(...))`.

`decide` is what an aggregator and a market do before the outcome of the slot is known; `realise` is what devices, grid
and settlement make of it. A deployment keeps `decide` and hands the metered energy to `realise`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.devices import fleet
from totalflex_env.grid import limits, power_flow
from totalflex_env.grid_model import PowerFlow
from totalflex_env.market import clearing, orders, settlement
from totalflex_env.scenario.forecast import expect_slot, forecast, present
from totalflex_env.types import Action, Costs, Decision, DeviceState, Episode, Outcome, Params, Situation, State
from totalflex_env.units import from_micro_eur, from_mwh_integer, to_micro_eur, to_mwh_integer


@dataclass(frozen=True)
class Net:
    """Energy at the houses' connection points in a slot."""

    active_kwh: Tensor  # [B, P]
    reactive_kvarh: Tensor  # [B, P]
    wind_kwh: Tensor  # [B]

    def total(self) -> Tensor:
        """Return the net consumption [B] kWh: houses less wind."""
        return self.active_kwh.sum(dim=1) - self.wind_kwh


def start(params: Params, episode: Episode) -> State:
    """Return the state before the first slot."""
    devices = fleet.start(episode.actual)
    nothing = torch.zeros_like(episode.nomination_kwh[:, 0])
    return State(slot=0, devices=devices, twin=devices, last_imbalance_kwh=nothing, last_price=nothing)


def situation(params: Params, episode: Episode, state: State) -> Situation:
    """Return what policies may use in this slot."""
    allowed = fleet.limits(params, state.devices, episode, state.slot)
    return Situation(
        params=params,
        state=state,
        lower=allowed.lower,
        upper=allowed.upper,
        default=allowed.default,
        nomination_kwh=episode.nomination_kwh,
        outlook=episode.outlook,
        present=present(episode.actual, episode.expected, state.slot, params.config),
        expected=expect_slot(episode.actual, episode.expected, state.slot, params.config),
        forecast=lambda: forecast(episode.actual, episode.expected, state.slot, params.config),
    )


def decide(params: Params, episode: Episode, state: State, action: Action) -> Decision:
    """Clear the market of this slot and hand every device its energy, all before the slot's outcome is known."""
    allowed = fleet.limits(params, state.devices, episode, state.slot)
    position = fleet.limits(params, state.twin, episode, state.slot).default
    if not action.traded:
        return _without_market(
            params, episode, state.slot, position, fleet.snap(params, action.target_kwh, allowed), allowed
        )
    expected = expect_slot(episode.actual, episode.expected, state.slot, params.config)
    offered = released(params, action, allowed)
    award = clearing.clear(orders.book(params, action, offered, expected, episode.nomination_kwh[:, state.slot]))
    taken = from_mwh_integer(orders.per_device(award.accepted)).to(position.dtype)
    energy = fleet.snap(params, offered.lower + taken, allowed)
    return Decision(
        lower=allowed.lower,
        upper=allowed.upper,
        position_kwh=position,
        energy_kwh=energy,
        award_kwh=to_mwh_integer(energy) - to_mwh_integer(position),
        balance_price=award.balance_price,
        grid_price=award.grid_price,
        traded=True,
    )


def realise(
    params: Params, episode: Episode, state: State, decision: Decision, metered_kwh: Tensor | None = None
) -> tuple[State, Outcome]:
    """Let devices move, the grid respond and money settle; a deployment hands in `metered_kwh` [B, N]."""
    actual, slot = episode.actual, state.slot
    energy = decision.energy_kwh if metered_kwh is None else metered_kwh
    devices = fleet.advance(params, state.devices, energy, actual, slot)
    twin = fleet.advance(params, state.twin, decision.position_kwh, actual, slot)
    net = connection(params, episode, slot, energy)
    flow = solve_grid(params, net)
    strain = limits.violations(params.grid, flow)
    imbalance = net.total() - episode.nomination_kwh[:, slot]
    comfort = fleet.discomfort(params, devices, actual, slot)
    missing = end_shortfall(params, devices, episode, slot)
    costs = Costs(
        spot=actual.spot[:, slot] * episode.nomination_kwh[:, slot],
        imbalance=actual.up[:, slot] * imbalance.clamp(min=0.0) + actual.down[:, slot] * imbalance.clamp(max=0.0),
        overload=params.config.market.overload_price * strain.overload_kva * params.slot_hours,
        voltage=params.config.market.voltage_price * strain.voltage_pu * params.slot_hours,
        discomfort=comfort.cost.sum(dim=1),
        shortfall=missing.sum(dim=1),
    )
    metered = settlement.Metered(energy_kwh=energy, net_kwh=net.active_kwh, imbalance_kwh=imbalance)
    ledger = settlement.settle(params, episode, slot, decision, metered)
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
        rewards=settlement.rewards(params, ledger, costs, comfort.cost + missing),
    )
    price = from_micro_eur(decision.balance_price).to(imbalance.dtype)
    return State(slot + 1, devices, twin, last_imbalance_kwh=imbalance, last_price=price), outcome


def step(params: Params, episode: Episode, state: State, action: Action) -> tuple[State, Decision, Outcome]:
    """Advance the world by one slot."""
    decision = decide(params, episode, state, action)
    after, outcome = realise(params, episode, state, decision)
    return after, decision, outcome


def released(params: Params, action: Action, allowed: fleet.Range) -> fleet.Range:
    """Return the range [B, N] that prosumers offer: their share [B, P] of the way from the default to the limits."""
    share = action.release[:, params.house]
    lower, upper = allowed.default.lerp(allowed.lower, share), allowed.default.lerp(allowed.upper, share)
    return fleet.Range(lower, upper, allowed.default)


def connection(params: Params, episode: Episode, slot: int, energy: Tensor) -> Net:
    """Return the energy at the connection points of a slot in which the devices used `energy` [B, N] kWh."""
    actual = episode.actual
    inflexible = actual.base_kwh[:, slot] - actual.pv_kwh[:, slot]
    return Net(inflexible.index_add(1, params.house, energy), actual.base_kvarh[:, slot], actual.wind_kwh[:, slot])


def solve_grid(params: Params, net: Net) -> PowerFlow:
    """Return the AC power flow [B, ...] of mean powers over a slot."""
    nodes = net.active_kwh.new_zeros(len(net.active_kwh), len(params.grid.node_names))
    active = nodes.index_add(1, params.node, net.active_kwh / params.slot_hours)
    reactive = nodes.index_add(1, params.node, net.reactive_kvarh / params.slot_hours)
    return power_flow.solve(params.grid, active, reactive)


def end_shortfall(params: Params, devices: DeviceState, episode: Episode, slot: int) -> Tensor:
    """Return the cost [B, N] EUR of stored energy missing against the start; zero before the last slot."""
    missing = fleet.shortfall(params, devices, episode.actual)
    if slot + 1 < episode.actual.spot.shape[1]:
        return torch.zeros_like(missing)
    return missing * episode.actual.spot.mean(dim=1, keepdim=True).clamp(min=0.0)


def _without_market(
    params: Params, episode: Episode, slot: int, position: Tensor, energy: Tensor, allowed: fleet.Range
) -> Decision:
    """Return the decision of a slot in which no flexibility is traded: deviations are paid at the spot price."""
    return Decision(
        lower=allowed.lower,
        upper=allowed.upper,
        position_kwh=position,
        energy_kwh=energy,
        award_kwh=torch.zeros_like(energy, dtype=torch.int64),
        balance_price=to_micro_eur(episode.actual.spot[:, slot]),
        grid_price=torch.zeros(len(energy), len(params.node), dtype=torch.int64, device=energy.device),
        traded=False,
    )
