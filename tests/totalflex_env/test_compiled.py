from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import njit

from totalflex_env import compiled


def twice_the_sum(values: Any) -> Any:
    return 2.0 * values.sum()


def test_where_nothing_can_be_cached_every_process_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_cache(function: Callable[..., Any], cache: bool = False, **options: Any) -> Any:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(function, **options)

    monkeypatch.setattr(compiled, "njit", without_cache)
    double = compiled.compiled(twice_the_sum)
    assert double(np.arange(4.0)) == 12.0
    assert double.targetoptions["nogil"]


def test_sums_stay_in_their_order_where_that_is_asked() -> None:
    assert not compiled.compiled(twice_the_sum, reordered=False).targetoptions["fastmath"]
    assert compiled.compiled(twice_the_sum).targetoptions["fastmath"]
