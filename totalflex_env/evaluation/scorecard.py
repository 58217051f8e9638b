"""How good a forecast of bottlenecks was: pinball loss, reliability, and precision and recall at the limit.

Letters in the shapes: D days, T slots, K quantile levels. All concern one element, such as the transformer.

An alarm is a slot in which the forecast score (a probability of overload, or a loading) exceeds a threshold. Precision
and recall are *effective*: they count what matters to whoever buys the flexibility.

* Precision: the share of the alarms that are right, with the element overloaded in the same slot or in the one before
  or after it. A quarter of an hour decides neither what is bought nor what a transformer feels.
* Recall: the share of the overload energy (kVAh above the rating) that is found, with an alarm as near. A slot at 101 %
  that is missed weighs a fiftieth of one at 150 %.

`slots_found` is the recall without that weight, and tolerance 0 the plain count of slots. `sufficient` is the strict
count of OpenSTEF: an alarm is right only if the forecast loading also reaches the true one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TOLERANCE = 1
"""Slots by which an alarm may miss."""

WANTED_PRECISION = 0.8


@dataclass(frozen=True)
class Detection:
    """How alarms and overloads met; a ratio of nothing to nothing is 1."""

    threshold: float  # of the score
    precision: float  # share of the alarms that were right
    recall: float  # share of the overload energy that was found
    slots_found: float  # share of the overloaded slots that were found


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


def detection(score: Tensor, loading: Tensor, threshold: float, tolerance: int = TOLERANCE) -> Detection:
    """Return how alarms, where `score` [D, T] exceeds the threshold, met the slots of `loading` [D, T] above 1."""
    alarm, overload = score > threshold, loading > 1.0
    right = alarm & _near(overload, tolerance)
    found = overload & _near(alarm, tolerance)
    excess = (loading - 1.0).clamp(min=0.0)
    return Detection(threshold, _ratio(right, alarm), _ratio(excess * found, excess), _ratio(found, overload))


def sufficient(forecast: Tensor, loading: Tensor) -> Detection:
    """Return precision and recall of a forecast loading [D, T] that must also reach the true one [D, T] to be right."""
    alarm, overload = forecast > 1.0, loading > 1.0
    right = alarm & overload & (forecast >= loading)
    excess = (loading - 1.0).clamp(min=0.0)
    return Detection(1.0, _ratio(right, alarm), _ratio(excess * right, excess), _ratio(right, overload))


def most_found(
    score: Tensor, loading: Tensor, precision: float = WANTED_PRECISION, tolerance: int = TOLERANCE
) -> Detection:
    """Return the threshold of the score [D, T] with the highest recall at `precision` or better.

    Thresholds are fitted to these very days: use it to compare scores with each other, or on days of validation to
    choose a threshold that `detection` then tries on others. Where no threshold is precise enough nothing is alarmed.
    """
    tried = score.unique()
    right = _above(score, _near(loading > 1.0, tolerance).to(score.dtype), tried)
    raised = _above(score, torch.ones_like(score), tried)
    found = _above(_highest(score, tolerance), (loading - 1.0).clamp(min=0.0), tried)
    exact = torch.where(raised > 0.0, right / raised, 1.0)
    best = (exact >= precision) & (found == found[exact >= precision].max())
    most = torch.where(best, exact, -1.0).argmax()
    return detection(score, loading, float(tried[most]), tolerance)


def _above(score: Tensor, weight: Tensor, thresholds: Tensor) -> Tensor:
    """Sum of the weights [D, T] where the score [D, T] exceeds each of the thresholds, in rising order."""
    order = score.flatten().sort()
    summed = torch.cat([weight.new_zeros(1), weight.flatten()[order.indices].cumsum(0)])
    return summed[-1] - summed[torch.searchsorted(order.values, thresholds, right=True)]


def _near(mask: Tensor, slots: int) -> Tensor:
    """Whether a slot [D, T] or one at most `slots` from it in the same day is set."""
    return _highest(mask.double(), slots) > 0.0


def _highest(score: Tensor, slots: int) -> Tensor:
    """Highest score [D, T] of a slot and those at most `slots` from it in the same day."""
    return torch.nn.functional.max_pool1d(score[:, None], 2 * slots + 1, stride=1, padding=slots)[:, 0]


def _ratio(part: Tensor, whole: Tensor) -> float:
    total = float(whole.double().sum())
    return float(part.double().sum()) / total if total > 0.0 else 1.0
