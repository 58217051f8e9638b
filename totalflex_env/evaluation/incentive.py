"""What a household earns with its flexibility in a year, by device and by comfort setting, from the ledger.

Days of all months are lived twice with the same seeds, with the market and without any activation. A house earns the
difference of its two accounts, which are its ledger's, less what it suffers: discomfort and missing stored energy. The
flexibility income of a house is split over its devices by the energy that each was awarded; what is bought and sold at
retail is the house's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.engine.scripted import Untraded
from totalflex_env.evaluation.statistics import Score, mean
from totalflex_env.types import Params
from totalflex_env.units import from_micro_eur, from_mwh_integer

DAYS_PER_YEAR = 365
EVERY_MONTH = tuple(range(1, 13))


@dataclass(frozen=True)
class Comfort:
    """How much a household lets its devices be moved."""

    name: str
    band_k: float  # of heat pumps, around the set-point
    ready_h: float  # local hour from which vehicles are to be ready; 24 is midnight


COMFORTS = (
    Comfort("careful", band_k=0.5, ready_h=27.5),
    Comfort("usual", band_k=1.0, ready_h=30.5),
    Comfort("generous", band_k=2.0, ready_h=32.5),
)


@dataclass(frozen=True)
class Incentive:
    """Means per device and year under one comfort setting, EUR; intervals are over the days."""

    comfort: str
    kind: str
    devices: int
    income_eur: Score  # flexibility income of the household, its aggregator's share taken off
    moved_kwh: float  # energy awarded, up and down alike


@dataclass(frozen=True)
class Household:
    """Means per house with devices and year under one comfort setting, EUR; intervals are over the days."""

    comfort: str
    gain_eur: Score  # with the market less without: ledger, discomfort and stored energy
    bill_eur: float  # change of its account alone
    discomfort_eur: float  # what it suffers more


def incentives(config: EnvConfig, seeds: Sequence[int]) -> tuple[list[Incentive], list[Household]]:
    """Return what devices and houses of an environment earn in a year, estimated from the days of `seeds`."""
    devices: list[Incentive] = []
    houses: list[Household] = []
    for comfort in COMFORTS:
        params, without, traded = _lives(config, comfort, seeds)
        devices += _by_device(comfort.name, params, traded)
        houses.append(_by_house(comfort.name, params, without, traded))
    return devices, houses


def device_income(params: Params, trace: Trace) -> Tensor:
    """Return the flexibility income [B, T, N] EUR that each device brings its house, before bookings are rounded.

    Awards are kept in a simulation, so what was awarded was delivered. Summed over a house it is what its aggregator
    books to it, to half a micro-EUR a booking.
    """
    decisions = trace.decisions
    nodal = from_micro_eur(decisions.balance_price[..., None] + decisions.grid_price)[..., params.house]
    return -nodal * from_mwh_integer(decisions.award_mwh) * (1.0 - params.config.market.aggregator_share)


def set_comfort(config: EnvConfig, comfort: Comfort) -> EnvConfig:
    """Return the environment on days of all months, its devices set to `comfort`."""
    devices, scenario = config.devices, config.scenario
    last = devices.ev.departure_last_hour - devices.ev.departure_first_hour + comfort.ready_h
    vehicles = {"departure_first_hour": comfort.ready_h, "departure_last_hour": last}
    kinds = {
        "heat_pump": devices.heat_pump.model_copy(update={"band_k": comfort.band_k}),
        "ev": devices.ev.model_copy(update=vehicles),
    }
    whole_year = scenario.model_copy(update={"months": EVERY_MONTH})
    return config.model_copy(update={"devices": devices.model_copy(update=kinds), "scenario": whole_year})


def _lives(config: EnvConfig, comfort: Comfort, seeds: Sequence[int]) -> tuple[Params, Trace, Trace]:
    """The days without activation, and with the market."""
    world = build(set_comfort(config, comfort))
    params, drawn = world.params, draw(world, seeds)
    both = (Untraded(lambda now: now.default), ScriptedPolicy())
    without, traded = (rollout(params, nominate(params, drawn, policy), policy) for policy in both)
    return params, without, traded


def _by_device(comfort: str, params: Params, traded: Trace) -> list[Incentive]:
    income, moved = device_income(params, traded), from_mwh_integer(traded.decisions.award_mwh).abs()
    found = []
    for kind in dict.fromkeys(params.kinds):
        own = torch.tensor([name == kind for name in params.kinds])
        count = int(own.sum())
        earned, shifted = (values[..., own].sum((1, 2)) * (DAYS_PER_YEAR / count) for values in (income, moved))
        found.append(Incentive(comfort, kind, count, mean(earned.numpy()), float(shifted.mean())))
    return found


def _by_house(comfort: str, params: Params, without: Trace, traded: Trace) -> Household:
    members = params.house.unique()
    yearly = DAYS_PER_YEAR / len(members)
    accounts = [from_micro_eur(trace.outcomes.ledger.balance[..., members]).sum((1, 2)) for trace in (without, traded)]
    gains = [trace.outcomes.rewards.prosumer[..., members].sum((1, 2)) for trace in (without, traded)]
    gain, bill = ((after - before).double() * yearly for before, after in (gains, accounts))
    return Household(comfort, mean(gain.numpy()), float(bill.mean()), float((bill - gain).mean()))
