"""What agents earn in a slot: a table of named terms in EUR, each with a weight of the configuration.

With all weights at 1 the money of all roles sums to minus the system cost, slot by slot. The system's own terms sum to
the same number, written so that the premium of imbalance stands alone: the spot price on what was consumed, and what
imbalance costs beyond it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from totalflex_env.config import EnvConfig
from totalflex_env.engine.roles import Role
from totalflex_env.types import Outcome, Params, Population
from totalflex_env.units import from_micro_eur

Reward = Literal["system", "role", "household"]
"""What is learned from: minus the system cost, the role's own money, or that of the houses that have devices."""

Terms = dict[str, Tensor]

ROLE_TERMS: dict[Role, tuple[str, ...]] = {
    "prosumer": ("money", "comfort"),
    "aggregator": ("money",),
    "brp": ("money",),
    "dso": ("money", "overload", "voltage"),
}
SYSTEM_TERMS = ("energy", "imbalance", "overload", "voltage", "comfort")
LIMITS = ("overload", "voltage")
"""Terms that are violations of the grid's limits; outside the reward unless `constraints` names 'penalty'."""


def usual(role: Role) -> Reward:
    """Return what a role that learns alone learns from: the aggregator from the system cost, others their money."""
    return "system" if role == "aggregator" else "role"


def weights(config: EnvConfig) -> dict[str, float]:
    """Return the weight of every term."""
    priced = "penalty" in config.constraints
    return {name: weight if priced or name not in LIMITS else 0.0 for name, weight in config.reward}


def role_terms(outcome: Outcome) -> dict[Role, Terms]:
    """Return the terms of every role, EUR: each [B, agents of the role]."""
    houses, costs = outcome.rewards.prosumer.shape[1], outcome.costs
    account = from_micro_eur(outcome.ledger.balance).to(costs.spot.dtype)
    bill = account[:, :houses]
    return {
        "prosumer": {"money": bill, "comfort": outcome.rewards.prosumer - bill},
        "aggregator": {"money": account[:, houses:-3]},
        "brp": {"money": account[:, -3:-2]},
        "dso": {
            "money": account[:, -2:-1],
            "overload": -costs.overload[:, None],
            "voltage": -costs.voltage[:, None],
        },
    }


def system_terms(outcome: Outcome, spot: Tensor) -> Terms:
    """Return the terms of minus the system cost, EUR: each [B, 1]; `spot` [B] EUR/kWh of the slot."""
    costs, at_spot = outcome.costs, spot * outcome.imbalance_kwh
    terms = {
        "energy": costs.spot + at_spot,
        "imbalance": costs.imbalance - at_spot,
        "overload": costs.overload,
        "voltage": costs.voltage,
        "comfort": costs.discomfort + costs.shortfall,
    }
    return {name: -term[:, None] for name, term in terms.items()}


def total(terms: Terms, weights: Mapping[str, float]) -> Tensor:
    """Return the weighted sum of terms; any shape."""
    first, *rest = (weights[name] * term for name, term in terms.items())
    return sum(rest, first)


def household(params: Params, rewards: Mapping[Role, Tensor], population: Population | None) -> Tensor:
    """Return the money [B, 1] EUR of the houses that have devices, with that of their aggregators."""
    earned = rewards["prosumer"]
    if population is None:
        own = earned[:, params.house.unique()]
    else:
        devices = population.devices.to(earned.dtype)
        own = earned * (torch.zeros_like(earned).index_add(1, params.house, devices) > 0.0)
    return own.sum(dim=1, keepdim=True) + rewards["aggregator"].sum(dim=1, keepdim=True)
