"""Assigned aggregates: H10, and a state machine of cancellations against an account of every kWh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from torch import Tensor

from totalflex_env.errors import OfferError
from totalflex_env.flexoffer.grouping import Grouping
from totalflex_env.flexoffer.lifecycle import move
from totalflex_env.flexoffer.offers import contains, tighten
from totalflex_env.flexoffer.pool import Pool, cancel, finish, loads, mend, missing, promise
from totalflex_env.flexoffer.start_alignment import StartAligned, align
from totalflex_env.trade_types import FlexOfferBatch, OfferState

Box = Callable[[list[list[float]], list[list[float]]], FlexOfferBatch]
RandomOffers = Callable[[int, int, bool], FlexOfferBatch]
RandomAssignment = Callable[[FlexOfferBatch, int], tuple[Tensor, Tensor]]
SLOTS = 24


def accepted(offers: FlexOfferBatch) -> FlexOfferBatch:
    for state in (OfferState.OFFERED, OfferState.ACCEPTED):
        offers = move(offers, torch.arange(len(offers.state)), state, 0)
    return offers


def gathered(offers: FlexOfferBatch, grouping: Grouping) -> StartAligned:
    """Accepted aggregates of accepted offers."""
    result = align(accepted(tighten(offers)), grouping)
    return replace(result, offers=accepted(result.offers))


def three(box: Box) -> Pool:
    """Three offers of 0 to 2 kWh in each of three slots that have promised (3, 3, 3) together."""
    result = gathered(box([[0.0] * 3] * 3, [[2.0] * 3] * 3), Grouping())
    return promise(result, torch.tensor([0]), torch.tensor([[3.0] * 3]).double(), 0)


def test_h10_a_canceled_member_of_an_assigned_aggregate_forces_a_new_disaggregation(box: Box) -> None:
    pool = three(box)
    assert pool.aligned.members.state.tolist() == [OfferState.ASSIGNED] * 3
    pool = cancel(pool, torch.tensor([1]), 0)
    assert pool.aligned.members.state.tolist() == [OfferState.ASSIGNED, OfferState.CANCELED, OfferState.ASSIGNED]
    assert missing(pool).tolist() == [[1.0] * 3]
    for forbidden in (lambda: loads(pool, SLOTS), lambda: finish(pool, 3)):
        with pytest.raises(OfferError, match="assigned anew"):
            forbidden()
    mended = mend(pool, 0)
    assert loads(mended, 3).tolist() == [[1.5] * 3, [0.0] * 3, [1.5] * 3]
    assert missing(mended).tolist() == [[0.0] * 3]
    ended = finish(mended, 3).aligned.members.state.tolist()
    assert ended == [OfferState.EXECUTED, OfferState.CANCELED, OfferState.EXECUTED]


def test_h10_what_the_others_cannot_make_up_for_is_an_imbalance(box: Box) -> None:
    pool = mend(cancel(three(box), torch.tensor([0, 1]), 0), 0)
    assert loads(pool, 3)[2].tolist() == [2.0] * 3
    assert missing(pool).tolist() == [[1.0] * 3]
    alone = cancel(pool, torch.tensor([2]), 0)
    assert alone.aligned.offers.state.tolist() == [OfferState.CANCELED]
    assert loads(alone, 3).tolist() == [[0.0] * 3] * 3  # nobody is left to be assigned anew
    assert missing(mend(alone, 0)).tolist() == [[3.0] * 3]
    with pytest.raises(OfferError, match="becomes CANCELED"):
        cancel(alone, torch.tensor([2]), 0)


def test_h10_what_has_been_delivered_stays(box: Box) -> None:
    """In slot 1 a member is lost: its first kWh counts, and nobody changes the first slot."""
    pool = mend(cancel(three(box), torch.tensor([1]), 1), 1)
    assert loads(pool, 3).tolist() == [[1.0, 1.5, 1.5], [1.0, 0.0, 0.0], [1.0, 1.5, 1.5]]
    assert missing(pool).tolist() == [[0.0] * 3]


def test_a_promise_needs_accepted_offers_and_a_start_to_come(box: Box) -> None:
    offers = box([[0.0]], [[1.0]])
    now, nothing = torch.tensor([0]), torch.zeros(1, 1).double()
    with pytest.raises(OfferError, match="becomes ASSIGNED"):
        promise(align(offers, Grouping()), now, nothing, 0)
    with pytest.raises(OfferError, match="slot 1 or later"):
        promise(gathered(replace(offers, assignment=torch.tensor([3])), Grouping()), now, nothing, 1)


class Cancellations(RuleBasedStateMachine):
    """Members leave one by one while time passes; energy is accounted for slice by slice all along."""

    make: RandomOffers
    assign: RandomAssignment

    @initialize(seed=st.integers(0, 100_000), coupled=st.booleans())
    def begin(self, seed: int, coupled: bool) -> None:
        result = gathered(type(self).make(seed, 8, coupled), Grouping(99, 99))
        start, energy = type(self).assign(result.offers, seed)
        self.slot, self.pool = 0, promise(result, start, energy, 0)

    @rule()
    def wait(self) -> None:
        self.slot += 1

    @rule(which=st.integers(0, 7))
    def lose(self, which: int) -> None:
        state = int(self.pool.aligned.members.state[which])
        if state == OfferState.ASSIGNED:
            self.pool = cancel(self.pool, torch.tensor([which]), self.slot)
        else:
            with pytest.raises(OfferError):
                cancel(self.pool, torch.tensor([which]), self.slot)

    @rule()
    def repair(self) -> None:
        before = missing(self.pool)
        mended = mend(self.pool, self.slot)
        past = torch.arange(SLOTS) < self.slot
        old, new = (loads(replace(pool, broken=mended.broken), SLOTS) for pool in (self.pool, mended))
        assert torch.allclose(old[:, past], new[:, past], atol=1e-9)
        untouched = ~self.pool.broken
        assert torch.equal(missing(mended)[untouched], before[untouched])
        self.pool = mended

    @precondition(lambda self: not bool(self.pool.broken.any()))
    @rule()
    def end(self) -> None:
        self.pool = finish(self.pool, self.slot)
        ends = self.pool.start + self.pool.aligned.offers.slices
        assert torch.equal(
            self.pool.aligned.offers.state == OfferState.EXECUTED,
            (ends <= self.slot) & (self.pool.aligned.offers.state != OfferState.CANCELED),
        )

    @invariant()
    def every_member_still_there_keeps_its_offer(self) -> None:
        members = self.pool.aligned.members
        inside = contains(members, self.pool.member_start, self.pool.member_energy)
        assert inside[members.state != OfferState.CANCELED].all()

    @invariant()
    def promised_is_delivered_or_missing(self) -> None:
        taken = loads(replace(self.pool, broken=torch.zeros_like(self.pool.broken)), SLOTS).sum()
        assert float(missing(self.pool).sum() + taken) == pytest.approx(float(self.pool.energy.sum()), abs=1e-9)


def test_any_sequence_of_cancellations(random_offers: RandomOffers, random_assignment: RandomAssignment) -> None:
    draws = {"make": staticmethod(random_offers), "assign": staticmethod(random_assignment)}
    case = type("Drawn", (Cancellations,), draws).TestCase
    case.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)
    case("runTest").runTest()
