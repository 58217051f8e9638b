"""The flex-offer engine: aggregation, disaggregation, price optimum and scheduling of fleets.

Seconds are processor time of one thread, so they hold on a busy machine, and two cores are at least as fast. Rivals are
HiGHS with one thread on the same linear programs, at a size that it can solve and per device, which favours it: its
time grows faster than the size. The public Java aggregator is not run here; its rate is quoted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks import fleets, linear_program
from benchmarks.figures import Figure, cpu_seconds
from totalflex_env.flexoffer.aggregate import aggregate
from totalflex_env.flexoffer.disaggregate import disaggregate
from totalflex_env.flexoffer.exact import ExactAggregate, aggregate_exact
from totalflex_env.flexoffer.members import join
from totalflex_env.flexoffer.objective import Objective, objective
from totalflex_env.flexoffer.schedule import Schedule, schedule
from totalflex_env.flexoffer.start_alignment import split
from totalflex_env.flexoffer.support import respond

MILLION = 1_000_000
JAVA_ALIGN_S, JAVA_SPLIT_S = 12.6, 12.8
"""Seconds that the public aggregator took for a million such offers, measured once and quoted here."""

JAVA = "AAU flexoffer_manager (Java), quoted: 1e6 offers, warm, one thread of a 2-core Xeon"

SMALL = 200  # devices that HiGHS solves in seconds


def figures(full: bool) -> Iterator[Figure]:
    """Yield every figure; the full form repeats more often and gives HiGHS a larger program."""
    repeats = 5 if full else 1
    yield from _start_alignment(repeats)
    yield from _vehicles(repeats)
    yield from _storages(repeats)
    yield from _schedule(5_000 if full else 1_000)
    yield _growth(9 if full else 3)


def _start_alignment(repeats: int) -> Iterator[Figure]:
    offers = fleets.profiles(MILLION, seed=1)
    aligned = aggregate(offers)
    start, energy = aligned.offers.latest, 0.5 * (aligned.offers.lower + aligned.offers.upper)
    seconds = cpu_seconds(lambda: aggregate(offers), repeats)
    yield Figure("start_align_s:1e6", seconds, "s", "lower", JAVA_ALIGN_S / 20, JAVA_ALIGN_S, JAVA)
    seconds = cpu_seconds(lambda: split(aligned, start, energy), repeats)
    yield Figure("start_disaggregate_s:1e6", seconds, "s", "lower", JAVA_SPLIT_S / 20, JAVA_SPLIT_S, JAVA)


def _vehicles(repeats: int) -> Iterator[Figure]:
    fleet, prices = fleets.vehicles(MILLION, seed=2), _prices(8)
    seconds = cpu_seconds(lambda: aggregate_exact(fleets.vehicle_members(fleet)), repeats)
    yield Figure("exact_aggregate_s:1e6_ev", seconds, "s", "lower", 2.0)
    together = aggregate_exact(fleets.vehicle_members(fleet))
    rival, name = _alone(fleets.vehicles(SMALL, seed=2), MILLION)
    seconds = cpu_seconds(lambda: respond(together, prices[:1]), 5)
    yield Figure("price_optimum_ms:1e6_ev", 1e3 * seconds, "ms", "lower", 5.0, 1e3 * rival, name)
    profile = respond(together, prices).mean(0)
    seconds = cpu_seconds(lambda: disaggregate(together, profile), repeats)
    yield Figure("disaggregate_s:1e6x96", seconds, "s", "lower", 5.0)


def _storages(repeats: int) -> Iterator[Figure]:
    for count, name in ((10_000, "1e4_storage"), (100_000, "1e5_storage")):
        together = aggregate_exact(fleets.storage_members(fleets.storages(count, seed=3)))
        rival, rival_name = _alone(fleets.storages(SMALL, seed=3), count)
        seconds = cpu_seconds(partial(respond, together, _prices(1)), repeats)
        yield Figure(f"price_optimum_s:{name}", seconds, "s", "lower", count * 2e-5, rival, rival_name)


def _schedule(small: int) -> Iterator[Figure]:
    """Schedule 100,000 mixed devices against a profile, and compare devices per second with HiGHS."""
    together, target = _mixed(100_000)
    found: list[Schedule] = []
    seconds = cpu_seconds(lambda: found.append(schedule(together, target)), 1)
    _, rival = linear_program.schedule(_mixed(small)[1], *_fleets(small))
    ours, theirs = 100_000 / seconds, small / rival
    name = f"HiGHS, its {theirs:.0f} devices/s at {small} devices as 1; ours are {ours:.0f}"
    yield Figure("schedule_vs_highs_ratio:1e5_mixed", ours / theirs, "x", "higher", 100.0, 1.0, name)
    yield Figure("schedule_gap:1e5_mixed", found[-1].gap, "1", "lower", 1e-3)


def _growth(pairs: int) -> Figure:
    """Return the worst growth of time over all operations when there are twice as many devices.

    Both sizes take turns, so that what else the machine does weighs on both alike, and the median pair counts.
    """
    cases = ((_align, 250_000), (_exact, 250_000), (_answer, 20_000), (_divide, 100_000), (_plan, 20_000))
    growths = []
    for made, count in cases:
        once, twice = made(count), made(2 * count)
        once(), twice()
        growths.append(statistics.median(1.0 / _seconds(once) * _seconds(twice) for _ in range(pairs)))
    return Figure("growth:2n_over_n", max(growths), "1", "lower", 2.2)


def _seconds(function: Callable[[], object]) -> float:
    """Return the processor time in seconds of one call, not warmed up."""
    began = time.process_time()
    function()
    return time.process_time() - began


def _align(count: int) -> Callable[[], object]:
    offers = fleets.profiles(count, seed=4)
    return lambda: aggregate(offers)


def _exact(count: int) -> Callable[[], object]:
    fleet = fleets.vehicles(count, seed=4)
    return lambda: aggregate_exact(fleets.vehicle_members(fleet))


def _answer(count: int) -> Callable[[], object]:
    together = aggregate_exact(fleets.storage_members(fleets.storages(count, seed=4)))
    return lambda: respond(together, _prices(1))


def _divide(count: int) -> Callable[[], object]:
    together = aggregate_exact(fleets.vehicle_members(fleets.vehicles(count, seed=4)))
    profile = respond(together, _prices(8)).mean(0)
    return lambda: disaggregate(together, profile)


def _plan(count: int) -> Callable[[], object]:
    together, target = _mixed(count)
    return lambda: schedule(together, target)


def _alone(fleet: fleets.Storing, count: int) -> tuple[float, str]:
    """Return the seconds HiGHS would take for the price optimum of `count` devices, from those of a small fleet."""
    free = objective(_prices(1)[0], torch.zeros(fleets.SLOTS))
    small = len(fleet.window[0])
    _, seconds = linear_program.schedule(free, [fleet], [])
    return seconds * count / small, f"HiGHS, extrapolated from {small} devices"


def _fleets(count: int) -> tuple[list[fleets.Storing], list[fleets.Shiftable]]:
    """Return three vehicles for each storage and each programme."""
    fifth = count // 5
    storing = [fleets.vehicles(count - 2 * fifth, seed=5), fleets.storages(fifth, seed=6)]
    return storing, [fleets.programmes(fifth, seed=7)]


def _mixed(count: int) -> tuple[ExactAggregate, Objective]:
    """Return a mixed fleet and an imbalance that it can follow in part: wind less load, with prices on top."""
    (cars, batteries), (machines,) = _fleets(count)
    parts = [fleets.vehicle_members(cars)]
    parts.append(fleets.storage_members(batteries, first=len(cars.window[0])))
    parts.append(fleets.programme_members(machines, first=count - len(machines.profile)))
    together = aggregate_exact(join(parts))
    hours = torch.arange(fleets.SLOTS, dtype=torch.float64) / 4
    target = count * (0.6 + 0.5 * torch.sin(0.5 * hours) + 0.2 * torch.sin(2.1 * hours))
    return together, objective(_prices(1)[0], target, above=0.3, below=0.2)


def _prices(count: int) -> Tensor:
    """Return prices [count, T] EUR/kWh around 0.1, some below zero."""
    draw = torch.Generator().manual_seed(8)
    return 0.1 + 0.08 * torch.randn(count, fleets.SLOTS, dtype=torch.float64, generator=draw)
