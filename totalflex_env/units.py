"""The only conversions between the units inside (kW, kWh per slot, EUR/kWh) and those of files, grids and ledgers."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SLOT_HOURS = 0.25
SLOTS_PER_HOUR = 4
SLOTS_PER_DAY = 96

_MILLIWATT_HOURS_PER_KWH = 1_000_000
_MICRO_EUR_PER_EUR = 1_000_000

Number = TypeVar("Number", float, Tensor, NDArray[np.float64], NDArray[np.float32])


def kw_from_mw(power: Number) -> Number:
    """MW, Mvar or MVA to kW, kvar or kVA; any shape."""
    return power * 1e3


def mw_from_kw(power: Number) -> Number:
    """kW, kvar or kVA to MW, Mvar or MVA; any shape."""
    return power / 1e3


def eur_per_kwh(price_per_mwh: Number) -> Number:
    """EUR/MWh to EUR/kWh; any shape."""
    return price_per_mwh / 1e3


def eur_per_mwh(price_per_kwh: Number) -> Number:
    """EUR/kWh to EUR/MWh; any shape."""
    return price_per_kwh * 1e3


def kwh_from_kw(power: Number) -> Number:
    """Mean power over one slot [kW] to the energy of that slot [kWh]; any shape."""
    return power * SLOT_HOURS


def kw_from_kwh(energy: Number) -> Number:
    """Energy of one slot [kWh] to the mean power over it [kW]; any shape."""
    return energy / SLOT_HOURS


def to_mwh_integer(energy: Tensor) -> Tensor:
    """kWh to whole milliwatt-hours (mWh), int64, halves to even; any shape. Rounds in float64 whatever the input."""
    return _whole(energy, _MILLIWATT_HOURS_PER_KWH)


def from_mwh_integer(energy: Tensor) -> Tensor:
    """Whole milliwatt-hours (mWh) to kWh, float64; any shape."""
    return energy.double() / _MILLIWATT_HOURS_PER_KWH


def to_micro_eur(money: Tensor) -> Tensor:
    """EUR to whole micro-EUR, int64, halves to even; any shape. EUR/kWh gives whole micro-EUR per kWh alike."""
    return _whole(money, _MICRO_EUR_PER_EUR)


def from_micro_eur(money: Tensor) -> Tensor:
    """Whole micro-EUR to EUR, float64; any shape."""
    return money.double() / _MICRO_EUR_PER_EUR


def _whole(number: Tensor, parts: int) -> Tensor:
    """A number in whole parts, rounded in float64; one temporary, since books are large."""
    return number.to(torch.float64, copy=True).mul_(parts).round_().long()
