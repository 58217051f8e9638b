"""Scores: how much of a reference's saving against the default schedule a policy reaches, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from totalflex_env.errors import TotalFlexError

RESAMPLES = 10_000
CONFIDENCE = 0.95

Days = NDArray[np.float64]


class ScoreError(TotalFlexError):
    """A score cannot be computed from the days at hand."""


@dataclass(frozen=True)
class Score:
    """A ratio of sums over all days, or a mean of them, with its bootstrap interval."""

    value: float
    lower: float
    upper: float


def score(default: Days, policy: Days, reference: Days, name: str) -> Score:
    """Return the saving of a policy as a share of the reference's: 0 is the default schedule, 1 the reference.

    All costs [D] in EUR of the same D days. The ratio is one of sums, never a mean of daily ratios; the interval comes
    from resampling days (percentile bootstrap, Efron 1979). A resample in which the reference saves nothing has no
    ratio: it counts as beyond both ends. `name` is the reference's, for errors.
    """
    saved, possible = default - policy, default - reference
    if possible.sum() <= 0.0:
        raise ScoreError(
            f"no score against {name}: it saves {possible.sum():.6g} EUR over {len(possible)} days, expected > 0"
        )
    days = np.random.default_rng(0).integers(len(saved), size=(RESAMPLES, len(saved)))
    numerator, denominator = saved[days].sum(axis=1), possible[days].sum(axis=1)
    ratio = numerator / np.where(denominator > 0.0, denominator, 1.0)
    tail = (1.0 - CONFIDENCE) / 2.0
    lower = np.quantile(np.where(denominator > 0.0, ratio, -np.inf), tail, method="lower")
    upper = np.quantile(np.where(denominator > 0.0, ratio, np.inf), 1.0 - tail, method="higher")
    if not (np.isfinite(lower) and np.isfinite(upper)):
        raise ScoreError(
            f"no interval of the score against {name}: it saves too rarely on {len(saved)} days, take more"
        )
    return Score(float(saved.sum() / possible.sum()), float(lower), float(upper))


def mean(days: Days) -> Score:
    """Return the mean of a quantity [D] over days with its interval, from resampling days (percentile bootstrap)."""
    drawn = np.random.default_rng(0).integers(len(days), size=(RESAMPLES, len(days)))
    tail = (1.0 - CONFIDENCE) / 2.0
    lower, upper = np.quantile(days[drawn].mean(axis=1), (tail, 1.0 - tail))
    return Score(float(days.mean()), float(lower), float(upper))
