"""No day of one split touches a week of another."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from totalflex_env.config import EnvConfig, ScenarioConfig
from totalflex_env.errors import ConfigError
from totalflex_env.scenario.days import first_slots

NEW_YEAR = date(2016, 1, 1)
YEAR = 366 * 96


def weeks(split: str, slots: int = 96) -> set[tuple[int, int]]:
    """ISO years and weeks that the episodes of a split touch."""
    config = EnvConfig(name="days", slots=slots, scenario=ScenarioConfig(split=split))
    found = set()
    for first in first_slots(NEW_YEAR, YEAR, config):
        for slot in (first, first + slots - 1):
            day = NEW_YEAR + timedelta(int(slot) // 96)
            found.add(day.isocalendar()[:2])
    return found


def test_splits_share_no_week() -> None:
    train, validation, test = weeks("train"), weeks("validation"), weeks("test")
    assert not train & validation and not train & test and not validation & test
    assert train and validation and test
    assert 3.0 < len(train) / len(test) < 5.5


def test_days_begin_at_noon_in_the_configured_months() -> None:
    config = EnvConfig(name="days", scenario=ScenarioConfig(months=(2,)))
    starts = first_slots(NEW_YEAR, YEAR, config)
    assert (starts % 96 == 48).all()
    assert starts.tolist() == [96 * day + 48 for day in range(31, 60)]  # February of a leap year


def test_no_episode_runs_over_the_end_of_the_year() -> None:
    config = EnvConfig(name="days", slots=672, scenario=ScenarioConfig(months=(12,)))
    assert first_slots(NEW_YEAR, YEAR, config).max() + 672 <= YEAR


def test_weeks_long_episodes_stay_within_the_four_weeks_of_training() -> None:
    assert not weeks("train", 672) & weeks("test")


def test_a_split_that_holds_no_episode_is_refused() -> None:
    config = EnvConfig(name="days", slots=672, scenario=ScenarioConfig(split="test"))
    with pytest.raises(ConfigError, match=r"days: scenario\.split = test: expected a split in which"):
        first_slots(NEW_YEAR, YEAR, config)
