"""Storages: stationary batteries with losses, and vehicles present for one session or several in a row.

Stored energy follows stored' = stored + charge_efficiency * drawn - given / discharge_efficiency. In each session a
vehicle begins with what it arrives with and asks for `need_kwh` at departure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.batch import concatenate_rows
from totalflex_env.devices import storage_bid, storage_offer, storage_program
from totalflex_env.devices.bidding import Bid, View
from totalflex_env.devices.family import Discomfort, Family, Range, Rest, Weather
from totalflex_env.devices.sessions import Sessions, coming, known, side_by_side
from totalflex_env.devices.storage_park import Parks
from totalflex_env.linear_types import LinearBlock
from totalflex_env.trade_types import FlexOfferBatch


@dataclass(frozen=True)
class Stored:
    """What storages hold at the start of a slot."""

    stored_kwh: Tensor  # [B, n]


@dataclass(frozen=True)
class Storage(Family[Sessions, Stored, None]):
    """Batteries, and vehicles as storages that are present during sessions."""

    charge_kwh: Tensor  # [n] most energy per slot drawn from the grid
    discharge_kwh: Tensor  # [n] most energy per slot given back, 0 for a charger without V2G
    capacity_kwh: Tensor  # [n] what the storage can hold
    charge_efficiency: Tensor  # [n]
    discharge_efficiency: Tensor  # [n]
    unmet_price: Tensor  # [n] EUR per kWh missing at departure
    session: Tensor  # [n] bool, present only between arrival and departure
    beyond_need: Tensor  # [n] bool, may be charged beyond its need, up to its capacity
    sure_kwh: Tensor  # [n] energy per slot that can be counted on, less than full power behind a shared connection
    park: Tensor  # [n] int64, index of the shared connection, -1 for none
    connection_kwh: Tensor  # [G] energy per slot that each shared connection carries

    def range_kwh(self) -> tuple[Tensor, Tensor]:
        """Return full discharge and full charge [n] kWh."""
        return -self.discharge_kwh, self.charge_kwh

    @classmethod
    def joined(cls, parts: Sequence[Storage]) -> Storage:
        """Return the storages of several kinds as one record, shared connections counted on."""
        before, numbered = 0, []
        for part in parts:
            numbered.append(replace(part, park=torch.where(part.park < 0, part.park, part.park + before)))
            before += len(part.connection_kwh)
        return concatenate_rows(numbered)

    @staticmethod
    def side_by_side(habits: Sequence[Sessions]) -> Sessions:
        """Return the sessions of several kinds of storages as one record, padded to the same number of sessions."""
        return side_by_side(habits)

    def present(self, actual: Sessions, expected: Sessions, slot: int, slots: int) -> Sessions:
        """Return the sessions that have begun as they are, the others as expected; overdue ones come in the next slot.

        A late vehicle stays as long as it needs. One that has not come before the end of an expected session is not
        expected any more where further sessions follow, and none is expected before the one that is there leaves.
        """
        return known(actual, expected, (slot, slots), self.charge_kwh * self.charge_efficiency)

    def known(self, actual: Sessions, expected: Sessions, weather: Weather, slot: int) -> Sessions:
        """Return the same as `present`: sessions have nothing to do with the weather."""
        return self.present(actual, expected, slot, weather.temperature.shape[1])

    def news(self, present: Sessions, slot: int) -> Tensor | None:
        """Return in which rows [B] bool a vehicle has just arrived."""
        return ((present.arrival == slot) & (present.departure > slot)).flatten(1).any(dim=1)

    def without(self, habits: Sessions, there: Tensor) -> Sessions:
        """Return sessions that end as they begin, of storages that are empty, where none is there."""
        here = there[:, None]
        return Sessions(
            arrival=habits.arrival,
            departure=torch.where(here, habits.departure, habits.arrival),
            need_kwh=torch.where(here, habits.need_kwh, 0.0),
            stored_kwh=torch.where(here, habits.stored_kwh, 0.0),
        )

    def start(self, habits: Sessions) -> Stored:
        """Return what storages hold before anything happens: what their first session begins with."""
        return Stored(habits.stored_kwh[:, 0])

    def stored(self, state: Stored, habits: Sessions, slot: int) -> Tensor:
        """Return what is stored [B, n] kWh at the start of `slot`: a session that begins brings its own energy."""
        if habits.arrival.shape[1] == 1:
            return state.stored_kwh
        begins = habits.arrival == slot
        return torch.where(begins.any(dim=1), (habits.stored_kwh * begins).sum(dim=1), state.stored_kwh)

    def limits(self, state: Stored, habits: Sessions, guard: None, slot: int) -> Range:
        """Return the range that keeps the need feasible; left alone a vehicle charges at once, a battery idles."""
        session, stored = coming(habits, slot), self.stored(state, habits, slot)
        floor, ceiling = self.level_bounds(session, slot)
        lower = torch.minimum(torch.maximum(self.grid_energy(floor - stored), -self.discharge_kwh), self.charge_kwh)
        upper = self.grid_energy((ceiling - stored).clamp(min=0.0))
        upper = torch.maximum(torch.minimum(upper, self.charge_kwh), lower)
        here = (session.arrival <= slot) & (slot < session.departure)
        lower, upper = torch.where(here, lower, 0.0), torch.where(here, upper, 0.0)
        wanted = torch.where(self.session, self.grid_energy((session.need_kwh - stored).clamp(min=0.0)), 0.0)
        return Range(lower, upper, self.parks.shared(torch.minimum(torch.maximum(wanted, lower), upper), lower))

    def snap(self, energy: Tensor, allowed: Range) -> Tensor:
        """Return the energy [B, n] kWh nearest to the one asked for within limits and shared connections."""
        return self.parks.shared(torch.minimum(torch.maximum(energy, allowed.lower), allowed.upper), allowed.lower)

    def level_bounds(self, session: Sessions, slot: int) -> tuple[Tensor, Tensor]:
        """Return the stored energy [B, n] after `slot` that still allows for the need, and the most to be stored."""
        slots_left = (session.departure - slot - 1).clamp(min=0)
        reachable = slots_left * self.sure_kwh * self.charge_efficiency
        promised = self.parks.promised(session.need_kwh, session.stored_kwh, session.departure - session.arrival)
        return (promised - reachable).clamp(min=0.0), self.ceiling(session.need_kwh)

    def floors(self, rest: Rest[Sessions, Stored, None]) -> Tensor:
        """Return what vehicles in parks hold at least [K, n, T] kWh after each slot if all is as known."""
        slot, first = torch.arange(rest.slots), rest.slot
        now = self.stored(rest.state, rest.habits, first)
        arrival, departure, need, stored = (part[0] for part in vars(rest.habits).values())
        promised, sure = self.parks.promised(need, stored, departure - arrival), self.parks.sure_kwh[:, None]
        begun = arrival <= first
        since = slot - torch.where(begun, first, arrival)[..., None] + 1
        within = torch.where(begun, now, stored)[..., None] + since * sure
        floor = torch.minimum(promised[..., None] - (departure[..., None] - slot - 1) * sure, within).clamp(min=0.0)
        here = (arrival[..., None] <= slot) & (slot < departure[..., None]) & (slot >= first)
        return torch.where(here & (self.park >= 0)[:, None], floor, 0.0)

    def ceiling(self, need_kwh: Tensor) -> Tensor:
        """Return the most that may be stored [..., n] kWh by storages with these needs [..., n]."""
        return torch.where(self.session & ~self.beyond_need, need_kwh, self.capacity_kwh)

    def grid_energy(self, change: Tensor) -> Tensor:
        """Return the energy at the house that changes the stored energy by `change` [..., n] kWh."""
        return torch.where(change > 0.0, change / self.charge_efficiency, change * self.discharge_efficiency)

    def gain(self, energy: Tensor) -> Tensor:
        """Return by how much `energy` [..., n] kWh at the house changes what is stored."""
        charged = energy.clamp(min=0.0) * self.charge_efficiency
        return charged + energy.clamp(max=0.0) / self.discharge_efficiency

    def advance(self, state: Stored, energy: Tensor, habits: Sessions, slot: int) -> Stored:
        """Return what is stored after a slot in which `energy` [B, n] kWh was drawn."""
        return Stored(self.stored(state, habits, slot) + self.gain(energy))

    def discomfort(self, after: Stored, habits: Sessions, slot: int, slot_hours: float) -> Discomfort:
        """Return what vehicles that leave at the end of the slot are missing."""
        leaving = (habits.departure == slot + 1) & self.session
        missing = torch.where(leaving, (habits.need_kwh - after.stored_kwh[:, None]).clamp(min=0.0), 0.0).sum(dim=1)
        return Discomfort(cost=missing * self.unmet_price, unmet_kwh=missing)

    def shortfall(self, end: Stored, habits: Sessions) -> Tensor | None:
        """Return the energy [B, n] kWh that refills batteries; vehicles are judged by their needs alone."""
        missing = (habits.stored_kwh[:, 0] - end.stored_kwh).clamp(min=0.0)
        return missing / self.charge_efficiency * ~self.session

    def offer(self, rest: Rest[Sessions, Stored, None]) -> FlexOfferBatch:
        """Offer each storage that is present any power until it leaves, with bounds on what it stores."""
        session = coming(rest.habits, rest.slot)
        alone, states = self.left_alone(rest)
        return storage_offer.offer(
            storage_offer.Stay(
                slot=rest.slot,
                house=self.house,
                arrival=session.arrival[0],
                departure=session.departure[0],
                need_kwh=session.need_kwh[0],
                now_kwh=self.stored(rest.state, rest.habits, rest.slot)[0],
                ceiling_kwh=self.ceiling(session.need_kwh[0]),
                default=alone,
                stored_kwh=torch.stack([state.stored_kwh[0] for state in states], dim=1),
                most_kwh=self.parks.fair(self.charge_kwh, alone),
                floor_kwh=self.floors(rest).sum(dim=0)[:, rest.slot :],
            ),
            self._rates(),
        )

    def linear(self, rest: Rest[Sessions, Stored, None]) -> LinearBlock:
        """Return the storages as a linear program; see `storage_program`."""
        habits, now = rest.habits, self.stored(rest.state, rest.habits, rest.slot)[0]
        time, departure, need = torch.arange(rest.slots), habits.departure[0], habits.need_kwh[0]
        begin = torch.where((habits.arrival[0] <= rest.slot) | ~self.session, now, habits.stored_kwh[0])
        due = (departure > rest.slot) & (departure <= rest.slots)
        refill = rest.spot.mean().clamp(min=0.0) / self.charge_efficiency
        here = (habits.arrival[0, ..., None] <= time) & (time < departure[..., None])
        return storage_program.linear(
            storage_program.Task(
                slot=rest.slot,
                here=here & (time >= rest.slot),
                begins=(habits.arrival[0, ..., None] == time) & (time > rest.slot),
                ends=time == departure[..., None] - 1,
                now=now,
                begin=begin,
                floor=self.floors(rest),
                ceiling=torch.maximum(self.ceiling(need), begin),
                target=torch.where(self.session, need * due, habits.stored_kwh[0]),
                price=torch.where(self.session, self.unmet_price * due, refill),
                wasteful=rest.wasteful,
                member=self.parks.members(),
                connection_kwh=self.connection_kwh,
            ),
            self._rates(),
        )

    def value(self, expected: Sessions, spot: Tensor) -> Tensor | None:
        """Return the marginal value [B, T + 1, n, LEVELS] EUR/kWh of what batteries store; vehicles have needs."""
        store = storage_bid.Store(self._rates(), self.capacity_kwh, expected.stored_kwh[:, 0])
        return storage_bid.battery_values(self.session, store, spot)

    def bid(self, view: View[Sessions, Stored]) -> Bid:
        """Return bids: a vehicle pays what charging later would cost, a battery what its energy will be worth."""
        store = storage_bid.Store(self._rates(), self.capacity_kwh, view.state.stored_kwh)
        return storage_bid.bids(self.needs(view), store, view)

    def needs(self, view: View[Sessions, Stored]) -> storage_bid.Needs:
        """Return what vehicles need in the session they are in, or else in the next one."""
        session = coming(view.present, view.slot)
        stored = torch.where(session.arrival < view.slot, view.state.stored_kwh, session.stored_kwh)
        missing = (session.need_kwh - stored).clamp(min=0.0) / self.charge_efficiency
        return storage_bid.Needs(
            arrival=session.arrival,
            departure=session.departure,
            missing_kwh=torch.where((session.departure > view.slot) & self.session, missing, 0.0),
            charge_kwh=self.sure_kwh,
            unsure_price=torch.where(self.park >= 0, self.unmet_price, -torch.inf),
            session=self.session,
        )

    @property
    def parks(self) -> Parks:
        """Which storages share connections."""
        return Parks(self.park, self.connection_kwh, self.sure_kwh * self.charge_efficiency)

    def _rates(self) -> storage_program.Rates:
        return storage_program.Rates(
            self.charge_kwh, self.discharge_kwh, self.charge_efficiency, self.discharge_efficiency
        )
