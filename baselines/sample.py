"""Prices of a whole program from a sample of its devices, each of which stands for several."""

from __future__ import annotations

import highspy
import numpy as np
from scipy.sparse import csr_array, vstack

from baselines.crowds import NOBODY, Split
from baselines.solver import Array, Index, quiet
from totalflex_env.errors import PhysicsError
from totalflex_env.types import Params

SAMPLE = 300
"""Groups of devices in a sample, roughly."""


def first_price(whole: Split, params: Params) -> Array:
    """Return the prices [S] of the rows that tie devices together when a sample of the devices stands for all.

    Whole numbers count as any numbers. Groups of one kind in one house stand for each other.
    """
    groups = np.unique(whole.group[whole.group != NOBODY])
    stands = np.zeros(int(whole.group.max()) + 2)  # for how many groups, and 1 for the grid and the market
    for members in _alike(groups, params):
        count = max(1, -(-len(members) * SAMPLE // len(groups)))
        picked = members[np.linspace(0, len(members) - 1, min(count, len(members))).round().astype(np.int64)]
        stands[picked] = len(members) / len(picked)
    stands[NOBODY] = 1.0
    columns, rows = np.flatnonzero(stands[whole.group] > 0.0), np.flatnonzero(stands[whole.row_group] > 0.0)
    weight = stands[whole.group[columns]]
    tie = csr_array(whole.tie[:, columns]) * weight
    matrix = csr_array(vstack([tie, whole.own[rows][:, columns]]))
    lower, upper = (np.append(tied, own[rows]) for tied, own in zip(whole.tie_bounds, whole.own_bounds))
    model = quiet()
    model.addVars(len(columns), whole.lower[columns], whole.upper[columns])
    model.changeColsCost(len(columns), np.arange(len(columns), dtype=np.int32), whole.cost[columns] * weight)
    model.addRows(len(lower), lower, upper, matrix.nnz, matrix.indptr[:-1], matrix.indices, matrix.data)
    model.run()
    if model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise PhysicsError(f"the sample allows no plan: {model.modelStatusToString(model.getModelStatus())}")
    return whole.proper(np.asarray(model.getSolution().row_dual)[: tie.shape[0]])


def _alike(groups: Index, params: Params) -> list[Index]:
    """Return the groups, numbered by their first device, by kind and house."""
    strata: dict[tuple[str, int], list[int]] = {}
    house = params.house.tolist()
    for group in groups.tolist():
        strata.setdefault((params.kinds[group], house[group]), []).append(group)
    return [np.array(members) for members in strata.values()]
