"""Customer baselines on days that a reader can add up, and what each refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from totalflex_env.errors import DataError
from totalflex_env.market.customer_baseline import METHODS, Evidence

SLOTS, DAYS = 24, 12
CALL = slice(18, 20)


def evidence() -> Evidence:
    """Two alike units of 1 kWh in every slot; the first was called in slots 18 and 19 and took nothing there."""
    flat = torch.ones(2, SLOTS, dtype=torch.float64)
    called = torch.zeros(2, SLOTS, dtype=torch.bool)
    called[0, CALL] = True
    past = torch.ones(2, DAYS, SLOTS, dtype=torch.float64)
    return Evidence(
        metered_kwh=flat.masked_fill(called, 0.0),
        called=called,
        nomination_kwh=3.0 * flat,
        default_kwh=2.0 * flat,
        history_kwh=past,
        eligible=torch.ones(2, DAYS, dtype=torch.bool),
        temperature=torch.zeros_like(flat),
        past_temperature=torch.zeros_like(past),
        group=torch.zeros(2, dtype=torch.int64),
    )


def called(method: str, known: Evidence) -> Tensor:
    return METHODS[method](known)[0, CALL]


@pytest.mark.parametrize(
    ("method", "kwh"),
    [
        ("nomination", 3.0),
        ("default_schedule", 2.0),
        ("mid_8_of_10", 1.0),
        ("meter_before", 1.0),
        ("zero", 0.0),
        ("control_group", 1.0),
        ("regression", 1.0),
    ],
)
def test_a_steady_unit(method: str, kwh: float) -> None:
    assert called(method, evidence()).tolist() == [kwh, kwh]


def test_mid_8_of_10_drops_the_extremes_of_the_last_ten_eligible_days() -> None:
    """Days 0 to 11 with 0 to 11 kWh per slot, day 11 an event: of 1 to 10 the ends go, and 2 to 9 average 5.5."""
    known = evidence()
    history = torch.arange(DAYS, dtype=torch.float64)[None, :, None].expand(2, DAYS, SLOTS)
    eligible = known.eligible.clone()
    eligible[:, 11] = False
    known = replace(known, history_kwh=history, eligible=eligible, metered_kwh=torch.full((2, SLOTS), 5.5).double())
    assert called("mid_8_of_10", known).tolist() == [5.5, 5.5]


@pytest.mark.parametrize(("metered", "kwh"), [(1.1, 1.1), (5.0, 1.2), (0.0, 0.8)])
def test_the_same_day_adjustment_is_read_before_the_call_and_capped_at_a_fifth(metered: float, kwh: float) -> None:
    known = evidence()
    day = known.metered_kwh.clone()
    day[0, 18 - 16 : 18 - 8] = metered
    day[0, 18 - 8 : 18] = 100.0  # too late to count: an adversary knows of the call by now
    assert called("mid_8_of_10", replace(known, metered_kwh=day)).tolist() == pytest.approx([kwh, kwh])


def test_meter_before_takes_the_last_hour_and_never_a_called_slot() -> None:
    """Calls in slots 4 to 5 and 7 to 8: the second one has but slot 6 before it."""
    known = evidence()
    marks = torch.zeros_like(known.called)
    marks[0, [4, 5, 7, 8]] = True
    meter = torch.arange(SLOTS, dtype=torch.float64).expand(2, SLOTS)
    found = METHODS["meter_before"](replace(known, called=marks, metered_kwh=meter))[0]
    assert found[[4, 5, 7, 8]].tolist() == [1.5, 1.5, 6.0, 6.0]
    assert found[[0, 3, 6, 9]].tolist() == [0.0, 3.0, 6.0, 9.0]


def test_the_control_group_is_alike_and_was_left_alone() -> None:
    known = evidence()
    meter = torch.stack([known.metered_kwh[0], torch.full((SLOTS,), 4.0).double()])
    assert called("control_group", replace(known, metered_kwh=meter)).tolist() == [4.0, 4.0]


def test_the_regression_recovers_a_slope_that_all_slots_share() -> None:
    """1 kWh, plus the slot's number, less 0.1 kWh per kelvin, is found again at a temperature never seen."""
    known = evidence()
    generator = torch.Generator().manual_seed(0)
    warmth = torch.rand(2, DAYS, SLOTS, generator=generator, dtype=torch.float64) * 20.0
    shape = 1.0 + torch.arange(SLOTS, dtype=torch.float64)
    day = torch.full((2, SLOTS), -15.0, dtype=torch.float64)
    known = replace(known, history_kwh=shape - 0.1 * warmth, past_temperature=warmth, temperature=day)
    torch.testing.assert_close(METHODS["regression"](known)[0], shape + 1.5, rtol=0.0, atol=1e-9)


def test_each_method_says_what_it_lacks() -> None:
    known = evidence()
    nine, none = known.eligible.clone(), torch.zeros_like(known.eligible)
    nine[1, :3] = False
    everybody = torch.ones_like(known.called)
    lacking = {
        "mid_8_of_10": (replace(known, eligible=nine), "unit 1 = 9: expected at least 10 eligible days"),
        "regression": (replace(known, eligible=none), "unit 0 = 0: expected at least 1 eligible days"),
        "meter_before": (replace(known, called=everybody), "unit 0 = 0: expected at least 1 slots before the call"),
        "control_group": (replace(known, called=everybody), "unit 0 = 0: expected at least 1 units of the same group"),
    }
    for method, (poor, text) in lacking.items():
        with pytest.raises(DataError, match=text):
            METHODS[method](poor)


@pytest.mark.parametrize("method", METHODS)
def test_units_do_not_depend_on_their_order(method: str) -> None:
    known = evidence()
    generator = torch.Generator().manual_seed(1)
    meter = torch.rand(2, SLOTS, generator=generator, dtype=torch.float64)
    known = replace(known, metered_kwh=meter, group=torch.tensor([0, 0]))
    turned = Evidence(*(value.flip(0) for value in vars(known).values()))
    torch.testing.assert_close(METHODS[method](turned).flip(0), METHODS[method](known), rtol=0.0, atol=0.0)
