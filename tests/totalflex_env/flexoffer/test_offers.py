"""Flex-offers: tightening against brute force, every rule, membership and load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from totalflex_env.batch import equal, take_rows, to
from totalflex_env.errors import OfferError
from totalflex_env.flexoffer.offers import concatenate, contains, levels, load, tighten, used, validate
from totalflex_env.trade_types import FlexOfferBatch

Box = Callable[[list[list[float]], list[list[float]]], FlexOfferBatch]
RandomOffers = Callable[[int, int, bool], FlexOfferBatch]


def members(offers: FlexOfferBatch) -> torch.Tensor:
    """All integer profiles [n, 3] of one offer with three slices; bounds in integers are attained by some."""
    values = [range(int(low), int(high) + 1) for low, high in zip(offers.lower[0], offers.upper[0], strict=True)]
    profiles = torch.tensor(list(product(*values)), dtype=torch.float64).reshape(-1, 3)
    many = take_rows(offers, torch.zeros(len(profiles), dtype=torch.int64))
    return profiles[contains(many, many.earliest, profiles)]


bounds = st.tuples(st.integers(-3, 3), st.integers(0, 3)).map(lambda pair: (pair[0], pair[0] + pair[1]))
maybe = st.one_of(st.none(), bounds)


@given(slices=st.tuples(bounds, bounds, bounds), total=maybe, first=maybe, second=maybe)
def test_tightened_bounds_are_attained_and_the_assignments_stay(slices, total, first, second, box: Box) -> None:
    offers = box([[low for low, _ in slices]], [[high for _, high in slices]])
    least, most = (
        torch.tensor([bound or (-torch.inf, torch.inf) for bound in (first, second, None)]).double().T[:, None]
    )
    offers = replace(offers, level_lower=least, level_upper=most)
    if total:
        least, most = torch.tensor(total).double()[:, None]
        offers = replace(offers, total_lower=least, total_upper=most)
    before, tight = members(offers), tighten(offers)
    if not len(before):
        with pytest.raises(OfferError):
            validate(tight)
        return
    torch.testing.assert_close(members(tight), before)
    assert equal(tighten(tight), tight)
    assert torch.equal(tight.lower[0], before.min(0).values)
    assert torch.equal(tight.upper[0], before.max(0).values)
    assert tight.total_lower[0] == before.sum(1).min()
    assert tight.total_upper[0] == before.sum(1).max()
    reached = before.cumsum(1)
    for bound, extreme in ((tight.level_lower, reached.amin(0)), (tight.level_upper, reached.amax(0))):
        assert torch.equal(bound[0, bound[0].isfinite()], extreme[bound[0].isfinite()])


@given(seed=st.integers(0, 10_000))
def test_tightening_changes_no_membership(seed: int, random_offers: RandomOffers, random_assignment) -> None:
    offers = random_offers(seed, 8, True)
    validate(offers)
    tight = tighten(offers)
    validate(tight)
    assert equal(tighten(tight), tight)
    start, energy = random_assignment(offers, seed)
    assert contains(offers, start, energy).all()
    assert contains(tight, start, energy).all()
    anything = torch.randn(8, 5, generator=torch.Generator().manual_seed(seed)).double()
    elsewhere = energy + torch.where(used(offers), anything, 0.0)
    assert torch.equal(contains(offers, start, elsewhere), contains(tight, start, elsewhere))


def test_levels_of_a_storage_tighten_its_slices(box: Box) -> None:
    """Power 2 either way, 1 kWh stored, room for 2 more: it may give 1 in the first slot, and take at most 2.

    It has to be full after the second slot, so it cannot give anything in the first: from -1 it could not be filled.
    """
    offers = box([[-2.0, -2.0]], [[2.0, 2.0]])
    stored, room = torch.tensor([[-1.0, 2.0]]).double(), torch.tensor([[2.0, 2.0]]).double()
    offers = replace(offers, level_lower=stored, level_upper=room)
    tight = tighten(offers)
    assert tight.level_lower.tolist() == [[0.0, -torch.inf]]
    assert tight.level_upper.tolist() == [[2.0, torch.inf]]
    assert (float(tight.total_lower), float(tight.total_upper)) == (2.0, 2.0)
    assert tight.lower.tolist() == [[0.0, 0.0]]
    assert tight.upper.tolist() == [[2.0, 2.0]]


def changed(offers: FlexOfferBatch, field: str, value: object) -> FlexOfferBatch:
    """The offers with one entry of one field of offer 1 replaced."""
    tensor = getattr(offers, field).clone()
    tensor[1] = torch.as_tensor(value, dtype=tensor.dtype)
    return replace(offers, **{field: tensor})


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("lower", [0.0, float("nan")], "finite numbers"),
        ("upper", [1.0, float("inf")], "finite numbers"),
        ("total_lower", float("nan"), "finite numbers"),
        ("level_upper", [float("nan"), 1.0], "level bounds are numbers"),
        ("state", 8, "OfferState"),
        ("slices", 3, "1 to 2 slices"),
        ("slices", 0, "1 to 2 slices"),
        ("slices", 1, "behind the last slice"),
        ("lower", [0.0, 1.5], "lower <= upper"),
        ("total_lower", 3.5, "total_lower <= total_upper"),
        ("total_upper", -1.0, "total_lower <= total_upper"),
        ("level_lower", [2.0, 0.0], "slices can meet the levels"),
        ("latest", 1, "earliest start <= latest start"),
        ("earliest", -1, "0 <= earliest"),
        ("acceptance", 4, "acceptance <= assignment"),
        ("assignment", 5, "assignment <= latest start"),
        ("default_start", 5, "default starts in the window"),
        ("default", [0.0, 1.5], "default lies inside"),
    ],
)
def test_every_rule_names_the_offer_and_the_value(field: str, value: object, rule: str, box: Box) -> None:
    offers = box([[0.0, 0.0]] * 2, [[1.0, 1.0]] * 2)
    three = torch.full((2,), 3)
    offers = replace(offers, earliest=three - 1, latest=three + 1, default_start=three)
    offers = replace(offers, acceptance=three, assignment=three)
    validate(offers)
    with pytest.raises(OfferError, match=rule) as error:
        validate(changed(offers, field, value))
    assert str(error.value).startswith("flex-offer 1: ")
    assert "\n" not in str(error.value)


def test_totals_and_levels_out_of_reach_are_refused(box: Box) -> None:
    offers = box([[0.0, 0.0]], [[1.0, 1.0]])
    with pytest.raises(OfferError, match="slices can meet the totals"):
        validate(replace(offers, total_lower=offers.total_lower + 3.0, total_upper=offers.total_upper + 3.0))
    two, one = (torch.full((1, 2), value).double() for value in (2.0, 1.0))
    with pytest.raises(OfferError, match="level_lower <= level_upper"):
        validate(replace(offers, level_lower=two, level_upper=one))
    with pytest.raises(OfferError, match="slices can meet the levels"):  # 1.5 kWh, of which a quarter in the first slot
        validate(replace(offers, level_upper=one * torch.tensor([0.25, torch.inf]), total_lower=1.5 * one[:, 0]))


def test_membership_looks_at_window_slices_totals_and_levels(box: Box) -> None:
    offers = box([[0.0, 0.0]] * 6, [[2.0, 2.0]] * 6)
    offers = replace(
        offers,
        latest=offers.latest + 1,
        total_lower=offers.total_lower + 1.0,
        total_upper=offers.total_upper - 1.0,
        level_upper=torch.tensor([[1.0, torch.inf]]).double().repeat(6, 1),
    )
    energy = torch.tensor([[1.0, 1.0], [1.0, 1.0], [0.0, 0.5], [1.0, 2.5], [1.5, 1.0], [1.0, 2.0]]).double()
    inside = contains(offers, torch.tensor([0, 2, 0, 0, 0, 1]), energy)
    assert inside.tolist() == [True, False, False, False, False, True]


def test_load_lies_on_the_grid_and_refuses_to_leave_it(box: Box) -> None:
    offers = concatenate([box([[1.0, 2.0, 3.0]], [[1.0, 2.0, 3.0]]), box([[4.0]], [[5.0]])])
    assert offers.level_upper[1].tolist() == [torch.inf] * 3
    assert load(offers, torch.tensor([1, 3]), offers.lower, 4).tolist() == [[0.0, 1.0, 2.0, 3.0], [0.0, 0.0, 0.0, 4.0]]
    with pytest.raises(OfferError, match="flex-offer 0: 5 breaks the rule: the profile ends by slot 4"):
        load(offers, torch.tensor([2, 3]), offers.lower, 4)


def test_single_precision_and_no_offers_at_all(random_offers: RandomOffers) -> None:
    single = tighten(to(random_offers(3, 20, True), torch.float32))
    validate(single)
    assert single.lower.dtype == torch.float32
    nothing = take_rows(single, torch.zeros(0, dtype=torch.int64))
    validate(tighten(nothing))
    assert len(concatenate([nothing, nothing]).state) == 0
    assert load(nothing, nothing.earliest, nothing.lower, 4).shape == (0, 4)


def test_levels_carry_the_total_at_the_last_slice(box: Box) -> None:
    offers = concatenate([box([[0.0]], [[2.0]]), box([[0.0, 0.0]], [[2.0, 2.0]])])
    lower, upper = levels(offers)
    assert lower.tolist() == [[0.0, -torch.inf], [-torch.inf, 0.0]]
    assert upper.tolist() == [[2.0, torch.inf], [torch.inf, 4.0]]
