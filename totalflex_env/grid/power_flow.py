"""Batched AC power flow: the fixed point of v = v0 + Z conj(s / v), Z dense, in float32 or float64 on any device.

The implicit Z-bus method (Chen et al., "Distribution system power flow analysis: a rigid approach", IEEE Trans. Power
Delivery 6(3), 1991). On grids of one slack and constant power it converges up to about 99 % of the load at which the
voltage collapses, so a row that does not converge has no operating point.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from totalflex_env import batch
from totalflex_env.grid_model import GridModel, PowerFlow

MAX_ITERATIONS = 120
_CHECK_EVERY = 2  # iterations between looks at the change
_CACHED_ROWS = 1024
_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-6}


def solve(
    grid: GridModel,
    active_kw: Tensor,
    reactive_kvar: Tensor,
    tolerance: float | None = None,
    max_iterations: int = MAX_ITERATIONS,
) -> PowerFlow:
    """Voltages and loadings for the consumption [B, M] in kW and kvar of every node; production is negative.

    A row stops at its own convergence, when no voltage moves by more than the tolerance [p.u.] (1e-10 in float64 and
    1e-6 in float32 unless told), so that it does not depend on the other rows. Gradients of voltage and loading are
    those of the exact solution; they are zero for rows that did not converge.
    """
    # On a CPU, parts that stay in its cache; a GPU takes all rows at once.
    size = _CACHED_ROWS if active_kw.device.type == "cpu" else max(len(active_kw), 1)
    parts = [
        _solve(grid, *power, tolerance, max_iterations)
        for power in zip(torch.split(active_kw, size), torch.split(reactive_kvar, size))
    ]
    return parts[0] if len(parts) == 1 else batch.concatenate_rows(parts)


def _solve(
    grid: GridModel, active_kw: Tensor, reactive_kvar: Tensor, tolerance: float | None, max_iterations: int
) -> PowerFlow:
    voltage, current, converged, iterations = operating_point(grid, active_kw, reactive_kvar, tolerance, max_iterations)
    loading = _Root.apply(torch.maximum(*_squared(end_loadings(grid, current)).chunk(2, dim=-1)))  # type: ignore[no-untyped-call]
    return PowerFlow(_squared(voltage).sqrt(), loading, converged, iterations)


def operating_point(
    grid: GridModel,
    active_kw: Tensor,
    reactive_kvar: Tensor,
    tolerance: float | None = None,
    max_iterations: int = MAX_ITERATIONS,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Complex node voltages and injected currents [B, M] in p.u., converged bool [B], iterations int64 [B]."""
    injection = conjugate_injection(grid, active_kw, reactive_kvar)
    impedance, no_load = torch.view_as_complex(grid.impedance), torch.view_as_complex(grid.no_load_voltage)
    tolerance = tolerance or _TOLERANCE[active_kw.dtype]
    voltage, converged, iterations = _FixedPoint.apply(  # type: ignore[no-untyped-call]
        injection, impedance, no_load, tolerance, max_iterations
    )
    return voltage, injection / voltage.conj(), converged, iterations


def conjugate_injection(grid: GridModel, active_kw: Tensor, reactive_kvar: Tensor) -> Tensor:
    """Complex conjugate of the power injected at the nodes, p.u., from consumption in kW and kvar; any shape."""
    return torch.complex(-active_kw, reactive_kvar) / grid.base_kva


def end_loadings(grid: GridModel, current: Tensor) -> Tensor:
    """Complex loading [B, 2 E] of the from ends, then the to ends, by injected current [B, M] in p.u."""
    return torch.addmm(
        torch.view_as_complex(grid.no_load_end_loading), current, torch.view_as_complex(grid.end_loading).mT
    )


def _squared(value: Tensor) -> Tensor:
    """Squared magnitude of complex numbers, several times as fast as the magnitude itself."""
    squared: Tensor = (value * value.conj()).real
    return squared


class _Root(torch.autograd.Function):
    """The square root, with a slope of zero at zero, where the loading of an idle element has its kink."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        root: Tensor = value.sqrt()
        ctx.save_for_backward(root)
        return root

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        root: Tensor = ctx.saved_tensors[0]
        slope: Tensor = (0.5 * gradients[0] / root).where(root > 0.0, 0.0)
        return slope


class _FixedPoint(torch.autograd.Function):
    """The voltages that solve the power flow, differentiable by the implicit function theorem: no iterate is kept."""

    @staticmethod
    def forward(
        ctx: Any, injection: Tensor, impedance: Tensor, no_load: Tensor, tolerance: float, max_iterations: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        voltage, converged, iterations = _iterate(injection, impedance, no_load, tolerance, max_iterations)
        ctx.save_for_backward(injection, impedance, voltage, converged)
        ctx.mark_non_differentiable(converged, iterations)
        ctx.tolerance, ctx.max_iterations = tolerance, max_iterations
        return voltage, converged, iterations

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        """Solve the adjoint g = gradient + slope conj(Z^H g), which contracts as fast as the iteration itself."""
        injection, impedance, voltage, converged = ctx.saved_tensors
        gradient = gradients[0].where(converged.unsqueeze(-1), 0.0)
        slope = -injection / voltage.conj().square()
        adjoint = _adjoint(gradient, slope, impedance, ctx.tolerance, ctx.max_iterations)
        return (adjoint @ impedance.conj()) / voltage, None, None, None, None


def _adjoint(gradient: Tensor, slope: Tensor, impedance: Tensor, tolerance: float, max_iterations: int) -> Tensor:
    """The solution g [B, M] of g = gradient + slope (conj(g) Z), row by row."""
    adjoint, limit = gradient, tolerance * _largest(gradient)
    mirrored_gradient, mirrored_slope = gradient.conj().resolve_conj(), slope.conj().resolve_conj()
    mirrored_impedance = impedance.conj().resolve_conj()
    for _ in range(0, max_iterations, _CHECK_EVERY):
        mirrored = torch.addcmul(mirrored_gradient, mirrored_slope, adjoint @ mirrored_impedance)
        adjoint = torch.addcmul(gradient, slope, mirrored @ impedance)
        if (_largest(adjoint - mirrored.conj()) <= limit).all():
            break
    return adjoint


def _largest(value: Tensor) -> Tensor:
    """Largest real or imaginary part [B], in magnitude, of complex [B, M]; NaN where there is one."""
    return torch.view_as_real(value).flatten(1).abs().amax(-1)


def _iterate(
    injection: Tensor, impedance: Tensor, no_load: Tensor, tolerance: float, max_iterations: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Iterate from the no-load profile: voltages [B, M], converged bool [B], iterations int64 [B].

    Every other iterate is kept as its conjugate (`mirrored`), which spares a pass over the numbers in each.
    """
    voltage = new = no_load.expand_as(injection)
    mirrored_injection, mirrored_no_load = injection.conj().resolve_conj(), no_load.conj().resolve_conj()
    quotient, mirrored = torch.empty_like(injection), torch.empty_like(injection)
    active = torch.ones(len(injection), dtype=torch.bool, device=injection.device)
    iterations = torch.zeros_like(active, dtype=torch.int64)
    for _ in range(0, max_iterations, _CHECK_EVERY):
        torch.div(mirrored_injection, new, out=quotient)
        torch.addmm(mirrored_no_load, quotient, impedance.mH, out=mirrored)
        torch.div(injection, mirrored, out=quotient)
        new = torch.addmm(no_load, quotient, impedance.mT)
        change = _largest(new - mirrored.conj())
        moving = active & change.isfinite()
        voltage = new if moving.all() else new.where(moving.unsqueeze(-1), voltage)
        iterations = iterations + _CHECK_EVERY * active
        active = active & ~(change <= tolerance)
        if not active.any():
            break
    return voltage, ~active, iterations
