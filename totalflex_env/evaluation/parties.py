"""What an independent aggregator's activations do to the suppliers of its customers, with positions adjusted or not.

The houses of a world are divided between two suppliers, in turn; a third balance responsible party buys the flexibility
of all of them, owns the wind and bought the rest of the nomination. The suppliers foresaw their customers but for the
flexibility: each bought their base and inflexible load. So whatever they lose or gain is the activation's doing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from totalflex_env.market.portfolios import Portfolios, settle_parties
from totalflex_env.market.settlement import Statement
from totalflex_env.types import Params
from totalflex_env.units import from_micro_eur, from_mwh_integer

PARTIES = ("first supplier", "second supplier", "buyer of flexibility")
BUYER = 2


@dataclass(frozen=True)
class Adjusted:
    """One party under one rule, means per day."""

    party: str
    corrected: bool  # whether positions are adjusted for what was activated
    imbalance_kwh: float  # in either direction
    account_eur: float


def adjusted(params: Params, said: Statement, days: int) -> list[Adjusted]:
    """Return what slots `said` [R, ...] of `days` days leave every party, without and with adjusted positions."""
    supplier = torch.arange(len(params.node)) % BUYER
    foreseen = torch.zeros(len(said.wind), len(PARTIES), dtype=torch.int64)
    foreseen = foreseen.index_add(1, supplier, said.base + said.fixed)
    foreseen[:, BUYER] = said.nomination - foreseen.sum(1)
    group = Portfolios(supplier, torch.full_like(supplier, BUYER), BUYER, foreseen)
    found = []
    for corrected in (False, True):
        accounts = settle_parties(params, said, group, corrected)
        energy = from_mwh_integer(accounts.imbalance.abs()).sum(0) / days
        money = from_micro_eur(accounts.balance).sum(0) / days
        found += [
            Adjusted(name, corrected, float(energy[party]), float(money[party])) for party, name in enumerate(PARTIES)
        ]
    return found
