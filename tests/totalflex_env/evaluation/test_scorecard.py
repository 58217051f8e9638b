from __future__ import annotations

import pytest
import torch

from totalflex_env.evaluation import scorecard


def test_pinball_by_hand() -> None:
    """An outcome 2 above the 90 % quantile costs 0.9 · 2, one 3 below it 0.1 · 3: 1.05 on average."""
    loss = scorecard.pinball(torch.tensor([0.9]), torch.tensor([[1.0, 1.0]]), torch.tensor([3.0, -2.0]))
    assert loss == pytest.approx(1.05)


def test_brier_by_hand() -> None:
    """(1 - 0.75)² and (0 - 0.5)², for one overload that was likely and a slot at the rating, which is none."""
    assert scorecard.brier(torch.tensor([[0.75, 0.5]]), torch.tensor([[1.2, 1.0]])) == pytest.approx(0.15625)


def test_coverage_and_reliability_by_hand() -> None:
    outcome = torch.tensor([[0.1, 0.5, 0.9, 1.5]])
    low, high = torch.full((1, 4), 0.5), torch.full((1, 4), 1.0)
    assert scorecard.coverage(low, high, outcome) == 0.5
    assert scorecard.reliability(torch.stack([low, high]), outcome).tolist() == [0.5, 0.75]


LOADING = torch.tensor([[0.5, 0.9, 1.1, 1.4, 0.9, 0.5, 0.5, 0.5, 1.2, 0.6]])
SCORE = torch.tensor([[0.0, 0.8, 0.7, 0.0, 0.0, 0.0, 0.6, 0.0, 0.1, 0.0]])


def test_detection_by_hand() -> None:
    """Overloads in slots 2, 3 and 8, of 0.1, 0.4 and 0.2; alarms above 0.5 in slots 1, 2 and 6.

    Within a slot alarms 1 and 2 are right and 6 is two slots early; overloads 2 and 3 are found, 8 is not. By the very
    slot only alarm 2 is right.
    """
    near = scorecard.detection(SCORE, LOADING, 0.5)
    assert (near.precision, near.recall, near.slots_found) == pytest.approx((2 / 3, 0.5 / 0.7, 2 / 3))
    plain = scorecard.detection(SCORE, LOADING, 0.5, tolerance=0)
    assert (plain.precision, plain.recall, plain.slots_found) == pytest.approx((1 / 3, 0.1 / 0.7, 1 / 3))
    silent = scorecard.detection(SCORE, LOADING, 1.0)
    assert (silent.precision, silent.recall) == (1.0, 0.0)


def test_days_do_not_touch() -> None:
    """The first slot of a day is no neighbour of the last slot of the day before."""
    loading, score = torch.tensor([[0.0, 0.0, 1.5], [0.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    assert scorecard.detection(score, loading, 0.5).precision == 0.0


def test_a_sufficient_forecast_reaches_the_outcome() -> None:
    """Forecasts of 1.2 and 1.3 for 1.1 and 1.4: both are alarms and right, only the first is enough."""
    found = scorecard.sufficient(torch.tensor([[1.2, 1.3, 1.1]]), torch.tensor([[1.1, 1.4, 0.9]]))
    assert (found.precision, found.recall, found.slots_found) == pytest.approx((1 / 3, 0.1 / 0.5, 0.5))


def test_the_threshold_that_finds_most_at_a_precision() -> None:
    """Above 0.65 both alarms are right and find 0.5 of 0.7; slot 6 costs precision, slot 8 comes only after it."""
    best = scorecard.most_found(SCORE, LOADING)
    assert 0.6 <= best.threshold < 0.7
    assert (best.precision, best.recall) == pytest.approx((1.0, 0.5 / 0.7))
    modest = scorecard.most_found(SCORE, LOADING, precision=0.7)
    assert modest.recall == pytest.approx(1.0) and modest.precision == pytest.approx(0.75)
    assert scorecard.most_found(-SCORE, LOADING, precision=0.95).recall == 0.0
