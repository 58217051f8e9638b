"""Adversaries of customer baselines: each called house looks for the conduct and the lies that leave it most.

An adversary first tries every strategy of a grid, then trains by an evolution strategy (Rechenberg 1973): of its best
strategy so far it tries a brood of random variations, less wide from round to round, and keeps what pays better. Houses
do not meet in a market here, so all of them, under all methods, train side by side in the same rollouts. What is found
is a gain that somebody can have, a lower bound of what there is to gain.

Letters in the shapes: S days, P houses, U = S P units, T slots, as in `counterfactual`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from totalflex_env.evaluation.counterfactual import DEFAULT, LOWER, UPPER, Case, Conduct, Lives, live_all, units
from totalflex_env.market.customer_baseline import Evidence
from totalflex_env.market.delivery import delivered

CONDUCTS: tuple[Conduct, ...] = tuple(product((LOWER, DEFAULT, UPPER), repeat=3))  # type: ignore[arg-type]
INFLATIONS = (0.0, 0.5, 1.0)
"""Shares of its headroom that an adversary declares without meaning to use them."""

LISTENS = frozenset({"nomination", "default_schedule"})
"""Methods that go by what a house says."""

REMEMBERS = frozenset({"mid_8_of_10", "regression"})
"""Methods that go by the days before."""

BROOD = 8
WIDEST, NARROWER, CHANGES_DAYS = 0.6, 0.85, 0.15
"""Standard deviation of the first variations, its factor from round to round, and how often loading days is turned."""

Rule = Callable[[Evidence], Tensor]
"""A baseline method: evidence to kWh [U, T]."""


@dataclass(frozen=True)
class Terms:
    """What an order pays."""

    price: float  # EUR per kWh delivered
    penalty: float  # EUR per kWh missing
    rule: str = "usef"


@dataclass(frozen=True)
class Strategy:
    """What every house does and says on every day."""

    conduct: Tensor  # [S, P, 3] around the call, see `counterfactual.Conduct`
    declared: Tensor  # [S, P] share of its headroom that it says it will use and will not
    loaded: Tensor  # [S, P] bool, whether it puts load at the hours of the call on the days before


@dataclass(frozen=True)
class Game:
    """The called houses as their own accountants."""

    here: Case
    known: Evidence  # of houses that tell the truth and do as they are called
    order: Tensor  # [U, T] kWh less than the truth
    terms: Terms
    alone: Lives
    loaded_kwh: Tensor  # [U, D, T] meters of the days before, with load at the hours of the call
    ruin: Tensor  # [U] EUR that loading those days brings (less than 0)

    def payoff(self, rule: Rule, played: Strategy, own: Lives) -> Tensor:
        """Return what a strategy that was lived as `own` leaves each unit [U] EUR; of units not called, no matter."""
        more = played.declared.flatten()[:, None] * units(self.alone.headroom_kwh) * self.known.called
        loaded = played.loaded.flatten()
        metered = units(torch.where(self.here.called, own.metered_kwh, self.alone.metered_kwh))
        said = replace(
            self.known,
            metered_kwh=metered,
            nomination_kwh=self.known.nomination_kwh + more,
            default_kwh=self.known.default_kwh + more,
            history_kwh=torch.where(loaded[:, None, None], self.loaded_kwh, self.known.history_kwh),
        )
        done = delivered(self.terms.rule, rule(said), self.order, units(own.metered_kwh))
        paid = (self.terms.price * done.paid - self.terms.penalty * done.missing) * (self.order > 0.0)
        return paid.sum(1) + own.money_eur.flatten() + torch.where(loaded, self.ruin, 0.0)

    def live(self, strategies: list[Strategy]) -> list[Lives]:
        """Return the days of the call under each of the strategies."""
        conducts = torch.stack([strategy.conduct for strategy in strategies])
        return live_all(self.here.params, [self.here.day] * len(strategies), self.here.window, conducts)

    def everywhere(self, conduct: Conduct, declared: float, loaded: bool) -> Strategy:
        """Return the strategy of houses that all do the same."""
        shape = len(self.here.window), len(self.here.called)
        levels = torch.tensor(conduct, dtype=torch.float64).expand(*shape, 3)
        return Strategy(levels, torch.full(shape, declared, dtype=torch.float64), torch.full(shape, loaded))


Found = dict[str, tuple[Strategy, Tensor]]
"""Of every method, the best strategy of each unit and what it leaves it [U] EUR."""


def tried(game: Game, rules: dict[str, Rule], lives: dict[Conduct, Lives]) -> Found:
    """Return the best of a grid: all conducts, with every lie that could matter to a method."""
    found: Found = {}
    for name, rule in rules.items():
        for declared, loaded in _lies(name):
            for conduct, own in lives.items():
                strategy = game.everywhere(conduct, declared, loaded)
                pay = game.payoff(rule, strategy, own)
                found[name] = better(found[name], (strategy, pay)) if name in found else (strategy, pay)
    return found


def trained(game: Game, rules: dict[str, Rule], start: Found, rounds: int) -> Found:
    """Return what adversaries that begin with `start` find in so many rounds; the same each time."""
    generator, found = torch.Generator().manual_seed(0), dict(start)
    for number in range(rounds):
        width = WIDEST * NARROWER**number
        brood = [(name, _varied(name, found[name][0], width, generator)) for name in rules for _ in range(BROOD)]
        for (name, strategy), own in zip(brood, game.live([strategy for _, strategy in brood])):
            found[name] = better(found[name], (strategy, game.payoff(rules[name], strategy, own)))
    return found


def better(old: tuple[Strategy, Tensor], new: tuple[Strategy, Tensor]) -> tuple[Strategy, Tensor]:
    """Return of each unit the strategy that leaves it more; the old one where both leave the same."""
    wins = new[1] > old[1]
    place = wins.reshape(old[0].declared.shape)
    chosen = Strategy(
        conduct=torch.where(place[..., None], new[0].conduct, old[0].conduct),
        declared=torch.where(place, new[0].declared, old[0].declared),
        loaded=torch.where(place, new[0].loaded, old[0].loaded),
    )
    return chosen, torch.where(wins, new[1], old[1])


def _lies(method: str) -> Iterator[tuple[float, bool]]:
    """The lies of the grid that could matter to a method; the first of them is none."""
    for declared in INFLATIONS if method in LISTENS else INFLATIONS[:1]:
        for loaded in (False, True) if method in REMEMBERS else (False,):
            yield declared, loaded


def _varied(method: str, best: Strategy, width: float, generator: torch.Generator) -> Strategy:
    """A random variation of all that could matter to a method."""

    def step(like: Tensor) -> Tensor:
        return width * torch.randn(like.shape, generator=generator, dtype=like.dtype)

    varied = replace(best, conduct=(best.conduct + step(best.conduct)).clamp(LOWER, UPPER))
    if method in LISTENS:
        varied = replace(varied, declared=(best.declared + step(best.declared)).clamp(0.0, 1.0))
    if method in REMEMBERS:
        turned = torch.rand(best.loaded.shape, generator=generator) < CHANGES_DAYS
        varied = replace(varied, loaded=best.loaded ^ turned)
    return varied
