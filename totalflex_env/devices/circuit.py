"""Two heat capacities in series between a room and the outside (2R2C), solved exactly over a slot.

    C_air T_air'   = (T_mass - T_air) / R_inner + (T_outside - T_air) / R_leak + share * heat + sun_share * area * sun
    C_mass T_mass' = (T_air - T_mass) / R_inner + (T_outside - T_mass) / R_outer + the rest of heat and sun

With inputs that stay constant over a slot the solution is the matrix exponential. One capacity: the same without mass.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Circuit:
    """Heat capacities [kWh/K] and resistances [K/kW]; infinite resistances leave a connection out."""

    air_kwh_per_k: float
    mass_kwh_per_k: float
    inner_k_per_kw: float  # between air and mass
    outer_k_per_kw: float  # between mass and outside
    leak_k_per_kw: float  # between air and outside: windows and ventilation
    heat_share: float  # of the heating and of people that goes to the air
    sun_area_m2: float = 0.0  # of windows, transmittance included
    sun_share: float = 0.0  # of the sun that goes to the air


def solve(circuit: Circuit, slot_hours: float) -> tuple[Tensor, Tensor]:
    """Return what is left of (air, mass) after a slot [2, 2], and what (outside, sun, heat) bring [2, 3], float64.

    Columns: kelvin per kelvin outside, kelvin per kW/m2 of sun, kelvin per kWh of heat in the slot.
    """
    air, mass = circuit.air_kwh_per_k, circuit.mass_kwh_per_k
    inner, outer, leak = (1.0 / r for r in (circuit.inner_k_per_kw, circuit.outer_k_per_kw, circuit.leak_k_per_kw))
    sun, heat = circuit.sun_area_m2 * circuit.sun_share, circuit.heat_share
    rest = circuit.sun_area_m2 - sun
    block = torch.zeros(5, 5, dtype=torch.float64)
    block[0] = torch.tensor([-(inner + leak), inner, leak, sun, heat], dtype=torch.float64) / air
    block[1] = torch.tensor([inner, -(inner + outer), outer, rest, 1.0 - heat], dtype=torch.float64) / mass
    solution = torch.linalg.matrix_exp(block * slot_hours)
    gains = solution[:2, 2:].clone()
    gains[:, 2] /= slot_hours
    return solution[:2, :2], gains
