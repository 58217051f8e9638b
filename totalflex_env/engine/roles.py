"""From what agents output, numbers in -1..1, to what roles do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from totalflex_env.engine import dispatch, scripted
from totalflex_env.engine.controls import Control
from totalflex_env.types import Action, Params, Policy, Situation

Role = Literal["prosumer", "aggregator", "brp", "dso"]

ROLES: tuple[Role, ...] = ("prosumer", "aggregator", "brp", "dso")
"""In the order in which agents are listed everywhere."""

FIELDS: dict[Role, tuple[str, ...]] = {
    "prosumer": ("release", "markup"),
    "aggregator": ("target_kwh", "worth_less", "worth_more", "traded"),
    "brp": ("brp_price", "brp_kwh", "brp_start_kwh"),
    "dso": ("dso_share", "dso_price"),
}
"""The part of an action that is each role's own."""

AGGREGATOR_CONTROLS = dispatch.AGGREGATOR_CONTROLS
PROSUMER_CONTROLS = (
    Control("withhold", "flexibility that is kept back", "share", 0.0, 1.0),
    Control("markup", "price asked for deviating from the default", "EUR/kWh", 0.0, 0.5),
)
BRP_CONTROLS = (
    Control("price", "shift of the whole curve", "EUR/kWh", -0.1, 0.1),
    Control("confidence", "width of the curve, times that of the rule", "1", 0.25, 4.0, True),
)
DSO_CONTROLS = (
    Control("share", "share of the ratings left to the market, times that of the rule", "1", 0.75, 1.25),
    Control("price", "price cap of an overload, times V, never above the price cap of bids", "1", 0.25, 4.0, True),
)
CONTROLS: dict[Role, tuple[Control, ...]] = {
    "prosumer": PROSUMER_CONTROLS,
    "aggregator": AGGREGATOR_CONTROLS,
    "brp": BRP_CONTROLS,
    "dso": DSO_CONTROLS,
}

RULE: dict[Role, float] = {"prosumer": -1.0, "aggregator": 0.0, "brp": 0.0, "dso": 0.0}
"""Every number of the scripted action: the middle, but for prosumers, who cannot keep back less than nothing."""


@dataclass(frozen=True)
class Controls:
    """What the agents of every role output in a slot, each number in -1..1."""

    prosumer: Tensor  # [B, P, 2]
    aggregator: Tensor  # [B, A, 8]
    brp: Tensor  # [B, 2]
    dso: Tensor  # [B, 2]


def neutral(params: Params, rows: int) -> Controls:
    """Return the controls of scripted roles."""
    full = params.grid.rating_kva.new_full
    return Controls(
        prosumer=full((rows, len(params.node), len(PROSUMER_CONTROLS)), RULE["prosumer"]),
        aggregator=full((rows, params.aggregators, len(AGGREGATOR_CONTROLS)), RULE["aggregator"]),
        brp=full((rows, len(BRP_CONTROLS)), RULE["brp"]),
        dso=full((rows, len(DSO_CONTROLS)), RULE["dso"]),
    )


def values(role: Role, numbers: Tensor) -> Tensor:
    """Return what the numbers [..., controls] of agents of a role stand for, in the units of its controls."""
    return torch.stack([control.value(each) for control, each in zip(CONTROLS[role], numbers.unbind(-1))], dim=-1)


def numbers(role: Role, values: Tensor) -> Tensor:
    """Return the numbers in -1..1 that stand for these values [..., controls]: `values` turned round."""
    return torch.stack([control.number(each) for control, each in zip(CONTROLS[role], values.unbind(-1))], dim=-1)


def action(situation: Situation, controls: Controls) -> Action:
    """Return the action that the controls stand for."""
    bids = dispatch.bids(situation, controls.aggregator)
    base = scripted.offer(situation, bids.target_kwh, bids.worth_less, bids.worth_more)
    withheld, markup = values("prosumer", controls.prosumer).unbind(-1)
    shift, width = values("brp", controls.brp).unbind(-1)
    share, price = values("dso", controls.dso).unbind(-1)
    return replace(
        base,
        release=1.0 - withheld,
        markup=markup,
        brp_price=base.brp_price + shift[:, None],
        brp_kwh=base.brp_kwh * width[:, None],
        brp_start_kwh=base.brp_start_kwh * width,
        dso_share=base.dso_share * share,
        dso_price=(base.dso_price * price).clamp(max=situation.params.config.market.price_cap),
    )


def combined(base: Action, actions: Mapping[Role, Action]) -> Action:
    """Return `base` with the part of each role in `actions` taken from the action given for it."""
    return replace(base, **{name: vars(theirs)[name] for role, theirs in actions.items() for name in FIELDS[role]})


class ScriptedPolicy:
    """The world in which nobody learns: every role follows its rule."""

    def reset(self, situation: Situation) -> None:
        """Nothing to forget."""

    def act(self, situation: Situation) -> Action:
        """Return the scripted action of all roles."""
        return action(situation, neutral(situation.params, len(situation.lower)))


class Ensemble:
    """Roles that follow policies given for them; from each policy's action only the part of its role is taken."""

    def __init__(self, policies: Mapping[Role, Policy]) -> None:
        self.policies = dict(policies)

    def reset(self, situation: Situation) -> None:
        """Let every policy begin a new episode."""
        for policy in self.policies.values():
            policy.reset(situation)

    def complete(self, situation: Situation, base: Action) -> Action:
        """Return the action of all roles: the ones with a policy follow it, the others do what `base` says."""
        return combined(base, {role: policy.act(situation) for role, policy in self.policies.items()})
