from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from totalflex_env.grid import limits, network, power_flow
from totalflex_env.grid_model import PowerFlow

GRID = network.from_pandapower(network.two_house_feeder())


def test_violations_by_hand() -> None:
    """Ratings 100, 100 and 25 kVA: 110 % and 120 % are 10 and 5 kVA; 0.88 and 1.13 p.u. are 0.02 and 0.03 outside."""
    grid = replace(GRID, rating_kva=torch.tensor([100.0, 100.0, 25.0]))
    flow = PowerFlow(
        voltage=torch.tensor([[0.95, 0.88, 1.13], [0.9, 1.0, 1.1]]),
        loading=torch.tensor([[1.1, 0.4, 1.2], [1.0, 0.0, 0.99]]),
        converged=torch.tensor([True, True]),
        iterations=torch.tensor([3, 3]),
    )
    found = limits.violations(grid, flow)
    assert found.overload_kva.tolist() == pytest.approx([15.0, 0.0], abs=1e-5)
    assert found.voltage_pu.tolist() == pytest.approx([0.05, 0.0], abs=1e-6)
    assert found.element_overload_kva[0].tolist() == pytest.approx([10.0, 0.0, 5.0], abs=1e-5)
    assert found.node_voltage_pu[0].tolist() == pytest.approx([0.0, 0.02, 0.03], abs=1e-6)


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_imports_and_exports_overload_alike(direction: float) -> None:
    """Two houses of 20 kW overload the 25 kVA transformer by 15 kVA and losses, whichever way power flows."""
    active = direction * torch.tensor([[0.0, 20.0, 20.0], [0.0, 10.0, 10.0]], dtype=torch.float64)
    found = limits.violations(GRID, power_flow.solve(GRID, active, torch.zeros_like(active)))
    assert found.overload_kva.tolist() == pytest.approx([15.0, 0.0], abs=2.5)
    assert found.element_overload_kva.argmax(-1)[0] == 2


def test_overruns_by_hand() -> None:
    """Quarter-hours of a 25 kVA transformer at 90, 110, 120, 90, 130 and 110 %, the last without a solution.

    Slots 1 and 2 are one stay of 30 minutes and (0.1 + 0.2) · 25 / 4 = 1.875 kVAh, slot 4 one of 15 minutes.
    """
    loading = torch.zeros(6, 3)
    loading[:, 2] = torch.tensor([0.9, 1.1, 1.2, 0.9, 1.3, 1.1])
    voltage = torch.ones(6, 3)
    voltage[3:5, 1] = torch.tensor([0.88, 0.87])
    voltage[0, 0] = 1.12
    converged = torch.tensor([True] * 5 + [False])
    flow = PowerFlow(voltage, loading, converged, torch.ones(6, dtype=torch.int64))
    found = limits.overruns(GRID, flow, 0.25)
    described = [(each.where, each.kind, each.slot, each.minutes, each.worst_slot) for each in found]
    assert described == [
        ("trafo 0 (transformer)", "overload", 1, 30.0, 2),
        ("bus 2 (house 0)", "undervoltage", 3, 30.0, 4),
        ("trafo 0 (transformer)", "overload", 4, 15.0, 4),
        ("bus 1 (busbar)", "overvoltage", 0, 15.0, 0),
    ]
    assert [each.worst for each in found] == pytest.approx([1.2, 0.87, 1.3, 1.12])
    assert [each.beyond for each in found] == pytest.approx([1.875, 0.05 / 4, 0.3 * 25 / 4, 0.02 / 4], rel=1e-4)
    assert limits.overruns(GRID, replace(flow, converged=torch.zeros(6, dtype=torch.bool)), 0.25) == ()
