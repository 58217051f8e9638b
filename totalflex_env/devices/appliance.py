"""Appliances: programmes that run whole, without a pause, each started inside a window of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.batch import concatenate_rows, take_rows
from totalflex_env.devices import appliance_bid
from totalflex_env.devices.bidding import Bid, View
from totalflex_env.devices.family import Discomfort, Family, Range, Rest, Weather
from totalflex_env.devices.offering import fixed
from totalflex_env.linear_types import LinearBlock, energy_map, flat, matrix, places
from totalflex_env.trade_types import FlexOfferBatch

NEVER = 2**31 - 1
"""The slot in which a programme starts that has not started."""


@dataclass(frozen=True)
class Windows:
    """When machines are loaded, and with what; R runs one after the other, whose windows do not touch."""

    ready: Tensor  # [B, R, n] int64, first slot in which the programme may start, NEVER if there is no run
    latest: Tensor  # [B, R, n] int64, last slot in which it may start
    programme: Tensor  # [B, R, n] int64, which of the machine's programmes


@dataclass(frozen=True)
class Started:
    """Which programmes run or have run."""

    start: Tensor  # [B, R, n] int64, slot in which the programme started, NEVER while it has not


@dataclass(frozen=True)
class Appliance(Family[Windows, Started, None]):
    """Machines with up to M programmes of up to D slots."""

    profile_kwh: Tensor  # [n, M, D] energy per slot of each programme, padded with zeros
    duration: Tensor  # [n, M] int64, slots of each programme
    delay_price: Tensor  # [n] EUR per slot that a start is put off
    linked: Tensor  # [n] bool, runs are steps of one process and follow each other without fixed times

    @classmethod
    def joined(cls, parts: Sequence[Appliance]) -> Appliance:
        """Return several kinds as one record, programmes padded to the same number and length."""
        most, longest = (max(part.profile_kwh.shape[axis] for part in parts) for axis in (1, 2))

        def padded(part: Appliance) -> Appliance:
            more, longer = most - part.profile_kwh.shape[1], longest - part.profile_kwh.shape[2]
            profile = torch.nn.functional.pad(part.profile_kwh, (0, longer, 0, more))
            return replace(part, profile_kwh=profile, duration=torch.nn.functional.pad(part.duration, (0, more)))

        every = [padded(part) for part in parts]
        return Appliance(*(torch.cat(column) for column in zip(*(vars(part).values() for part in every))))

    @staticmethod
    def side_by_side(habits: Sequence[Windows]) -> Windows:
        """Return the windows of several kinds as one record, padded to the same number of runs."""
        most = max(each.ready.shape[1] for each in habits)

        def padded(parts: Sequence[Tensor], filler: int) -> Tensor:
            short = [torch.nn.functional.pad(part, (0, 0, 0, most - part.shape[1]), value=filler) for part in parts]
            return torch.cat(short, dim=-1)

        return Windows(
            ready=padded([each.ready for each in habits], NEVER),
            latest=padded([each.latest for each in habits], NEVER),
            programme=padded([each.programme for each in habits], 0),
        )

    def range_kwh(self) -> tuple[Tensor, Tensor]:
        """Return nothing and the highest slot of any programme [n] kWh."""
        highest = self.profile_kwh.flatten(1).amax(dim=1)
        return torch.zeros_like(highest), highest

    def present(self, actual: Windows, expected: Windows, slot: int, slots: int) -> Windows:
        """Return the windows of loaded machines as they are, others as expected; overdue ones in the next slot."""
        loaded = actual.ready <= slot
        ready = torch.minimum(expected.ready.clamp(min=slot + 1), expected.latest)
        return Windows(
            ready=torch.where(loaded, actual.ready, ready),
            latest=torch.where(loaded, actual.latest, expected.latest),
            programme=torch.where(loaded, actual.programme, expected.programme),
        )

    def known(self, actual: Windows, expected: Windows, weather: Weather, slot: int) -> Windows:
        """Return the same as `present`: machines have nothing to do with the weather."""
        return self.present(actual, expected, slot, weather.temperature.shape[1])

    def news(self, present: Windows, slot: int) -> Tensor | None:
        """Return in which rows [B] bool a machine has just been loaded."""
        return (present.ready == slot).flatten(1).any(dim=1)

    def without(self, habits: Windows, there: Tensor) -> Windows:
        """Return windows in which machines that are not there are never loaded."""
        ready, latest = (torch.where(there[:, None], part, NEVER) for part in (habits.ready, habits.latest))
        return replace(habits, ready=ready, latest=latest)

    def start(self, habits: Windows) -> Started:
        """Return the state before any programme has started."""
        return Started(torch.full_like(habits.ready, NEVER))

    def limits(self, state: Started, habits: Windows, guard: None, slot: int) -> Range:
        """Return the energy range of a slot, of which only the two ends can be taken; left alone a machine starts."""
        running = self._running(state, habits, slot)
        waiting = self.may_start(state, habits, slot)
        first = (self._profile(habits)[..., 0] * waiting).sum(dim=-2)
        must = (waiting & (habits.latest <= slot)).any(dim=-2)
        upper = torch.where(waiting.any(dim=-2), first, running)
        return Range(torch.where(must, first, running), upper, upper)

    def snap(self, energy: Tensor, allowed: Range) -> Tensor:
        """Return the end of the range [B, n] kWh that is nearer to `energy`: a programme starts or it does not."""
        nearer = energy - allowed.lower > 0.5 * (allowed.upper - allowed.lower)
        return torch.where(nearer, allowed.upper, allowed.lower)

    def advance(self, state: Started, energy: Tensor, habits: Windows, slot: int) -> Started:
        """Return the start slots after a slot in which `energy` [B, n] kWh was used."""
        begins = self.may_start(state, habits, slot) & (energy > 0.0).unsqueeze(-2)
        return Started(torch.where(begins, slot, state.start))

    def discomfort(self, after: Started, habits: Windows, slot: int, slot_hours: float) -> Discomfort:
        """Return the price of programmes that wait although their machine is loaded."""
        return Discomfort(cost=loaded(after, habits, slot).sum(dim=1) * self.delay_price)

    def offer(self, rest: Rest[Windows, Started, None]) -> FlexOfferBatch:
        """Offer programmes that wait at any start in their window, and running ones as they run; one offer a run."""
        alone = self._runs(rest)
        if not bool(self.linked.any()):
            return alone
        chains = self._chains(rest, alone.lower.shape[1])
        return concatenate_rows([take_rows(alone, ~self.linked[alone.device]), take_rows(chains, self.linked)])

    def _runs(self, rest: Rest[Windows, Started, None]) -> FlexOfferBatch:
        """Offer every run at any start in its window; a profile is as long as the horizon."""
        slot, ready, latest = rest.slot, rest.habits.ready[0], rest.habits.latest[0]
        start, programme = rest.state.start[0], rest.habits.programme[0]
        runs, device = len(start), torch.arange(start.shape[1], device=start.device)
        waiting = (start >= slot) & (ready < NEVER)
        done = (slot - start).clamp(min=0)
        length = torch.where(waiting | (start < slot), self.duration[device, programme], 0)
        step = done[..., None] + torch.arange(self.profile_kwh.shape[2], device=device.device)
        longest = self.profile_kwh.shape[2] - 1
        rest_kwh = self.profile_kwh[device[:, None], programme[..., None], step.clamp(max=longest)]
        rest_kwh = torch.where(step < length[..., None], rest_kwh, 0.0)
        rest_kwh = torch.nn.functional.pad(rest_kwh, (0, max(rest.slots - slot - rest_kwh.shape[-1], 0)))
        earliest = torch.where(waiting, ready.clamp(min=slot), slot).flatten()
        slices = (length - done).clamp(min=0).flatten()
        return replace(
            fixed(slot, self.house.repeat(runs), slices, rest_kwh.flatten(0, 1)),
            device=device.repeat(runs),
            earliest=earliest,
            latest=torch.where(waiting.flatten(), torch.maximum(latest.flatten(), earliest), slot),
            default_start=earliest,
            price_shift=self.delay_price.repeat(runs),
            acceptance=earliest,
            assignment=earliest,
        )

    def _chains(self, rest: Rest[Windows, Started, None], width: int) -> FlexOfferBatch:
        """Offer all steps of a process together, later by as much as every one of them can be; not while one runs."""
        default, states = self.left_alone(rest)
        default = torch.nn.functional.pad(default, (0, width - default.shape[1]))
        start, window, slot = states[-1].start[0], rest.habits, rest.slot
        waiting, running = (start >= slot) & (start < NEVER), (default[:, 0] > 0.0) & (start != slot).all(dim=0)
        slack = torch.where(waiting, window.latest[0] - start, NEVER).amin(dim=0)
        movable = waiting.any(dim=0) & ~running
        first = torch.where(movable, torch.where(waiting, start, NEVER).amin(dim=0), slot)
        step = first[:, None] - slot + torch.arange(default.shape[1], device=start.device)
        profile = default.gather(1, step.clamp(max=default.shape[1] - 1)) * (step < default.shape[1])
        longest = (profile > 0.0) * torch.arange(1, default.shape[1] + 1, device=start.device)
        return replace(
            fixed(slot, self.house, longest.amax(dim=1), profile),
            earliest=first,
            latest=first + torch.where(movable, slack, 0),
            default_start=first,
            price_shift=self.delay_price * waiting.sum(dim=0),
            acceptance=first,
            assignment=first,
        )

    def linear(self, rest: Rest[Windows, Started, None]) -> LinearBlock:
        """Return the appliances as a linear program.

        Variables: whether a run starts in a slot [R, n, T + 1]; the last one means that it does not start at all.
        """
        slots, (runs, count), duration = rest.slots, rest.state.start.shape[1:], self.profile_kwh.shape[2]
        (begin,), (once, after) = places((runs, count, slots + 1)), places((runs, count), (runs - 1, count))
        ready, latest, started = (
            part[0, ..., None] for part in (rest.habits.ready, rest.habits.latest, rest.state.start)
        )
        time, step = torch.arange(slots + 1), torch.arange(duration)
        waiting = (time >= ready.clamp(min=rest.slot)) & (time <= latest.clamp(min=rest.slot, max=slots))
        possible = torch.where(started < rest.slot, time == started, waiting)
        possible[..., -1] |= ~possible.any(dim=-1)  # a run that does not take place
        within = (time[:, None] + step < slots).expand(runs, count, -1, -1)
        run, device, first, at = torch.nonzero(within, as_tuple=True)
        energy = self._profile(rest.habits)[0, run, device, at]
        price = self.delay_price[:, None] * (time - ready).clamp(min=0)
        # A run that never starts counts as one after the end, later than all runs before it.
        when = (
            (time + (time == slots) * (torch.arange(runs) * (duration + 1))[:, None]).double()[:, None].expand_as(begin)
        )
        before = rest.habits.programme[0, :-1], rest.habits.ready[0, :-1] == NEVER
        gap = torch.where(before[1], -torch.inf, self.duration[torch.arange(count), before[0]].double())
        return LinearBlock(
            cost=flat(price),
            lower=torch.zeros(begin.numel(), dtype=torch.float64),
            upper=flat(possible),
            integer=possible.flatten(),
            rows=matrix(
                (once[..., None], begin, 1.0),
                (after[..., None], begin[1:], when[1:]),
                (after[..., None], begin[:-1], -when[:-1]),
            ),
            row_lower=flat(torch.ones(runs * count), gap),
            row_upper=flat(torch.ones(runs * count), torch.full(gap.shape, torch.inf)),
            energy=energy_map((first + at, device, begin[run, device, first], energy)),
            row_names=(("one start of each run", once.numel()), ("one run after the other", after.numel())),
        )

    def value(self, expected: Windows, spot: Tensor) -> Tensor | None:
        """Return what every programme costs that starts in a slot [B, n, M, T] EUR, plus the delay since slot 0."""
        count, most, longest = self.profile_kwh.shape
        delay = self.delay_price.repeat_interleave(most)
        costs = appliance_bid.costs_of_starts(self.profile_kwh.reshape(1, -1, longest), spot, delay)
        return costs.reshape(len(spot), count, most, -1)

    def bid(self, view: View[Windows, Started]) -> Bid:
        """Return bids that pay for the first slot of a programme what a later start would cost more."""
        programme, latest = self._next_run(view)
        device = torch.arange(len(self.house), device=latest.device)
        best = appliance_bid.best_later(view.value, programme, latest, view.slot)
        first = self.profile_kwh[device, programme, 0]
        now = view.value[..., view.slot].gather(2, programme[..., None])[..., 0] - first * view.now[:, None]
        worth = ((best - now) / first).clamp(-view.price_cap, view.price_cap)
        return Bid(view.lower, worth, worth)

    def waiting(self, view: View[Windows, Started]) -> tuple[Tensor, Tensor]:
        """Return the programme [B, n, D] kWh of the run that may start now, else of the first, and its latest start."""
        programme, latest = self._next_run(view)
        return self.profile_kwh[torch.arange(len(self.house), device=latest.device), programme], latest

    def _next_run(self, view: View[Windows, Started]) -> tuple[Tensor, Tensor]:
        """Programme and latest start [B, n] of the run that may start now, else of the first."""
        run = self.may_start(view.state, view.present, view.slot).to(torch.int8).argmax(dim=1, keepdim=True)
        programme, latest = (part.gather(1, run)[:, 0] for part in (view.present.programme, view.present.latest))
        return programme, latest

    def start_costs(self, profile: Tensor, view: View[Windows, Started]) -> Tensor:
        """Return what `profile` [B, n, D] kWh costs at a start now and later [B, n, T - slot] EUR, delays included."""
        return appliance_bid.costs_of_starts(profile, view.spot[:, view.slot :], self.delay_price)

    def may_start(self, state: Started, habits: Windows, slot: int) -> Tensor:
        """Return which programmes may start in `slot` [B, R, n] bool: loaded, and the run before them has ended."""
        waiting = loaded(state, habits, slot)
        if waiting.shape[-2] == 1:
            return waiting
        duration = self.duration[torch.arange(len(self.house), device=waiting.device), habits.programme]
        ended = (state.start + duration <= slot) | (habits.ready == NEVER)
        return waiting & torch.cat([torch.ones_like(ended[..., :1, :]), ended[..., :-1, :]], dim=-2)

    def _profile(self, habits: Windows) -> Tensor:
        """Return the programmes that are to run [B, R, n, D] kWh."""
        if self.profile_kwh.shape[1] == 1:
            return self.profile_kwh[:, 0].expand(*habits.ready.shape, -1)
        return self.profile_kwh[torch.arange(len(self.house), device=self.house.device), habits.programme]

    def _running(self, state: Started, habits: Windows, slot: int) -> Tensor:
        """Return the energy [B, n] kWh of programmes that have started."""
        step, longest = slot - state.start, self.profile_kwh.shape[2]
        inside = (step >= 0) & (step < longest)
        profile = self._profile(habits).expand(*step.shape, -1)
        energy = profile.gather(-1, step.clamp(0, longest - 1).unsqueeze(-1)).squeeze(-1)
        return torch.where(inside, energy, 0.0).sum(dim=-2)


def loaded(state: Started, habits: Windows, slot: int) -> Tensor:
    """Return which programmes are loaded and have not started [B, R, n] bool."""
    return (state.start > slot) & (habits.ready <= slot)
