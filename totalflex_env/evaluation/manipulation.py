"""What an adversary gains from the rule by which its flexibility is measured.

Three games. What is reported is a gain that somebody can have, so a lower bound of what there is to gain:

* Baselines. A called house may consume more or less in two stretches before the call and in it, load the same hours on
  the days before, and declare more than it means to take. It gains what the best strategy found (`adversary`: a grid,
  then training) leaves it beyond the conduct that would be best if its baseline were the truth, itself found in the
  same way: money from the order, energy at spot and discomfort all counted.
* Inc-dec. A house nominates load that it does not mean to take in slots that it expects to be scarce, buys it at spot
  and sells it back at the nodal price, as if it were flexibility.
* Cliffs. Whoever delivers at a rising cost chooses how much of its order to deliver.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.evaluation.adversary import CONDUCTS, Game, Rule, Strategy, Terms, better, trained, tried
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
from totalflex_env.market.customer_baseline import METHODS
from totalflex_env.market.delivery import delivered
from totalflex_env.market.settlement import Statement, book, ledger
from totalflex_env.types import Params
from totalflex_env.units import from_micro_eur

LOADED: Conduct = (DEFAULT, LOWER, UPPER)
"""What an adversary does at the hours of the call on the days before: puts its load there."""

TRUTH = "truth"
LITTLE = 0.05
"""Shares up to which a lever counts as not used."""

WORTH_IT = 0.005
"""EUR from which a gain counts as one."""


@dataclass(frozen=True)
class Manipulation:
    """What a baseline method is worth to whoever plays it; means over the called houses and days, EUR per call."""

    overpaid_eur: float  # to houses that do what they are called for, beyond what the true baseline pays
    tried_eur: float  # gain of the best strategy of the grid over honest conduct, the best of the grid at the truth
    gain_eur: float  # of the best strategy found in training over honest conduct, trained at the truth
    largest_eur: float  # gain of the luckiest house
    levers: dict[str, float]  # share of the houses whose best strategy uses each lever


def baseline_games(here: Case, terms: Terms, rounds: int) -> dict[str, Manipulation]:
    """Return what every baseline method gives away, "truth" among them, for which nothing can be gained.

    Adversaries train for `rounds` rounds after the grid.
    """
    game, lives = prepared(here, terms)
    truth = units(game.alone.metered_kwh)
    rules: dict[str, Rule] = {TRUTH: lambda _: truth, **METHODS}
    asked = game.known.called.any(1)
    grid = tried(game, rules, lives)
    plain = _payoffs(game, rules, grid[TRUTH][0])
    honest = trained(game, {TRUTH: rules[TRUTH]}, {TRUTH: grid[TRUTH]}, rounds)[TRUTH][0]
    fair = _payoffs(game, rules, honest)
    start = {name: better(grid[name], (honest, fair[name])) for name in rules}
    best = start | trained(game, METHODS, {name: start[name] for name in METHODS}, rounds)
    gains = {name: (best[name][1] - fair[name])[asked] for name in rules}
    called = game.everywhere(CALLED, 0.0, False)
    due = {name: game.payoff(rule, called, lives[CALLED])[asked] for name, rule in rules.items()}
    return {
        name: Manipulation(
            overpaid_eur=float((due[name] - due[TRUTH]).mean()),
            tried_eur=float((grid[name][1] - plain[name])[asked].mean()),
            gain_eur=float(gains[name].mean()),
            largest_eur=float(gains[name].max()),
            levers=_levers(best[name][0], gains[name], asked),
        )
        for name in rules
    }


def prepared(here: Case, terms: Terms) -> tuple[Game, dict[Conduct, Lives]]:
    """Return the game of a case, and the days of the call under every conduct of the grid."""
    before, count = list(here.before), len(here.before)
    lives = dict(zip(CONDUCTS, live_each(here.params, [here.day] * len(CONDUCTS), here.window, list(CONDUCTS))))
    past = live_each(here.params, 2 * before, here.window, [LEFT_ALONE] * count + [LOADED] * count)
    usual, loaded = past[:count], past[count:]
    alone = lives[LEFT_ALONE]
    known = evidence(here, lives[CALLED], alone, usual)
    order = ((units(alone.metered_kwh) - known.metered_kwh) * known.called).clamp(min=0.0)
    ruin = torch.stack([(after.money_eur - before.money_eur).flatten() for after, before in zip(loaded, usual)]).sum(0)
    history = torch.stack([units(each.metered_kwh) for each in loaded], 1)
    return Game(here, known, order, terms, alone, history, ruin), lives


def _payoffs(game: Game, rules: dict[str, Rule], played: Strategy) -> dict[str, Tensor]:
    """What a strategy leaves every unit [U] under every rule."""
    own = game.live([played])[0]
    return {name: game.payoff(rule, played, own) for name, rule in rules.items()}


def _levers(best: Strategy, gain: Tensor, asked: Tensor) -> dict[str, float]:
    """Share of the called houses that gain by each lever."""
    won = torch.zeros_like(asked)
    won[asked] = gain > WORTH_IT
    conduct = best.conduct.flatten(0, 1)
    used = {
        "declares more": best.declared.flatten() > LITTLE,
        "loads the days before": best.loaded.flatten(),
        "preloads": (conduct[:, :2] > LITTLE).any(1),
        "does not deliver": conduct[:, 2] > LOWER + LITTLE,
    }
    return {name: float((lever & won).sum()) / len(gain) for name, lever in used.items()}


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
