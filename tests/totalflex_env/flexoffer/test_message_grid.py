"""Messages as batches: there and back, times rounded inward (H9), slices of several intervals (H5), refusals."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env.batch import equal, take_rows
from totalflex_env.errors import DataError, OfferError
from totalflex_env.flexoffer.grouping import ALIKE
from totalflex_env.flexoffer.message import FlexOfferMessage, Sign, read, write
from totalflex_env.flexoffer.message_grid import Grid, from_batch, schedules, to_batch, with_schedules
from totalflex_env.flexoffer.offers import tighten
from totalflex_env.flexoffer.start_alignment import align, split
from totalflex_env.trade_types import FlexOfferBatch

RandomOffers = Callable[[int, int, bool], FlexOfferBatch]
RandomAssignment = Callable[[FlexOfferBatch, int], tuple[Tensor, Tensor]]

NOON = datetime(2024, 1, 22, 12, tzinfo=timezone(timedelta(hours=1)))
GRID = Grid(NOON)


def at(clock: str) -> str:
    return f"2024-01-22T{clock}:00+01:00"


def message(**fields: Any) -> FlexOfferMessage:
    """An offer of 0 to 2 kWh in one slot, created at noon, with other fields as given."""
    offer = {
        "id": "a",
        "state": "offered",
        "creationTime": at("12:00"),
        "offeredById": "me",
        "startBeforeTime": at("18:00"),
        "flexOfferProfileConstraints": [{"energyConstraintList": [{"lower": 0, "upper": 2}]}],
    }
    return read(json.dumps({**offer, **fields}), Sign.CONSUMPTION)[0]


def slices(*ranges: tuple[float, float], duration: int = 1) -> list[dict[str, Any]]:
    return [
        {"minDuration": duration, "maxDuration": duration, "energyConstraintList": [{"lower": low, "upper": high}]}
        for low, high in ranges
    ]


@settings(max_examples=40)
@given(seed=st.integers(0, 100_000), coupled=st.booleans(), sign=st.sampled_from(Sign))
def test_offers_come_back_from_messages(seed: int, coupled: bool, sign: Sign, random_offers: RandomOffers) -> None:
    offers = replace(tighten(random_offers(seed, 6, coupled)), price_shift=torch.zeros(6).double())
    text = write(from_batch(offers, GRID, NOON.astimezone(UTC)), sign)
    back = tighten(to_batch(read(text, sign), GRID))
    width = back.lower.shape[1]
    assert width == int(offers.slices.max())
    narrow = {name: getattr(offers, name)[:, :width] for name in ("lower", "upper", "level_lower", "level_upper")}
    expected = replace(offers, **narrow, default=offers.default[:, :width])
    assert equal(replace(back, level_lower=expected.level_lower, level_upper=expected.level_upper), expected, 1e-9)
    for name in ("level_lower", "level_upper"):
        assert torch.allclose(getattr(back, name), getattr(expected, name), rtol=0.0, atol=1e-9)


@settings(max_examples=40)
@given(seed=st.integers(0, 100_000), sign=st.sampled_from(Sign))
def test_assignments_come_back_from_messages(
    seed: int, sign: Sign, random_offers: RandomOffers, random_assignment: RandomAssignment
) -> None:
    offers = tighten(random_offers(seed, 4, True))
    start, energy = random_assignment(offers, seed)
    sent = with_schedules(from_batch(offers, GRID, NOON), GRID, start, energy)
    received = read(write(sent, sign), sign)
    assert {one.state for one in received} == {"assigned"}
    begin, taken = schedules(received, offers, GRID)
    assert torch.equal(begin, start)
    torch.testing.assert_close(taken, energy, rtol=0.0, atol=1e-12)
    again = with_schedules(received, GRID, start, energy)
    assert [one.flex_offer_schedule and one.flex_offer_schedule.update_id for one in again] == [2] * 4


def test_h9_times_are_rounded_inward() -> None:
    offers = to_batch(
        [
            message(
                startAfterTime=at("12:07"),
                startBeforeTime=at("14:53"),
                acceptBeforeTime=at("12:20"),
                assignmentBeforeTime=at("13:59"),
                defaultSchedule={"startTime": at("12:07"), "scheduleSlices": [{"energyAmount": 1}]},
            )
        ],
        GRID,
    )
    assert (int(offers.earliest), int(offers.latest)) == (1, 11)  # 12:15, 14:45
    assert (int(offers.acceptance), int(offers.assignment)) == (1, 7)  # 12:15, 13:45
    assert int(offers.default_start) == 1
    exact = to_batch([message(startAfterTime=at("12:15"), startBeforeTime=at("14:45"))], GRID)
    assert (int(exact.earliest), int(exact.latest), int(exact.assignment)) == (1, 11, 1)


def test_h9_ends_and_a_notice_are_rounded_inward() -> None:
    two = slices((0, 1), (0, 1))
    offers = to_batch(
        [
            message(flexOfferProfileConstraints=two, endAfterTime=at("14:01"), endBeforeTime=at("15:29")),
            message(startAfterTime=at("16:00"), assignmentBeforeStart=901, acceptBeforeTime=at("17:00")),
        ],
        GRID,
    )
    assert (offers.earliest.tolist(), offers.latest.tolist()) == ([7, 16], [11, 24])
    assert (offers.acceptance.tolist(), offers.assignment.tolist()) == ([7, 14], [7, 14])


def test_h5_a_slice_of_two_intervals_keeps_its_power_constant() -> None:
    """A takes 0 to 4 kWh in a slice of two intervals, in equal parts, B 0 to 2 in each of two: no sum is (3, 0)."""
    a, b = slices((0, 4), duration=2), slices((0, 2), (0, 2))
    with pytest.raises(DataError, match="constant power"):
        to_batch([message(flexOfferProfileConstraints=a), message(flexOfferProfileConstraints=b)], GRID)
    both = [message(flexOfferProfileConstraints=profile) for profile in (a, b)]
    together = align(to_batch(both, GRID, divisible=True), ALIKE)
    assert together.offers.upper.tolist() == [[4.0, 4.0]]
    _, energy = split(together, together.offers.earliest, torch.tensor([[3.0, 0.0]]).double())
    assert energy.sum(0).tolist() == [3.0, 0.0]  # not (2, 1), which two equal parts of A would make it
    fixed = to_batch([message(flexOfferProfileConstraints=slices((3, 3), duration=3))], GRID)
    assert fixed.lower.tolist() == fixed.upper.tolist() == [[1.0, 1.0, 1.0]]


def test_reservoirs_and_dependencies_bound_the_sums() -> None:
    rows = [[[0, 1, 5]], [[1, 0, 4], [-2, -2, 6]], [[0, -1, 1], [1, 1, 7]]]
    profile = [{**one, "DependencyEnergyConstraintList": row} for one, row in zip(slices(*[(-5, 9)] * 3), rows)]
    offers = to_batch([message(flexOfferProfileConstraints=profile)], GRID)
    assert (offers.lower.tolist(), offers.upper.tolist()) == ([[-5.0, -5.0, -1.0]], [[5.0, 9.0, 9.0]])
    assert offers.level_lower.tolist() == [[-math.inf, -3.0, -math.inf]]
    assert offers.level_upper.tolist() == [[4.0, math.inf, 7.0]]
    store = {"subTotalEnergyConstraint": {"lower": -1, "upper": 1}, "totalEnergyConstraint": {"lower": 0, "upper": 1}}
    battery = to_batch([message(flexOfferProfileConstraints=slices((-2, 2), (-2, 2)), **store)], GRID)
    assert (battery.level_lower.tolist(), battery.level_upper.tolist()) == ([[-1.0, -1.0]], [[1.0, 1.0]])
    assert (float(battery.total_lower), float(battery.total_upper)) == (0.0, 1.0)


def test_without_a_default_schedule_it_is_the_least_energy_at_once() -> None:
    profile = slices((0, 2), (0, 2), (0, 2))
    offers = to_batch(
        [message(flexOfferProfileConstraints=profile, totalEnergyConstraint={"lower": 3, "upper": 5})], GRID
    )
    assert offers.default.tolist() == [[2.0, 1.0, 0.0]]
    half_hour = {"startTime": at("13:00"), "scheduleSlices": [{"duration": 2, "energyAmount": 3}]}
    given = to_batch([message(flexOfferProfileConstraints=profile, defaultSchedule=half_hour)], GRID)
    assert (int(given.default_start), given.default.tolist()) == (4, [[1.5, 1.5, 0.0]])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"flexOfferProfileConstraints": []}, "withdraws"),
        ({"numSecondsPerInterval": 3600}, "900, as the grid has it"),
        ({"startBeforeTime": at("11:45")}, "a slot of the grid"),
        ({"startAfterTime": at("12:01"), "startBeforeTime": at("12:14")}, "a slot of the grid"),
        ({"defaultSchedule": {"startTime": at("12:00"), "scheduleSlices": [{"energyAmount": 1}] * 2}}, "at most 1"),
        (
            {"flexOfferProfileConstraints": [{**slices((0, 1))[0], "DependencyEnergyConstraintList": [[1, 2, 3]]}]},
            "one size",
        ),
        (
            {"flexOfferProfileConstraints": [{**slices((0, 1))[0], "DependencyEnergyConstraintList": [[1, 0, -1]]}]},
            "c >= 0",
        ),
    ],
)
def test_what_no_batch_can_hold_is_refused(fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        to_batch([message(), message(**fields)], GRID)


def test_offers_that_break_a_rule_are_named() -> None:
    impossible = message(totalEnergyConstraint={"lower": 3, "upper": 5})
    with pytest.raises(OfferError, match=r"flex-offer 1: .* the slices can meet the totals"):
        to_batch([message(), impossible], GRID)
    offers = to_batch([message()], GRID)
    with pytest.raises(OfferError, match="holds a schedule"):
        schedules([message()], offers, GRID)
    with pytest.raises(DataError, match="at least one flex-offer"):
        to_batch([], GRID)


def test_owners_are_houses(random_offers: RandomOffers) -> None:
    offers = to_batch([message(offeredById=owner) for owner in ("x", "y", "x")], GRID)
    assert (offers.device.tolist(), offers.house.tolist()) == ([0, 1, 2], [0, 1, 0])
    assert [one.offered_by_id for one in from_batch(take_rows(offers, torch.tensor([1])), GRID, NOON)] == ["1"]
