"""How deviations wander: stationary first-order autoregressive paths."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from totalflex_env.dice import Array, Dice

_STRETCH = 256  # steps made at once; a longer path is carried on, since the work for a stretch grows as its square


def wander(dice: Dice, steps: int, memory: float, count: int = 1) -> Array:
    """Draw paths of unit variance [B, steps, count]; a deviation fades to 1/e within `memory` steps."""
    white = dice.normal(steps, count)
    path = _kernel(min(steps, _STRETCH), memory) @ white[:, :_STRETCH]
    if steps <= _STRETCH:
        return np.asarray(path)
    stretches, fade = [path], math.exp(-1.0 / memory)
    for begin in range(_STRETCH, steps, _STRETCH):
        fresh = white[:, begin : begin + _STRETCH]
        fresh[:, 0] = fresh[:, 0] * math.sqrt(1.0 - fade**2) + fade * stretches[-1][:, -1]
        stretches.append(_kernel(fresh.shape[1], memory) @ fresh)
    return np.concatenate(stretches, axis=1)


@lru_cache(maxsize=64)
def _kernel(steps: int, memory: float) -> Array:
    """White noise to path [steps, steps]: x_t = a x_(t-1) + sqrt(1 - a²) z_t, begun in its stationary distribution."""
    fade = math.exp(-1.0 / memory)
    lag = np.subtract.outer(np.arange(steps), np.arange(steps))
    kernel = np.where(lag >= 0, fade ** np.maximum(lag, 0), 0.0)
    kernel[:, 1:] *= math.sqrt(1.0 - fade**2)
    kernel.flags.writeable = False
    return kernel
