"""What the DSO does after the clearing, where the configuration lets it: cut what an AC power flow says is too much.

The clearing keeps limits on active power. Losses, reactive power and devices that ask at any price can still overload
an element of the expected grid. Then all devices behind it move by the same share of their way to the limit that
relieves it: down where the element carries consumption, up where it carries production. What is cut is paid like
everything else in the slot, at the price that cleared. Voltages are left to the prices.
"""

from __future__ import annotations

import torch
from torch import Tensor

from totalflex_env.grid import solvers
from totalflex_env.types import Situation

ROUNDS = 3
"""Power flows: cutting behind one element changes losses and reactive power elsewhere."""
MARGIN = 1.02
"""Times the overload that is cut at once, so that rounds end below the rating rather than approach it."""


def curtail(situation: Situation, energy: Tensor) -> Tensor:
    """Return the energy [B, N] kWh that the DSO leaves of an award, within the devices' limits."""
    if len(situation.params.limited) == 0:
        return energy
    for _ in range(ROUNDS):
        energy = _relieved(situation, energy)
    return energy


def _relieved(situation: Situation, energy: Tensor) -> Tensor:
    """The energy [B, N] after one look at the expected grid."""
    params, expected = situation.params, situation.expected
    house = (expected.base_kwh - expected.pv_kwh).index_add(1, params.house, energy)
    nodes = energy.new_zeros(len(energy), len(params.grid.node_names))
    active = nodes.index_add(1, params.node, house / params.slot_hours)
    reactive = nodes.index_add(1, params.node, expected.base_kvarh / params.slot_hours)
    loading = solvers.solve(params.grid, active, reactive).loading[:, params.limited]
    members = params.members.to(energy.dtype)
    consuming = (house @ members.T > 0.0)[:, :, None]
    behind = params.members[:, params.house]
    down, up = (energy - situation.lower)[:, None] * behind, (situation.upper - energy)[:, None] * behind
    room = torch.where(consuming, down, up).sum(dim=2)
    excess = (loading - 1.0).clamp(min=0.0) * params.grid.rating_kva[params.limited] * params.slot_hours * MARGIN
    share = (excess / room.clamp(min=1e-9)).clamp(max=1.0)[:, :, None] * behind
    cut = torch.where(consuming, share, 0.0).amax(dim=1)
    raised = torch.where(consuming, 0.0, share).amax(dim=1)
    relieved = energy - cut * (energy - situation.lower) + raised * (situation.upper - energy)
    return torch.where((excess > 0.0).any(dim=1, keepdim=True), relieved, energy)
