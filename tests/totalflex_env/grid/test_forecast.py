from __future__ import annotations

import pytest
import torch
from torch import Tensor

from totalflex_env import batch
from totalflex_env.errors import GridError
from totalflex_env.grid import forecast, network, power_flow

GRID = network.from_pandapower(network.two_house_feeder())


def scenarios(count: int, slots: int, level_kw: float = 20.0) -> Tensor:
    """Power of both houses [S, T, M] in kW: what one takes has nothing to do with the other."""
    draw = torch.rand(count, slots, 3, generator=torch.Generator().manual_seed(11), dtype=torch.float64)
    return level_kw * draw * torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64)


def test_the_forecast_is_the_distribution_of_single_power_flows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slot by slot against the torch power flow and torch's own quantile, also when slots are solved in blocks."""
    monkeypatch.setattr(forecast, "_ROWS", 400)
    active = scenarios(199, 5)
    found = forecast.forecast(GRID, active, 0.2 * active)
    for slot in range(5):
        flow = power_flow.solve(GRID, active[:, slot], 0.2 * active[:, slot])
        levels = (found.levels * 200.0 - 1.0) / 198.0  # order statistic i of 199 stands for i / 200
        torch.testing.assert_close(found.loading[:, slot], flow.loading.quantile(levels, dim=0), atol=1e-6, rtol=0.0)
        torch.testing.assert_close(found.voltage[:, slot], flow.voltage.quantile(levels, dim=0), atol=1e-7, rtol=0.0)
        torch.testing.assert_close(found.overload[slot], (flow.loading > 1.0).double().mean(0))
        over = (flow.loading - 1.0).clamp(min=0.0).mean(0) * GRID.rating_kva
        torch.testing.assert_close(found.excess_kva[slot], over, atol=1e-4, rtol=0.0)
    assert 0.2 < float(found.overload[:, 2].mean()) < 0.6
    assert (found.unsolved == 0.0).all()


def test_what_houses_do_in_common_reaches_the_transformer_in_common() -> None:
    """Two houses of 0 or 14 kW overload 25 kVA when both draw: one time in four alone, one in two together."""
    coin = torch.randint(0, 2, (4000, 1, 2), generator=torch.Generator().manual_seed(3)).double()
    nothing = torch.zeros(4000, 1, 1, dtype=torch.float64)
    alone = torch.cat([nothing, 14.0 * coin], dim=2)
    together = torch.cat([nothing, 14.0 * coin[..., :1], 14.0 * coin[..., :1]], dim=2)
    chance = [float(forecast.forecast(GRID, each, 0.0 * each).overload[0, 2]) for each in (alone, together)]
    assert chance == pytest.approx([0.25, 0.5], abs=0.03)


def test_scenarios_without_a_solution_count_as_the_worst() -> None:
    active = scenarios(9, 1, level_kw=5.0)
    active[0, 0, 1] = 1e5
    found = forecast.forecast(GRID, active, torch.zeros_like(active), levels=(0.05, 0.5, 0.95))
    assert found.unsolved.tolist() == pytest.approx([1.0 / 9.0])
    assert found.overload[0].tolist() == pytest.approx([1.0 / 9.0] * 3)
    assert found.undervoltage[0].tolist() == pytest.approx([1.0 / 9.0] * 3)
    assert found.loading[2].isinf().all() and found.loading[:2].isfinite().all()
    assert (found.voltage[0] == -torch.inf).all() and found.voltage[1:].isfinite().all()
    assert found.excess_kva.tolist() == [[0.0, 0.0, 0.0]]
    assert not any(value.isnan().any() for value in vars(found).values())


def test_quantiles_by_hand() -> None:
    """Of 1, 2, 3 each stands for a quarter: the level 0.4 lies at 1.6; beyond the ends there is no more."""
    ordered = torch.tensor([[1.0, 2.0, 3.0], [5.0, 5.0, torch.inf]])
    levels = torch.tensor([0.01, 0.4, 0.5, 0.99])[:, None]
    found = forecast.quantiles(ordered, levels)
    torch.testing.assert_close(found[:, 0], torch.tensor([1.0, 1.6, 2.0, 3.0]))
    assert found[:, 1].tolist() == [5.0, 5.0, 5.0, torch.inf]


def test_single_precision_is_solved_in_double_and_wrong_shapes_are_refused() -> None:
    active = scenarios(20, 2)
    exact = forecast.forecast(GRID, active, active)
    single = forecast.forecast(batch.to(GRID, torch.float32), active.float(), active.float())
    torch.testing.assert_close(single.loading, exact.loading, atol=1e-4, rtol=0.0)
    assert single.loading.dtype == torch.float64
    with pytest.raises(GridError, match="3 nodes"):
        forecast.forecast(GRID, active[..., :2], active[..., :2])
    with pytest.raises(GridError, match="injections"):
        forecast.forecast(GRID, active, active[:3])
