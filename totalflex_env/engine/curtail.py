"""What the DSO does after the clearing, where the configuration lets it: cut what an AC power flow says is too much.

The clearing keeps limits on active power. Losses, reactive power and devices that ask at any price can still overload
an element of the expected grid, or drive a voltage out of its band. Then devices move a share of their way to the limit
that relieves it: down where an element carries consumption or a voltage is low, up where it carries production or a
voltage is high. All devices behind an element move by the same share; for a voltage those that change it most move
most. What is cut is paid like everything else in the slot, at the price that cleared.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.grid import solvers
from totalflex_env.types import Params, Situation

ROUNDS = 3
"""Power flows: cutting behind one element changes losses and reactive power elsewhere."""
MARGIN = 1.02
"""Times the excess that is cut at once, so that rounds end below the limit rather than approach it."""


@dataclass(frozen=True)
class _Strain:
    """How far X elements or nodes are outside their limits, and what devices can do about it."""

    excess: Tensor  # [B, X] >= 0, kWh or p.u. times stiffness
    down: Tensor  # [B, X] bool, less consumption relieves it, else more
    effect: Tensor  # [X, N] by how much a kWh of each device changes it


def curtail(situation: Situation, energy: Tensor) -> Tensor:
    """Return the energy [B, N] kWh that the DSO leaves of an award, within the devices' limits."""
    if energy.shape[1] == 0:
        return energy
    for _ in range(ROUNDS):
        energy = _relieved(situation, energy)
    return energy


def _relieved(situation: Situation, energy: Tensor) -> Tensor:
    """The energy [B, N] after one look at the expected grid."""
    strains = _strains(situation, energy)
    down, up = energy - situation.lower, situation.upper - energy
    cut = raised = torch.zeros_like(energy)
    strained = torch.zeros_like(energy[:, :1], dtype=torch.bool)
    for strain in strains:
        weight = strain.effect / strain.effect.amax(dim=1, keepdim=True).clamp(min=1e-12)
        leverage = (weight * strain.effect).T
        room = torch.where(strain.down, down @ leverage, up @ leverage)
        share = (MARGIN * strain.excess / room.clamp(min=1e-9)).clamp(max=1.0)
        cut = torch.maximum(cut, _most(torch.where(strain.down, share, 0.0), weight))
        raised = torch.maximum(raised, _most(torch.where(strain.down, 0.0, share), weight))
        strained = strained | (strain.excess > 0.0).any(dim=1, keepdim=True)
    return torch.where(strained, energy - cut * down + raised * up, energy)


def _most(share: Tensor, weight: Tensor) -> Tensor:
    """The largest share [B, N] that any of X strains asks of a device; shares [B, X], weights [X, N]."""
    if len(weight) == 0:
        return share.new_zeros(len(share), weight.shape[1])
    return (share[:, :, None] * weight).amax(dim=1)


def _strains(situation: Situation, energy: Tensor) -> tuple[_Strain, _Strain]:
    """Overloads and voltages of the expected grid when the devices take this energy [B, N]."""
    params, expected = situation.params, situation.expected
    grid, house = params.grid, (expected.base_kwh - expected.pv_kwh).index_add(1, params.house, energy)
    nodes = energy.new_zeros(len(energy), len(grid.node_names))
    active = nodes.index_add(1, params.node, house / params.slot_hours)
    reactive = nodes.index_add(1, params.node, expected.base_kvarh / params.slot_hours)
    flow = solvers.solve(grid, active, reactive)
    members = params.members.to(energy.dtype)
    overload = (flow.loading[:, params.limited] - 1.0).clamp(min=0.0)
    low, high = grid.voltage_lower - flow.voltage, flow.voltage - grid.voltage_upper
    outside = torch.maximum(low, high).clamp(min=0.0)
    stiffness = (2.0 * flow.voltage - grid.no_load_voltage.norm(dim=-1)).clamp(min=0.5)
    return (
        _Strain(
            overload * grid.rating_kva[params.limited] * params.slot_hours, house @ members.T > 0.0, behind(params)
        ),
        _Strain(outside * stiffness, low > 0.0, sag(params)),
    )


def behind(params: Params) -> Tensor:
    """Return which devices are behind each limited element [L, N], as kWh through it per kWh of theirs."""
    return params.members[:, params.house].to(params.grid.rating_kva.dtype)


def sag(params: Params) -> Tensor:
    """Return by how much a kWh of each device in a slot lowers the voltage of every node [M, N] p.u., if it is stiff.

    Behind a resistance R from a voltage v0, v (v0 - v) = R P, so dv / dP = -R / (2 v - v0). Here R, of all that
    the ways to node and device have in common, and the excess is multiplied by 2 v - v0.
    """
    resistance = params.grid.impedance[..., 0][:, params.node[params.house]]
    return resistance.clamp(min=0.0) / (params.grid.base_kva * params.slot_hours)
