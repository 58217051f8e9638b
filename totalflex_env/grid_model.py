"""The grid as records of tensors: what a radial grid is, how it responds to power at its nodes, and what that breaks.

Letters in the shapes: B rows, K operating points, M nodes (every supplied bus but the slack; fused buses are one node),
E elements (lines, then transformers). Power is consumption, in kW, kvar and kVA; voltages are magnitudes in p.u.; a
loading of 1 is the rating. A last axis of 2 holds the real and the imaginary part of complex p.u. quantities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Index: TypeAlias = NDArray[np.int64]
Real: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RadialTree:
    """The same grid as a tree: M nodes in the order of a walk from the slack, place 0; feeders come before places.

    u is a voltage relative to the one without load, so 1 at the slack; j is the current that the tree behind a place
    takes, as it arrives at the slack. Then u = u_feeder + series j, and j is the sum of current_by_kva conj(P + jQ) /
    conj(u) over the places behind. An element's loading is the magnitude of charging u_near + loading j_far at an end.
    These are arrays of the CPU in double precision, whatever becomes of the tensors of the GridModel.
    """

    node: Index  # [M] node at the places 1 ... M
    feeder: Index  # [M] place
    series: Real  # [M, 2]
    current_by_kva: Real  # [M, 2] per kVA of consumption
    no_load_magnitude: Real  # [M] p.u.
    near: Index  # [E] place at the end towards the slack
    far: Index  # [E] place at the other end; 0 where that end is open and `loading` is 0
    charging: Real  # [2, E, 2] at the from (high-voltage) ends, then at the to ends
    loading: Real  # [2, E, 2]


@dataclass(frozen=True, eq=False)
class GridModel:
    """A radial grid with one slack and constant-power nodes, reduced to what a node's current does to it.

    With i the complex currents injected at the nodes, the node voltages are `no_load_voltage + impedance @ i`, and the
    magnitudes of `no_load_end_loading + end_loading @ i` are the loadings at both ends of every element.
    """

    node_names: tuple[str, ...]  # M
    element_names: tuple[str, ...]  # E
    elements: tuple[tuple[str, int], ...]  # E, pandapower table ("line" or "trafo") and index
    node_of_bus: dict[int, int]  # pandapower bus index -> node; neither slack nor unsupplied buses are in it
    base_kva: float  # power of 1 p.u.
    slack_voltage: float  # p.u.
    no_load_voltage: Tensor  # [M, 2] p.u.
    impedance: Tensor  # [M, M, 2] p.u., voltage at the row's node by current at the column's node
    no_load_end_loading: Tensor  # [2 E, 2] at the from (high-voltage) ends, then at the to ends
    end_loading: Tensor  # [2 E, M, 2] loading by p.u. current
    rating_kva: Tensor  # [E] apparent power at rated current and nominal voltage
    voltage_lower: Tensor  # [M] p.u.
    voltage_upper: Tensor  # [M] p.u.
    downstream: Tensor  # [E, M] share of the node's power that the element carries: 1, 0, or a part in parallel
    tree: RadialTree


@dataclass(frozen=True)
class PowerFlow:
    """The state of the grid, row by row; rows that did not converge hold their last finite iterate."""

    voltage: Tensor  # [B, M] p.u.
    loading: Tensor  # [B, E] current over rated current, at the end where it is larger
    converged: Tensor  # [B] bool
    iterations: Tensor  # [B] int64


@dataclass(frozen=True)
class Violations:
    """How far loadings and voltages are outside their limits, whatever the direction of the flow."""

    overload_kva: Tensor  # [B] summed over elements
    voltage_pu: Tensor  # [B] summed over nodes
    element_overload_kva: Tensor  # [B, E]
    node_voltage_pu: Tensor  # [B, M]


@dataclass(frozen=True)
class Linearisation:
    """First-order model of the grid around operating points: value there and slope by the active power of each node."""

    loading0: Tensor  # [K, E]
    d_loading_d_kw: Tensor  # [K, E, M] per kW of consumption
    voltage0: Tensor  # [K, M] p.u.
    d_voltage_d_kw: Tensor  # [K, M, M] p.u. of the first node per kW of consumption at the second
    converged: Tensor  # [K] bool, whether the operating point could be found
