"""First-order models of the grid for markets and optimisers.

`linearise` gives the exact slopes of the AC power flow at given points, `predict` what they say of points around it.
`lossless` needs no operating point: LinDistFlow (Baran and Wu, IEEE Trans. Power Delivery 4(1), 1989), whose squared
voltages and flows are linear in the power of the nodes. How far either is from the AC power flow is measured by
`test_linear.py` and stated in docs/grid_limits.md.
"""

from __future__ import annotations

import torch
from torch import Tensor

from totalflex_env.grid import power_flow
from totalflex_env.grid_model import GridModel, Linearisation, PowerFlow


def linearise(grid: GridModel, active_kw: Tensor, reactive_kvar: Tensor) -> Linearisation:
    """Loadings, voltages and their slopes by active power at the consumption [K, M] in kW and kvar, in its dtype.

    Differentiating v = v0 + Z i, i = conj(s) / conj(v), gives dv = b + A conj(dv) with b = Z di at constant voltage and
    A = Z diag(di / dconj(v)); eliminating the conjugate leaves (1 - A conj(A)) dv = b + A conj(b).
    """
    voltage, current, converged, _ = power_flow.operating_point(grid, active_kw, reactive_kvar)
    impedance = torch.view_as_complex(grid.impedance)
    d_injection_d_kw = -1.0 / grid.base_kva
    direct = torch.diag_embed(d_injection_d_kw / voltage.conj())  # [K, M, M] current by kW at constant voltage
    slope = -current / voltage.conj()  # [K, M] current by conjugate of voltage at constant power

    a = impedance * slope.unsqueeze(-2)
    b = impedance @ direct
    one = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    d_voltage = torch.linalg.solve(one - a @ a.conj(), b + a @ b.conj())
    d_current = direct + slope.unsqueeze(-1) * d_voltage.conj()

    by_current, unloaded = torch.view_as_complex(grid.end_loading), torch.view_as_complex(grid.no_load_end_loading)
    ends = torch.addmm(unloaded, current, by_current.mT).unflatten(-1, (2, -1))  # [K, 2, E]
    d_ends = (by_current @ d_current).unflatten(-2, (2, -1))  # [K, 2, E, M]
    loading, larger = ends.abs().max(-2, keepdim=True)
    d_loading = _slope_of_magnitude(ends, d_ends).take_along_dim(larger.unsqueeze(-1), -3).squeeze(-3)
    return Linearisation(
        loading.squeeze(-2), d_loading, voltage.abs(), _slope_of_magnitude(voltage, d_voltage), converged
    )


def predict(model: Linearisation, change_kw: Tensor) -> tuple[Tensor, Tensor]:
    """Loadings [K, R, E] and voltages [K, R, M] after a change [K, R, M] kW of consumption from each of the K points.

    A loading has a kink where the flow turns round: beyond it the slope has the other sign, which no tangent knows.
    """
    loading = model.loading0.unsqueeze(-2) + change_kw @ model.d_loading_d_kw.mT
    voltage = model.voltage0.unsqueeze(-2) + change_kw @ model.d_voltage_d_kw.mT
    return loading, voltage


def lossless(grid: GridModel, active_kw: Tensor, reactive_kvar: Tensor) -> PowerFlow:
    """Voltages and loadings for the consumption [B, M] in kW and kvar by LinDistFlow; it always "converges".

    With v0 the no-load voltages and s the injected powers, |v|² = |v0|² + 2 Re(conj(v0) Z conj(s / v0)): all but the
    squares of the voltage drops. A loading is the power behind the element over its rating, without losses.
    """
    injection = torch.complex(-active_kw, reactive_kvar) / grid.base_kva  # conjugate
    impedance, no_load = torch.view_as_complex(grid.impedance), torch.view_as_complex(grid.no_load_voltage)
    drop = (no_load.conj() * ((injection / no_load.conj()) @ impedance.mT)).real
    voltage = (no_load.abs().square() + 2.0 * drop).clamp(min=0.0).sqrt()
    behind = injection @ grid.downstream.mT.to(injection.dtype)
    loading = grid.base_kva * behind.abs() / grid.rating_kva
    converged = torch.ones(len(active_kw), dtype=torch.bool, device=active_kw.device)
    return PowerFlow(voltage, loading, converged, torch.ones_like(converged, dtype=torch.int64))


def _slope_of_magnitude(value: Tensor, slopes: Tensor) -> Tensor:
    """Slopes [..., M] of |value| from those of the complex value [...]; zero where the value is zero."""
    return (value.sgn().conj().unsqueeze(-1) * slopes).real
