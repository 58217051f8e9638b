"""Parks: storages that share a connection smaller than all of them together.

A vehicle in a park is sure of a fair share of the connection and of what this brings until it leaves. The lower limits
of all vehicles in a park therefore fit through its connection, whoever else comes; only what goes beyond is cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Parks:
    """Which of n storages share which of G connections."""

    park: Tensor  # [n] int64, -1 for none
    connection_kwh: Tensor  # [G] energy per slot that each carries
    sure_kwh: Tensor  # [n] stored energy per slot that a storage is sure of

    def members(self) -> Tensor:
        """Return which storages share each connection [G, n] bool."""
        return self.park == torch.arange(len(self.connection_kwh), device=self.park.device)[:, None]

    def shared(self, energy: Tensor, sure: Tensor) -> Tensor:
        """Return energy [..., n] kWh, what is beyond `sure` cut, all of a park alike, to what a connection carries."""
        if len(self.connection_kwh) == 0:
            return energy
        member = self.members().to(energy)
        beyond = (energy - sure) * (self.park >= 0)
        room = (self.connection_kwh - sure @ member.T).clamp(min=0.0)
        share = (room / (beyond @ member.T).clamp(min=1e-12)).clamp(max=1.0)
        return energy - beyond * (1.0 - share @ member)

    def fair(self, most: Tensor, default: Tensor) -> Tensor:
        """Return power [n, W] kWh, at most `most` [n], that all may take at once, no less than their default [n, W]."""
        if len(self.connection_kwh) == 0:
            return most[:, None].expand_as(default)
        member = self.members().to(default)
        spare = (self.connection_kwh[:, None] - member @ default).clamp(min=0.0) / member.sum(dim=1, keepdim=True)
        fair = torch.minimum(most[:, None], default + member.T @ spare)
        return torch.where((self.park >= 0)[:, None], fair, most[:, None])

    def promised(self, need: Tensor, begin: Tensor, slots: Tensor) -> Tensor:
        """Return what is sure to be stored [..., n] kWh after a stay of `slots` that begins with `begin` kWh."""
        if len(self.connection_kwh) == 0:
            return need
        return torch.where(self.park >= 0, torch.minimum(need, begin + slots * self.sure_kwh), need)
