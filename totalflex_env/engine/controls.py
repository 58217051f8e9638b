"""What the numbers that agents output stand for: each of them, in -1..1, one to one between two ends with a unit.

The maps rise and can be turned round, so that every setting of a role has exactly one action. The scripted rule is an
action too: zero where it lies between the ends, -1 where it is an end itself, as for prosumers, who cannot withhold
less than nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Control:
    """A number in -1..1 and what it stands for: `least` at -1, `most` at 1, evenly or in equal factors between."""

    name: str
    meaning: str
    unit: str
    least: float
    most: float
    geometric: bool = False  # equal steps are equal factors

    def value(self, number: Tensor) -> Tensor:
        """Return what numbers in -1..1 of any shape stand for."""
        way = 0.5 * (1.0 + number)
        if self.geometric:
            factor: Tensor = (self.most / self.least) ** way
            return factor * self.least
        return self.least + (self.most - self.least) * way

    def number(self, value: Tensor) -> Tensor:
        """Return the numbers in -1..1 that stand for these values of any shape: `value` turned round."""
        if self.geometric:
            way = torch.log(value / self.least) / math.log(self.most / self.least)
        else:
            way = (value - self.least) / (self.most - self.least)
        return 2.0 * way - 1.0
