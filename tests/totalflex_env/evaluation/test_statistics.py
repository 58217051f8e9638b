"""The score against a ratio of sums worked out by hand and against the full enumeration of all resamples."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from totalflex_env.evaluation.statistics import ScoreError, mean, score


def test_the_score_is_a_ratio_of_sums_not_a_mean_of_ratios() -> None:
    """Savings 1 of 2 and 9 of 10: 10 / 12, where the mean of the ratios would be 0.7."""
    found = score(np.array([10.0, 20.0]), np.array([9.0, 11.0]), np.array([8.0, 10.0]), "reference")
    assert found.value == pytest.approx(10.0 / 12.0)
    assert (found.lower, found.upper) == pytest.approx((0.5, 0.9))


def test_the_default_scores_zero_and_the_reference_one() -> None:
    default, reference = np.array([5.0, -1.0, 7.0]), np.array([3.0, -2.0, 1.0])
    zero, one = score(default, default, reference, "r"), score(default, reference, reference, "r")
    assert (zero.value, zero.lower, zero.upper) == (0.0, 0.0, 0.0)
    assert (one.value, one.lower, one.upper) == (1.0, 1.0, 1.0)


def test_the_interval_is_that_of_all_resamples() -> None:
    """Four days have 256 equally likely resamples; ten thousand draws must come to the same quantiles."""
    random = np.random.default_rng(1)
    default = random.uniform(10.0, 20.0, 4)
    policy, reference = default - random.uniform(0.0, 5.0, 4), default - random.uniform(4.0, 8.0, 4)
    every = [
        (default - policy)[list(days)].sum() / (default - reference)[list(days)].sum()
        for days in itertools.product(range(4), repeat=4)
    ]
    found = score(default, policy, reference, "r")
    assert found.lower == pytest.approx(np.quantile(every, 0.025), abs=0.01)
    assert found.upper == pytest.approx(np.quantile(every, 0.975), abs=0.01)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-20, 20), st.floats(0.1, 20)), min_size=1, max_size=12))
def test_the_interval_holds_the_score_of_equal_days_and_is_never_reversed(
    days: list[tuple[float, float, float]],
) -> None:
    default = np.array([day[0] for day in days])
    found = score(default, default - [day[1] for day in days], default - [day[2] for day in days], "r")
    ratios = [day[1] / day[2] for day in days]
    assert found.lower <= found.upper
    assert min(ratios) - 1e-9 <= found.lower and found.upper <= max(ratios) + 1e-9
    assert min(ratios) - 1e-9 <= found.value <= max(ratios) + 1e-9


@pytest.mark.parametrize("reference", [[10.0, 10.0], [11.0, 10.0]])
def test_a_reference_that_saves_nothing_is_an_error(reference: list[float]) -> None:
    with pytest.raises(ScoreError, match=r"no score against rolling_milp: it saves .* EUR over 2 days, expected > 0"):
        score(np.full(2, 10.0), np.full(2, 9.0), np.array(reference), "rolling_milp")


def test_a_rare_day_without_saving_widens_the_interval_and_a_frequent_one_is_an_error() -> None:
    default, policy = np.full(6, 10.0), np.full(6, 9.0)
    saving = np.array([4.0, 4.0, 4.0, 4.0, 4.0, -1.0])
    found = score(default, policy, default - saving, "r")
    assert found.value == pytest.approx(6.0 / 19.0)
    assert found.upper > 0.4
    with pytest.raises(ScoreError, match="no interval"):
        score(default[:2], policy[:2], np.array([6.0, 11.0]), "r")


def test_a_mean_has_the_interval_of_all_resamples() -> None:
    """Of two days 0 and 1 a resample has the mean 0, 0.5 or 1 with a chance of a quarter, a half and a quarter."""
    found = mean(np.array([0.0, 1.0]))
    assert (found.value, found.lower, found.upper) == (0.5, 0.0, 1.0)
    steady = mean(np.full(9, 3.0))
    assert (steady.value, steady.lower, steady.upper) == (3.0, 3.0, 3.0)
