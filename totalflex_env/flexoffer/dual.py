"""The price at which convex members take a profile, sharing it so that all use alike parts of their power.

Sharing so is the optimum of a strictly convex cost; its dual has one price per slot. A profile that the members can
make has such a price. For one that they cannot make prices run away, in a direction that proves it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from totalflex_env.flexoffer import smooth
from totalflex_env.flexoffer.newton import balance

NEAR = 1e-6  # kWh per slot by which members may miss a profile
SEARCHED = 1e-8  # kWh per slot, the excess at which the search ends
WIDTH = 1.0  # EUR/kWh; only the ratio of price and width matters
HIGHEST = 1e4  # EUR/kWh; a price that runs further says that there is none


def sharing_price(ready: smooth.Smooth, profile: Tensor, start: Tensor | None = None) -> tuple[Tensor, bool]:
    """Return the price [T] EUR/kWh at which the members take a profile [T] kWh, and whether they do at all.

    The search begins at `start` [T] and ends where the members take the profile, a price runs away or steps run out.
    """

    def excess(price: Tensor) -> tuple[Tensor, Tensor]:
        taken, derivative = smooth.answer(ready, price, WIDTH)
        return taken - profile, derivative

    bound = torch.full_like(profile, HIGHEST)
    searched = max(SEARCHED, 1e-13 * float(profile.abs().max()))
    found = balance(excess, torch.zeros_like(profile) if start is None else start, searched, (-bound, bound))
    lost = float(found.excess.abs().max()) > NEAR or bool((found.price.abs() >= HIGHEST).any())
    return found.price, not lost
