"""The grid as tangents."""

from __future__ import annotations

from dataclasses import replace

import torch

from baselines.tangents import inflexible_kw, loading_at, overestimate, shifted, tangents, voltage_at, watched_nodes
from totalflex_env.grid import power_flow
from totalflex_env.types import Params, Scenario


def flow_at(params: Params, day: Scenario, power: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """AC loadings [T] of the transformer and voltages [T, M] for the power [T, P] of the houses."""
    reactive = day.base_kvarh[0] / params.slot_hours
    nodes = torch.zeros(len(power), len(params.grid.node_names), dtype=torch.float64)
    active, reactive = (nodes.index_add(1, params.node, part) for part in (power, reactive))
    flow = power_flow.solve(params.grid, active, reactive)
    return flow.loading[:, params.limited[0]], flow.voltage


def test_tangents_touch_the_power_flow_at_the_rating_and_lie_below_elsewhere(params: Params, day: Scenario) -> None:
    grid = tangents(params, day, torch.tensor([0]))
    fixed = inflexible_kw(params, day)[0]
    for extra in torch.linspace(-5.0, 20.0, 26).double():
        power = fixed + extra * torch.tensor([1.0, 1.0]).double()
        loading, voltage = flow_at(params, day, power)
        gap = loading - loading_at(grid, power)[:, 0]
        assert bool((gap > -2e-3).all())
        near = (loading - 1.0).abs() < 0.1
        assert bool((gap[near].abs() < 5e-3).all())
        assert bool(((voltage[near, 0] - voltage_at(grid, power)[near, 0, 1]).abs() < 2e-3).all())


def test_slopes_tell_the_houses_apart(params: Params, day: Scenario) -> None:
    """At the rating, what one house more and the other less does to loading and voltage is what the power flow says."""
    grid = tangents(params, day, torch.tensor([0]))
    power = inflexible_kw(params, day)[0]
    power = power + ((1.0 - loading_at(grid, power)) / grid.loading_slope[:, 0, 1].sum(dim=1, keepdim=True))
    for change in torch.tensor([[0.5, 0.0], [0.0, 0.5], [0.5, -0.5]]).double():
        (loading, voltage), (before, level) = flow_at(params, day, power + change), flow_at(params, day, power)
        by_slope = (grid.loading_slope[:, 0, 1] * change).sum(dim=1)
        torch.testing.assert_close(loading - before, by_slope, rtol=0.0, atol=2e-4)
        by_slope = (grid.voltage_slope[:, 0, 1] * change).sum(dim=1)
        torch.testing.assert_close((voltage - level)[:, 0], by_slope, rtol=0.0, atol=2e-4)


def test_a_shift_moves_values_and_no_slopes(params: Params, day: Scenario) -> None:
    grid = tangents(params, day, torch.tensor([0]))
    power = inflexible_kw(params, day)[0] + 10.0
    gap = torch.full((96, 1), 0.01).double()
    moved = shifted(grid, gap, torch.zeros(96, 1, 2).double())
    assert torch.allclose(loading_at(moved, power), loading_at(grid, power) + gap)


def test_overestimates_are_tiny(params: Params, day: Scenario) -> None:
    excess = overestimate(params, day, tangents(params, day, torch.zeros(0, dtype=torch.int64)))
    assert float(excess.min()) >= 0.0
    assert float(excess.max()) < 0.01


def test_nodes_are_watched_where_the_band_is_narrow(params: Params, day: Scenario) -> None:
    narrow = replace(params, grid=replace(params.grid, voltage_lower=params.grid.voltage_lower + 0.08))
    assert len(watched_nodes(narrow, day)) > len(watched_nodes(params, day))
