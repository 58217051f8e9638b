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

_CANDIDATES = 2000  # thresholds that are tried


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
    levels = torch.linspace(0.0, 1.0, _CANDIDATES, dtype=score.dtype) ** 0.25  # dense where alarms are rare
    tried = [detection(score, loading, float(threshold), tolerance) for threshold in score.quantile(levels).unique()]
    return max((each for each in tried if each.precision >= precision), key=lambda each: (each.recall, each.precision))


def _near(mask: Tensor, slots: int) -> Tensor:
    """Whether a slot [D, T] or one at most `slots` from it in the same day is set."""
    pooled = torch.nn.functional.max_pool1d(mask.double()[:, None], 2 * slots + 1, stride=1, padding=slots)
    return pooled[:, 0] > 0.0


def _ratio(part: Tensor, whole: Tensor) -> float:
    total = float(whole.double().sum())
    return float(part.double().sum()) / total if total > 0.0 else 1.0
