"""The tree of a radial grid: who is fed through whom, and the one series impedance that each node adds to its path."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from totalflex_env.errors import GridError
from totalflex_env.grid.checks import Net, label
from totalflex_env.grid_model import RadialTree


@dataclass(frozen=True)
class Circuit:
    """What pandapower computes with: n internal buses (fused, supplied, plus open ends of lines) and b branches."""

    base_mva: float
    slack: int
    slack_voltage: complex  # p.u.
    base_kv: NDArray[np.float64]  # [n]
    admittance: NDArray[np.complex128]  # [n, n] p.u.
    end_admittance: NDArray[np.complex128]  # [2, b, n] p.u., current into a branch at its from and its to end
    ends: NDArray[np.int64]  # [2, b] internal buses of the branches
    branches: tuple[tuple[str, int], ...]  # b, pandapower table and index


def feeders_of(net: Net, circuit: Circuit) -> dict[int, int]:
    """Internal bus -> the bus that feeds it, nearest first from the slack (which feeds itself); a mesh is refused."""
    branch_between: dict[frozenset[int], int] = {}
    neighbours: dict[int, list[int]] = {circuit.slack: []}
    for branch, (a, b) in enumerate(circuit.ends.T.tolist()):
        if frozenset((a, b)) not in branch_between:  # parallel branches are one edge of the tree
            neighbours.setdefault(a, []).append(b)
            neighbours.setdefault(b, []).append(a)
        branch_between[frozenset((a, b))] = branch

    feeder: dict[int, int] = {}
    waiting = deque([(circuit.slack, circuit.slack)])
    while waiting:
        bus, fed_by = waiting.popleft()
        if bus in feeder:
            closing = circuit.branches[branch_between[frozenset((bus, fed_by))]]
            expected = "a radial grid; grid.reference.solve takes meshed ones"
            raise GridError(label(net, *closing), "closes a loop", expected)
        feeder[bus] = fed_by
        waiting += [(other, bus) for other in neighbours[bus] if other != fed_by]
    return feeder


def shares_of(circuit: Circuit, feeder: dict[int, int]) -> NDArray[np.float64]:
    """Share [b, n] of the power of each bus that flows through each branch; parallel ones share by admittance."""
    buses = len(circuit.admittance)
    behind = np.eye(buses)
    for bus, fed_by in reversed(list(feeder.items())[1:]):
        behind[fed_by] += behind[bus]
    carried = np.zeros((len(circuit.branches), buses))
    total: dict[int, float] = {}
    for branch, (near, far) in enumerate(circuit.ends.T.tolist()):
        fed = far if feeder[far] == near else near
        strength = abs(circuit.end_admittance[0, branch, circuit.ends[1, branch]])
        total[fed] = total.get(fed, 0.0) + strength
        carried[branch] = strength * behind[fed]
    for branch, (near, far) in enumerate(circuit.ends.T.tolist()):
        carried[branch] /= total[far if feeder[far] == near else near]
    return carried


def radial_tree(
    circuit: Circuit,
    feeder: dict[int, int],
    nodes: Sequence[int],
    elements: Sequence[int],
    rated: NDArray[np.float64],
) -> RadialTree:
    """The tree of the nodes (internal buses) with the elements (branches) and their rated currents [2, E] in p.u.

    Eliminating the buses of Y v = i from the leaves to the slack leaves one factor for currents and one for voltages on
    each edge. Voltages relative to those without load and currents as they arrive at the slack take these factors up,
    and with them all taps, phase shifts, shunts and charging currents: what is left is u = u_feeder + z j, exactly.
    """
    y, slack, edges = circuit.admittance, circuit.slack, list(feeder.items())[1:]
    diagonal = np.diag(y).copy()
    for bus, fed_by in reversed(edges):
        diagonal[fed_by] -= y[fed_by, bus] * y[bus, fed_by] / diagonal[bus]
    voltage = np.full(len(y), circuit.slack_voltage)  # without load
    arriving = np.ones(len(y), dtype=np.complex128)  # current at the slack by current at the bus
    drop = np.zeros(len(y), dtype=np.complex128)  # of relative voltage by arriving current, on the way to the bus
    for bus, fed_by in edges:
        voltage[bus] = -y[bus, fed_by] / diagonal[bus] * voltage[fed_by]
        arriving[bus] = -y[fed_by, bus] / diagonal[bus] * arriving[fed_by]
        drop[bus] = 1.0 / (diagonal[bus] * arriving[bus] * voltage[bus])

    node_of = {bus: node for node, bus in enumerate(nodes)}
    order = [bus for bus in feeder if bus in node_of]  # open ends of lines carry nothing, so that they can be left out
    place = {slack: 0} | {bus: row for row, bus in enumerate(order, start=1)}
    first, second = circuit.ends[:, elements]
    fed_first = np.array([feeder[a] == b for a, b in zip(first.tolist(), second.tolist())], dtype=bool)
    near, far = np.where(fed_first, second, first), np.where(fed_first, first, second)
    at_near = circuit.end_admittance[:, elements, near] * voltage[near]
    at_far = circuit.end_admittance[:, elements, far] * voltage[far]
    open_ended = np.array([bus not in place for bus in far.tolist()], dtype=bool)
    return RadialTree(
        node=np.array([node_of[bus] for bus in order]),
        feeder=np.array([place[feeder[bus]] for bus in order]),
        series=pairs(drop[order]),
        current_by_kva=pairs(-arriving[order] / voltage[order].conj() / (1e3 * circuit.base_mva)),
        no_load_magnitude=np.abs(voltage[order]),
        near=np.array([place[bus] for bus in near.tolist()]),
        far=np.array([place.get(bus, 0) for bus in far.tolist()]),
        charging=pairs((at_near + at_far) / rated),
        loading=pairs(np.where(open_ended, 0.0, at_far * drop[far] / rated)),
    )


def pairs(values: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Complex [...] as real and imaginary part [..., 2]."""
    return np.stack([values.real, values.imag], axis=-1)
