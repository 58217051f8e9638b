"""Flex-offers of all kinds as one linear program, the oracle of exact aggregation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.optimize import linprog
from torch import Tensor

from totalflex_env.flexoffer.kinds import Members
from totalflex_env.flexoffer.offers import levels


@pytest.fixture(scope="session")
def oracle() -> Callable[[Members], Oracle]:
    return Oracle.of


@dataclass(frozen=True)
class Oracle:
    """All members as one linear program: bounded variables, rows between limits, and the profile they add up to.

    Programmes and movables may mix starts, each with a share: the convex hull of what they can do.
    """

    bounds: np.ndarray  # [V, 2]
    rows: np.ndarray  # [M, V]
    limits: np.ndarray  # [M, 2]
    load: np.ndarray  # [T, V]

    @staticmethod
    def of(members: Members) -> Oracle:
        parts = [*_linear_boxes(members), *_linear_chains(members), *_linear_starts(members)]
        return Oracle(
            np.concatenate([part[0] for part in parts]),
            block_diag(*[part[1] for part in parts]),
            np.concatenate([part[2] for part in parts]),
            np.concatenate([part[3] for part in parts], axis=1),
        )

    def support(self, direction: Tensor) -> float:
        """The most worth in EUR at a direction [T]."""
        found = self._solve(-direction.numpy() @ self.load, self.rows, self.limits)
        assert found.status == 0, found.message
        return float(-found.fun)

    def distance(self, profile: Tensor) -> float:
        """The least kWh by which a slot of a profile [T] must be missed."""
        miss = np.ones((len(self.load), 1))
        rows = block_diag(self.rows, np.zeros((0, 1)))
        rows = np.concatenate([rows, np.hstack([self.load, miss]), np.hstack([self.load, -miss])])
        above = np.stack([profile.numpy(), np.full(len(profile), np.inf)], axis=1)
        below = np.stack([np.full(len(profile), -np.inf), profile.numpy()], axis=1)
        limits = np.concatenate([self.limits, above, below])
        bounds = np.concatenate([self.bounds, [[0.0, np.inf]]])
        found = Oracle(bounds, rows, limits, self.load)._solve(np.eye(len(bounds))[-1], rows, limits)
        assert found.status == 0, found.message
        return float(found.fun)

    def contains(self, profile: Tensor) -> bool:
        """Whether a profile [T] kWh can be made, up to a millionth of a kWh."""
        return self.distance(profile) < 1e-6

    def _solve(self, cost, rows, limits):  # type: ignore[no-untyped-def]
        low, high = np.isfinite(limits[:, 0]), np.isfinite(limits[:, 1])
        both = np.concatenate([rows[high], -rows[low]]), np.concatenate([limits[high, 1], -limits[low, 0]])
        return linprog(cost, A_ub=both[0], b_ub=both[1], bounds=self.bounds, method="highs")


Linear = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _linear_boxes(members: Members) -> list[Linear]:
    one, parts = np.eye(members.slots), []
    for lower, upper in zip(members.boxes.lower.numpy() / 1e9, members.boxes.upper.numpy() / 1e9):
        parts.append((np.stack([lower, upper], 1), one[:0], one[:0, :2], one))
    cars, slot = members.vehicles, np.arange(members.slots)
    for row in range(len(cars.offer)):
        inside = (slot >= int(cars.arrival[row])) & (slot < int(cars.departure[row]))
        bounds = np.stack([0.0 * slot, inside * float(cars.power[row]) / 1e9], 1)
        total = np.array([[float(cars.least[row]), float(cars.most[row])]]) / 1e9
        parts.append((bounds, np.ones((1, members.slots)), total, one))
    return parts


def _linear_chains(members: Members) -> list[Linear]:
    slots, parts = members.slots, []
    slot, store, heat = np.arange(slots), members.storages, members.chains
    for row in range(len(store.offer)):
        inside = (slot >= int(store.arrival[row])) & (slot < int(store.departure[row]))
        bounds = np.stack([inside * -float(store.discharge[row]), inside * float(store.charge[row])], 1)
        level = np.array([[float(store.level_lower[row]), float(store.level_upper[row])]] * slots)
        final = np.array([[float(store.final_lower[row]), float(store.final_upper[row])]])
        rows = np.tril(np.ones((slots, slots)))
        parts.append((bounds, np.vstack([rows, rows[-1:]]), np.vstack([level, final]), np.eye(slots)))
    for row in range(len(heat.offer)):
        gain = heat.gains[heat.profile[row]].numpy()
        rows = np.tril(float(heat.retention[row]) ** (slot[:, None] - slot).clip(0)) * gain
        bounds = np.stack([heat.lower[row].numpy(), heat.upper[row].numpy()], 1)
        level = np.stack([heat.level_lower[row].numpy(), heat.level_upper[row].numpy()], 1)
        parts.append((bounds, rows, level, np.eye(slots)))
    return parts


def _linear_starts(members: Members) -> list[Linear]:
    slots, parts = members.slots, []
    shift = members.programmes
    for row in range(len(shift.offer)):
        shape, window = shift.shapes[shift.shape[row]].numpy() / 1e9, (int(shift.earliest[row]), int(shift.latest[row]))
        starts = range(window[0], window[1] + 1)
        load = np.stack([np.concatenate([np.zeros(s), shape, np.zeros(slots)])[:slots] for s in starts], 1)
        share = np.array([[0.0, 1.0]] * len(starts))
        parts.append((share, np.ones((1, len(starts))), np.array([[1.0, 1.0]]), load))
    offers = members.movables.offers
    low, high = levels(offers)
    for row in range(len(offers.slices)):
        width, starts = int(offers.slices[row]), range(int(offers.earliest[row]), int(offers.latest[row]) + 1)
        each, sums = width + 1, np.tril(np.ones((width, width)))  # variables of a start: its energies and its share
        limits = [offers.lower[row, :width], offers.upper[row, :width], low[row, :width], high[row, :width]]
        lower, upper, least, most = (limit.numpy() for limit in limits)
        finite = np.isfinite(least), np.isfinite(most)
        block = np.vstack(
            [
                np.hstack([np.eye(width), -lower[:, None]]),
                np.hstack([-np.eye(width), upper[:, None]]),
                np.hstack([sums[finite[0]], -least[finite[0], None]]),
                np.hstack([-sums[finite[1]], most[finite[1], None]]),
            ]
        )
        rows = np.vstack([block_diag(*[block] * len(starts)), np.tile(np.eye(each)[-1], len(starts))])
        room = np.vstack([np.array([[0.0, np.inf]] * (len(rows) - 1)), [[1.0, 1.0]]])
        load = np.zeros((slots, each * len(starts)))
        for number, start in enumerate(starts):
            load[start : start + width, number * each : number * each + width] = np.eye(width)
        bounds = np.array(([[-np.inf, np.inf]] * width + [[0.0, 1.0]]) * len(starts))
        parts.append((bounds, rows, room, load))
    return parts
