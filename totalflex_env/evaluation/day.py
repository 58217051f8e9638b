"""One day of an environment whose devices are left to their own controllers: plain arrays to print and to draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from totalflex_env.engine.build import World, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.engine.scripted import Untraded
from totalflex_env.evaluation.protocol import LOADING_TOLERANCE
from totalflex_env.evaluation.results import CAUSES, Array

IDLE_KWH = 1e-6
"""Energy below which a device is taken to stand still."""


@dataclass(frozen=True)
class ShownDay:
    """What happened on a day of T slots to P houses and N devices, by default schedules; L grid elements, M nodes."""

    name: str  # of the environment
    seed: int
    start_hour: int
    slot_hours: float
    kinds: tuple[str, ...]  # N, kind of every device, those of a kind side by side
    elements: tuple[str, ...]  # L, names
    spot: Array  # [T] EUR/kWh, and so the next two
    up: Array
    down: Array
    temperature: Array  # [T] outdoors, degrees Celsius
    wind_kw: Array  # [T]
    pv_kw: Array  # [T] of all houses
    base_kw: Array  # [T] inflexible consumption of all houses
    device_kw: Array  # [T, N]
    free: NDArray[np.bool_]  # [T, N] whether a device could choose what to take, had it waited until then or not
    net_kw: Array  # [T] consumption less PV less wind
    loading: Array  # [T, L] share of the rating
    voltage: Array  # [T, M] p.u.
    costs_eur: dict[str, float]  # by cause

    @property
    def slots(self) -> int:
        """T."""
        return len(self.spot)

    @property
    def houses(self) -> Array:
        """Consumption less PV of all houses [T] kW: what flows through the transformer, but for losses."""
        flow: Array = self.net_kw + self.wind_kw
        return flow

    def of_kind(self, kind: str) -> NDArray[np.intp]:
        """Return the indices of the devices of a kind."""
        return np.flatnonzero(np.array(self.kinds) == kind)

    def worst_element(self) -> int:
        """Return the index of the transformer or line loaded most."""
        return int(self.loading.max(axis=0).argmax())

    def overload_minutes(self) -> float:
        """Return the minutes in which some element is above its rating."""
        over = (self.loading > 1.0 + LOADING_TOLERANCE).any(axis=1)
        return float(over.sum()) * 60.0 * self.slot_hours


def live(world: World, seed: int) -> ShownDay:
    """Return the day that `seed` draws, every device doing what its own controller does, no market."""
    params, alone = world.params, Untraded(lambda situation: situation.default)
    episode = nominate(params, draw(world, [seed]), alone)
    trace = rollout(params, episode, alone)
    waiting = rollout(params, episode, Untraded(lambda situation: situation.lower))
    outcomes, actual = trace.outcomes, episode.actual
    hours, order = params.slot_hours, by_kind(params.kinds)
    return ShownDay(
        name=params.config.name,
        seed=seed,
        start_hour=params.config.scenario.start_hour,
        slot_hours=hours,
        kinds=tuple(params.kinds[device] for device in order),
        elements=params.grid.element_names,
        spot=_row(actual.spot),
        up=_row(actual.up),
        down=_row(actual.down),
        temperature=_row(actual.temperature),
        wind_kw=_row(actual.wind_kwh) / hours,
        pv_kw=_row(actual.pv_kwh).sum(axis=1) / hours,
        base_kw=_row(actual.base_kwh).sum(axis=1) / hours,
        device_kw=_row(outcomes.energy_kwh)[:, order] / hours,
        free=(_free(trace) | _free(waiting))[:, order],
        net_kw=_row(outcomes.net_kwh) / hours,
        loading=_row(outcomes.flow.loading),
        voltage=_row(outcomes.flow.voltage),
        costs_eur={cause: float(vars(outcomes.costs)[cause].sum()) for cause in CAUSES},
    )


def by_kind(kinds: tuple[str, ...]) -> list[int]:
    """Return the indices of all devices in the order of the engine, but those of a kind side by side."""
    first = {kind: kinds.index(kind) for kind in kinds}
    return sorted(range(len(kinds)), key=lambda device: first[kinds[device]])


def _free(trace: Trace) -> NDArray[np.bool_]:
    """Where [T, N] devices had a choice."""
    return _row(trace.decisions.upper) - _row(trace.decisions.lower) > IDLE_KWH


def _row(values: Tensor) -> Array:
    """The only row of a batch."""
    array: Array = values[0].detach().cpu().double().numpy()
    return array
