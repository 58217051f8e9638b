"""How good a forecast of bottlenecks was: pinball loss, reliability, and precision and recall at the limit.

Letters in the shapes: D days, T slots, K quantile levels. All concern one element, such as the transformer.

An alarm is a slot in which the forecast score (a probability of overload, or a loading) exceeds a threshold. It names a
loading that is to be expected. Alarms are counted as OpenSTEF (Alliander) counts forecasts of peaks, by the very slot:

* Precision: the share of the alarms in whose slot the element is overloaded.
* Recall: the share of the overloaded slots that are found.
* Effective recall: the share of the overloaded slots whose alarm names at least the loading that came. Whoever buys
  flexibility for less than that is still overloaded.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.errors import PhysicsError

WANTED_PRECISION = 0.8


@dataclass(frozen=True)
class Alarm:
    """What alarms are raised by, and the loading that they name."""

    score: Tensor  # [D, T] an alarm is raised where it exceeds a threshold
    named: Tensor | None  # [D, T] loading; None: the score, itself a loading, and the margin of the threshold to 1

    def loading(self, threshold: float) -> Tensor:
        """Return the loading [D, T] that alarms name; who warns below the rating adds that margin to all he names."""
        return self.score + (1.0 - threshold) if self.named is None else self.named


@dataclass(frozen=True)
class Detection:
    """How alarms and overloads met; a ratio of nothing to nothing is 1."""

    threshold: float  # of the score
    precision: float  # share of the alarms that were right
    recall: float  # share of the overloaded slots that were found
    effective_recall: float  # share of the overloaded slots that were found, and named large enough


def pinball(levels: Tensor, quantiles: Tensor, outcome: Tensor) -> float:
    """Return the mean pinball loss of quantiles [K, ...] at `levels` [K] for the outcome [...], in its unit."""
    error = outcome - quantiles
    level = levels.reshape(-1, *[1] * outcome.dim())
    return float(torch.maximum(level * error, (level - 1.0) * error).mean())


def brier(probability: Tensor, loading: Tensor) -> float:
    """Return the mean squared error of probabilities [...] that the loading [...] is above 1 (Brier 1950)."""
    return float((probability - (loading > 1.0).to(probability.dtype)).square().mean())


def coverage(lower: Tensor, upper: Tensor, outcome: Tensor) -> float:
    """Return the share of outcomes [...] from `lower` to `upper` [...], both included."""
    return float(((lower <= outcome) & (outcome <= upper)).double().mean())


def reliability(quantiles: Tensor, outcome: Tensor) -> Tensor:
    """Return how often the outcome [...] was at most each of the quantiles [K, ...], as shares [K]."""
    return (outcome <= quantiles).double().flatten(1).mean(1)


def detection(alarm: Alarm, loading: Tensor, threshold: float) -> Detection:
    """Return how the alarms above a threshold of their score met the slots of `loading` [D, T] above 1.

    A loading that is not finite, where the power flow has no solution, is a PhysicsError: no alarm names as much.
    """
    _refuse_unsolved(loading)
    raised, overload = alarm.score > threshold, loading > 1.0
    found = raised & overload
    enough = found & (alarm.loading(threshold) >= loading)
    return Detection(threshold, _ratio(found, raised), _ratio(found, overload), _ratio(enough, overload))


def most_found(alarm: Alarm, loading: Tensor, precision: float = WANTED_PRECISION) -> Detection:
    """Return the detection at the lowest threshold whose alarms have `precision` or better: it finds the most.

    Thresholds are fitted to these very days: use it to compare forecasts with each other, or on days of validation to
    choose a threshold that `detection` then tries on others. Where no threshold is precise enough nothing is alarmed.
    """
    tried = alarm.score.unique()
    overload = (loading > 1.0).to(alarm.score.dtype)
    right, raised = (_above(alarm.score, weight, tried) for weight in (overload, torch.ones_like(overload)))
    exact = torch.where(raised > 0.0, right / raised, 1.0)
    return detection(alarm, loading, float(tried[exact >= precision][0]))


def _refuse_unsolved(loading: Tensor) -> None:
    if lost := int((~loading.isfinite()).sum()):
        what = f"{lost} of {loading.numel()} slots had no solution of the power flow"
        raise PhysicsError(f"{what}: their loading has no size that a forecast could be scored by")


def _above(score: Tensor, weight: Tensor, thresholds: Tensor) -> Tensor:
    """Sum of the weights [D, T] where the score [D, T] exceeds each of the thresholds, in rising order."""
    order = score.flatten().sort()
    summed = torch.cat([weight.new_zeros(1), weight.flatten()[order.indices].cumsum(0)])
    return summed[-1] - summed[torch.searchsorted(order.values, thresholds, right=True)]


def _ratio(part: Tensor, whole: Tensor) -> float:
    total = float(whole.double().sum())
    return float(part.double().sum()) / total if total > 0.0 else 1.0
