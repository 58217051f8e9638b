"""What a plan comes to by the engine's own equations, in a world that turns out as the plan expects."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env import fleet
from totalflex_env.engine import step
from totalflex_env.engine.build import episode_of
from totalflex_env.grid import limits
from totalflex_env.types import Costs, Params, Scenario


@dataclass(frozen=True)
class Account:
    """Plans for B days that were bought day-ahead, hence without imbalance."""

    scenario: Scenario  # B rows, the days as expected
    energy_kwh: Tensor  # [B, T, N]
    net_kwh: Tensor  # [B, T] consumption less PV less wind
    loading: Tensor  # [B, T] of the element loaded most, by AC power flow
    costs: Costs  # [B] EUR of the whole day


def account(params: Params, scenario: Scenario, energy: Tensor) -> Account:
    """Return what it comes to if devices take `energy` [B, T, N] kWh in the expected days `scenario` of B rows.

    Nothing is cut to the limits that the engine would set: what it would not have allowed, it is told here.
    """
    episode, market = episode_of(params, scenario, scenario), params.config.market
    devices, slots = fleet.start(params, scenario), range(scenario.spot.shape[1])
    net, loading, strains, discomfort = [], [], [], []
    for slot in slots:
        at_houses = step.connection(params, episode, slot, energy[:, slot])
        flow = step.solve_grid(params, at_houses)
        devices = fleet.advance(params, devices, energy[:, slot], scenario, slot)
        net.append(at_houses.total())
        loading.append(flow.loading.amax(dim=1))
        strains.append(limits.violations(params.grid, flow))
        discomfort.append(fleet.discomfort(params, devices, scenario, slot).cost.sum(dim=1))
    net_kwh = torch.stack(net, dim=1)
    overload = sum((strain.overload_kva for strain in strains), torch.zeros_like(net[0])) * params.slot_hours
    voltage = sum((strain.voltage_pu for strain in strains), torch.zeros_like(net[0])) * params.slot_hours
    costs = Costs(
        spot=(scenario.spot * net_kwh).sum(dim=1),
        imbalance=torch.zeros_like(net[0]),
        overload=market.overload_price * overload,
        voltage=market.voltage_price * voltage,
        discomfort=torch.stack(discomfort).sum(dim=0),
        shortfall=step.end_shortfall(params, devices, episode, slots[-1]).sum(dim=1),
    )
    return Account(scenario, energy, net_kwh, torch.stack(loading, dim=1), costs)
