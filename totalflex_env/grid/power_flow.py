"""Batched AC power flow: the fixed point of v = v0 + Z i, i = conj(s / v), Z dense, in float32 or float64, any device.

The implicit Z-bus method (Chen et al., "Distribution system power flow analysis: a rigid approach", IEEE Trans. Power
Delivery 6(3), 1991). On grids of one slack and constant power it converges up to about 99 % of the load at which the
voltage collapses, so a row that does not converge has no operating point.

Complex numbers are pairs [2, M, B] of real and imaginary parts, the rows of the batch last: a product with Z is then a
real matrix product, and all else runs along memory. On the CPU the iteration ends with the last row that moves. On
other devices nothing is read back on the way, which would halt the device: every iteration up to the limit is done.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from totalflex_env.grid_model import GridModel, PowerFlow

MAX_ITERATIONS = 120
_UNSEEN = 2  # iterations after which hardly any row has converged: the change is not looked at
_CACHED_ROWS = 2048
_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-6}
_LEAST = 1e-18  # p.u., added to squared voltages: it keeps what is divided by them finite, and is lost in rounding
_FAR = 10.0  # p.u.; a row whose voltage moves that far in one iteration has no solution
_GROWTH = 2.0  # nor has one whose voltage moves so many times as far as in an iteration before


def solve(
    grid: GridModel,
    active_kw: Tensor,
    reactive_kvar: Tensor,
    tolerance: float | None = None,
    max_iterations: int = MAX_ITERATIONS,
) -> PowerFlow:
    """Voltages and loadings for the consumption [B, M] in kW and kvar of every node; production is negative.

    A row stops at its own convergence, when no voltage moves by more than the tolerance [p.u.] (1e-10 in float64 and
    1e-6 in float32 unless told), or when its voltages move ever further, as they do where there is no solution. So it
    does not depend on the other rows. Gradients of voltage and loading are those of the exact solution; they are zero
    for rows that did not converge.
    """
    # On a CPU, parts that stay in its cache; a GPU takes all rows at once.
    size = _CACHED_ROWS if active_kw.device.type == "cpu" else max(len(active_kw), 1)
    parts = [
        _solve(grid, *power, tolerance, max_iterations)
        for power in zip(torch.split(active_kw, size), torch.split(reactive_kvar, size))
    ]
    voltage, loading, converged, iterations = (torch.cat(part, -1) for part in zip(*parts))
    return PowerFlow(voltage.mT, loading.mT, converged, iterations)


def _solve(
    grid: GridModel, active_kw: Tensor, reactive_kvar: Tensor, tolerance: float | None, max_iterations: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Voltages [M, B], loadings [E, B], converged and iterations [B]."""
    voltage, current, converged, iterations = _solved(grid, active_kw, reactive_kvar, tolerance, max_iterations)
    ends = _affine(grid.no_load_end_loading, grid.end_loading, current)  # [2, 2 E, B]
    loading = _Root.apply(torch.maximum(*_squared(ends).chunk(2)))  # type: ignore[no-untyped-call]
    return _squared(voltage).sqrt(), loading, converged, iterations


def operating_point(grid: GridModel, active_kw: Tensor, reactive_kvar: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Complex node voltages and injected currents [B, M] in p.u., converged bool [B], iterations int64 [B]."""
    voltage, current, converged, iterations = _solved(grid, active_kw, reactive_kvar, None, MAX_ITERATIONS)
    return torch.complex(*voltage).mT, torch.complex(*current).mT, converged, iterations


def _solved(
    grid: GridModel, active_kw: Tensor, reactive_kvar: Tensor, tolerance: float | None, max_iterations: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Node voltages and injected currents [2, M, B] in p.u., converged bool [B], iterations int64 [B]."""
    injected = torch.stack([active_kw.mT, reactive_kvar.mT]) * (-1.0 / grid.base_kva)
    tolerance = tolerance or _TOLERANCE[active_kw.dtype]
    found: tuple[Tensor, Tensor, Tensor, Tensor] = _FixedPoint.apply(  # type: ignore[no-untyped-call]
        injected, _real(grid.impedance), grid.no_load_voltage.mT, tolerance, max_iterations
    )
    return found


def _real(matrix: Tensor) -> Tensor:
    """The complex matrix [X, M, 2] as the real one [2 X, 2 M] that does the same to real and imaginary parts."""
    real, imaginary = matrix.unbind(-1)
    return torch.cat([torch.cat([real, -imaginary], 1), torch.cat([imaginary, real], 1)])


def _affine(constant: Tensor, matrix: Tensor, value: Tensor) -> Tensor:
    """constant + matrix value [2, X, B] for a constant [X, 2], a matrix [X, M, 2] and values [2, M, B]."""
    result: Tensor = torch.addmm(constant.mT.reshape(-1, 1), _real(matrix), value.flatten(0, 1)).unflatten(0, (2, -1))
    return result


def _squared(value: Tensor) -> Tensor:
    """Squared magnitudes of pairs."""
    return torch.addcmul(value[0].square(), value[1], value[1])


def _mirrored_product(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """conj(a) b of pairs."""
    torch.mul(a[0], b[0], out=out[0]).addcmul_(a[1], b[1])
    torch.mul(a[0], b[1], out=out[1]).addcmul_(a[1], b[0], value=-1.0)
    return out


def _mirrored_inverse(value: Tensor, squared: Tensor, out: Tensor) -> Tensor:
    """1 / conj(value) of pairs, finite; the squared magnitudes [M, B] are written on the way."""
    torch.addcmul(value.new_full((), _LEAST), value[0], value[0], out=squared).addcmul_(value[1], value[1])
    return torch.div(value, squared, out=out)


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
    """Voltages and currents that solve the power flow, differentiable by the implicit function theorem.

    No iterate is kept. With u = 1 / conj(v) a current is i = conj(s) u, and its change by that of its own voltage
    c conj(dv), c = -i u.
    """

    @staticmethod
    def forward(
        ctx: Any, injected: Tensor, impedance: Tensor, no_load: Tensor, tolerance: float, max_iterations: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        start = no_load.reshape(-1, 1)
        voltage = start.expand(-1, injected.shape[-1]).clone(memory_format=torch.contiguous_format).view_as(injected)
        rows = voltage, torch.full_like(injected[0, 0], _FAR)
        found = _iterate(injected, impedance, start, rows, tolerance, range(max_iterations))
        ctx.save_for_backward(impedance, *found[:3])
        ctx.mark_non_differentiable(*found[2:])
        ctx.tolerance, ctx.max_iterations = tolerance, max_iterations
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        """Solve the adjoint a = gradient + Z^T conj(a) c, which contracts as fast as the iteration itself."""
        impedance, voltage, current, converged = ctx.saved_tensors
        by_voltage, by_current = gradients[:2]
        gradient = (by_current + _product(impedance.mT, by_voltage)).where(converged, 0.0)
        inverse = _mirrored_inverse(voltage, torch.empty_like(voltage[0]), torch.empty_like(voltage))
        mirrored = torch.stack([-current[0], current[1]])
        slope = _mirrored_product(mirrored, inverse, torch.empty_like(voltage))
        adjoint = _adjoint(gradient, slope, impedance, ctx.tolerance, ctx.max_iterations)
        return _mirrored_product(adjoint, inverse, torch.empty_like(voltage)), None, None, None, None


def _product(matrix: Tensor, value: Tensor) -> Tensor:
    """A real matrix [2 X, 2 M] times pairs [2, M, B]."""
    result: Tensor = (matrix @ value.flatten(0, 1)).unflatten(0, (2, -1))
    return result


def _adjoint(gradient: Tensor, slope: Tensor, impedance: Tensor, tolerance: float, max_iterations: int) -> Tensor:
    """The solution a [2, M, B] of a = gradient + Z^T (conj(a) slope)."""
    limit, adjoint, work = tolerance * gradient.abs().amax((0, 1)), gradient, torch.empty_like(gradient)
    readable = gradient.device.type == "cpu"
    for iteration in range(max_iterations):
        before, adjoint = adjoint, gradient + _product(impedance.mT, _mirrored_product(adjoint, slope, out=work))
        if readable and iteration >= _UNSEEN and (_largest_change(adjoint, before, work) <= limit).all():
            break
    return adjoint


def _iterate(
    injected: Tensor, impedance: Tensor, no_load: Tensor, rows: tuple[Tensor, Tensor], tolerance: float, steps: range
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Iterate: voltages and currents, converged [B] and iterations done [B].

    `rows` are the voltages [2, M, B] to begin with, written over, and how far [B] they may move without being lost.
    """
    voltage, far = rows
    new, current, squared = torch.empty_like(voltage), torch.empty_like(voltage), torch.empty_like(voltage[0])
    active, readable = torch.ones_like(far, dtype=torch.bool), injected.device.type == "cpu"
    lost, iterations = ~active, torch.full_like(active, steps.start, dtype=torch.int64)
    for step in steps:
        _mirrored_product(injected, _mirrored_inverse(voltage, squared, out=new), out=current)
        torch.addmm(no_load, impedance, current.flatten(0, 1), out=new.view(len(no_load), -1))
        iterations += active
        if step < _UNSEEN:
            voltage, new = new, voltage
            continue
        change = _largest_change(new, voltage, work=current)
        moving = active & (change <= far)
        if readable and moving.all():
            voltage, new = new, voltage
        else:
            voltage = torch.where(moving, new, voltage)
            lost = lost | (active & ~moving)
        active = moving & (change > tolerance)
        far = torch.minimum(far, _GROWTH * change)
        if readable and 2 * (left := active.nonzero()[:, 0]).numel() <= len(active):
            if left.numel():  # go on with these alone
                own = (injected[..., left], impedance, no_load, (voltage[..., left], far[left]), tolerance)
                voltage[..., left], _, found, iterations[left] = _iterate(*own, range(step + 1, steps.stop))
                active[left] = ~found
            break
    _mirrored_product(injected, _mirrored_inverse(voltage, squared, out=new), out=current)
    return voltage, current, ~(active | lost), iterations


def _largest_change(value: Tensor, before: Tensor, work: Tensor) -> Tensor:
    """Largest difference [B] of real or imaginary parts, in magnitude; NaN where there is one."""
    return torch.sub(value, before, out=work).abs_().amax((0, 1))
