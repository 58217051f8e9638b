"""How policies are compared: on the same days, each with its own nomination, all by the same system cost.

Day i of every policy is the episode of the same seed (common random numbers), so differences are the policies' alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from totalflex_env.engine.build import World, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.evaluation.results import CAUSES, KIND_OF, KINDS, Array, Results
from totalflex_env.types import Params, Policy, Scenario

LOADING_TOLERANCE = 1e-5
"""Accuracy of the power flow: a schedule that fills the transformer exactly does not overload it."""


def try_policy(world: World, seeds: Sequence[int], policy: Policy) -> Results:
    """Return what `policy` does on the days of `seeds`, all of them side by side, with its own nominations."""
    episode = nominate(world.params, draw(world, seeds), policy)
    return measure(world.params, seeds, episode.actual, rollout(world.params, episode, policy))


def measure(params: Params, seeds: Sequence[int], actual: Scenario, trace: Trace) -> Results:
    """Return the figures and curves of a rollout of one row per seed."""
    out = trace.outcomes
    minutes = 60.0 * params.slot_hours
    overloaded = (out.flow.loading > 1.0 + LOADING_TOLERANCE).any(dim=2)
    rewards = out.rewards
    roles = [rewards.prosumer.sum(dim=2), rewards.aggregator.sum(dim=2), rewards.brp, rewards.dso]
    return Results(
        seeds=tuple(seeds),
        cost_eur=_array(trace.cost()),
        overload_minutes=_array(overloaded.sum(dim=1) * minutes),
        voltage_minutes=_array((out.voltage_puh > 0.0).sum(dim=1) * minutes),
        comfort_degree_hours=_array(out.degree_hours.sum(dim=1)),
        unmet_kwh=_array(out.unmet_kwh.sum(dim=1)),
        decision_seconds=np.full(len(seeds), trace.decision_seconds / len(seeds)),
        causes_eur=_array(torch.stack([vars(out.costs)[cause].sum(dim=1) for cause in CAUSES], dim=1)),
        money_eur=_array(torch.stack([role.sum(dim=1) for role in roles], dim=1)),
        power_kw=_array(power_kw(params, actual, out.energy_kwh)),
        loading=_array(out.flow.loading.amax(dim=2)),
        net_kw=_array(out.net_kwh / params.slot_hours),
        nomination_kw=_array((out.net_kwh - out.imbalance_kwh) / params.slot_hours),
        spot=_array(actual.spot),
        up=_array(actual.up),
        down=_array(actual.down),
    )


def power_kw(params: Params, scenario: Scenario, energy: Tensor) -> Tensor:
    """Return the consumption [D, T, kinds] kW by kind of a schedule `energy` [D, T, N] kWh in days `scenario`."""
    kind = torch.tensor([KINDS.index(KIND_OF.get(name, "other devices")) for name in params.kinds], dtype=torch.int64)
    base, sun = scenario.base_kwh.sum(dim=2), scenario.pv_kwh.sum(dim=2)
    power = energy.new_zeros(*base.shape, len(KINDS)).index_add(2, kind.to(energy.device), energy)
    power[..., KINDS.index("base load")] += base
    power[..., KINDS.index("photovoltaics")] -= sun
    return power / params.slot_hours


def _array(values: Tensor) -> Array:
    return values.detach().cpu().double().numpy()
