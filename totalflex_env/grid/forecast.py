"""From joint scenarios of power at the nodes to what the grid may see: quantiles and probabilities, slot by slot.

Nothing is assumed about the distributions or about who moves together: whatever the scenarios hold in common (the same
cloud, the same cheap hour) arrives at the transformer in common. An outage or a larger fleet is the same call with
another grid or other injections.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from totalflex_env import batch
from totalflex_env.errors import GridError
from totalflex_env.grid import tree
from totalflex_env.grid_model import GridModel

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantile levels of a forecast: a band that holds nine of ten outcomes, one that holds half of them, the median."""

_ROWS = 2**15  # power flows at a time: bounds the memory, not the result


@dataclass(frozen=True)
class GridForecast:
    """The distribution of the state of the grid in T slots, from S scenarios that weigh the same.

    A scenario without a power-flow solution counts as loaded beyond and as sagging below every number: it raises the
    probabilities, and a quantile that falls among such scenarios is inf (loading) or -inf (voltage).
    """

    levels: Tensor  # [K] of the quantiles
    loading: Tensor  # [K, T, E] quantiles, current over rated current
    voltage: Tensor  # [K, T, M] quantiles, p.u.
    overload: Tensor  # [T, E] probability of a loading above 1
    undervoltage: Tensor  # [T, M] probability of a voltage below the band
    overvoltage: Tensor  # [T, M] probability of a voltage above the band
    excess_kva: Tensor  # [T, E] expected power above the rating, over the scenarios that have a solution
    unsolved: Tensor  # [T] share of the scenarios without a power-flow solution


@dataclass(frozen=True)
class Samples:
    """The state of the grid in every scenario, in rising order for each slot and element or node."""

    loading: Tensor  # [T, E, S] inf where there is no solution
    voltage: Tensor  # [T, M, S] p.u., -inf where there is no solution
    unsolved: Tensor  # [T]


def forecast(
    grid: GridModel, active_kw: Tensor, reactive_kvar: Tensor, levels: tuple[float, ...] = LEVELS
) -> GridForecast:
    """Return the forecast for consumption [S, T, M] in kW and kvar of every node in S scenarios and T slots."""
    return summary(grid, sample(grid, active_kw, reactive_kvar), levels)


def sample(grid: GridModel, active_kw: Tensor, reactive_kvar: Tensor) -> Samples:
    """Return the sorted loadings and voltages, in float64, for consumption [S, T, M] in kW and kvar."""
    scenarios, _, nodes = active_kw.shape
    if nodes != len(grid.node_names) or reactive_kvar.shape != active_kw.shape:
        shapes = f"{tuple(active_kw.shape)} kW and {tuple(reactive_kvar.shape)} kvar"
        raise GridError("injections", shapes, f"both [scenarios, slots, {len(grid.node_names)} nodes]")
    exact = batch.to(grid, torch.float64, "cpu")
    power = (
        part.to("cpu", torch.float64).split(max(1, _ROWS // scenarios), dim=1) for part in (active_kw, reactive_kvar)
    )
    parts = [_solve(exact, active, reactive) for active, reactive in zip(*power)]
    return Samples(*(torch.cat(list(part)) for part in zip(*parts)))


def summary(grid: GridModel, samples: Samples, levels: tuple[float, ...] = LEVELS) -> GridForecast:
    """Return quantiles at `levels` and probabilities of the sorted samples."""
    at = torch.tensor(levels, dtype=samples.loading.dtype)
    over = (samples.loading - 1.0).clamp(min=0.0)
    solved = over.isfinite()
    mean = torch.where(solved, over, 0.0).sum(-1) / solved.sum(-1).clamp(min=1)
    return GridForecast(
        levels=at,
        loading=quantiles(samples.loading, at[:, None, None]),
        voltage=quantiles(samples.voltage, at[:, None, None]),
        overload=(samples.loading > 1.0).to(at.dtype).mean(-1),
        undervoltage=(samples.voltage < grid.voltage_lower.cpu()[:, None]).to(at.dtype).mean(-1),
        overvoltage=(samples.voltage > grid.voltage_upper.cpu()[:, None]).to(at.dtype).mean(-1),
        excess_kva=mean * grid.rating_kva.cpu(),
        unsolved=samples.unsolved,
    )


def quantiles(ordered: Tensor, levels: Tensor) -> Tensor:
    """Return quantiles [K, ...] at `levels` [K, ... or 1], between 0 and 1, of values [..., S] in rising order.

    Order statistic i of S stands for the level i / (S + 1), i = 1 .. S, and the line between two of them for what lies
    between (Hyndman and Fan 1996, definition 6): an outcome drawn like the scenarios falls below with that probability.
    """
    count = ordered.shape[-1]
    rank = (levels * (count + 1) - 1.0).clamp(0.0, count - 1.0).expand(len(levels), *ordered.shape[:-1])
    below = rank.floor()
    low = ordered.gather(-1, below.long().movedim(0, -1))
    high = ordered.gather(-1, rank.ceil().long().movedim(0, -1))
    share = (rank - below).movedim(0, -1)
    between = torch.where((share == 0.0) | (low == high) | low.isinf(), low, low + share * (high - low))
    return between.movedim(-1, 0)


def _solve(grid: GridModel, active_kw: Tensor, reactive_kvar: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sorted loadings [t, E, S] and voltages [t, M, S], and the share without a solution [t], of a block of slots."""
    scenarios, slots = active_kw.shape[:2]
    flow = tree.solve(grid, active_kw.flatten(0, 1), reactive_kvar.flatten(0, 1))
    lost = ~flow.converged[:, None]
    loading = flow.loading.masked_fill(lost, torch.inf).unflatten(0, (scenarios, slots))
    voltage = flow.voltage.masked_fill(lost, -torch.inf).unflatten(0, (scenarios, slots))
    unsolved = lost.to(loading.dtype).unflatten(0, (scenarios, slots)).mean(0)[:, 0]
    return _ordered(loading), _ordered(voltage), unsolved


def _ordered(values: Tensor) -> Tensor:
    """Values [S, t, X] as [t, X, S] in rising order; numpy sorts several numbers per instruction, torch does not."""
    rows = np.ascontiguousarray(values.detach().cpu().permute(1, 2, 0).numpy())
    rows.sort(axis=-1)
    return torch.from_numpy(rows)
