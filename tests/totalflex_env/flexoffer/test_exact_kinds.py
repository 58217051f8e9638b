"""From public offers and from physical numbers to kinds: nothing is lost, and what is wrong is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env.batch import equal, take_rows
from totalflex_env.errors import OfferError
from totalflex_env.flexoffer import makers
from totalflex_env.flexoffer.classify import classify
from totalflex_env.flexoffer.exact import aggregate_exact
from totalflex_env.flexoffer.kinds import Exactness, Members, to_kwh
from totalflex_env.flexoffer.members import expand, kinds
from totalflex_env.flexoffer.offers import concatenate, load, tighten
from totalflex_env.flexoffer.respond import respond as respond_offers
from totalflex_env.flexoffer.support import respond, support
from totalflex_env.trade_types import FlexOfferBatch

Box = Callable[[list[list[float]], list[list[float]]], FlexOfferBatch]
RandomOffers = Callable[[int, int, bool], FlexOfferBatch]
RandomMembers = Callable[..., Members]
SLOTS = 12


def kwh(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def counts(members: Members) -> list[int]:
    return [len(kind.offer) for kind in kinds(members)]


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), coupled=st.booleans())
def test_classified_offers_are_worth_what_they_were(seed: int, coupled: bool, random_offers: RandomOffers) -> None:
    """Offers answer one by one (`respond`, held to linear programs elsewhere) as their aggregate does."""
    offers = tighten(random_offers(seed, 10, coupled))
    members = classify(offers, SLOTS)
    assert sum(counts(members)) == 10
    aggregate = aggregate_exact(members)
    free = replace(offers, price_shift=torch.zeros_like(offers.price_shift))
    for price in 0.1 * torch.randint(-5, 6, (2, SLOTS), generator=torch.Generator().manual_seed(seed)).double():
        start, energy = respond_offers(free, price)
        cost = float((load(free, start, energy, SLOTS).sum(0) * price).sum())
        assert -float(support(aggregate, -price[None])[0]) == pytest.approx(cost, abs=1e-6)
    assert (aggregate.exactness == Exactness.INNER) == (len(members.movables.offer) > 0)


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_tightening_first_changes_no_member(seed: int, random_offers: RandomOffers) -> None:
    offers = random_offers(seed, 10, True)
    once, twice = classify(offers, SLOTS), classify(tighten(tighten(offers)), SLOTS)
    assert counts(once) == counts(twice)
    assert equal(once, twice, tolerance=1e-9)


def test_every_kind_is_recognised(box: Box) -> None:
    flat = box([[0.0] * 4] * 6, [[1.0] * 4] * 6)
    starts = torch.tensor([0, 0, 0, 2, 2, 0])
    level = flat.level_upper.clone()
    level[2, 1] = 1.5  # every slice keeps its bounds, but two of them together do not
    total = kwh(4.0, 3.0, 4.0, 4.0, 4.0, 3.5)
    need = kwh(0.0, 1.0, 0.0, 4.0, 0.0, 3.5)  # offer 3 is fixed by its total, offer 5 needs part of every slot
    default = torch.tensor([[0.0] * 4, [1.0, 0, 0, 0], [0.0] * 4, [1.0] * 4, [0.0] * 4, [1.0, 1.0, 1.0, 0.5]]).double()
    offers = replace(
        flat, latest=starts, assignment=starts, total_lower=need, total_upper=total, level_upper=level, default=default
    )
    members = classify(offers, 6, torch.arange(10, 16), torch.arange(6))
    assert [kind.offer.tolist() for kind in kinds(members)] == [[10], [11, 15], [], [12], [13], [14]]
    assert members.vehicles.power.tolist() == [1_000_000_000] * 2
    assert to_kwh(members.vehicles.least).tolist() == [1.0, 3.5]
    assert members.chains.node.tolist() == [2]
    assert classify(take_rows(offers, torch.zeros(0).long())).slots == 1


def test_a_window_in_the_middle_of_an_offer_is_a_vehicle(box: Box) -> None:
    offers = box([[0.0] * 5], [[0.0, 2.0, 2.0, 2.0, 0.0]])
    members = classify(replace(offers, total_upper=kwh(3.0)), 5)
    assert (members.vehicles.arrival.tolist(), members.vehicles.departure.tolist()) == ([1], [4])


def test_an_expanded_storage_is_the_storage(random_members: RandomMembers) -> None:
    members = random_members(1, 20, SLOTS, ("storages",))
    dense = replace(
        members, storages=take_rows(members.storages, torch.zeros(0).long()), chains=expand(members.storages, SLOTS)
    )
    prices = torch.randn(4, SLOTS, generator=torch.Generator().manual_seed(0)).double()
    assert torch.equal(respond(aggregate_exact(members), prices), respond(aggregate_exact(dense), prices))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"window": (torch.tensor([0, 3]), torch.tensor([4, 3]))}, "0 <= arrival < departure <= 12"),
        ({"window": (torch.tensor([0, 3]), torch.tensor([4, 13]))}, "0 <= arrival < departure <= 12"),
        ({"power": kwh(1.0, torch.nan)}, "power and totals are finite numbers"),
        ({"power": kwh(1.0, -1.0)}, "power is not negative"),
        ({"total": (kwh(0.0, 2.0), kwh(1.0, 1.0))}, "total_lower <= total_upper"),
        ({"total": (kwh(0.0, 9.0), kwh(1.0, 9.0))}, "the slices can meet the totals"),
    ],
)
def test_wrong_numbers_of_vehicles_are_named(change: dict[str, Any], rule: str) -> None:
    right = {
        "who": makers.numbered(2, first=40),
        "slots": 12,
        "window": (torch.tensor([0, 3]), torch.tensor([4, 8])),
        "power": kwh(1.0, 1.0),
        "total": (kwh(0.0, 1.0), kwh(1.0, 2.0)),
    }
    makers.vehicles(**right)
    with pytest.raises(OfferError) as error:
        makers.vehicles(**{**right, **change})
    assert str(error.value).startswith("flex-offer 41: ")
    assert rule in str(error.value)


def test_wrong_numbers_of_other_kinds_are_named() -> None:
    who, window, one, zero = makers.numbered(1, 7), (torch.tensor([0]), torch.tensor([2])), kwh(1.0), kwh(0.0)
    cases = [
        (lambda: makers.boxes(who, 2, (kwh(1.0, 1.0)[None], kwh(2.0, 0.5)[None])), "energy_lower <= energy_upper"),
        (lambda: makers.boxes(who, 2, (kwh(1.0, torch.nan)[None],) * 2), "finite"),
        (lambda: makers.storages(who, 2, window, (-one, one), ((zero, one), (zero, one))), "powers are not negative"),
        (lambda: makers.storages(who, 2, window, (one, one), ((zero, one), (3 * one, one))), "can meet the levels"),
        (lambda: makers.programmes(who, 3, (torch.tensor([2]), torch.tensor([1])), kwh(1.0)[None]), "earliest start"),
        (
            lambda: makers.programmes(who, 3, (torch.tensor([0]), torch.tensor([2])), kwh(1.0, 1.0)[None]),
            "ends by slot 3",
        ),
        (lambda: makers.chargers(who, 2, window, (2 * one, one), (zero, one)), "0 < least power <= power"),
        (lambda: makers.chargers(who, 2, window, (one, one), (0.4 * one, 0.6 * one)), "hold a multiple of"),
    ]
    level, gains, swap = (kwh(-1.0, -1.0)[None], kwh(1.0, 1.0)[None]), kwh(1.0, 1.0)[None], slice(None, None, -1)
    energy, batteries = (kwh(0.0, 0.0)[None], gains), [one] * 8
    full, wasteful = (
        makers.LossyBattery(*batteries[:5], 2 * one, one, one),
        makers.LossyBattery(*batteries[:3], 2 * one, *batteries[4:]),
    )
    cases += [
        (lambda: makers.heat(who, energy, level, kwh(1.1), gains), "retention"),
        (lambda: makers.heat(who, energy, level, kwh(1e-6), gains), "retention"),
        (lambda: makers.heat(who, energy, level, kwh(0.9), 0.0 * gains), "gains are positive"),
        (lambda: makers.heat(who, energy, level[swap], kwh(0.9), gains), "level_lower <= level_upper"),
        (lambda: makers.lossy_batteries(who, 2, window, wasteful), "efficiencies"),
        (lambda: makers.lossy_batteries(who, 2, window, full), "least <= stored"),
    ]
    for make, rule in cases:
        with pytest.raises(OfferError, match=rule) as error:
            make()
        assert str(error.value).startswith("flex-offer 7: ")


def test_one_bad_offer_of_a_million_is_named() -> None:
    count = 1_000_000
    power = torch.ones(count, dtype=torch.float64)
    power[765_432] = torch.nan
    window = torch.zeros(count, dtype=torch.int64), torch.full((count,), 4)
    with pytest.raises(
        OfferError, match=r"flex-offer 765432: \[nan, 0.0, 1.0\] breaks the rule: power and totals are finite"
    ):
        makers.vehicles(makers.numbered(count), 4, window, power, (torch.zeros_like(power), torch.ones_like(power)))


def test_public_offers_that_break_a_rule_are_named(box: Box) -> None:
    good = concatenate([box([[0.0] * 3] * 2, [[1.0] * 3] * 2)])
    late = replace(good, latest=torch.tensor([0, 1]), assignment=torch.tensor([0, 1]))
    with pytest.raises(
        OfferError, match="flex-offer 1: 4 breaks the rule: the profile ends by slot 3, the end of the grid"
    ):
        classify(late, 3)
    with pytest.raises(OfferError, match="flex-offer 5: 5 breaks the rule: identities are unique"):
        classify(good, 3, torch.tensor([5, 5]))
    with pytest.raises(OfferError, match="lower <= upper in every slice"):
        classify(replace(good, lower=good.lower + 2.0), 3)
