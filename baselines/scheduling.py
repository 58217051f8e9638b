"""Scheduling aggregated flex-offers one at a time: greedily in turn, or better and better by evolution."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.flexoffer.offers import load
from totalflex_env.flexoffer.respond import respond
from totalflex_env.flexoffer.start_alignment import StartAligned
from totalflex_env.trade_types import FlexOfferBatch

TEMPTATION = 0.25
"""Standard deviation of what chance adds to prices in a mutation, as a share of their own."""


@dataclass(frozen=True)
class Scene:
    """What a schedule is made for, T slots."""

    spot: Tensor  # [T] EUR/kWh
    room_kwh: Tensor  # [T] energy beyond which the grid is overloaded
    overload_price: float  # EUR/kWh

    def full(self, others: Tensor, offers: FlexOfferBatch) -> Tensor:
        """Return the slots [N, T] bool in which N offers at their peak find no room on top of others [T] or [N, T]."""
        return others + offers.upper.amax(dim=1, keepdim=True) > self.room_kwh

    def price(self, full: Tensor) -> Tensor:
        """Return the prices [T] EUR/kWh that an offer meets."""
        return self.spot + self.overload_price * full

    def cost(self, taken: Tensor) -> float:
        """Return what it costs in EUR to take `taken` [T] kWh."""
        over = (taken - self.room_kwh).clamp(min=0.0)
        return float((self.spot * taken + self.overload_price * over).sum())


@dataclass
class Schedule:
    """Start [G] and energy [G, V] kWh of the G aggregates of a bundle."""

    bundle: StartAligned
    start: Tensor
    energy: Tensor

    def load(self, index: int, slots: int) -> Tensor:
        """Return the energy [T] kWh of one aggregate."""
        place = torch.tensor([index], device=self.start.device)
        return load(take_rows(self.bundle.offers, place), self.start[place], self.energy[place], slots)[0]

    def delay(self, index: int) -> float:
        """Return the price of one aggregate's start in EUR."""
        offers = self.bundle.offers
        return float(offers.price_shift[index] * (self.start[index] - offers.default_start[index]).abs())


def greedy(bundle: StartAligned, scene: Scene, taken: Tensor) -> tuple[Schedule, Tensor]:
    """Return the aggregates each in turn where they cost least on top of `taken` [T] kWh, and what is taken then.

    Aggregates that meet the same prices at their turn answer together: ever more of them are asked, as long as what
    the ones before take changes no price.
    """
    offers, slots, ahead = bundle.offers, len(taken), 1
    found = Schedule(bundle, offers.earliest.clone(), torch.zeros_like(offers.lower))
    turns = torch.arange(len(found.start), device=taken.device)
    while len(turns):
        asked = turns[:ahead]
        some = take_rows(offers, asked)
        full = scene.full(taken, some)[0]
        start, energy = respond(some, scene.price(full))
        after = taken + load(some, start, energy, slots).cumsum(dim=0)
        met = scene.full(torch.cat([taken[None], after[:-1]]), some)
        kept = int((met == full).all(dim=1).long().cumprod(dim=0).sum())
        found.start[asked[:kept]], found.energy[asked[:kept]] = start[:kept], energy[:kept]
        taken, turns, ahead = after[kept - 1], turns[kept:], 2 * ahead if kept == len(asked) else 1
    return found, taken


def evolve(schedules: list[Schedule], scene: Scene, mutations: int, seed: int) -> None:
    """Improve schedules by so many mutations, of which those survive that cost less (a (1 + 1) evolution).

    In a mutation two aggregates answer anew, the second after the first, at the prices that the others make and that
    chance has moved. Chance comes from `seed` alone.
    """
    chance, slots = torch.Generator().manual_seed(seed), len(scene.spot)
    places = [(one, index) for one in schedules for index in range(len(one.start))]
    taken = torch.zeros_like(scene.spot) + sum(one.load(index, slots) for one, index in places)
    for _ in range(mutations if places else 0):
        pair = [places[i] for i in torch.randperm(len(places), generator=chance)[:2].tolist()]
        kept = [(one.start[index].clone(), one.energy[index].clone()) for one, index in pair]
        before = scene.cost(taken) + sum(one.delay(index) for one, index in pair)
        together = taken - sum(one.load(index, slots) for one, index in pair)
        noise = 1.0 + TEMPTATION * torch.randn(slots, generator=chance, dtype=torch.float64).to(taken)
        for one, index in pair:
            start, energy = _answer(one.bundle, index, scene, together, noise)
            one.start[index], one.energy[index] = start[0], energy[0]
            together = together + one.load(index, slots)
        if scene.cost(together) + sum(one.delay(index) for one, index in pair) < before:
            taken = together
            continue
        for (one, index), (start, energy) in zip(pair, kept):
            one.start[index], one.energy[index] = start, energy


def _answer(bundle: StartAligned, index: int, scene: Scene, others: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return start [1] and energy [1, V] of one aggregate at the prices that it meets on top of others [T] kWh."""
    offer = take_rows(bundle.offers, torch.tensor([index], device=others.device))
    return respond(offer, scene.price(scene.full(others, offer)[0]) * noise)
