from __future__ import annotations

import pytest
import torch

from totalflex_env.errors import PhysicsError
from totalflex_env.evaluation import scorecard
from totalflex_env.evaluation.scorecard import Alarm


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
SCORE = torch.tensor([[0.0, 0.8, 0.7, 0.6, 0.0, 0.0, 0.4, 0.0, 0.1, 0.0]])
NAMED = torch.tensor([[0.6, 1.0, 1.1, 1.3, 0.9, 0.5, 0.9, 0.5, 1.3, 0.6]])
ALARM = Alarm(SCORE, NAMED)


def test_detection_by_hand() -> None:
    """Overloads in slots 2, 3 and 8; alarms above 0.5 in slots 1, 2 and 3, of which the first is wrong.

    The alarm of slot 2 names the 1.1 that came, that of slot 3 names 1.3 where 1.4 came. Slot 8 is not found.
    """
    found = scorecard.detection(ALARM, LOADING, 0.5)
    assert (found.precision, found.recall, found.effective_recall) == pytest.approx((2 / 3, 2 / 3, 1 / 3))
    silent = scorecard.detection(ALARM, LOADING, 1.0)
    assert (silent.precision, silent.recall, silent.effective_recall) == (1.0, 0.0, 0.0)


def test_an_alarm_is_for_the_very_slot() -> None:
    """A quarter-hour early or late is wrong, and so is the last slot of the day before for the first of a day."""
    loading = torch.tensor([[0.0, 1.5, 0.0], [1.5, 0.0, 0.0]])
    score = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    found = scorecard.detection(Alarm(score, loading), loading, 0.5)
    assert (found.precision, found.recall) == (0.0, 0.0)


def test_who_warns_below_the_rating_names_his_margin_too() -> None:
    """A single number of 0.95 where 1.1 came: warning from 0.9 on names 1.05 and is too little, from 0.8 on 1.15."""
    loading, guess = torch.tensor([[1.1, 0.5]]), Alarm(torch.tensor([[0.95, 0.5]]), None)
    assert [scorecard.detection(guess, loading, at).recall for at in (1.0, 0.9, 0.8)] == [0.0, 1.0, 1.0]
    assert [scorecard.detection(guess, loading, at).effective_recall for at in (1.0, 0.9, 0.8)] == [0.0, 0.0, 1.0]


def test_the_threshold_that_finds_most_at_a_precision() -> None:
    """Above 0.4 two alarms of three are right and find two overloads of three; slot 8 would cost one more wrong."""
    best = scorecard.most_found(ALARM, LOADING, precision=0.6)
    assert best.threshold == pytest.approx(0.0)
    assert (best.precision, best.recall) == pytest.approx((0.6, 1.0))
    strict = scorecard.most_found(ALARM, LOADING, precision=0.65)
    assert strict.threshold == pytest.approx(0.4) and strict.recall == pytest.approx(2 / 3)
    assert scorecard.most_found(ALARM, LOADING, precision=0.8).recall == 0.0  # the surest alarm is a wrong one


def test_a_slot_without_a_power_flow_cannot_be_scored() -> None:
    """Its loading is infinite: weighed by it, the share that was found would be no number."""
    lost = LOADING.masked_fill(LOADING > 1.3, torch.inf)
    for score in (scorecard.most_found, lambda alarm, loading: scorecard.detection(alarm, loading, 0.5)):
        with pytest.raises(PhysicsError, match="1 of 10 slots had no solution of the power flow"):
            score(ALARM, lost)
