"""Random numbers for many episodes at once: every row has a generator of its own, so that it is its seed's alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Dice:
    """One generator for each of B rows. Rows draw the same shapes in the same order, whatever the others get."""

    generators: tuple[np.random.Generator, ...]

    @classmethod
    def of(cls, seeds: Iterable[int | tuple[int, ...]]) -> Dice:
        """Return a row for every seed."""
        return cls(tuple(np.random.default_rng(seed) for seed in seeds))

    @property
    def rows(self) -> int:
        """Number of rows B."""
        return len(self.generators)

    def normal(self, *shape: int) -> Array:
        """Draw standard normal numbers [B, *shape]."""
        return self._filled(shape, lambda generator, out: generator.standard_normal(out=out))

    def uniform(self, *shape: int) -> Array:
        """Draw numbers [B, *shape], evenly from 0 to 1."""
        return self._filled(shape, lambda generator, out: generator.random(out=out))

    def exponential(self, *shape: int) -> Array:
        """Draw exponential numbers of mean 1 [B, *shape]."""
        return self._filled(shape, lambda generator, out: generator.standard_exponential(out=out))

    def integers(self, high: int, *shape: int) -> NDArray[np.int64]:
        """Draw whole numbers [B, *shape], evenly from 0 to below `high`."""
        return np.stack([generator.integers(high, size=shape) for generator in self.generators])

    def _filled(self, shape: tuple[int, ...], fill: Callable[[np.random.Generator, Array], object]) -> Array:
        drawn = np.empty((self.rows, *shape))
        for generator, row in zip(self.generators, drawn.reshape(self.rows, -1)):
            fill(generator, row)
        return drawn
