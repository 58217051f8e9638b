"""Start alignment: sound whatever the members, exact for boxes, and its classical counter-examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env.batch import equal, take_rows, to
from totalflex_env.errors import OfferError
from totalflex_env.flexoffer.grouping import Bins, Grouping, Weight
from totalflex_env.flexoffer.offers import concatenate, contains, load, tighten, tolerance, validate
from totalflex_env.flexoffer.respond import respond
from totalflex_env.flexoffer.start_alignment import StartAligned, align, split
from totalflex_env.trade_types import FlexOfferBatch

Box = Callable[[list[list[float]], list[list[float]]], FlexOfferBatch]
RandomOffers = Callable[[int, int, bool], FlexOfferBatch]
RandomAssignment = Callable[[FlexOfferBatch, int], tuple[Tensor, Tensor]]

SLOTS = 24
ANY = Grouping(earliest_tolerance=99, flexibility_tolerance=99)


def check(result: StartAligned, start: Tensor, energy: Tensor) -> tuple[Tensor, Tensor]:
    """Disaggregate and demand that every member is valid and that the loads of members and aggregates agree."""
    member_start, member_energy = split(result, start, energy)
    assert contains(result.members, member_start, member_energy).all()
    together = load(result.offers, start, energy, SLOTS)
    members = load(result.members, member_start, member_energy, SLOTS)
    apart = torch.zeros_like(together).index_add(0, result.group, members)
    torch.testing.assert_close(apart, together, rtol=0.0, atol=tolerance(energy))
    return member_start, member_energy


groupings = st.builds(
    Grouping,
    earliest_tolerance=st.sampled_from([0, 1, 99]),
    flexibility_tolerance=st.sampled_from([0, 2, 99]),
    bins=st.sampled_from([Bins(), Bins(most=1), Bins(most=3), Bins(least=2, most=3), Bins(Weight.ENERGY, 0.5, 4.0)]),
)


@settings(max_examples=50)
@given(seed=st.integers(0, 100_000), coupled=st.booleans(), grouping=groupings)
def test_every_assignment_of_an_aggregate_can_be_kept(
    seed: int, coupled: bool, grouping: Grouping, random_offers: RandomOffers, random_assignment: RandomAssignment
) -> None:
    result = align(tighten(random_offers(seed, 12, coupled)), grouping)
    validate(result.offers)  # among other rules: the sum of the defaults is inside
    for draw in range(2):
        check(result, *random_assignment(result.offers, seed + draw))
    check(result, *respond(result.offers, torch.randn(SLOTS, generator=torch.Generator().manual_seed(seed)).double()))
    start, _ = check(result, result.offers.default_start, result.offers.default)
    assert torch.equal(start, result.members.default_start)


@settings(max_examples=40)
@given(seed=st.integers(0, 100_000), cut=st.integers(0, 12))
def test_the_order_of_merging_boxes_does_not_matter(seed: int, cut: int, random_offers: RandomOffers) -> None:
    offers = tighten(random_offers(seed, 12, False))
    parts = [take_rows(offers, torch.arange(12) < cut), take_rows(offers, torch.arange(12) >= cut)]
    merged = concatenate([align(part, ANY).offers for part in parts])
    twice, once = align(merged, ANY).offers, align(offers, ANY).offers
    assert equal(replace(twice, device=once.device, house=once.house), once, tolerance=1e-9)


@settings(max_examples=40)
@given(seed=st.integers(0, 100_000))
def test_aggregates_of_aggregates_can_be_kept(
    seed: int, random_offers: RandomOffers, random_assignment: RandomAssignment
) -> None:
    offers = tighten(random_offers(seed, 12, True))
    first = align(offers, Grouping(earliest_tolerance=1, flexibility_tolerance=1))
    second = align(first.offers, ANY)
    check(first, *check(second, *random_assignment(second.offers, seed)))


@settings(max_examples=40)
@given(seed=st.integers(0, 100_000))
def test_boxes_lose_no_energy_range(seed: int, random_offers: RandomOffers) -> None:
    offers = tighten(random_offers(seed, 12, False))
    result = align(offers, ANY)
    for bound, of_members in ((result.offers.lower, offers.lower), (result.offers.upper, offers.upper)):
        assert float(bound.sum()) == pytest.approx(float(of_members.sum()), abs=1e-9)


@given(seed=st.integers(0, 100_000))
def test_members_of_one_shape_lose_nothing(
    seed: int, random_offers: RandomOffers, random_assignment: RandomAssignment
) -> None:
    """Offers of one and the same form, 1, 2 and 5 times as large, are 8 times that form together."""
    one = tighten(random_offers(seed, 1, True))
    form = [one.lower, one.upper, one.default, one.level_lower, one.level_upper]
    size = torch.tensor([1.0, 2.0, 5.0, 8.0]).double()[:, None]
    lower, upper, default, level_lower, level_upper = (bound * size for bound in form)
    offers = replace(
        take_rows(one, torch.zeros(4, dtype=torch.int64)),
        lower=lower,
        upper=upper,
        default=default,
        level_lower=level_lower,
        level_upper=level_upper,
        total_lower=one.total_lower * size[:, 0],
        total_upper=one.total_upper * size[:, 0],
    )
    result = align(take_rows(offers, torch.arange(3)), Grouping())
    start, energy = random_assignment(take_rows(offers, torch.tensor([3])), seed)
    check(result, start, energy[:, : result.offers.lower.shape[1]])


def needs(box: Box, energies: list[float]) -> FlexOfferBatch:
    """Vehicles at 1 kWh per slot over 4 slots that need these energies and charge at once."""
    total = torch.tensor(energies, dtype=torch.float64)
    offers = box([[0.0] * 4] * len(energies), [[1.0] * 4] * len(energies))
    default = (total[:, None] - torch.arange(4)).clamp(0.0, 1.0)
    return tighten(replace(offers, total_lower=total, total_upper=total, default=default))


def test_h1_two_vehicles_do_not_share_their_total(box: Box, random_assignment: RandomAssignment) -> None:
    """Needs of 1 and 3 kWh allow 2 kWh per slot and 4 in total, but not (2, 2, 0, 0).

    Defaults are (1, 0, 0, 0) and (1, 1, 1, 0). Both can put off the first slot to the last, one kWh each: (0, 1, 1, 2).
    """
    result = align(needs(box, [1.0, 3.0]), Grouping())
    now = torch.tensor([0])
    with pytest.raises(OfferError, match="inside its aggregate"):
        split(result, now, torch.tensor([[2.0, 2.0, 0.0, 0.0]]).double())
    _, energy = check(result, now, torch.tensor([[0.0, 1.0, 1.0, 2.0]]).double())
    assert energy.tolist() == [[0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0]]
    for seed in range(20):
        check(result, *random_assignment(result.offers, seed))


def test_h2_two_storages_do_not_share_their_levels(box: Box) -> None:
    """Power 1, capacities 4 and 1, empty and full: after (-1, 2) the small one is full, so (-1, 2, 2) is impossible."""
    offers = box([[-1.0] * 3] * 2, [[1.0] * 3] * 2)
    room = torch.tensor([[4.0], [0.0]]).double().expand(2, 3)
    stored = torch.tensor([[0.0], [1.0]]).double().expand(2, 3)
    offers = replace(offers, level_lower=-stored, level_upper=room, default=torch.zeros(2, 3).double())
    result = align(tighten(offers), Grouping())
    with pytest.raises(OfferError, match="inside its aggregate"):
        split(result, torch.tensor([0]), torch.tensor([[-1.0, 2.0, 2.0]]).double())


def test_h4_the_aggregate_waits_as_long_as_its_least_patient_member(box: Box) -> None:
    """Windows [100, 105] and [103, 105] start-align to [100, 102]: a start at 105 would start the second at 108."""
    offers = box([[1.0, 1.0]] * 2, [[2.0, 2.0]] * 2)
    earliest, latest = torch.tensor([100, 103]), torch.tensor([105, 105])
    offers = replace(
        offers, earliest=earliest, latest=latest, default_start=earliest, acceptance=earliest, assignment=latest
    )
    result = align(offers, Grouping(earliest_tolerance=5, flexibility_tolerance=5))
    assert (int(result.offers.earliest), int(result.offers.latest), int(result.offers.slices)) == (100, 102, 5)
    assert (int(result.offers.acceptance), int(result.offers.assignment)) == (100, 102)
    validate(result.offers)
    start, energy = split(result, torch.tensor([102]), torch.tensor([[1.5, 2.0, 0.0, 1.0, 2.0]]).double())
    assert start.tolist() == [102, 105]
    assert energy.tolist() == [[1.5, 2.0], [1.0, 2.0]]
    with pytest.raises(OfferError):
        split(result, torch.tensor([103]), result.offers.default)


def test_h6_degenerate_offers(box: Box) -> None:
    nothing = take_rows(box([[0.0]], [[1.0]]), torch.zeros(0, dtype=torch.int64))
    empty = align(nothing, Grouping(bins=Bins(least=2, most=3)))
    assert len(empty.offers.state) == 0
    assert split(empty, empty.offers.earliest, empty.offers.lower)[1].shape == (0, 1)

    one = tighten(needs(box, [2.0]))
    alone = align(one, Grouping())
    assert equal(alone.offers, one, tolerance=1e-12)

    fixed = box([[1.0, 0.0], [-1.0, 0.0]], [[1.0, 0.0], [-1.0, 0.0]])  # mixed sign with zero range, a zero slice
    result = align(fixed, Grouping())
    assert result.offers.upper.tolist() == [[0.0, 0.0]]
    _, energy = check(result, torch.tensor([0]), torch.zeros(1, 2).double())
    assert torch.equal(energy, fixed.lower)

    negative = box([[-2.0], [-3.0]], [[-1.0], [-1.0]])  # one slot, production only
    _, energy = check(align(negative, Grouping()), torch.tensor([0]), torch.tensor([[-3.5]]).double())
    assert energy.tolist() == [[-1.5], [-2.0]]


def test_default_starts_of_members_keep_together(box: Box) -> None:
    """One member waits a slot by itself, the other does not: no common shift is the sum of their defaults."""
    offers = replace(box([[1.0]] * 2, [[1.0]] * 2), latest=torch.tensor([2, 2]), default_start=torch.tensor([0, 1]))
    assert align(offers, ANY).group.tolist() == [0, 1]


def test_single_precision(random_offers: RandomOffers, random_assignment: RandomAssignment) -> None:
    result = align(tighten(to(random_offers(8, 200, True), torch.float32)), ANY)
    assert result.offers.lower.dtype == torch.float32
    validate(result.offers)
    check(result, *random_assignment(result.offers, 8))
