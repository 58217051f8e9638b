"""What an adversary gains from the rule by which its flexibility is measured.

Three games, each solved by trying every strategy of a stated set, so that what is reported is a gain that somebody can
have (a lower bound of what there is to gain):

* Baselines. A called house may preload before the call, consume more or less in it, load the same hours on the days
  before, and declare more than it means to take. It gains what the best of these leaves it beyond the conduct that
  would be best if its baseline were the truth: money from the order, energy at spot and discomfort all counted.
* Inc-dec. A house nominates load that it does not mean to take in slots that it expects to be scarce, buys it at spot
  and sells it back at the nodal price, as if it were flexibility.
* Cliffs. Whoever delivers at a rising cost chooses how much of its order to deliver.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from totalflex_env.evaluation.counterfactual import (
    CALLED,
    DEFAULT,
    LEFT_ALONE,
    LOWER,
    UPPER,
    Case,
    Conduct,
    Lives,
    evidence,
    live_each,
    units,
)
from totalflex_env.market.customer_baseline import METHODS, Evidence
from totalflex_env.market.delivery import delivered
from totalflex_env.market.settlement import Statement, book, ledger
from totalflex_env.types import Params
from totalflex_env.units import from_micro_eur

CONDUCTS: tuple[Conduct, ...] = tuple(product((LOWER, DEFAULT, UPPER), repeat=3))  # type: ignore[arg-type]
LOADED: Conduct = (DEFAULT, LOWER, UPPER)
"""What an adversary does at the hours of the call on the days before: puts its load there."""

INFLATIONS = (0.0, 0.5, 1.0)
"""Shares of its headroom that it declares without meaning to use them."""


@dataclass(frozen=True)
class Terms:
    """What an order pays."""

    price: float  # EUR per kWh delivered
    penalty: float  # EUR per kWh missing
    rule: str = "usef"


@dataclass(frozen=True)
class Manipulation:
    """What a baseline method is worth to whoever plays it; means over the called houses and days, EUR per call."""

    overpaid_eur: float  # to houses that do what they are called for, beyond what the true baseline pays
    gain_eur: float  # of the best strategy over honest conduct
    largest_eur: float  # gain of the luckiest house
    levers: dict[str, float]  # share of the houses whose best strategy uses each lever


@dataclass(frozen=True)
class _Lie:
    """How an adversary bends what is known of it."""

    loaded: bool  # the days before
    declared: float  # share of the headroom


def baseline_games(here: Case, terms: Terms) -> dict[str, Manipulation]:
    """Return what every baseline method gives away, "truth" among them, for which nothing can be gained."""
    before, count = list(here.before), len(here.before)
    lives = dict(zip(CONDUCTS, live_each(here.params, [here.day] * len(CONDUCTS), here.window, list(CONDUCTS))))
    past = live_each(here.params, 2 * before, here.window, [LEFT_ALONE] * count + [LOADED] * count)
    histories = {False: past[:count], True: past[count:]}
    alone = lives[LEFT_ALONE]
    known = evidence(here, lives[CALLED], alone, histories[False])
    truth = units(alone.metered_kwh)
    asked = known.called.any(1)
    order = ((truth - known.metered_kwh) * known.called).clamp(min=0.0)
    house = _House(here, known, order, terms, asked)
    ruin = sum(after.money_eur - before.money_eur for after, before in zip(histories[True], histories[False]))
    assert isinstance(ruin, Tensor)
    true_pay = torch.stack([house.payoff(truth, lives[conduct]) for conduct in CONDUCTS])
    honest = true_pay.argmax(0)
    games = {"truth": _game(true_pay, honest, 0.0 * true_pay[0], [])}
    for name, method in METHODS.items():
        rows, levers = [], []
        for lie in _lies(name):
            bent = _bent(known, lie, alone, histories[lie.loaded])
            for conduct in CONDUCTS:
                own = replace(bent, metered_kwh=house.metered(lives[conduct], alone))
                rows.append(house.payoff(method(own), lives[conduct]) + lie.loaded * ruin.flatten()[asked])
                levers.append((lie, conduct))
        due = house.payoff(method(known), lives[CALLED]) - house.payoff(truth, lives[CALLED])
        games[name] = _game(torch.stack(rows), honest, due, levers)
    return games


@dataclass(frozen=True)
class _House:
    """The called houses, as their own accountants: all results [V] for V of the U units."""

    here: Case
    known: Evidence
    order: Tensor  # [U, T] kWh
    terms: Terms
    asked: Tensor  # [U] bool

    def metered(self, own: Lives, alone: Lives) -> Tensor:
        """The meters [U, T] when the called houses live so and the others are left alone."""
        return units(torch.where(self.here.called, own.metered_kwh, alone.metered_kwh))

    def payoff(self, base: Tensor, own: Lives) -> Tensor:
        """Payment for the order by this baseline [U, T] plus all that the day costs the house."""
        done = delivered(self.terms.rule, base, self.order, units(own.metered_kwh))
        paid = (self.terms.price * done.paid - self.terms.penalty * done.missing) * (self.order > 0.0)
        return (paid.sum(1) + own.money_eur.flatten())[self.asked]


def _lies(method: str) -> Iterator[_Lie]:
    """The lies that could matter to a method."""
    for loaded, declared in product((False, True), INFLATIONS):
        past, said = method in ("mid_8_of_10", "regression"), method in ("nomination", "default_schedule")
        if (past or not loaded) and (said or declared == 0.0):
            yield _Lie(loaded, declared)


def _bent(known: Evidence, lie: _Lie, alone: Lives, history: list[Lives]) -> Evidence:
    more = lie.declared * units(alone.headroom_kwh) * known.called
    return replace(
        known,
        nomination_kwh=known.nomination_kwh + more,
        default_kwh=known.default_kwh + more,
        history_kwh=torch.stack([units(each.metered_kwh) for each in history], 1) if lie.loaded else known.history_kwh,
    )


def _game(payoffs: Tensor, honest: Tensor, due: Tensor, levers: list[tuple[_Lie, Conduct]]) -> Manipulation:
    """The value of a game with payoffs [strategies, V], of which the first conducts tell no lie."""
    best = payoffs.max(0)
    gain = best.values - payoffs.gather(0, honest[None])[0]
    won = [levers[int(choice)] for choice, more in zip(best.indices, gain) if levers and float(more) > 0.005]
    used = {
        "declares more": sum(lie.declared > 0.0 for lie, _ in won),
        "loads the days before": sum(lie.loaded for lie, _ in won),
        "preloads": sum(UPPER in conduct[:2] for _, conduct in won),
        "does not deliver": sum(conduct[2] != LOWER for _, conduct in won),
    }
    shares = {name: count / len(gain) for name, count in used.items()}
    return Manipulation(float(due.mean()), float(gain.mean()), float(gain.max()), shares)


@dataclass(frozen=True)
class IncDec:
    """What phantom load earns a house, EUR per day; means over days and houses with devices."""

    gain_eur: float
    phantom_kwh: float  # declared and never meant
    slots: float  # in which it pays, per day


def inc_dec(params: Params, said: Statement, headroom: Tensor, days: int) -> IncDec:
    """Return what every house gains that nominates all its headroom [R, P] mWh where the nodal price exceeds spot.

    The base of a house is taken to be its own nomination. Prices stay as they were: a house is too small to move them.
    `said` [R, ...] holds the slots of all days. The phantom is bought at spot and awarded away again.
    """
    nodal = said.balance_price[:, None] + said.grid_price
    worth = nodal * (1.0 - params.config.market.aggregator_share) > said.spot[:, None]
    phantom = headroom * worth
    lie = replace(said, base=said.base + phantom, award=said.award - phantom)
    honest, played = (ledger(params, book(params, each)).balance[:, : len(params.node)] for each in (said, lie))
    flexible = params.house.unique()
    share = days * len(flexible)
    return IncDec(
        float(from_micro_eur(played - honest)[:, flexible].sum()) / share,
        float(phantom[:, flexible].sum()) / 1e6 / share,
        float((phantom[:, flexible] > 0).sum()) / share,
    )


def delivered_shares(rule: str, costs: Tensor, terms: Terms, parts: int = 200) -> Tensor:
    """Return the share of an order [C] that pays best when delivering a share s of it costs `cost` s^2 / 2 [C] EUR.

    `cost` [C] is thus the marginal cost of the last kWh of an order of 1 kWh. Shares are tried in steps of 1 / parts.
    """
    base = torch.full((parts + 1,), parts, dtype=torch.int64)
    reached = torch.arange(parts + 1)
    done = delivered(rule, base, base, base - reached)
    income = (terms.price * done.paid - terms.penalty * done.missing) / parts
    share = reached / parts
    profit = income - costs[:, None] * share.square() / 2.0
    return share[profit.argmax(1)]
