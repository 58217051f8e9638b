"""How far two runs of the same day are apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any

import torch
from torch import Tensor

from totalflex_env.types import Outcome
from totalflex_env.units import from_micro_eur


def differences(one: Outcome, other: Outcome) -> dict[str, float]:
    """Return the largest difference of every field of two outcomes, in its unit, money in EUR; NaN if one has a NaN."""
    pairs = zip(_tensors(one, ""), _tensors(other, ""), strict=True)
    return {name: float((_plain(name, a) - _plain(name, b)).abs().max()) for (name, a), (_, b) in pairs}


def largest(found: dict[str, float]) -> float:
    """Return the largest of differences, NaN if one of them is."""
    return float(torch.tensor(list(found.values()), dtype=torch.float64).max())


def _tensors(record: Any, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in vars(record).items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif is_dataclass(value):
            yield from _tensors(value, f"{prefix}{name}.")


def _plain(name: str, values: Tensor) -> Tensor:
    return from_micro_eur(values) if name.startswith("ledger.") else values.double()
