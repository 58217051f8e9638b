"""From what agents output, numbers in -1..1, to what roles do. Zero is the scripted behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from totalflex_env.engine import dispatch, scripted
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
    ("withhold", "share of the flexibility that is kept back, 0 below 0"),
    ("markup", "price asked for deviating from the default, 0.5 EUR/kWh at 1, 0 below 0"),
)
BRP_CONTROLS = (
    ("price", "shift of the whole curve, 0.1 EUR/kWh at 1"),
    ("confidence", "width of the curve, factor 4 at 1"),
)
DSO_CONTROLS = (
    ("share", "share of the ratings left to the market, a quarter more or less at 1"),
    ("price", "price cap of an overload, factor 4 at 1, never above the price cap of bids"),
)


@dataclass(frozen=True)
class Controls:
    """What the agents of every role output in a slot, each number in -1..1."""

    prosumer: Tensor  # [B, P, 2]
    aggregator: Tensor  # [B, A, 8]
    brp: Tensor  # [B, 2]
    dso: Tensor  # [B, 2]


def neutral(params: Params, rows: int) -> Controls:
    """Return the controls of scripted roles: zeros."""
    zeros = params.grid.rating_kva.new_zeros
    return Controls(
        prosumer=zeros(rows, len(params.node), len(PROSUMER_CONTROLS)),
        aggregator=zeros(rows, params.aggregators, len(AGGREGATOR_CONTROLS)),
        brp=zeros(rows, len(BRP_CONTROLS)),
        dso=zeros(rows, len(DSO_CONTROLS)),
    )


def action(situation: Situation, controls: Controls) -> Action:
    """Return the action that the controls stand for."""
    bids = dispatch.bids(situation, controls.aggregator)
    base = scripted.offer(situation, bids.target_kwh, bids.worth_less, bids.worth_more)
    market = situation.params.config.market
    width = 4.0 ** controls.brp[:, 1]
    return replace(
        base,
        release=1.0 - controls.prosumer[..., 0].clamp(min=0.0),
        markup=0.5 * controls.prosumer[..., 1].clamp(min=0.0),
        brp_price=base.brp_price + 0.1 * controls.brp[:, :1],
        brp_kwh=base.brp_kwh * width[:, None],
        brp_start_kwh=base.brp_start_kwh * width,
        dso_share=base.dso_share * (1.0 + 0.25 * controls.dso[:, 0]),
        dso_price=(base.dso_price * 4.0 ** controls.dso[:, 1]).clamp(max=market.price_cap),
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

    def complete(self, situation: Situation, controls: Controls) -> Action:
        """Return the action of all roles: the ones with a policy follow it, the others output `controls`."""
        actions = {role: policy.act(situation) for role, policy in self.policies.items()}
        return combined(action(situation, controls), actions)
