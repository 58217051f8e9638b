"""The study of mechanisms: identical days and books under different markets, and what each lets an adversary take.

One configuration, one command: `python evaluate.py configs/evaluate/mechanisms.yaml`. What is compared, part by part:

* regimes: the same days without activation, with devices that follow the price alone, with a market that trades balance
  only, and with the flexibility market; costs, loading, who pays whom, and what activations do to suppliers;
* rules: the day-ahead auction of whole flex-offers under each price rule, on the same books;
* hands: what misreports earn in the intraday market, by the number of houses that one hand controls;
* baselines: what each method is wrong by, and what an adversary gains from it; inc-dec; delivery rules with cliffs;
* incentives: what a household earns in a year.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import build
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.evaluation import (
    auction_study,
    counterfactual,
    exploitability,
    incentive,
    manipulation,
    parties,
    regimes,
)
from totalflex_env.evaluation.adversary import Terms
from totalflex_env.evaluation.auction_study import RuleFigures
from totalflex_env.evaluation.counterfactual import Bias
from totalflex_env.evaluation.exploitability import Gain
from totalflex_env.evaluation.incentive import Household, Incentive
from totalflex_env.evaluation.manipulation import IncDec, Manipulation
from totalflex_env.evaluation.parties import Adjusted
from totalflex_env.evaluation.regimes import Regime
from totalflex_env.market.delivery import RULES
from totalflex_env.settings import Seeds, Settings, days
from totalflex_env.types import Policy
from totalflex_env.units import to_mwh_integer

JUST_ABOVE = 0.02
"""Share of an order within which a delivery counts as aimed at a cliff."""

HARDEST_COST = 3.0
"""Marginal cost of the last part of an order, as a share of its price, up to which adversaries are tried."""

TRIED_COSTS = 300


class MechanismsConfig(Settings):
    """One study of mechanisms."""

    study: Literal["mechanisms"]
    title: str = Field("Mechanisms compared", description="heading of the report")
    env: str = Field("village", description="registered name or path of the environment of regimes and misreports")
    split: Literal["train", "validation", "test", "all"] = Field("test", description="weeks that days are drawn from")
    seeds: Seeds = Field("9000:9008", description="A:B are the days of seeds A, A + 1, ... B - 1")
    scarce_slots: PositiveInt = Field(
        8, description="slots of a day, the most loaded ones, in which misreports are tried"
    )
    gaming_env: str = Field("street", description="environment in which baselines are gamed and incentives counted")
    gaming_seeds: Seeds = Field("9000:9006", description="days of the calls")
    call_slots: PositiveInt = Field(8, description="length of a call")
    price: NonNegativeFloat = Field(0.5, description="EUR per kWh delivered in a call")
    training_rounds: NonNegativeInt = Field(
        12, description="rounds in which adversaries of baselines train after a grid search"
    )
    auction_seeds: Seeds = Field("9000:9003", description="days of the books that every price rule clears")
    owners: PositiveInt = Field(6, description="owners of the first book who try misreports in the auction")
    incentive_seeds: Seeds = Field("9000:9024", description="days of all months from which a year is estimated")
    out: Path = Field(description="folder of metrics.json, report.html and config.yaml")


@dataclass(frozen=True)
class Cliff:
    """What a delivery rule makes adversaries do whose costs range from nothing to HARDEST_COST times the price."""

    costs: tuple[float, ...]  # marginal cost of the last part of the order, EUR/kWh
    shares: tuple[float, ...]  # of the order that pays best
    mean_share: float
    just_above: float  # share of the adversaries that aim just above the rule's cliff; 0 where it has none


@dataclass(frozen=True)
class Study:
    """All that the report shows."""

    config: MechanismsConfig
    regimes: dict[str, Regime]
    parties: list[Adjusted]
    rules: dict[str, RuleFigures]
    hands: list[Gain]
    inc_dec: IncDec
    biases: dict[str, Bias]
    games: dict[str, Manipulation]
    cliffs: dict[str, Cliff]
    incentives: list[Incentive]
    households: list[Household]


def study(config: MechanismsConfig, price_only: Policy, say: Callable[[str], None]) -> Study:
    """Return the study; `price_only` is what devices do that follow the spot price alone, `say` hears of each part."""
    own, gaming = (environment(name, config.split) for name in (config.env, config.gaming_env))
    world = build(own)
    say("regimes")
    lived = regimes.compare(world, days(config.seeds), regimes.policies(price_only))
    say("auctions")
    rules = auction_study.compare(world, days(config.auction_seeds), config.owners)
    say("misreports")
    hands = exploitability.exploitability(world, days(config.seeds), ScriptedPolicy(), config.scarce_slots)
    say("baselines")
    case = counterfactual.case(build(gaming), days(config.gaming_seeds), config.call_slots)
    terms = Terms(config.price, own.market.non_delivery_price)
    biases = counterfactual.biases(case)
    games = manipulation.baseline_games(case, terms, config.training_rounds)
    say("incentives")
    earned, households = incentive.incentives(gaming, days(config.incentive_seeds))
    market = lived[regimes.MARKET]
    room = to_mwh_integer(torch.as_tensor(market.headroom_kwh).flatten(0, 1))
    return Study(
        config=config,
        regimes=lived,
        parties=parties.adjusted(world.params, market.statement, len(days(config.seeds))),
        rules=rules,
        hands=hands,
        inc_dec=manipulation.inc_dec(world.params, market.statement, room, len(days(config.seeds))),
        biases=biases,
        games=games,
        cliffs={rule: cliff(rule, terms) for rule in RULES},
        incentives=earned,
        households=households,
    )


def environment(name_or_path: str, split: str) -> EnvConfig:
    """Return the environment of that name or path with its days drawn from `split`."""
    return config_files.load(EnvConfig, name_or_path, "env", [f"--scenario.split={split}"])


def cliff(rule: str, terms: Terms) -> Cliff:
    """Return what adversaries deliver under a rule."""
    costs = torch.linspace(0.0, HARDEST_COST * terms.price, TRIED_COSTS + 1, dtype=torch.float64)[1:]
    shares = manipulation.delivered_shares(rule, costs, terms)
    edge = float(rule.removeprefix("cliff_")) / 100.0 if rule.startswith("cliff_") else 2.0
    near = (shares >= edge) & (shares <= edge + JUST_ABOVE)
    return Cliff(tuple(costs.tolist()), tuple(shares.tolist()), float(shares.mean()), float(near.double().mean()))
