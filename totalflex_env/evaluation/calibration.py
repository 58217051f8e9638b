"""Calibration: what the scenarios call a probability becomes the frequency that held-back days showed.

Where outcomes fell below the forecast quantile of level u with frequency F(u), the quantile of level F^-1(tau) is the
one that outcomes fall below with frequency tau (Kuleshov, Fenner and Ermon, ICML 2018; the values u are
the probability integral transform, Dawid 1984). F is fitted for every element and every node on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.grid.forecast import GridForecast, Samples, quantiles


@dataclass(frozen=True)
class Calibration:
    """Where the outcomes of held-back days fell in their forecasts: levels between 0 and 1, in rising order."""

    loading: Tensor  # [E, n]
    voltage: Tensor  # [M, n]

    def apply(self, plain: GridForecast, samples: Samples) -> GridForecast:
        """Return the forecast of `samples` with its levels and probabilities set right; `plain` is the one as drawn."""
        at = plain.levels[:, None]
        loading_levels, voltage_levels = (
            quantiles(seen, at.expand(-1, len(seen))) for seen in (self.loading, self.voltage)
        )
        return replace(
            plain,
            loading=quantiles(samples.loading, loading_levels[:, None]),
            voltage=quantiles(samples.voltage, voltage_levels[:, None]),
            overload=1.0 - _frequency(self.loading, 1.0 - plain.overload),
            undervoltage=_frequency(self.voltage, plain.undervoltage),
            overvoltage=1.0 - _frequency(self.voltage, 1.0 - plain.overvoltage),
        )


def calibrate(forecasts: Sequence[Samples], loading: Tensor, voltage: Tensor) -> Calibration:
    """Return the calibration by D forecast days and their outcomes, loading [D, T, E] and voltage [D, T, M].

    These days must be neither in the archive of the forecaster nor among those that are to be forecast.
    """
    loadings = [rank(each.loading, outcome) for each, outcome in zip(forecasts, loading)]
    voltages = [rank(each.voltage, outcome) for each, outcome in zip(forecasts, voltage)]
    return Calibration(*(torch.cat(ranks).mT.contiguous().sort(dim=1).values for ranks in (loadings, voltages)))


def rank(ordered: Tensor, outcome: Tensor) -> Tensor:
    """Return the level [...] at which an outcome [...] lies among scenarios [..., S] in rising order."""
    at = outcome[..., None].contiguous()
    below, up_to = (torch.searchsorted(ordered, at, right=right)[..., 0] for right in (False, True))
    return (0.5 * (below + up_to) + 0.5) / (ordered.shape[-1] + 1.0)


def _frequency(seen: Tensor, level: Tensor) -> Tensor:
    """Share [T, X] of the levels `seen` [X, n] that lie at or below `level` [T, X]; 0 and 1 stay what they are."""
    below = torch.searchsorted(seen, level.mT.contiguous(), right=True).mT.to(level.dtype) / seen.shape[1]
    return torch.where((level <= 0.0) | (level >= 1.0), level, below)
