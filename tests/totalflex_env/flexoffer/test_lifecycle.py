"""The life of a flex-offer against a second account of it, written as sentences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
import torch
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from totalflex_env.errors import OfferError
from totalflex_env.flexoffer.lifecycle import assign, expire, move
from totalflex_env.trade_types import FlexOfferBatch, OfferState

Box = Callable[[list[list[float]], list[list[float]]], FlexOfferBatch]

LEGAL = """
initial becomes offered
offered becomes accepted
offered becomes rejected
offered becomes invalid
offered becomes canceled
accepted becomes assigned
accepted becomes rejected
accepted becomes canceled
assigned becomes assigned
assigned becomes executed
assigned becomes invalid
assigned becomes canceled
"""
EVERY = torch.tensor([True])


def made(box: Box) -> FlexOfferBatch:
    """One offer: answer by slot 4, assignment by slot 6, starts in 5..8, three slices."""
    earliest, latest, acceptance, assignment = (torch.tensor([slot]) for slot in (5, 8, 4, 6))
    offers = replace(box([[0.0] * 3], [[1.0] * 3]), earliest=earliest, latest=latest, default_start=earliest)
    return replace(offers, acceptance=acceptance, assignment=assignment)


def in_state(offers: FlexOfferBatch, state: OfferState) -> FlexOfferBatch:
    return replace(offers, state=torch.full_like(offers.state, state))


def may(offers: FlexOfferBatch, to: OfferState, slot: int) -> bool:
    """Whether the offer of `made` may move, told a second time."""
    sentence = f"{OfferState(int(offers.state[0])).name.lower()} becomes {to.name.lower()}"
    in_time = {OfferState.ACCEPTED: slot <= 4, OfferState.ASSIGNED: slot <= 6, OfferState.EXECUTED: slot >= 8}
    return sentence in LEGAL.split("\n") and in_time.get(to, True)


@pytest.mark.parametrize(("state", "to", "slot"), list(product(OfferState, OfferState, (0, 4, 5, 6, 7, 8))))
def test_legal_moves_and_deadlines(state: OfferState, to: OfferState, slot: int, box: Box) -> None:
    offers = in_state(made(box), state)
    if may(offers, to, slot):
        assert move(offers, EVERY, to, slot).state.tolist() == [to]
    else:
        with pytest.raises(OfferError):
            move(offers, EVERY, to, slot)


class Life(RuleBasedStateMachine):
    """One offer in any order of events, at any time: it moves where the second account says so, and nowhere else."""

    def __init__(self, offers: FlexOfferBatch) -> None:
        super().__init__()
        self.offers, self.slot = offers, 0
        self.final: int | None = None

    @rule()
    def wait(self) -> None:
        self.slot += 1

    @rule()
    def expire(self) -> None:
        before = OfferState(int(self.offers.state[0]))
        self.offers = expire(self.offers, self.slot)
        answer, assignment = before is OfferState.OFFERED and self.slot > 4, before is OfferState.ACCEPTED
        late = answer or (assignment and self.slot > 6)
        assert self.offers.state[0] == (OfferState.REJECTED if late else before)

    @rule(to=st.sampled_from(OfferState))
    def move(self, to: OfferState) -> None:
        self._try(to, lambda: move(self.offers, EVERY, to, self.slot))

    @rule()
    def assign(self) -> None:
        start, energy = torch.tensor([7]), torch.full((1, 3), 0.5).double()
        self._try(OfferState.ASSIGNED, lambda: assign(self.offers, torch.tensor([0]), start, energy, self.slot))

    def _try(self, to: OfferState, change: Callable[[], FlexOfferBatch]) -> None:
        allowed = may(self.offers, to, self.slot)
        try:
            self.offers = change()
            assert allowed and self.offers.state.tolist() == [to]
        except OfferError:
            assert not allowed

    @invariant()
    def stays_in_a_final_state(self) -> None:
        if self.final is not None:
            assert self.offers.state[0] == self.final
        if self.offers.state[0] >= OfferState.EXECUTED:
            self.final = int(self.offers.state[0])


def test_any_life_ends_in_at_most_one_final_state(box: Box) -> None:
    run_state_machine_as_test(lambda: Life(made(box)))  # type: ignore[no-untyped-call]


def test_an_assignment_lies_inside_its_offer_and_in_the_future(box: Box) -> None:
    offers = in_state(made(box), OfferState.ACCEPTED)
    one, energy = torch.tensor([0]), torch.full((1, 3), 0.5).double()
    assert assign(offers, one, torch.tensor([8]), energy, 6).state.tolist() == [OfferState.ASSIGNED]
    with pytest.raises(OfferError, match="inside its offer"):
        assign(offers, one, torch.tensor([9]), energy, 6)
    with pytest.raises(OfferError, match="inside its offer"):
        assign(offers, one, torch.tensor([8]), 3.0 * energy, 6)
    with pytest.raises(OfferError, match="slot 6 or later"):
        assign(offers, one, torch.tensor([5]), energy, 6)


def test_only_the_chosen_offers_move_and_the_offending_one_is_named(box: Box) -> None:
    offers = box([[0.0]] * 4, [[1.0]] * 4)
    offered = move(offers, torch.tensor([3, 1]), OfferState.OFFERED, 0)
    assert offered.state.tolist() == [0, 1, 0, 1]
    assert offers.state.tolist() == [0, 0, 0, 0]
    with pytest.raises(OfferError, match="flex-offer 2: 0 breaks the rule: only OFFERED becomes ACCEPTED"):
        move(offered, torch.tensor([1, 2]), OfferState.ACCEPTED, 0)
    with pytest.raises(OfferError, match="only nothing becomes INITIAL"):
        move(offered, torch.tensor([1]), OfferState.INITIAL, 0)
    assert move(offered, torch.zeros(4, dtype=torch.bool), OfferState.EXECUTED, 0).state.tolist() == [0, 1, 0, 1]
