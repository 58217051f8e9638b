"""Which of the batched power flows to run: the fastest one that can answer what is asked."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from totalflex_env import kernels
from totalflex_env.grid import power_flow, tree
from totalflex_env.grid_model import GridModel, PowerFlow

_sweeps: weakref.WeakKeyDictionary[GridModel, Callable[..., None]] = weakref.WeakKeyDictionary()


def solve(grid: GridModel, active_kw: Tensor, reactive_kvar: Tensor) -> PowerFlow:
    """Voltages and loadings for the consumption [B, M] in kW and kvar of every node; production is negative.

    On the CPU the sweeps of `grid.tree`, in float64 whatever the precision of the consumption; where gradients are
    wanted, and on other devices, the fixed point of `grid.power_flow`. Both solve the same equations and give the same
    record, in the consumption's precision and on its device. Their counts of iterations differ.
    """
    wants_gradients = torch.is_grad_enabled() and (active_kw.requires_grad or reactive_kvar.requires_grad)
    if wants_gradients or active_kw.device.type != "cpu":
        return power_flow.solve(grid, active_kw, reactive_kvar)
    if grid not in _sweeps:
        _sweeps[grid] = kernels.host(_sweep(weakref.ref(grid)), grid)
    power = [each.detach().double().contiguous() for each in (active_kw, reactive_kvar)]
    rows, nodes, elements = len(active_kw), len(grid.node_names), len(grid.element_names)
    found = [power[0].new_empty(rows, nodes), power[0].new_empty(rows, elements)]
    found += [torch.empty(rows, dtype=kind) for kind in (torch.bool, torch.int64)]
    _sweeps[grid](power, found)
    voltage, loading, converged, iterations = found
    return PowerFlow(voltage.to(active_kw), loading.to(active_kw), converged, iterations)


def _sweep(grid: weakref.ref[GridModel]) -> Callable[..., None]:
    """The sweeps of one grid, called as kernels are, so that they can be recorded."""

    def sweep(rows: Any, power: Any, found: Any, scratch: Any, numbers: Any) -> None:
        of = grid()
        assert of is not None  # whoever asks has it
        active, reactive = (torch.from_numpy(each) for each in power)
        tree.solve(of, active, reactive, into=tuple(found))

    return sweep
