"""Programmes that answer a price smoothly: of many with one start window, shares start in every slot of it.

A share of exp(-cost / (width * energy)) starts in each slot, the entropic smoothing of the cheapest start; `energy` is
what one programme takes, so that all kinds ramp over about the same `width` in EUR/kWh.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from totalflex_env.flexoffer.kinds import to_kwh
from totalflex_env.flexoffer.starts import StartCounts, start_values


def start_shares(counts: StartCounts, price: Tensor, width: float) -> Tensor:
    """Return the starts [H, T] of each window at a price [T] EUR/kWh: its count, spread over the window."""
    slot = torch.arange(len(price))
    cost = start_values(counts, price[None])[0][counts.shape]
    inside = (slot >= counts.earliest[:, None]) & (slot <= counts.latest[:, None])
    exponent = torch.where(inside, -cost / _scale(counts, width)[counts.shape, None], -torch.inf)
    return exponent.softmax(dim=1) * counts.count[:, None]


def start_answer(counts: StartCounts, price: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Return the profile [T] kWh at a price [T] EUR/kWh and its derivative [T, T], negative semidefinite."""
    slots = len(price)
    profile, derivative = price.new_zeros(slots), price.new_zeros(slots, slots)
    shares, scale = start_shares(counts, price, width), _scale(counts, width)
    for shape, placing in enumerate(_placing(counts, slots)):
        some = counts.shape == shape
        part = shares[some]
        starts = part.sum(0)
        spread = torch.diag(starts) - part.T @ (part / counts.count[some, None])
        profile += placing @ starts
        derivative -= placing @ spread @ placing.T / scale[shape]
    return profile, derivative


def fractional_counts(counts: StartCounts, price: Tensor, width: float) -> Tensor:
    """Return the starts [Z, T] of each shape at a price [T] EUR/kWh, not whole."""
    starts = price.new_zeros(len(counts.shapes), len(price))
    return starts.index_add(0, counts.shape, start_shares(counts, price, width))


def _scale(counts: StartCounts, width: float) -> Tensor:
    """Return the cost [Z] EUR over which a programme of each shape changes its mind."""
    return width * to_kwh(counts.shapes).abs().sum(1).clamp(min=1e-9)


def _placing(counts: StartCounts, slots: int) -> Tensor:
    """Return the energy [Z, T, T] kWh in each slot of a programme that starts in each slot."""
    shapes = to_kwh(counts.shapes)
    lag = torch.arange(slots)[:, None] - torch.arange(slots)
    padded = pad(shapes, (1, max(0, slots - shapes.shape[1])))
    return padded[:, (lag + 1).clamp(min=0)]
