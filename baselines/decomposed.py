"""Plans for fleets that are too large for one program: crowds answer prices, a master program mixes their answers.

The first prices are those of a sample of the devices that stands for all of them. Crowds answer at the prices at which
the bound was best so far, moved a part of the way towards the master's, which alone would swing (Wentges, "Weighted
Dantzig-Wolfe decomposition for linear mixed-integer programming", Int. Trans. Oper. Res. 4, 1997). In the end a crowd
with whole numbers is shared out among its offers, device by device; the others mix theirs, as convex programs may.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from baselines.crowds import Crowd, crowds, split
from baselines.master import Master, Mixture
from baselines.planner import Plan, energies
from baselines.program import Task, assemble
from baselines.sample import first_price
from baselines.solver import Array, Effort, Solution

MOST_CROWDS = 400
"""Solvers that are kept at once."""

STEPS = (0.3, 1.0)
"""How far crowds answer from the best prices towards those of the master: as a rule, and where that proved nothing."""


@dataclass(frozen=True)
class Progress:
    """What is proved so far."""

    price: Array  # [S] at which the bound was proved
    bound: float  # EUR


class DecomposedPlanner:
    """Makes plans crowd by crowd; the bound of a plan is proved, its gap is reported whatever it is."""

    def __init__(self, effort: Effort, most_crowds: int = MOST_CROWDS) -> None:
        self.effort, self.most_crowds = effort, most_crowds
        self.rounds = 0  # of the last plan

    def plan(self, task: Task, previous: Plan | None = None) -> Plan:
        """Return a plan for the task, nearly the best one; a `previous` one of any kind is no help."""
        begun = time.perf_counter()
        program, devices = assemble(task), len(task.params.house)
        whole = split(program, devices)
        parts = crowds(whole, self.most_crowds)
        master = Master(whole, parts)
        progress = self._improve(master, parts, first_price(whole, task.params), begun)
        values = _whole(master, parts, master.mix())
        cost = master.cost(values)
        found = np.where(whole.lower == whole.upper, whole.lower, 0.0)
        for part, value in zip(parts, values):
            found[part.columns] = value
        gap = max(cost - progress.bound, 0.0)
        reached = gap <= max(self.effort.gap * abs(cost), self.effort.gap_eur)
        solution = Solution(found, cost, progress.bound, gap, time.perf_counter() - begun, reached)
        energy = energies(program, torch.from_numpy(found), devices)
        return Plan(energy, energy.sum(dim=1) + program.fixed_kwh, solution)

    def _improve(self, master: Master, parts: list[Crowd], price: Array, begun: float) -> Progress:
        """Ask the crowds again and again until the bound is near the mixture, or time is over."""
        best = Progress(price, -np.inf)
        self.rounds = 0
        while True:
            self.rounds += 1
            answers = [part.answer(price) for part in parts]
            for number, answer in enumerate(answers):
                master.offer(number, answer.value)
            bound = master.least(price) + sum(answer.least for answer in answers)
            step = STEPS[bound <= best.bound]
            if bound > best.bound:
                best = Progress(price, bound)
            mixture = master.mix()
            gap = mixture.cost - best.bound
            if gap <= 0.5 * max(self.effort.gap * abs(best.bound), self.effort.gap_eur):
                return best
            if time.perf_counter() - begun > self.effort.seconds:
                return best
            price = best.price + step * (mixture.price - best.price)


def _whole(master: Master, parts: list[Crowd], mixture: Mixture) -> list[Array]:
    """Return what every crowd does [V]: those with whole numbers first, the others then make up for the rounding."""
    chosen: dict[int, Array] = {}
    for number, (part, weight) in enumerate(zip(parts, mixture.weights)):
        if part.integer.any():
            chosen[number] = _shared_out(part, master.offers[number], weight)
            master.hold(number, chosen[number])
    again = master.mix()
    return [
        chosen[number] if number in chosen else np.einsum("k,kv->v", weight, np.stack(offers)) / weight.sum()
        for number, (offers, weight) in enumerate(zip(master.offers, again.weights))
    ]


def _shared_out(part: Crowd, offers: list[Array], weight: Array) -> Array:
    """Return one of the offers for each group of a crowd, each offer for its share of the groups."""
    groups = np.unique(part.group)
    place = (np.arange(len(groups)) + 0.5) / len(groups)
    choice = np.searchsorted(weight.cumsum() / weight.sum(), place).clip(max=len(offers) - 1)
    shared: Array = np.stack(offers)[choice[np.searchsorted(groups, part.group)], np.arange(len(part.group))]
    return shared
