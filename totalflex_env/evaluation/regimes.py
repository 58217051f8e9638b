"""The same days under different markets: what they cost, how they load the grid, and who pays whom.

Every regime lives the same episodes (common random numbers) with its own nomination, so differences are the regime's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from totalflex_env.engine.build import World, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.engine.rollout import rollout
from totalflex_env.engine.scripted import Untraded
from totalflex_env.evaluation.books import PARTIES, statements
from totalflex_env.evaluation.protocol import measure
from totalflex_env.evaluation.results import Array, Results
from totalflex_env.market.settlement import Statement, book
from totalflex_env.types import Action, Params, Policy, Situation
from totalflex_env.units import from_micro_eur

DEFAULT, PRICE_ONLY, BLIND, MARKET = "no activation", "price only", "market without grid", "flexibility market"


@dataclass(frozen=True)
class Regime:
    """What D days were like under one market; T slots, P houses."""

    results: Results
    statement: Statement  # of all slots [D T, ...]
    flows_eur: dict[str, float]  # mean per day of every purpose in `books.PARTIES`
    transformer: Array  # [D, T] loading of the transformer that feeds all houses, share of its rating
    nodal: Array  # [D, T, P] price at every house, EUR/kWh
    headroom_kwh: Array  # [D, T, P] that devices could have taken more


class Changed:
    """A policy whose every action is changed before it counts."""

    def __init__(self, policy: Policy, change: Callable[[Action], Action]) -> None:
        self._policy = policy
        self._change = change

    def reset(self, situation: Situation) -> None:
        """Forget the last episode."""
        self._policy.reset(situation)

    def act(self, situation: Situation) -> Action:
        """Return the changed action."""
        return self._change(self._policy.act(situation))


def policies(price_only: Policy) -> dict[str, Policy]:
    """Return the policy of every regime; `price_only` is what devices do that follow the spot price alone.

    In the market without grid its operator pays nothing for relief, so nothing but balance is traded.
    """
    return {
        DEFAULT: Untraded(lambda now: now.default),
        PRICE_ONLY: price_only,
        BLIND: Changed(ScriptedPolicy(), lambda action: replace(action, dso_price=0.0 * action.dso_price)),
        MARKET: ScriptedPolicy(),
    }


def compare(world: World, seeds: Sequence[int], regimes: Mapping[str, Policy]) -> dict[str, Regime]:
    """Return what every regime makes of the days of `seeds`."""
    return {name: live(world, seeds, policy) for name, policy in regimes.items()}


def live(world: World, seeds: Sequence[int], policy: Policy) -> Regime:
    """Return what the days of `seeds` are like when all follow `policy`."""
    params = world.params
    episode = nominate(params, draw(world, seeds), policy)
    trace = rollout(params, episode, policy)
    said = statements(params, episode, trace)
    booked = book(params, said)
    decisions = trace.decisions
    room = (decisions.upper - trace.outcomes.energy_kwh).clamp(min=0.0)
    fixed = episode.actual.base_kwh
    nodal = decisions.balance_price[..., None] + decisions.grid_price
    return Regime(
        results=measure(params, seeds, episode.actual, trace),
        statement=said,
        flows_eur={purpose: float(from_micro_eur(vars(booked)[purpose]).sum()) / len(seeds) for purpose in PARTIES},
        transformer=trace.outcomes.flow.loading[..., _feeder(params)].numpy(),
        nodal=from_micro_eur(nodal).numpy(),
        headroom_kwh=fixed.new_zeros(fixed.shape).index_add(2, params.house, room).numpy(),
    )


def _feeder(params: Params) -> int:
    """The transformer with the most houses behind it; the first of equal ones."""
    behind = params.grid.downstream[:, params.node].sum(1)
    transformers = [index for index, (table, _) in enumerate(params.grid.elements) if table == "trafo"]
    return max(transformers, key=lambda index: float(behind[index]))
